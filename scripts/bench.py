"""Run benchmarks/*.py, print a table, and write benchmarks/results.json.

    make bench             all of them
    make bench ONLY=name   benchmarks/name.py only

Each benchmark is a program that prints one JSON object as its last line:
{"name": …, "measures": [{"what": …, "value": …, "unit": …, "aim": …}, …]}.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parents[1] / "benchmarks"


def main(only: str = "") -> int:
    """Run what is asked for; return 0 unless a benchmark broke or is not there."""
    files = [file for file in sorted(FOLDER.glob("*.py")) if only in {"", file.stem}]
    if not files:
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.py"))) or "none"
        print(f"There is no benchmark “{only}”. There are: {names}.", file=sys.stderr)
        return 2
    results = [run(file) for file in files]
    machine = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "linux": platform.release(),
        "python": platform.python_version(),
    }
    whole = {"machine": machine, "results": results}
    print(json.dumps(whole, indent=2))
    (FOLDER / "results.json").write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    show(results)
    return int(any("error" in result for result in results))


def run(file: Path) -> dict[str, Any]:
    """Run one benchmark; what it says on the way goes to the terminal."""
    print(f"… {file.stem}", file=sys.stderr)
    ran = subprocess.run(
        [sys.executable, str(file)], stdout=subprocess.PIPE, text=True, check=False
    )
    last = ran.stdout.strip().rpartition("\n")[2]
    if ran.returncode:
        return {"name": file.stem, "error": f"exit code {ran.returncode}: {last}", "measures": []}
    found: dict[str, Any] = json.loads(last)
    return found


def show(results: list[dict[str, Any]]) -> None:
    """Print a table for people."""
    table = Table("Benchmark", "What", "Value", "Aim", box=None)
    for result in results:
        for measure in result["measures"]:
            value = f"{measure['value']:g} {measure.get('unit', '')}"
            table.add_row(result["name"], measure["what"], value, str(measure.get("aim", "")))
        if "error" in result:
            table.add_row(result["name"], "[red]failed[/]", result["error"], "")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
