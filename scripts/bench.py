"""Run benchmarks/*.py, print a table, write benchmarks/results.json and draw it.

    make bench                            everything
    make bench ONLY=crowd_30              one figure
    make bench ONLY=crowds                all figures of the program benchmarks/crowds.py
    make bench ONLY="crowd_30 --rounds 1"   whatever else is written goes to the program
    make bench AS=ordinary-user           as root: the same as an ordinary user

Each program prints a JSON list of figures; results.json (of an ordinary user:
results-ordinary-user.json) holds the newest of each:
{"name", "value", "unit", "beside", "beside_value", "ratio"}: the value, the same of a peer or a
bound measured in the same run, and the one divided by the other; further keys are notes. The plot
is made from root's file, and the tables of docs/explanation/performance.md from both.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
ORDINARY = "ordinary-user"
PAGE = ROOT / "docs" / "explanation" / "performance.md"
PLOT = PAGE.with_suffix(".png")
BEGIN = "<!-- figures{}: written by `make bench` -->\n"
END = "<!-- end of figures -->\n"
NEEDED = {"name", "value", "unit", "beside", "beside_value", "ratio"}
MEGA = 1e6
# What the figures are to be: at most so much, and at most so much of what stands beside.
AIMS: dict[str, tuple[float | None, float | None]] = {
    "warm_launch": (0.30, 0.12),
    "first_cell": (0.6, 0.15),
    "crowd_30": (8, 0.12),
    "crowd_100": (30, None),
    "crowd_300": (45 * MEGA, None),
    "rest_pss": (250 * MEGA, None),
    "binder_ready": (0.4, None),
    "page_p95": (0.1, None),
    "people_p95": (0.15, None),
    "people_p95_postgresql": (0.15, None),
    "warm_build": (None, 1.3),
    "warm_build_beside_pip": (None, 0.15),
    "second_build": (None, 0.15),
    "second_build_disk": (None, 0.15),
    "warm_conda_build": (None, 1.3),
    "second_conda_build": (None, 0.15),
    "second_conda_build_disk": (None, 0.15),
    "second_conda_build_line": (None, 0.15),
}


def main(user: str = "me", only: str = "", *options: str) -> int:
    """Run what is asked for as *user*; return 0 unless a benchmark broke or is not there."""
    if user not in {"me", ORDINARY}:
        print(__doc__)
        return 0 if user in {"-h", "--help"} else 2
    ordinary = user == ORDINARY
    results = FOLDER / (f"results-{ORDINARY}.json" if ordinary else "results.json")
    signal.signal(signal.SIGTERM, interrupted)
    programs = find()
    runs = choose(only, programs)
    if not runs:
        names = ", ".join([*programs, *(name for some in programs.values() for name in some)])
        print(f"There is no benchmark “{only}”. There are: {names}.", file=sys.stderr)
        return 2
    known = (
        {row["name"]: row for row in json.loads(results.read_text())} if results.exists() else {}
    )
    broken = 0
    for stem, figures in runs.items():
        print(f"… {stem}: {', '.join(figures)}", file=sys.stderr)
        words = [f"benchmarks/{stem}.py", "--only", *figures, *options]
        status, printed = run(words, ordinary=ordinary)
        if status:
            print(f"{stem} failed with exit code {status}.", file=sys.stderr)
            broken = 1
            continue
        known |= {row["name"]: row for row in json.loads(printed)}
    everything = [name for some in programs.values() for name in some]
    rows = [known[name] for name in everything if name in known]
    results.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    print(json.dumps(rows, indent=2))
    show(rows)
    write_table(rows, BEGIN.format(" of an ordinary user" if ordinary else ""))
    if not ordinary:
        draw(rows)
    return broken


def interrupted(*_: object) -> NoReturn:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


def find() -> dict[str, tuple[str, ...]]:
    """Return each program that gives figures, and which; `revival` takes an hour and gives none."""
    sys.path.insert(0, str(FOLDER))
    stems = sorted(file.stem for file in FOLDER.glob("*.py"))
    modules = {stem: importlib.import_module(stem) for stem in stems}
    return {stem: tuple(one.FIGURES) for stem, one in modules.items() if hasattr(one, "FIGURES")}


def choose(only: str, programs: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the programs to run, and what for: all, one program's figures, or one figure."""
    if only in programs:
        return {only: programs[only]}
    one = {stem: (only,) for stem, figures in programs.items() if only in figures}
    return one if only else programs


