"""`atoll list`, `open`, `logs`, `stop`, `remove`: what a person has on this machine."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from atoll.app import opened
from atoll.cli.common import Laptop, as_json, browse, human_size, laptop, me, print_table, show
from atoll.cli.run import reopen
from atoll.cli.seam import or_there
from atoll.cli.there import servers as there
from atoll.errors import BadRequest, Cancelled, NotFound
from atoll.names import title_of
from atoll.servers import SHORT
from atoll.settings import Settings


@click.command("list")
@as_json
@or_there(there.list_servers)
def list_servers(settings: Settings, *, as_json: bool) -> None:
    """List your servers, running and stopped, with the disk that they take.

    VERSION is that of the files, which stay as you left them. If another version was launched
    since, it is shown after an arrow: the environment is of that one.
    """
    rows = asyncio.run(_rows(laptop(settings)))

    def text() -> None:
        if not rows:
            click.echo("You have no servers. `atoll run REFERENCE` makes one.")
            return
        table = Table(box=None)
        table.add_column("Name", no_wrap=True)  # other commands are told it
        table.add_column("State")
        table.add_column("Repository", overflow="fold")  # cut at its end, a path says nothing
        for column in ("Version", "Disk", "Since"):
            table.add_column(column)
        for row in rows:
            since = datetime.fromtimestamp(row["since"], UTC).astimezone()
            version = " → ".join(one[:SHORT] for one in (row["version"], row["launched"]) if one)
            size = human_size(row["bytes"])
            repository = " + ".join(one for one in (row["environment"], row["repository"]) if one)
            name = f"{row['name']}\n{escape(row['title'])}" if row["title"] else row["name"]
            table.add_row(name, row["state"], repository, version, size, f"{since:%d %b %H:%M}")
        print_table(table)

    show(rows, as_json=as_json, text=text)


async def _rows(machine: Laptop) -> list[dict[str, Any]]:
    mine = me().name
    rows: dict[str, dict[str, Any]] = {}
    async with opened(machine.atoll):
        for name, (plan, made) in (await machine.atoll.store.plans.latest(mine)).items():
            if plan.content.temporary:
                continue
            rows[name] = {
                "name": name,
                "title": plan.title,
                "state": "stopped",
                "repository": plan.ref.repo.locator,
                "environment": str(plan.environment_ref.repo) if plan.environment_ref else "",
                **await _versions(machine, name, plan.ref.version),
                "since": made.timestamp(),
                "bytes": await machine.runner.size(mine, name),
                "url": "",
            }
    for record, alive in machine.runner.records.all():
        if not alive or record.owner != mine:
            continue
        unknown = dict.fromkeys(("title", "environment", "version", "launched"), "")
        nothing = {"name": record.name, **unknown, "bytes": 0}
        row = rows.setdefault(record.name, nothing)
        row |= {"state": "temporary" if record.temporary else "running", "since": record.started}
        row |= {"repository": row.get("repository") or record.reference}
        row |= {"url": reopen(machine, record).url}
    return sorted(rows.values(), key=lambda row: str(row["name"]))


async def _versions(machine: Laptop, name: str, launched: str) -> dict[str, str]:
    """Return the version of the files, and the one that was launched if that is another."""
    files = await machine.runner.origin(me().name, name) or launched
    return {"version": files, "launched": "" if files == launched else launched}


@click.command("open")
@click.argument("name")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@as_json
@or_there(there.open_server)
def open_server(settings: Settings, name: str, *, no_browser: bool, as_json: bool) -> None:
    """Open the running server NAME in a browser, and print its address."""
    machine = laptop(settings)
    ready = reopen(machine, machine.find(name))
    show(ready.as_dict(), as_json=as_json, text=lambda: click.echo(ready.url))
    if not (no_browser or as_json):
        browse(ready.url)


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on as more is printed.")
@or_there(there.logs)
def logs(settings: Settings, name: str, *, follow: bool) -> None:
    """Show what the server NAME has printed; of a stopped one, what it had the last time."""
    machine = laptop(settings)
    record = machine.running(name)
    if record is None:
        if not (last := machine.runner.last_log(me().name, name)):
            machine.find(name)  # raises what there is to say
        click.echo(last, nl=False)
        return
    shown = machine.runner.log(record.handle)
    click.echo(shown, nl=False)
    while follow and asyncio.run(machine.runner.status(record.handle)) is None:
        time.sleep(0.5)
        now = machine.runner.log(record.handle)
        click.echo(now.removeprefix(shown), nl=False)
        shown = now


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--now", is_flag=True, help="Do not wait for it to end by itself.")
@or_there(there.stop)
def stop(settings: Settings, names: tuple[str, ...], *, now: bool) -> None:
    """Stop the server NAME. Its files are kept, unless it was temporary."""
    machine = laptop(settings)
    for name in names:
        asyncio.run(machine.runner.stop(machine.find(name).handle, now=now))
        click.echo(f"Stopped {name}.")


@click.command("title")
@click.argument("name")
@click.argument("title")
@or_there(there.retitle)
def retitle(settings: Settings, name: str, title: str) -> None:
    """Call the server NAME by TITLE, in any words, whether it runs or not; '' takes it away."""
    said = asyncio.run(_retitle(laptop(settings), name, title_of(title)))
    click.echo(f"It is called {said} now.")


async def _retitle(machine: Laptop, name: str, title: str) -> str:
    async with opened(machine.atoll):
        plans = machine.atoll.store.plans
        if name not in await plans.latest(me().name):
            raise NotFound(f"You have no server called “{name}”.", hint="See `atoll list`.")
        await plans.retitle(me().name, name, title)
    return f"“{title or name}”"


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@or_there(there.remove)
def remove(settings: Settings, name: str, *, yes: bool) -> None:
    """Delete the stopped server NAME and all its files."""
    machine = laptop(settings)
    size = human_size(asyncio.run(_size(machine, name)))
    if not yes and not click.confirm(f"Delete “{name}” and its files ({size})?"):
        raise Cancelled("Nothing was removed.")
    asyncio.run(_remove(machine, name))
    click.echo(f"Removed {name}.")


async def _size(machine: Laptop, name: str) -> int:
    """Return the bytes of a server that may be removed, or raise `BadRequest` or `NotFound`."""
    if machine.running(name):
        raise BadRequest(f"“{name}” is running.", hint=f"First: atoll stop {name}")
    async with opened(machine.atoll):
        if name not in await machine.atoll.store.plans.latest(me().name):
            raise NotFound(f"You have no server called “{name}”.", hint="See `atoll list`.")
    return await machine.runner.size(me().name, name)


async def _remove(machine: Laptop, name: str) -> None:
    async with opened(machine.atoll):
        await machine.runner.remove(me().name, name)
        await machine.atoll.store.plans.forget(me().name, name)
