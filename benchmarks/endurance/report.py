"""Report: a soak's figures as tables for people, and where they are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PAGE = Path("docs", "explanation", "reliability.md")
ENDS, TIMES = ("done", "told", "wrong", "hung"), ("median", "p95", "longest")
CLEAN = "Nothing was lost, left over or not told."


def table(told: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    first, last = told["load"][0], told["load"][-1]
    head = (
        f"`{told['command']}`, as {told['user']}, {told['date']} (UTC); {told['machine']}; "
        f"load average {first} before, {last} after. {told['servers']} servers were started. "
        f"The people themselves took {told['own_processor_seconds']:.0f} s of processor time."
    )
    acts = _rows(
        ("what", "worked", "told why not", "wrong", *TIMES),
        [
            (
                one["act"].replace("_", " "),
                *(one.get(end, 0) for end in ENDS[:2]),
                one.get("wrong", 0) + one.get("hung", 0),
                *(f"{one[key]:.2f} s" if one[key] is not None else "" for key in TIMES),
            )
            for one in told["acts"]
        ],
    )
    left = _rows(
        ("what there is", "before", "after"),
        [
            (kind, number, told["after"][kind])
            for kind, number in told["before"].items()
            if not isinstance(number, dict)
        ],
    )
    parts = _rows(
        ("part", "descriptors before", "after", "private memory, calm begins", "calm ends"),
        [
            (
                part,
                number,
                told["after"]["descriptors"].get(part, 0),
                *(f"{size} MB" for size in told["memory"].get(part, ("?", "?"))),
            )
            for part, number in told["before"]["descriptors"].items()
        ],
    )
    wrong = "\n".join(f"* {one}" for one in told["wrong"]) or CLEAN
    said = _rows(("what people were told", "times"), told["told"].items())
    return f"{head}\n\n{wrong}\n\n{acts}\n\n{left}\n\n{parts}\n\n{said}"


def _rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(str(cell).replace('|', '¦') for cell in line)} |" for line in lines
    )


def keep(told: dict[str, Any], root: Path) -> None:
    """Write the report and its part of the page."""
    user = "root" if told["user"] == "root" else "ordinary-user"
    file = root / "benchmarks" / f"soak-{user}.json"
    file.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    page = root / PAGE
    begin, end = f"<!-- {user}: written by `make soak` -->\n", f"<!-- end of {user} -->\n"
    before, mark, rest = page.read_text("utf-8").partition(begin)
    _, close, after = rest.partition(end)
    if close:
        page.write_text(f"{before}{mark}\n{table(told)}\n\n{close}{after}", "utf-8")
