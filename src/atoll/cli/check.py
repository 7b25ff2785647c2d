"""`atoll check`: whether a repository's notebooks still run, and give what is stored in them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
from jinja2 import Environment, PackageLoader

from atoll.app import opened
from atoll.cli.common import Laptop, as_json, laptop, me
from atoll.cli.progress import Progress
from atoll.cli.run import understood
from atoll.disk import entries
from atoll.engines.local.commands import content as files_of
from atoll.engines.local.trials import LONGEST, Found, try_notebooks
from atoll.environments.reading import index_day
from atoll.errors import AtollError, NotFound
from atoll.events import Event
from atoll.launching import Building, Clock
from atoll.names import default_name, new_id
from atoll.servers import Limits, Network, ServerPlan
from atoll.settings import Settings
from atoll.sources import Checkout, written
from atoll.volumes import Content

THEN = "then"
STATES = ("same", "differs", "runs", "fails")
MARKS = {"same": "green", "differs": "yellow", "runs": "cyan", "fails": "red"}


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one environment: that as of *day* ("then", "today" or a date).

    ``error`` says why there is none; ``seconds`` is what building it took, or looking it up;
    ``notebooks`` are as `try_notebooks` returns them.
    """

    day: str
    error: str = ""
    as_of: str = ""
    python: str = ""
    key: str = ""
    notes: tuple[str, ...] = ()
    notebooks: tuple[Found, ...] = ()
    seconds: float = 0.0

    @property
    def counts(self) -> Counter[str]:
        """How many notebooks there are in each state."""
        return Counter(one.state for one in self.notebooks)


@dataclass(frozen=True, slots=True)
class Report:
    """What `atoll check` found of one version of a repository.

    ``notebooks`` are those that were to be run, which is more than were where nothing was built.
    """

    reference: str
    version: str
    date: str
    trials: tuple[Trial, ...]
    notebooks: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether anything did not run in the first environment."""
        return bool(self.trials[0].error or self.trials[0].counts["fails"])


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
            trials = []
            for day, at in ats.items():
                began = time.monotonic()
                how = Building(retry=options["retry"])
                plan = await _prepare(machine, content, asking, at, progress, how)
                took = round(time.monotonic() - began, 1)
                trial = await _try(settings, plan, day, options, progress)
                trials.append(replace(trial, seconds=took))
    ref, name = content.ref, written(target.repo, target.environment)
    named = tuple(_chosen(content.path, options))
    return Report(name, ref.version, ref.date.isoformat(), tuple(trials), named)


async def _prepare(
    machine: Laptop,
    content: Checkout,
    asking: Checkout,
    at: str,
    progress: Progress,
    how: Building,
) -> tuple[ServerPlan, tuple[str, ...]] | AtollError:
    """Return what a server of *content* would be, and notes; or why there can be none.

    *asking* is what asks for the environment: the same, but for pairs.
    """
    launcher, defaults = machine.atoll.launcher, machine.atoll.settings.servers
    try:
        built = await launcher.build(launcher.read(asking, at), asking, progress.tell, how)
    except AtollError as error:
        return error
    plan = ServerPlan(
        id=new_id(),
        owner=me(),
        name=default_name(content.ref.repo.locator),
        ref=content.ref,
        environment=built.environment,
        environment_ref=None if asking is content else asking.ref,
        content=Content(str(content.path), temporary=True),
        limits=Limits(defaults.cpus, int(defaults.memory), defaults.processes),
        network=Network(defaults.network),
    )
    return plan, built.notes


async def _try(
    settings: Settings,
    prepared: tuple[ServerPlan, tuple[str, ...]] | AtollError,
    day: str,
    options: dict[str, Any],
    progress: Progress,
) -> Trial:
    if isinstance(prepared, AtollError):
        progress.tell(Event("build", f"{prepared}", note=True))
        return Trial(day, error=f"{prepared} {prepared.hint}".strip())
    plan, notes = prepared
    found = _chosen(files_of(plan), options)
    if not found:
        pattern = options["notebooks"]
        raise NotFound(f"The repository has no notebook that “{pattern}” means.")
    progress.tell(Event("check", f"{len(found)} notebooks as of {day}"))
    patience = options["timeout"], options["notebook_timeout"]
    told = await try_notebooks(settings, plan, found, progress.tell, *patience)
    environment = plan.environment
    as_of = environment.as_of.isoformat() if environment.as_of else ""
    return Trial(day, "", as_of, environment.python, environment.key, notes, told)


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


def tell(report: Report) -> None:
    """Print *report* for people."""
    for trial in report.trials:
        of = f", packages of {trial.as_of}" if trial.as_of else ""
        click.echo(f"\nAs {trial.day}: " + (trial.error or f"Python {trial.python}{of}"))
        for note in trial.notes:
            click.echo(f"  {note}")
        for one in trial.notebooks:
            state = click.style(f"{one.state:10}", fg=MARKS[one.state])
            click.echo(f"  {state}{printable(one.notebook)}")
            if why := in_words(one):
                click.echo(f"            {printable(why)}")
        if trial.notebooks:
            counts = (f"{trial.counts[state]} {state}" for state in STATES if trial.counts[state])
            click.echo(f"  {', '.join(counts)}, of {len(trial.notebooks)}")


def in_words(one: Found) -> str:
    """Return what there is to say of a notebook beside its state, in a sentence."""
    if one.differences:
        first = one.differences[0]
        cells = f"{one.differing} of {one.compared} cells differ"
        told = f"{cells}; first cell {first.cell + 1}: {first.why}"
    else:
        told = ""
    if one.state != "fails":
        return told
    where = "" if one.cell is None else f"Cell {one.cell + 1}: "
    return where + one.error


def printable(text: str) -> str:
    """Return *text*, which is a repository's, without what a terminal would obey."""
    return "".join(one if one.isprintable() else "�" for one in text)


def as_dict(report: Report) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    trials = [
        {**asdict(one), "notebooks": [some.model_dump() for some in one.notebooks]}
        for one in report.trials
    ]
    return {**asdict(report), "trials": trials}


def render(report: Report) -> str:
    """Return a page of HTML with *report*, which needs nothing else and runs no script."""
    templates = Environment(loader=PackageLoader("atoll.cli", "."), autoescape=True)
    found = [{one.notebook: one for one in trial.notebooks} for trial in report.trials]
    return templates.get_template("check.html").render(
        report=report,
        paths=sorted(set().union(*found)),
        found=found,
        in_words=in_words,
        is_base64=is_base64,
    )


def is_base64(text: str) -> bool:
    """Say whether *text* can be nothing but base64."""
    return re.fullmatch(r"[A-Za-z0-9+/=\s]*", text) is not None
