"""Run repo2docker's own test repositories through Atoll, and say which are as they should be.

    .venv/bin/python scripts/conformance.py [--only GLOB] [--at DATE] [--json] CHECKOUT

CHECKOUT is a checkout of repo2docker's repository. Every folder below its `tests` that has a
`verify` is built as a git repository of its own, as of the day on which it last changed there, and
its `verify` runs in the box of a server of it. Prints the count, and for each other one why not.
Nothing of the checkout is kept. It takes some minutes, and needs what the repositories ask for:
package indexes, conda channels.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from atoll.app import Atoll, opened, wire
from atoll.errors import AtollError
from atoll.folders import run_folder
from atoll.launching import LaunchRequest
from atoll.people import Person
from atoll.settings import Settings, settings_from
from atoll.sources.parsing import parse
from support.verifying import verify

PATIENCE = 300.0  # seconds for one `verify`
LONGEST = 200  # letters of a reason


@dataclass(frozen=True, slots=True)
class Result:
    """How it went with one repository: *why* not, or "" where it verifies; what it was told."""

    name: str
    why: str
    seconds: float
    notes: tuple[str, ...] = ()


def repositories(checkout: Path, only: str) -> list[str]:
    """Return the test repositories of *checkout* whose names fit the pattern *only*."""
    tests = checkout / "tests"
    names = (str(one.parent.relative_to(tests)) for one in sorted(tests.glob("**/verify")))
    return [name for name in names if fnmatch(name, only)]


def as_repository(checkout: Path, name: str, folder: Path) -> Path:
    """Make a git repository of one test repository, dated as it is; return where it is."""
    there = checkout / "tests" / name
    date = git(checkout, "log", "-1", "--format=%cI", "--", str(there))
    repository = folder / name.rpartition("/")[2]
    shutil.copytree(there, repository, symlinks=True)
    git(repository, "init", "--quiet")
    git(repository, "add", "--all", "--force")
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    git(repository, *identity, "commit", "--quiet", "--message", name, date=date)
    return repository


def git(folder: Path, *words: str, date: str = "") -> str:
    """Run git in *folder* and return what it printed."""
    environ = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
    command = ["env", *(f"{name}={value}" for name, value in environ.items()), "git", *words]
    ran = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return ran.stdout.strip()


async def attempt(atoll: Atoll, checkout: Path, name: str, at: str) -> Result:
    """Build one test repository and run its `verify`."""
    began = time.monotonic()
    notes: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        try:
            where = as_repository(checkout, name, Path(folder))
            repo = parse(str(where)).repo
            request = LaunchRequest(Person("ada"), repo, at=at, temporary=True)
            prepared = await atoll.launcher.prepare(request, lambda _: None)
            notes = tuple(dict.fromkeys((*prepared.spec.notes, *prepared.plan.environment.notes)))
            code, lines = await verify(atoll, prepared.plan, Path(folder), timeout=PATIENCE)
            why = reason(lines) or f"verify ended with status {code}." if code else ""
        except AtollError as error:
            why = str(error)
    return Result(name, why[:LONGEST], round(time.monotonic() - began, 1), notes)


def reason(lines: list[str]) -> str:
    """Return the last line that a `verify` printed, or what failed where that says nothing.

    That is an exception of Python's, for a bare assertion what it asserts, and pytest's last error.
    """
    said = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in lines]
    said = [line for line in said if line]
    raised = [line for line in said[-4:] if re.match(r"[\w.]*(Error|Exception)\b", line)]
    last = (raised or said or [""])[-1]
    begin = "assert" if last == "AssertionError" else "E " if last.startswith("=") else last
    return next((line for line in reversed(said) if line.startswith(begin)), last)


async def run(
    settings: Settings, checkout: Path, names: list[str], at: str, *, as_json: bool
) -> None:
    """Try all *names* and print how it went."""
    results = []
    async with opened(wire(settings, trusted=True)) as atoll:
        for name in names:
            result = await attempt(atoll, checkout, name, at)
            results.append(result)
            if not as_json:
                mark = "no " if result.why else "yes"
                why = result.why or " ".join(result.notes)
                print(f"{mark} {result.name:40} {result.seconds:6.1f} s  {why}", flush=True)
    if as_json:
        print(json.dumps([asdict(one) for one in results], indent=1))
    else:
        print(f"{sum(not one.why for one in results)} of {len(results)} verify.")


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--only", default="*", metavar="GLOB")
    parser.add_argument("--at", default="", metavar="DATE")
    parser.add_argument("--json", dest="as_json", action="store_true")
    asked = parser.parse_args()
    checkout = asked.checkout.resolve()
    names = repositories(checkout, asked.only)
    if not names:
        print(f"There are no test repositories like “{asked.only}” in {checkout}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="conformance-data-") as data:
        settings = settings_from({"data": data})
        try:
            asyncio.run(run(settings, checkout, names, asked.at, as_json=asked.as_json))
        finally:
            shutil.rmtree(run_folder(settings), ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
