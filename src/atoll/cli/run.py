"""`atoll run`: the whole story at a terminal, from a reference to an open Lab."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from atoll.app import opened
from atoll.cli.asking_for import HOWS, existing_from, how_to_go_on, wishes_of
from atoll.cli.common import Interrupted, Laptop, as_json, browse, command_of, laptop, me
from atoll.cli.progress import Progress
from atoll.cli.seam import or_there
from atoll.cli.there.run import run as run_there
from atoll.engines.local.records import Record
from atoll.engines.local.runner import open_gate
from atoll.errors import Cancelled
from atoll.events import Event
from atoll.launching import Clock, Existing, LaunchRequest
from atoll.launching.changes import Changed
from atoll.launching.existing import answered
from atoll.launching.naming import beside
from atoll.launching.room import Room, queue_for
from atoll.queue import Place
from atoll.servers import Network, ServerPlan
from atoll.settings import Settings
from atoll.settings.sections import ServerSettings
from atoll.sources import Target
from atoll.sources.pairs import halves
from atoll.sources.parsing import check_opening, parse


@dataclass(frozen=True, slots=True)
class Opened:
    """A server with its door for the browser, and where its files are."""

    record: Record
    url: str
    token: str
    seconds: dict[str, float]
    home: Path

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "name": self.record.name,
            "url": self.url,
            "token": self.token,
            "files": str(self.home),
            "phases": self.seconds,
        }


@click.command()
@click.argument("reference")
@click.option("--at", default="", metavar="DATE", help="Build as of DATE (2021-03-04) or 'today'.")
@click.option("--open", "opening", default="", metavar="PATH", help="File or URL path to open.")
@click.option("--name", default="", help="Name of the server; made from the repository if absent.")
@click.option("--title", default="", help="What you call it by; free text.")
@click.option("--temporary", is_flag=True, help="Discard the files when the server stops.")
@click.option("--memory", metavar="SIZE", help="Memory it may use, such as 2G.")
@click.option("--cpus", metavar="NUMBER", help="Processors it may use, such as 1.5.")
@click.option(
    "--network", type=click.Choice([one.value for one in Network]), help="What it may reach."
)
@click.option(
    *("-v", "--volume", "volumes"),
    multiple=True,
    metavar="VOLUME[:FOLDER][:ro]",
    help="Have VOLUME at FOLDER, its name if absent; see `atoll volumes`.",
)
@click.option("--lifetime", metavar="TIME", help="How long it may run: 8h, 30m or never.")
@click.option("--idle", metavar="TIME", help="How long it may be unused: 8h, 30m or never.")
@click.option("--gpus", metavar="NUMBER", help="GPUs it may use; this machine's servers have none.")
@click.option("--credentials", is_flag=True, help="Pass yours on; nothing can be passed yet.")
@click.option("--no-volumes", is_flag=True, help="Have no volumes, not even those of before.")
@click.option("--people", default="", metavar="NAMES", help="Let them in; only where others are.")
@click.option("--visitors", is_flag=True, help="Let visitors have copies; only where others are.")
@click.option(
    "--existing",
    type=click.Choice([how.value for how in HOWS]),
    help="If you have it already and it differs; at a terminal you are asked, a script leaves it.",
)
@click.option("--retry", is_flag=True, help="Build again an environment whose build failed.")
@click.option("--rebuild", is_flag=True, help="Build the environment anew, even if it is there.")
@click.option("--infer", is_flag=True, help="If nothing says what to install: what is imported.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--detach", is_flag=True, help="Leave it running and return.")
@as_json
@or_there(run_there)
def run(settings: Settings, /, reference: str, **options: Any) -> None:
    """Open REFERENCE in JupyterLab: build its environment once, start a server, open a browser.

    REFERENCE is a git URL, a folder, gh:OWNER/REPO, gl:…, bb:…, gist:…, each with @VERSION if you
    like, hg+https://… of a Mercurial repository, a page of GitHub, GitLab or Bitbucket, a DOI,
    zenodo:NUMBER, a page of a data repository,
    a Software Heritage id, the address of a .zip or .tar.gz, a link of a Binder or of an Atoll,
    whose memory, network and such are taken if you do not say others, or one of nbgitpuller's;
    or 'ENVIRONMENT + CONTENT', two of these: what to build, and whose files to open. What you
    change is kept under the server's name and is there again when you run the same REFERENCE, and
    so are its volumes; Ctrl-C stops the server.

    The server works on a copy of its own, of a folder, too: nothing that you do there changes the
    folder. Once there, the copy stays as you left it, also when the repository moves on.
    """
    asked = replace(_request(settings, reference, options), existing=existing_from(options))
    try:
        asyncio.run(_run(settings, asked, options))
    except Changed as changed:
        how = how_to_go_on(str(changed), changed.changes, changed.renewal.said())
        asyncio.run(_run(settings, answered(asked, how), options))


def _request(settings: Settings, reference: str, options: dict[str, Any]) -> LaunchRequest:
    wishes = wishes_of(reference, options)
    target = understood(reference)
    opening = options["opening"]
    if opening and "?" not in opening and "://" not in opening and not opening.startswith("lab"):
        opening = f"lab/tree/{opening.lstrip('/')}"
    if opening:
        target = replace(target, opening=check_opening(opening))
    if not (options["people"] or options["visitors"]) and (wishes.people or wishes.visitors):
        click.echo("Nobody else is here whom the link could let in.", err=True)
        wishes = replace(wishes, people="", visitors="")
    asked = wishes.request(target, me(), _all_there_is(settings.servers), typed=reference)
    mounts = () if options["no_volumes"] else asked.mounts
    how = {name: options[name] for name in ("retry", "rebuild", "infer")}
    return replace(asked, **how, mounts=mounts)


def _all_there_is(rules: ServerSettings) -> ServerSettings:
    """Return *rules* without an operator's bounds: this is the person's own machine."""
    bounds = {"max_memory": sys.maxsize, "max_cpus": math.inf, "networks": [*Network]}
    return rules.model_copy(update={**bounds, "max_age": 0, "max_idle": 0})


def understood(reference: str) -> Target:
    """Return what *reference* means to somebody at a terminal: its folders begin where they are."""
    parts = halves(reference)
    if len(parts) > 1 and os.path.isdir(reference):  # noqa: PTH112 - Path's fails for long texts
        parts = [reference]
    return parse(" + ".join(map(absolute, parts)))


def absolute(reference: str) -> str:
    """Resolve a folder as a shell would, before it is parsed without a disk."""
    if reference.startswith(("~", ".", "/")) or (
        "://" not in reference and ":" not in reference and Path(reference).is_dir()
    ):
        folder, at, version = reference.rpartition("@")
        if at and not Path(reference).exists() and Path(folder).expanduser().exists():
            return f"{Path(folder).expanduser().resolve()}@{version}"
        return str(Path(reference).expanduser().resolve())
    return reference


async def _run(settings: Settings, request: LaunchRequest, options: dict[str, Any]) -> None:
    machine = laptop(settings)
    stop = _stop_event()
    async with opened(machine.atoll):
        launching = asyncio.create_task(_launch(machine, request))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({launching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not launching.done():
            launching.cancel()
            await asyncio.wait({launching})
            raise Interrupted("Stopped before the server was there.")
        ready = launching.result()
        if options["as_json"]:
            click.echo(json.dumps(ready.as_dict()))
        else:
            _tell(ready, detached=options["detach"])
        if not options["no_browser"] and not options["as_json"]:
            browse(ready.url)
        if not options["detach"]:
            await _until_stopped(machine, ready.record, stopping)


async def _launch(machine: Laptop, request: LaunchRequest) -> Opened:
    clock = Clock()
    with Progress() as progress:
        if request.existing is Existing.NEW:
            request = await beside(machine.atoll.store.plans, request)
        prepared = await machine.atoll.launcher.prepare(request, progress.tell, clock)
        plan = prepared.plan
        running = _running(machine, plan.name, temporary=plan.content.temporary)
        if request.existing is Existing.UPDATE:
            if running and not prepared.only_files:
                progress.tell(Event("start", f"Stopping server {plan.called}"))
                await machine.runner.stop(running.handle)
                running = None
            await machine.atoll.launcher.renew(plan, progress.tell)
        if running:
            progress.tell(Event("start", f"Your server {plan.called} is running already"))
            return reopen(machine, running, plan.opening, clock.seconds)
        token = secrets.token_urlsafe(24)
        async with _turn(machine, plan, progress, clock):
            progress.tell(Event("start", f"Starting server {plan.called}"))
            server = await machine.atoll.start(plan, {"JUPYTER_TOKEN": token, **_ends(plan)})
        for note in server.notes:
            progress.tell(Event("start", note, note=True))
        record = machine.runner.records.find(server.handle)
        if record is None:
            raise Cancelled("The server was stopped while it started.")
        machine.runner.records.keep_token(record.handle, token)
        return reopen(machine, record, plan.opening, clock.seconds)


def _ends(plan: ServerPlan) -> dict[str, str]:
    """Return what has the server stop by itself: nobody else looks after it here."""
    ends = {"ATOLL_LIFETIME": plan.ends.lifetime, "ATOLL_IDLE": plan.ends.idle}
    return {name: str(int(seconds)) for name, seconds in ends.items() if seconds}


@contextlib.asynccontextmanager
async def _turn(
    machine: Laptop, plan: ServerPlan, progress: Progress, clock: Clock
) -> AsyncIterator[None]:
    """Wait until there is room for *plan*'s server, and time both the wait and the start.

    Only we are in this line; what it waits for is shared with all others of this machine.
    """

    def running() -> int:
        return sum(alive for _, alive in machine.runner.records.all())

    room = Room(machine.atoll.settings.servers, running, machine.runner.memory)

    def tell(place: Place) -> None:
        progress.tell(Event("wait", place.why))

    async with contextlib.AsyncExitStack() as stack:
        with clock.phase("wait"):
            await stack.enter_async_context(queue_for(room).turn(plan.owner.name, tell))
        with clock.phase("start"):
            yield


def _running(machine: Laptop, name: str, *, temporary: bool) -> Record | None:
    if temporary:
        return None
    mine = me().name
    found = (one for one, alive in machine.runner.records.all() if alive and one.owner == mine)
    return next((one for one in found if one.name == name and not one.temporary), None)


def reopen(
    machine: Laptop, record: Record, opening: str = "", seconds: dict[str, float] | None = None
) -> Opened:
    """Return the door to a running server, making one if its own is gone."""
    token, port = machine.runner.records.door(record.handle)
    if not port:
        port = open_gate(record)
        machine.runner.records.keep_token(record.handle, token, port)
    path = opening or record.opening
    joint = "&" if "?" in path else "?"
    url = f"http://127.0.0.1:{port}/{path}{joint}token={token}"
    return Opened(record, url, token, seconds or {}, machine.home(record))


def _tell(ready: Opened, *, detached: bool) -> None:
    click.echo(f"\n  {ready.record.name} is open at\n\n    {ready.url}\n", err=False)
    folder = str(parse(ready.record.reference).repo)
    if folder.startswith("/"):
        kept = "is discarded when the server stops" if ready.record.temporary else "is kept"
        click.echo(f"  You work on a copy, which {kept}; {folder} itself stays as it is.", err=True)
        click.echo(f"  The copy is in {ready.home}.\n", err=True)
    end = f"`atoll stop {ready.record.name}` stops it." if detached else "Ctrl-C stops it."
    click.echo(f"  {end} `atoll logs {ready.record.name}` shows what it prints.\n", err=True)


def _stop_event() -> asyncio.Event:
    """Return what the first Ctrl-C sets; the second ends us at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        loop.remove_signal_handler(number)  # the next one is Python's own KeyboardInterrupt
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked, number)
    return stop


async def _until_stopped(machine: Laptop, record: Record, stopping: asyncio.Task[bool]) -> None:
    while not stopping.done():
        await asyncio.wait({stopping}, timeout=1)
        if await machine.runner.status(record.handle) is not None:
            click.echo("The server has ended.", err=True)
            break
    else:
        click.echo("Stopping the server; Ctrl-C again to leave at once.", err=True)
    await machine.runner.stop(record.handle)
    again = command_of(record.reference, record.name)
    kept = "" if record.temporary else f" Your files are kept: `{again}` opens them again."
    click.echo(f"Stopped.{kept}", err=True)
