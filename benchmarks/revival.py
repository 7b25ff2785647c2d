"""Whether old repositories still build and run: as of their own day, and as of today.

    .venv/bin/python benchmarks/revival.py --data FOLDER [--repo2docker WHAT] [--from PATTERN]
        [--only GLOB] [--try WAY]... [--again] [--table]

Each repository of revival.txt is built in these ways, and its first notebooks are run in each:

    then    `atoll check --as then --add-missing`: as of its day; and “added”, once more with the
            packages that turned out to be missing, where any did
    today   `atoll check --as today`
    binder  what repo2docker does today, without any of Atoll: see support/binder.py. WHAT is
            what uv can install, a checkout of it or a name and a version; without it, not tried

The results are written into FOLDER, which is Atoll's data folder for this, one by one as they come:
a run that was stopped goes on where it was. With --again, those that GLOB means are tried anew.
Prints JSON: what came of each, and the sums; with --table, Markdown.
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
BINDER = Path(__file__).parent / "support" / "binder.py"
WAYS = ("then", "today", "binder")
COLUMNS = ("then", "added", "today", "binder")
NOTEBOOKS = 3  # of a repository that are run: the first by path
NOTEBOOK, BUILD = 120, 900  # seconds that one may take
PATIENCE = 3 * (BUILD + NOTEBOOKS * (NOTEBOOK + 60)) + 300
SETTINGS = f"[builds]\ntimeout = {BUILD}\n"
# What Atoll says where the registry has no more of a package, or has it no more.
GONE = re.compile(r"There is no (?:package|version) |is asked for, and only ")
HEAD = """| repository | of | then | ran | with the missing | ran | today | ran | a Binder | ran |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main() -> int:
    """Do what is asked for; return 0 when every repository was tried."""
    asked = arguments()
    asked.data.mkdir(parents=True, exist_ok=True)
    (asked.data / "atoll.toml").write_text(SETTINGS)
    file = asked.data / "revival.jsonl"
    chosen = [one for one in repositories() if fnmatch(one[0], asked.only)]
    ways = [way for way in asked.ways or WAYS if way != "binder" or asked.repo2docker]
    known = read(file)
    for number, (name, commit) in enumerate(chosen, 1):
        for way in ways:
            if way in known.get(name, {}) and not asked.again:
                continue
            print(f"{number}/{len(chosen)} {name}, {way}", file=sys.stderr, flush=True)
            result = attempt(way, reference(asked.pattern, name, commit), asked)
            known[name] = {**known.get(name, {}), **result}
            with file.open("a") as out:
                out.write(json.dumps({"name": name, **result}) + "\n")
            print(f"    {in_words(result)}", file=sys.stderr, flush=True)
    results = {name: known.get(name, {}) for name, _ in chosen}
    if asked.table:
        print(table(results))
    else:
        print(json.dumps({"repositories": results, "sums": sums(results)}, indent=1))
    return 0


def arguments() -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--repo2docker", default="", metavar="WHAT")
    parser.add_argument("--from", dest="pattern", default="gh:{name}", metavar="PATTERN")
    parser.add_argument("--only", default="*", metavar="GLOB")
    parser.add_argument("--try", dest="ways", action="append", choices=WAYS)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def repositories() -> list[tuple[str, str]]:
    """Return the names and commits in the list."""
    lines = (line.partition("#")[0].split() for line in LIST.read_text("utf-8").splitlines())
    return [(name, commit) for name, commit in filter(None, lines)]


def reference(pattern: str, name: str, commit: str) -> str:
    """Return where a repository is: *pattern* with what it has in braces filled in."""
    owner, _, repo = name.partition("/")
    return f"{pattern.format(name=name, owner=owner, repo=repo)}@{commit}"


def read(file: Path) -> dict[str, Any]:
    """Return what is known from runs before, by name; of what was tried again, the last counts."""
    known: dict[str, Any] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        told = json.loads(line)
        known.setdefault(told.pop("name"), {}).update(told)
    return known


