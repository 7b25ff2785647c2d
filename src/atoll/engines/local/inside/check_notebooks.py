"""Runs notebooks one after another, and says of each whether it gave what is stored in it.

Runs in a server's box, in Atoll's own Python; kernels are the environment's. It reads its task, a
JSON file (see `engines/local/trials.py`), and writes after each notebook what it has found so far.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import Any

import nbformat
from comparing import IMAGES, compare, without_colours  # type: ignore[import-not-found]
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from kernelspecs import at_home  # type: ignore[import-not-found]
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

MOST_DIFFERENCES = 20  # of a notebook that are told
LONGEST = 20_000  # characters of a text that is told
LONGEST_IMAGE = 1_500_000  # characters of one


def check(path: str, timeout: float, whole: float) -> dict[str, Any]:
    """Run the notebook at *path*; return what there is to say of it.

    A cell may take *timeout* seconds, and all of them together *whole*.

    ``state`` is "fails", "runs" (nothing was stored that could be compared), "differs" or "same".
    """
    begun = time.monotonic()
    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        told = Trial(notebook, path, timeout, begun + whole).result()
    except Exception as error:  # noqa: BLE001 - whatever a file may be
        told = {"state": "fails", "error": f"It cannot be read: {_short(str(error), 300)}"}
    return {"notebook": path, **told, "seconds": round(time.monotonic() - begun, 2)}


class Trial:
    """A notebook that is run from its first cell on, as far as it comes."""

    def __init__(self, notebook: Any, path: str, timeout: float, end: float) -> None:
        self.notebook = notebook
        self.stored = [_outputs(cell) for cell in notebook.cells]
        self.timeout = timeout
        self.end = end  # of its time, on the monotonic clock
        self.folder = os.path.dirname(path) or "."
        self.at = 0  # the cell that is being run

    def result(self) -> dict[str, Any]:
        """Run it and compare what it gave with what was stored."""
        failure = self._run()
        cells = sum(cell.cell_type == "code" for cell in self.notebook.cells)
        done = self.at if failure else len(self.notebook.cells)
        differences = self._differences(done)
        compared = sum(map(bool, self.stored[:done]))
        state = "differs" if differences else "same" if compared else "runs"
        return {
            "state": "fails" if failure else state,
            **failure,
            "cells": cells,
            "compared": compared,
            "differing": len(differences),
            "differences": differences[:MOST_DIFFERENCES],
        }

    def _run(self) -> dict[str, Any]:
        """Run it; return why it came no further, or nothing."""
        for cell, outputs in zip(self.notebook.cells, self.stored, strict=True):
            if any(one.get("output_type") == "error" for one in outputs):  # it is to fail there
                cell.metadata["tags"] = [*cell.metadata.get("tags", ()), "raises-exception"]
        spec = self.notebook.metadata.get("kernelspec", {})
        specs = at_home(KernelSpecManager)()
        manager = AsyncKernelManager(kernel_name=kernel_for(spec, specs), kernel_spec_manager=specs)
        client = Client(
            self.notebook,
            km=manager,
            timeout_func=self._left,
            startup_timeout=120,
            on_cell_start=self._note,
            resources={"metadata": {"path": self.folder}},
        )
        try:
            client.execute()
        except CellExecutionError as error:
            return {**self._place(), **explain(error.ename, error.evalue)}
        except CellTimeoutError:
            if time.monotonic() >= self.end:
                return {**self._place(), "error": "The notebook's time was up."}
            return {**self._place(), "error": f"It took longer than {self.timeout:g} s."}
        except DeadKernelError:
            return {**self._place(), "error": "The kernel died; it may have needed more memory."}
        except Exception as error:  # noqa: BLE001 - no kernel, or none that speaks
            return {"error": _short(f"{type(error).__name__}: {error}", 500)}
        return {}

    def _left(self, _: Any) -> float:
        """Return the seconds that the next cell may take; nbclient takes none for no limit."""
        return max(0.1, min(self.timeout, self.end - time.monotonic()))

    def _note(self, *, cell_index: int, **_: Any) -> None:
        self.at = cell_index

    def _place(self) -> dict[str, Any]:
        return {"cell": self.at, "source": _short(self.notebook.cells[self.at].source, LONGEST)}

    def _differences(self, done: int) -> list[dict[str, Any]]:
        """Return where the first *done* cells did not give what is stored."""
        found = []
        for number, cell in enumerate(self.notebook.cells[:done]):
            stored, now = self.stored[number], _outputs(cell)
            if stored and (why := compare(stored, now)):
                found.append(
                    {
                        "cell": number,
                        "source": _short(cell.source, LONGEST),
                        "why": why,
                        "stored": shown(stored),
                        "found": shown(now),
                    }
                )
        return found


class Client(NotebookClient):
    """One that also stands the widgets of before ipywidgets 7, which open without a state."""

    def on_comm_open_jupyter_widget(self, msg: dict[str, Any]) -> Any:
        """Note what a widget begins with, as far as that is told."""
        known = "state" in msg["content"]["data"]
        return super().on_comm_open_jupyter_widget(msg) if known else None


def kernel_for(spec: Any, specs: Any) -> str:
    """Return the kernel for a notebook: the one it names, or else one of its language.

    Names are those of their author's machine ("conda-env-thesis-py").
    """
    known = specs.get_all_specs()
    if spec.get("name") in known:
        return str(spec["name"])
    language = str(spec.get("language") or "python").lower()
    alike = (
        name for name, one in known.items() if one["spec"].get("language", "").lower() == language
    )
    return next(alike, "python3")


def explain(name: str, value: str) -> dict[str, str]:
    """Return an exception in words, and the package or the file that is missing, if that is it."""
    told = {"error": _short(f"{name}: {value}".rstrip(": "), 500)}
    if found := re.search(r"No module named '?([\w.]+)", value):
        told["missing_module"] = found[1]
    elif name == "FileNotFoundError" and (found := re.search(r"'([^']+)'\s*$", value)):
        told["missing_file"] = found[1]
    return told


def shown(outputs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return *outputs* as a page may show them without trust: texts and images."""
    found = []
    for one in outputs:
        data = one.get("data") or {}
        text = one.get("text") or "\n".join(one.get("traceback", ())) or data.get("text/plain", "")
        image = next((kind for kind in IMAGES if kind in data), "")
        if image and len(data[image]) <= LONGEST_IMAGE:
            found.append({"kind": image, "value": "".join(data[image])})
        else:
            plain = without_colours("".join(text))
            found.append({"kind": "text/plain", "value": _short(plain, LONGEST)})
    return found


def _outputs(cell: Any) -> list[dict[str, Any]]:
    return [dict(one) for one in cell.get("outputs", ())]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} …"


def main() -> None:
    """Do the task in the file that is named first; write the answer into the second."""
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    for path in task["notebooks"]:
        print(f"Running {path}", flush=True)  # noqa: T201 - to the log
        result = check(path, task["timeout"], task["whole"])
        with open(sys.argv[2], "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
