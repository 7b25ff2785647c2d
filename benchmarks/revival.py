"""Whether old repositories still build and run: as of their own day, and as of today.

    .venv/bin/python benchmarks/revival.py --data FOLDER [--from PATTERN] [--only GLOB] [--again]

Each repository of revival.txt is built twice by `atoll check --as then --as today`, and its first
notebooks are run in both. The results are written into FOLDER, which is Atoll's data folder for
this, one by one as they come: a run that was stopped goes on where it was. With --again, those that
GLOB means are tried anew. Prints JSON: what came of each, and the sums; with --table, Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_suffix(".txt")
DAYS = ("then", "today")
NOTEBOOKS = 3  # of a repository that are run: the first by path
NOTEBOOK, BUILD = 120, 900  # seconds that one may take
PATIENCE = 2 * (BUILD + NOTEBOOKS * (NOTEBOOK + 60)) + 300
SETTINGS = f"[builds]\ntimeout = {BUILD}\n"
# What Atoll says where the registry has no more of a package, or has it no more.
GONE = re.compile(r"There is no (?:package|version) |is asked for, and only ")
HEAD = """| repository | of | Python | built (s) | ran | same | Python | built (s) | ran | same |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main() -> int:
    """Do what is asked for; return 0 when every repository was tried."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--from", dest="pattern", default="gh:{name}", metavar="PATTERN")
    parser.add_argument("--only", default="*", metavar="GLOB")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    asked.data.mkdir(parents=True, exist_ok=True)
    (asked.data / "atoll.toml").write_text(SETTINGS)
    file = asked.data / "revival.jsonl"
    chosen = [one for one in repositories() if fnmatch(one[0], asked.only)]
    known = read(file)
    for number, (name, commit) in enumerate(chosen, 1):
        if name not in known or asked.again:
            print(f"{number}/{len(chosen)} {name}", file=sys.stderr, flush=True)
            known[name] = attempt(reference(asked.pattern, name, commit), asked.data)
            with file.open("a") as out:  # of a repository, the last line counts
                out.write(json.dumps({"name": name, **known[name]}) + "\n")
            print(f"    {in_words(known[name])}", file=sys.stderr, flush=True)
    results = {name: known[name] for name, _ in chosen}
    if asked.table:
        print(table(results))
    else:
        print(json.dumps({"repositories": results, "sums": sums(results)}, indent=1))
    return 0


def repositories() -> list[tuple[str, str]]:
    """Return the names and commits in the list."""
    lines = (line.partition("#")[0].split() for line in LIST.read_text("utf-8").splitlines())
    return [(name, commit) for name, commit in filter(None, lines)]


def reference(pattern: str, name: str, commit: str) -> str:
    """Return where a repository is: *pattern* with what it has in braces filled in."""
    owner, _, repo = name.partition("/")
    return f"{pattern.format(name=name, owner=owner, repo=repo)}@{commit}"


def read(file: Path) -> dict[str, Any]:
    """Return what is known from runs before, by name."""
    lines = file.read_text().splitlines() if file.exists() else []
    told = [json.loads(line) for line in lines]
    return {one.pop("name"): one for one in told}


def attempt(where: str, data: Path) -> dict[str, Any]:
    """Build and run one repository; return what came of it."""
    command = [sys.executable, "-m", "atoll.cli", "check", where, "--json", "--retry"]
    command += [f"--as={day}" for day in DAYS]
    command += [f"--first={NOTEBOOKS}", f"--notebook-timeout={NOTEBOOK}"]
    began = time.monotonic()
    environ = {**os.environ, "ATOLL_DATA": str(data)}
    try:
        ran = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        told = json.loads(ran.stdout)
        told.setdefault("trials", [])
        error = told.get("error", "")
    except (subprocess.TimeoutExpired, ValueError) as failure:
        told, error = {"trials": []}, f"{type(failure).__name__}: {failure}"[:300]
    trials = {one["day"]: short(one) for one in told["trials"]}
    return {
        "date": told.get("date", "")[:10],
        "notebooks": len(told.get("notebooks", ())),
        "error": error,
        "seconds": round(time.monotonic() - began),
        **{day: trials.get(day, short({"error": error or "?"})) for day in DAYS},
    }


def short(trial: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of one day's trial, as `atoll check --json` tells it."""
    notebooks = trial.get("notebooks", ())
    return {
        "built": not trial["error"],
        "error": trial["error"],
        "gone": bool(GONE.search(trial["error"])),
        "seconds": trial.get("seconds"),
        "python": trial.get("python", ""),
        "as_of": trial.get("as_of", ""),
        "notes": trial.get("notes", ()),
        "ran": sum(one["state"] != "fails" for one in notebooks),
        "same": sum(one["state"] == "same" for one in notebooks),
        "fails": {
            one["notebook"]: one["error"][:300] for one in notebooks if one["state"] == "fails"
        },
    }


def sums(results: dict[str, Any]) -> dict[str, Any]:
    """Return how many there are, and of each day how many built, ran and gave the same."""
    some = list(results.values())
    return {
        "repositories": len(some),
        "notebooks": sum(one["notebooks"] for one in some),
        **{day: sums_of([one[day] for one in some]) for day in DAYS},
    }


def sums_of(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of one day; ``there`` are those whose packages the registry still has."""
    keys = ("built", "ran", "same")
    added = {key: sum(one[key] for one in trials) for key in keys}
    seconds = sum(one["seconds"] or 0 for one in trials)
    return {**added, "there": sum(not one["gone"] for one in trials), "seconds": round(seconds)}


def in_words(result: dict[str, Any]) -> str:
    """Return one line about a repository, for whoever waits."""
    return "; ".join(
        f"{day}: {one['ran']} of {result['notebooks']} ran, {one['same']} same"
        if (one := result[day])["built"]
        else f"{day}: {one['error'][:150]}"
        for day in DAYS
    )


def table(results: dict[str, Any]) -> str:
    """Return *results* as a table, and below it why what of then failed did."""
    rows, reasons = [HEAD], []
    for name, one in results.items():
        cells = [name, one["date"]]
        for day in DAYS:
            trial, of = one[day], one["notebooks"]
            built = f"{trial['seconds']:.0f}" if trial["built"] else "no"
            counts = [f"{trial[key]}/{of}" if trial["built"] else "–" for key in ("ran", "same")]
            cells += [trial["python"], built, *counts]
        rows.append(f"| {' | '.join(cells)} |")
        then = one["then"]
        whys = [then["error"]] if then["error"] else [*dict.fromkeys(then["fails"].values())]
        reasons += [f"| {name} | {' '.join(why.split()).replace('|', '/')} |" for why in whys]
    told = sums(results)
    every = [f"**{len(results)}**", f"{told['notebooks']} notebooks"]
    for day in DAYS:
        every += ["", *(f"**{told[day][key]}**" for key in ("built", "ran", "same"))]
    rows.append(f"| {' | '.join(every)} |")
    return "\n".join([*rows, "", "| repository | why not, as of then |", "| --- | --- |", *reasons])


if __name__ == "__main__":
    sys.exit(main())
