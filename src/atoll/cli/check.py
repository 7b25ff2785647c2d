"""`atoll check`: whether a repository's notebooks still run, and give what is stored in them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click

from atoll.app import opened
from atoll.cli.common import Laptop, as_json, laptop, me
from atoll.cli.progress import Progress
from atoll.cli.reports import Report, Trial, as_dict, render, tell
from atoll.cli.run import understood
from atoll.disk import entries
from atoll.engines.local.commands import content as files_of
from atoll.engines.local.trials import LONGEST, Found, try_notebooks
from atoll.environments import Environment
from atoll.environments.additions import installed, with_added
from atoll.environments.reading import index_day
from atoll.errors import AtollError, NotFound
from atoll.events import Event, Tell
from atoll.launching import Building, Built, Clock
from atoll.launching.proposals import forgotten
from atoll.names import default_name, new_id
from atoll.servers import Limits, Network, ServerPlan
from atoll.settings import Settings
from atoll.sources import Checkout, written
from atoll.volumes import Content

THEN = "then"


@click.command()
@click.argument("reference")
@click.option("--notebooks", default="*.ipynb", metavar="GLOB", help="Which; all by default.")
@click.option("--first", type=click.IntRange(1), metavar="N", help="Only the first N by path.")
@click.option("--timeout", default=600.0, metavar="S", help="Seconds that a cell may take (600).")
@click.option(
    "--notebook-timeout", default=LONGEST, metavar="S", help="Seconds that a notebook may take."
)
@click.option(
    "--as",
    "days",
    multiple=True,
    metavar="DAY",
    help="“then” (the default), “today”, or a date. Twice: side by side.",
)
@click.option(
    "--add-missing", is_flag=True, help="Run again with the packages that turned out to be missing."
)
@click.option("--retry", is_flag=True, help="Build again what could not be built before.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with it all."
)
@as_json
@click.pass_obj
def check(settings: Settings, /, reference: str, days: Sequence[str], **options: Any) -> None:
    """Run the notebooks of REFERENCE and compare what they give with what is stored in them.

    Each is run in a sandbox, from its first cell to its last, in the environment that the
    repository asks for, and is then one of

    \b
      same      every output is the one that is stored
      differs   it runs, and gives something else
      runs      it runs, and nothing is stored to compare it with
      fails     a cell raised an error, or took too long

    Addresses, times and such are left aside, numbers may differ from the sixth digit on. The exit
    code is 1 if any notebook fails on the first DAY. `--as then --as today` shows what the years
    have changed.

    Where notebooks fail for want of a module, it says which packages they import that the
    environment lacks; `--add-missing` builds once more with these as well, as of the same DAY, and
    runs all again, which the exit code is about then. They are guessed from the names in the code:
    look at them first.
    """  # noqa: D301 - click's own mark
    report = asyncio.run(_check(settings, reference, days or (THEN,), options))
    if page := options["html"]:
        page.write_text(render(report), "utf-8")
    if options["as_json"]:
        click.echo(json.dumps(as_dict(report), indent=2))
    else:
        tell(report)
        if page:
            click.echo(f"\nAll of it, with the outputs side by side: {page.resolve().as_uri()}")
    if report.failed:
        raise SystemExit(1)


async def _check(
    settings: Settings, reference: str, days: Sequence[str], options: dict[str, Any]
) -> Report:
    ats = {day: "" if day == THEN else day for day in days}
    for at in ats.values():
        index_day(at)  # what is wrong with it is said before anything is looked up
    machine, target = laptop(settings), understood(reference)
    async with opened(machine.atoll):
        with Progress() as progress:
            check_out = machine.atoll.launcher.check_out
            content = await check_out(target.repo, progress.tell, Clock())
            asking = content
            if target.environment:
                asking = await check_out(target.environment, progress.tell, Clock())
            checked = _Checked(machine, content, asking, progress.tell, options)
            trials = [one for day, at in ats.items() for one in await checked.on(day, at)]
    ref, name = content.ref, written(target.repo, target.environment)
    named = tuple(_chosen(content.path, options))
    return Report(name, ref.version, ref.date.isoformat(), tuple(trials), named)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What is checked: the notebooks of *content*, in environments that *asking* asks for.

    These are the same, but for pairs.
    """

    machine: Laptop
    content: Checkout
    asking: Checkout
    tell: Tell
    options: dict[str, Any]

    async def on(self, day: str, at: str) -> list[Trial]:
        """Try it as of *day*; and once more with what is missing then, if that is asked for.

        What cannot be had of that is left out; what turns out to be missing after it is added, too.
        """
        first = last = await self._try(day, at, ())
        if not self.options["add_missing"]:
            return [first]
        added: frozenset[str] = frozenset()
        refused: set[str] = set()
        while new := {*last.missing} - added - refused:
            again = await self._try(day, at, tuple(sorted(added | new)))
            if named := new.intersection(re.findall(r"[\w.-]*\w", again.error)):
                refused |= named
            elif again.error and last is not first:
                break
            else:
                added, last = added | new, again
        return [first] if last is first else [first, last]

    async def _try(self, day: str, at: str, added: tuple[str, ...]) -> Trial:
        """Build the environment of *day*, with *added*, and run the notebooks in it."""
        began = time.monotonic()
        try:
            built = await self._build(at, added)
        except AtollError as error:
            self.tell(Event("build", f"{error}", note=True))
            why = f"{error} {error.hint}".strip()
            return Trial(day, error=why, seconds=_since(began), added=added)
        seconds = _since(began)
        environment = built.environment
        plan = self._plan(environment)
        found = _chosen(files_of(plan), self.options)
        if not found:
            pattern = self.options["notebooks"]
            raise NotFound(f"The repository has no notebook that “{pattern}” means.")
        self.tell(Event("check", f"{len(found)} notebooks as of {day}"))
        patience = self.options["timeout"], self.options["notebook_timeout"]
        settings = self.machine.atoll.settings
        notebooks = await try_notebooks(settings, plan, found, self.tell, *patience)
        return Trial(
            day=day,
            as_of=environment.as_of.isoformat() if environment.as_of else "",
            python=environment.python,
            key=environment.key,
            notes=built.notes,
            notebooks=notebooks,
            seconds=seconds,
            missing=await asyncio.to_thread(self._missing, environment, notebooks),
            added=added,
        )

    async def _build(self, at: str, added: tuple[str, ...]) -> Built:
        launcher = self.machine.atoll.launcher
        spec = await asyncio.to_thread(launcher.read, self.asking, at)
        if added:
            day = index_day(at) or self.asking.ref.date.astimezone(UTC).date()
            spec = with_added(spec, added, day)
            self.tell(Event("build", f"With what is missing: {', '.join(added)}"))
        how = Building(retry=self.options["retry"])
        return await launcher.build(spec, self.asking, self.tell, how)

    def _plan(self, environment: Environment) -> ServerPlan:
        """Return what a server of the content would be in *environment*."""
        defaults, ref = self.machine.atoll.settings.servers, self.content.ref
        return ServerPlan(
            id=new_id(),
            owner=me(),
            name=default_name(ref.repo.locator),
            ref=ref,
            environment=environment,
            environment_ref=None if self.asking is self.content else self.asking.ref,
            content=Content(str(self.content.path), temporary=True),
            limits=Limits(defaults.cpus, int(defaults.memory), defaults.processes),
            network=Network(defaults.network),
        )

    def _missing(self, environment: Environment, notebooks: Sequence[Found]) -> tuple[str, ...]:
        """Return the packages that failed *notebooks* import and *environment* lacks."""
        failed = {
            one.notebook: one.missing_module
            for one in notebooks
            if one.state == "fails" and one.missing_module
        }
        lock = Path(environment.handle, "lock.txt").read_text("utf-8", "replace")
        return forgotten(self.content, failed, installed(lock)) if failed else ()


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)


def _chosen(folder: Path, options: dict[str, Any]) -> list[str]:
    return notebooks_of(folder, options["notebooks"])[: options["first"]]


def notebooks_of(folder: Path, pattern: str) -> list[str]:
    """Return the paths of the notebooks in *folder* that *pattern* means; hidden ones never."""
    found = []
    for entry in entries(folder):
        short = Path(entry.path).relative_to(folder)
        hidden = any(part.startswith(".") for part in short.parts)
        if short.suffix == ".ipynb" and not hidden and entry.is_file(follow_symlinks=False):
            found.append(str(short))
    return sorted(one for one in found if fnmatch(one, pattern))
