"""Run benchmarks/*.py, print a table, and write benchmarks/results.json.

    make bench             all of them
    make bench ONLY=name   the program benchmarks/name.py only

Each program prints a JSON list of figures; results.json holds the newest of each:
{"name", "value", "unit", "beside", "beside_value", "ratio"}: the value, the same of a peer or a
bound measured in the same run, and the one divided by the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parents[1] / "benchmarks"
RESULTS = FOLDER / "results.json"


def main(only: str = "") -> int:
    """Run what is asked for; return 0 unless a benchmark broke or is not there."""
    files = [file for file in sorted(FOLDER.glob("*.py")) if only in {"", file.stem}]
    if not files:
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.py")))
        print(f"There is no benchmark “{only}”. There are: {names}.", file=sys.stderr)
        return 2
    old = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    known = {row["name"]: row for row in old}
    broken = 0
    for file in files:
        print(f"… {file.stem}", file=sys.stderr)
        ran = subprocess.run([sys.executable, file], stdout=subprocess.PIPE, text=True, check=False)
        if ran.returncode:
            print(f"{file.stem} failed with exit code {ran.returncode}.", file=sys.stderr)
            broken = 1
            continue
        known |= {row["name"]: row for row in json.loads(ran.stdout)}
    rows = [known[name] for name in sorted(known)]
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    print(json.dumps(rows, indent=2))
    show(rows)
    return broken


def show(rows: list[dict[str, Any]]) -> None:
    """Print a table for people."""
    table = Table("Figure", "Value", "Beside", "Its value", "Ratio", box=None)
    for row in rows:
        unit = row["unit"]
        values = (f"{row['value']:g} {unit}", row["beside"], f"{row['beside_value']:g} {unit}")
        table.add_row(row["name"], *values, f"{row['ratio']:g}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