def run(words: Sequence[str], *, ordinary: bool) -> tuple[int, str]:
    """Run a program; when we are interrupted it is, too, and we wait until it has cleared up."""
    command = [sys.executable, *words]
    if ordinary:
        command = ["scripts/as-ordinary-user.sh", "--develop", ".venv/bin/python", *words]
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    try:
        printed, _ = program.communicate()
    except KeyboardInterrupt:
        os.killpg(program.pid, signal.SIGTERM)
        with contextlib.suppress(KeyboardInterrupt):
            program.communicate()
        raise
    return program.returncode, printed


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print a table for people."""
    table = Table("Figure", "Value", "Beside", "Its value", "Ratio", "Notes", box=None)
    for row in rows:
        values = (said(row["value"], row["unit"]), row["beside"])
        other = said(row["beside_value"], row["unit"])
        table.add_row(row["name"], *values, other, said(row["ratio"]), notes(row))
    Console(stderr=True).print(table)


def said(value: float | None, unit: str = "") -> str:
    """Return a value for people; bytes as megabytes."""
    if value is None:
        return "none"
    return f"{value / MEGA:.1f} MB" if unit == "bytes" else f"{value:.3g} {unit}".strip()


def notes(row: dict[str, Any]) -> str:
    """Return what else is known of a figure: sizes are above a million."""
    rest = {key: row[key] for key in row if key not in NEEDED | {"parts"}}
    told = [
        f"{key} {value if isinstance(value, str) else said(value, 'bytes' if value > MEGA else '')}"
        for key, value in rest.items()
        if value is not None
    ]
    return "; ".join(told).replace("_", " ")


def aim(row: dict[str, Any]) -> str:
    """Return what a figure is to be at most."""
    most, ratio = AIMS.get(row["name"], (None, None))
    parts = [said(most, row["unit"])] if most else []
    return "; ".join([*parts, f"{ratio:g} ×"] if ratio else parts)


def write_table(rows: Sequence[dict[str, Any]], begin: str) -> None:
    """Write the page's table after *begin* anew."""
    text = PAGE.read_text("utf-8")
    before, begin, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not end:
        return
    lines = [
        "| figure | value | beside | its value | ratio | aim | notes |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            f"`{row['name']}`",
            said(row["value"], row["unit"]),
            row["beside"],
            said(row["beside_value"], row["unit"]),
            said(row["ratio"]),
            aim(row),
            notes(row),
        )
        lines.append(f"| {' | '.join(cells)} |")
    PAGE.write_text("".join([before, begin, "\n", "\n".join(lines), "\n\n", end, after]), "utf-8")


def draw(rows: Sequence[dict[str, Any]]) -> None:
    """Draw each figure as a part of what stands beside it, and its aim."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [row for row in reversed(rows) if row["ratio"]]
    figure, axes = plt.subplots(figsize=(9, 0.62 * len(shown) + 1.6), layout="constrained")
    for place, row in enumerate(shown):
        axes.barh(place, row["ratio"], color="#00796b" if row["ratio"] <= 1 else "#b26a00")
        values = (
            f"{said(row['value'], row['unit'])} beside {said(row['beside_value'], row['unit'])}"
        )
        where = max(row["ratio"], 0.01) * 1.08
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(where, place, values, va="center", fontsize=8, bbox=white, zorder=3)
        most, ratio = AIMS.get(row["name"], (None, None))
        marks = [most / row["beside_value"]] if most else []
        for mark in [*marks, *([ratio] if ratio else [])][-1:]:
            axes.plot([mark, mark], [place - 0.4, place + 0.4], color="#c62828", linewidth=2.5)
    axes.axvline(1, color="#555555", linewidth=1, linestyle="--", zorder=0)
    names = [f"{row['name']}\n" + row["beside"].partition(" (")[0] for row in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.01, max([5.0, *(5 * row["ratio"] for row in shown)]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("Atoll's value, divided by its peer's (less is better); red: the aim")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PLOT, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