def attempt(way: str, where: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Build and run one repository in one way; return what came of it."""
    if way == "binder":
        command = [sys.executable, str(BINDER), where, f"--repo2docker={asked.repo2docker}"]
    else:
        command = [sys.executable, "-m", "atoll.cli", "check", where, "--json", "--retry"]
        command += [f"--as={way}", *(["--add-missing"] if way == "then" else [])]
    command += [f"--first={NOTEBOOKS}", f"--notebook-timeout={NOTEBOOK}"]
    began = time.monotonic()
    environ = {**os.environ, "ATOLL_DATA": str(asked.data)}
    try:
        ran = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        told = json.loads(ran.stdout)
        error = told.get("error", "")
    except (subprocess.TimeoutExpired, ValueError) as failure:
        told, error = {}, f"{type(failure).__name__}: {failure}"[:300]
    trials = told.get("trials") or [{"error": error or "?"}]
    print(f"    {time.monotonic() - began:.0f} s", file=sys.stderr)
    result = {way: short(trials[0])}
    if way == "then":
        result["added"] = short(trials[-1])
    if told.get("date"):
        result |= {"date": told["date"][:10], "notebooks": len(told["notebooks"])}
    return result


def short(trial: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a trial, as `atoll check --json` tells it."""
    notebooks = trial.get("notebooks", ())
    return {
        "built": not trial["error"],
        "error": trial["error"],
        "gone": bool(GONE.search(trial["error"])),
        "seconds": trial.get("seconds"),
        "python": trial.get("python", ""),
        "as_of": trial.get("as_of", ""),
        "notes": trial.get("notes", ()),
        "added": trial.get("added", ()),
        "ran": sum(one["state"] != "fails" for one in notebooks),
        "same": sum(one["state"] == "same" for one in notebooks),
        "fails": {
            one["notebook"]: one["error"][:300] for one in notebooks if one["state"] == "fails"
        },
    }


def sums(results: dict[str, Any]) -> dict[str, Any]:
    """Return how many there are, and of each column how many built, ran and gave the same."""
    some = list(results.values())
    return {
        "repositories": len(some),
        "notebooks": sum(one.get("notebooks", 0) for one in some),
        **{column: sums_of([one[column] for one in some if column in one]) for column in COLUMNS},
    }


def sums_of(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of one column; ``there`` are those whose packages the registry still has."""
    keys = ("built", "ran", "same")
    added = {key: sum(one[key] for one in trials) for key in keys}
    seconds = sum(one["seconds"] or 0 for one in trials)
    there = sum(not one["gone"] for one in trials)
    return {"tried": len(trials), **added, "there": there, "seconds": round(seconds)}


def in_words(result: dict[str, Any]) -> str:
    """Return one line about a repository, for whoever waits."""
    return "; ".join(
        f"{column}: {one['ran']} ran, {one['same']} same"
        if (one := result[column])["built"]
        else f"{column}: {one['error'][:150]}"
        for column in COLUMNS
        if column in result
    )


def table(results: dict[str, Any]) -> str:
    """Return *results* as a table, and below it why what failed did, then and on a Binder."""
    told = sums(results)
    every = [f"**{len(results)}**", f"{told['notebooks']} notebooks"]
    for column in COLUMNS:
        counts = told[column]
        every += [f"**{counts['built']}** built", f"**{counts['ran']}** ({counts['same']})"]
    rows = [row(name, one) for name, one in results.items()]
    lines = [HEAD, *rows, f"| {' | '.join(every)} |"]
    for column, title in (("then", "as of then"), ("binder", "on a Binder")):
        lines += ["", f"| repository | why not, {title} |", "| --- | --- |"]
        for name, one in results.items():
            lines += [f"| {name} | {why} |" for why in reasons(one.get(column))]
    return "\n".join(lines)


def row(name: str, result: dict[str, Any]) -> str:
    """Return a row: of each column Python, seconds, what ran of how many, and what was the same."""
    cells = [name, result.get("date", "")]
    for column in COLUMNS:
        one = result.get(column)
        if one is None:
            cells += ["", ""]
        elif column == "added" and not one["added"]:  # nothing that can be had was missing
            cells += ["", "as then"]
        elif one["built"]:
            python = ", ".join(one.get("added", ())) or one["python"]
            ran = f"{one['ran']}/{result['notebooks']} ({one['same']})"
            cells += [f"{python}, {one['seconds']:.0f} s", ran]
        else:
            cells += ["no", "–"]
    return f"| {' | '.join(cells)} |"


def reasons(trial: dict[str, Any] | None) -> list[str]:
    """Return why *trial* built nothing, or why notebooks failed, each once, for a table."""
    if trial is None:
        return []
    whys = [trial["error"]] if trial["error"] else dict.fromkeys(trial["fails"].values())
    return [" ".join(why.split()).replace("|", "/") for why in whys]


if __name__ == "__main__":
    sys.exit(main())
