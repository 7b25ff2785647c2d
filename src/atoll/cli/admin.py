"""`atoll admin`: who is there, what it costs, and who did what, for a hub's operator."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import click
from rich.markup import escape
from rich.table import Table

from atoll.access import HUB, Kind, Party, party
from atoll.acts import Search
from atoll.allowances import rulings_from
from atoll.app import Atoll, opened, wire
from atoll.cli.acts import note_command
from atoll.cli.common import as_json, human_size, me, print_table, show
from atoll.errors import BadRequest, NotFound
from atoll.hub.places import find_places
from atoll.messages import Level, message_from
from atoll.settings import Settings
from atoll.web import overview
from atoll.web.hub_api import HubApi, hub_client

Row = dict[str, Any]
T = TypeVar("T")
NEXT = 1.0  # seconds between two looks at what has come
MOST = 10_000  # acts that are shown at once


@click.group()
def admin() -> None:
    """For the operator of a hub: people, servers, what they cost, and who did what.

    \b
    atoll admin servers                  what runs, with its memory and processors
    atoll admin stop ada/thesis          stop one server; atoll admin stop ada: all of hers
    atoll admin costs --by group         what this month has cost
    atoll admin limits @maths --memory 8G what a group or a person may have
    atoll admin message @ "Down at six."  tell people; take-back NUMBER ends it
    atoll admin log --who ada --since 1d what she did, or had done to what is hers

    On the machine of the hub, as whoever runs it. What you do is written down.
    """  # noqa: D301 - click's own mark


@admin.command()
@as_json
@click.pass_obj
def people(settings: Settings, *, as_json: bool) -> None:
    """List everybody whom the hub knows, while it runs, with their servers and costs."""
    rows = _with_hub(settings, overview.people)

    def text() -> None:
        table = _table("Person", "Groups", "Running", "Servers", "Last seen", "CPU h", "GiB h")
        for row in rows:
            name = f"{row['person']}{' (operator)' * row['operator']}"
            groups, running = ", ".join(row["groups"]), ", ".join(row["running"])
            spent = (f"{row['cpu_hours']:.2f}", f"{row['memory_gib_hours']:.2f}")
            _add(table, name, groups, running, row["servers"], row["last_seen"][:16], *spent)
        print_table(table)

    show(rows, as_json=as_json, text=text)


@admin.command()
@as_json
@click.pass_obj
def servers(settings: Settings, *, as_json: bool) -> None:
    """List the servers that run, those first that use most memory."""
    rows = _do(settings, overview.servers)

    def text() -> None:
        if not rows:
            click.echo("No server was running when it was last measured.")
            return
        table = _table("Server", "Title", "Memory", "Processors", "Since")
        for row in rows:
            memory, cpus = human_size(row["memory"]), f"{row['cpus']:.2f}"
            _add(table, row["server"], row["title"], memory, cpus, row["started"][:16])
        print_table(table)

    show(rows, as_json=as_json, text=text)


@admin.command()
@click.option("--month", default="", metavar="YYYY-MM", help="Which month; this one, if not said.")
@click.option(
    "--by", type=click.Choice(["person", "group"]), default="person", help="Whose costs are added."
)
@as_json
@click.pass_obj
def costs(settings: Settings, *, month: str, by: str, as_json: bool) -> None:
    """Say what a month has cost: processors, memory that was used, and disk.

    Environments are everybody's: they are the row “@”. By group, who is in two counts for both, and
    who is in none for the row without a name.
    """
    rows = _do(settings, lambda atoll: overview.costs(atoll, month, by))

    def text() -> None:
        if not rows:
            click.echo("Nothing was used in that month, or nothing was measured.")
            return
        disk = ("Servers GiB d", "Volumes GiB d", "Environments GiB d")
        table = _table(by.capitalize(), "CPU h", "Memory GiB h", *disk)
        for row in rows:
            _add(table, *(v if isinstance(v, str) else f"{v:.2f}" for v in row.values()))
        print_table(table)

    show(rows, as_json=as_json, text=text)


@admin.command()
@click.option("--who", default="", metavar="PERSON", help="Who did it, or whose thing it is.")
@click.option("--what", default="", help="The deed, or a part of what it was done to.")
@click.option("--since", default="", metavar="DAY|TIME", help="2026-11-22, or 8h: eight hours ago.")
@click.option("--limit", type=click.IntRange(1, MOST), default=100, help="The newest so many.")
@click.option("-f", "--follow", is_flag=True, help="Go on as more comes.")
@as_json
@click.pass_obj
def log(
    settings: Settings,
    *,
    who: str,
    what: str,
    since: str,
    limit: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Say who did what to what, when and from where, the newest last.

    With --json and --follow, each act is a line.
    """
    say = _line if as_json else _tell
    search = Search(who, what, overview.since(since), limit=limit)
    rows = _do(settings, lambda atoll: overview.acts(atoll, search))[::-1]
    if as_json and not follow:
        show(rows, as_json=True, text=lambda: None)
        return
    for row in rows:
        say(row)
    while follow:
        time.sleep(NEXT)
        search = replace(search, after=rows[-1]["number"] if rows else search.after, limit=MOST)
        rows = _do(settings, partial(overview.acts, search=search))[::-1]
        for row in rows:
            say(row)


@admin.command()
@click.argument("server", metavar="PERSON[/SERVER]")
@as_json
@click.pass_obj
def stop(settings: Settings, server: str, *, as_json: bool) -> None:
    """Stop somebody's SERVER, or all of PERSON's. Their files stay."""
    owner, slash, name = server.partition("/")
    if not owner or (slash and not name):
        raise BadRequest(f"“{server}” is no server.", hint="Write PERSON/SERVER, or PERSON.")

    async def do(atoll: Atoll, hub: HubApi) -> list[str]:
        await note_command(atoll.store.acts, "stop", "server", server, must=True)
        return await overview.stop(hub, owner, name)

    stopped = _with_hub(settings, do)
    if name and not stopped:
        raise NotFound(f"{server} does not run.", hint="atoll admin servers")
    said = ", ".join(f"{owner}/{one}" for one in stopped) or f"nothing, as {owner} has none running"
    show({"stopped": stopped}, as_json=as_json, text=lambda: click.echo(f"Stopped {said}."))


@admin.command()
@click.argument("whom", metavar="[PERSON|@GROUP]", default="")
@click.option("--memory", metavar="SIZE", help="Memory of a server, such as 8G.")
@click.option("--max-memory", metavar="SIZE", help="The most memory that may be asked for.")
@click.option("--cpus", metavar="NUMBER", help="Processors of a server.")
@click.option("--max-cpus", metavar="NUMBER", help="The most processors that may be asked for.")
@click.option("--network", metavar="POLICY", help="none, internet or full.")
@click.option("--networks", metavar="POLICIES", help="What may be chosen: none,internet.")
@click.option("--per-person", metavar="NUMBER", help="Servers that one may have running.")
@click.option("--idle", metavar="TIME", help="How long a server may be unused; 0: for ever.")
@click.option("--max-idle", metavar="TIME", help="The longest idle time that may be asked for.")
@click.option("--lifetime", metavar="TIME", help="How long a server runs, used or not.")
@click.option("--max-age", metavar="TIME", help="The longest lifetime that may be asked for.")
@click.option("--volume-quota", metavar="SIZE", help="What a volume may take, such as 50G.")
@as_json
@click.pass_obj
def limits(settings: Settings, /, whom: str, *, as_json: bool, **sent: str | None) -> None:
    """Say what a person or a group may have and why, or set it; without one, what is set.

    It goes over what atoll.toml says, from the next start of a server on. An empty value ("")
    takes it back.
    """
    given = {name: text for name, text in sent.items() if text is not None}
    if not whom:
        if given:
            raise BadRequest("For whom?", hint="atoll admin limits @maths --memory 8G")
        rows = _do(settings, overview.limits)
    elif given:
        rows = _do(settings, partial(_limit, whom=party(whom), given=given))
    else:
        rows = _with_hub(settings, partial(overview.allowed, whom=party(whom)))

    def text() -> None:
        if not rows:
            click.echo("Nothing is set: what atoll.toml says counts.")
            return
        table = _table(*(name.capitalize() for name in rows[0]))
        for row in rows:
            _add(table, *row.values())
        print_table(table)

    show(rows, as_json=as_json, text=text)


@admin.command()
@as_json
@click.pass_obj
def messages(settings: Settings, *, as_json: bool) -> None:
    """List the messages that people see now."""
    rows = _do(settings, overview.messages)

    def text() -> None:
        table = _table("Number", "To", "Message", "Level", "Until", "By")
        for row in rows:
            until = (row["until"] or "taken back")[:16]
            to = row["server"] or row["whom"]
            _add(table, row["number"], to, row["text"], row["level"], until, row["by"])
        print_table(table)

    show(rows, as_json=as_json, text=text)


@admin.command()
@click.argument("whom", metavar="@|@GROUP|PERSON|PERSON/SERVER")
@click.argument("text")
@click.option("--until", default="", metavar="TIME|MOMENT", help="2h, or 2026-11-22T18:00 (UTC).")
@click.option(
    "--level", type=click.Choice([one.value for one in Level]), default="notice", help="How loud."
)
@as_json
@click.pass_obj
def message(
    settings: Settings, whom: str, text: str, *, until: str, level: str, as_json: bool
) -> None:
    """Show TEXT at the top of people's pages: of everybody (@), a group, or a person."""
    new = message_from(whom, text, me().name, level=level, until=until)

    async def do(atoll: Atoll) -> Row:
        detail = {"text": new.text, "level": new.level.value, "until": until}
        to = "everybody" if new.whom == HUB else str(new.whom)
        kind = "group" if new.whom.kind is Kind.GROUP else "person"
        acts = atoll.store.acts
        await note_command(acts, "write a message", kind, to, detail, must=True)
        return overview.told(await atoll.store.messages.add(new))

    row = _do(settings, do)
    said = f"Message {row['number']} is shown. To end it: atoll admin take-back {row['number']}"
    show(row, as_json=as_json, text=lambda: click.echo(said))


@admin.command("take-back")
@click.argument("number", type=click.IntRange(1, 2**31 - 1))
@as_json
@click.pass_obj
def take_back(settings: Settings, number: int, *, as_json: bool) -> None:
    """Show the message NUMBER to nobody any more."""

    async def do(atoll: Atoll) -> Row:
        acts = atoll.store.acts
        await note_command(acts, "take a message back", "message", str(number), must=True)
        ended = await atoll.store.messages.end(number, datetime.now(UTC))
        if ended is None:
            message = f"There is no message {number}, or it has ended."
            raise NotFound(message, hint="atoll admin messages")
        return overview.told(ended)

    row = _do(settings, do)
    show(row, as_json=as_json, text=lambda: click.echo(f"Message {number} is shown no more."))


async def _limit(atoll: Atoll, whom: Party, given: dict[str, str]) -> list[Row]:
    new = rulings_from(whom, given, me().name)
    kind = "group" if whom.kind is Kind.GROUP else "person"
    await note_command(atoll.store.acts, "set limits", kind, str(whom), given, must=True)
    await atoll.store.rulings.put(new)
    return [row for row in await overview.limits(atoll) if row["whom"] == str(whom)]


def _do(settings: Settings, deed: Callable[[Atoll], Awaitable[T]]) -> T:
    async def do() -> T:
        async with opened(wire(settings, trusted=True)) as atoll:
            return await deed(atoll)

    return asyncio.run(do())


def _with_hub(settings: Settings, deed: Callable[[Atoll, HubApi], Awaitable[T]]) -> T:
    """Do it with JupyterHub's API, as Atoll's service, whose secret is in the data folder."""

    async def do(atoll: Atoll) -> T:
        places = find_places(settings)
        async with hub_client(places.hub_api, places.secret("service_token")) as http:
            return await deed(atoll, HubApi(http))

    return _do(settings, do)


def _tell(row: Row) -> None:
    at = datetime.fromisoformat(row["at"]).astimezone(UTC)
    detail = "; ".join(f"{name}: {value}" for name, value in row["detail"].items())
    where = f"{row['way']} {row['address']}".strip()
    server = f" in {row['server']}" if row["server"] not in {"", row["what"]} else ""
    more = f" ({detail})" if detail else ""
    deed = f"{row['who'] or 'somebody'}: {row['deed']}: {row['kind']} {row['what']}{server}"
    click.echo(f"{at:%Y-%m-%d %H:%M:%S} {deed}, {where}{more}")


def _line(row: Row) -> None:
    click.echo(json.dumps(row))


def _table(*columns: str) -> Table:
    table = Table(box=None)
    for name in columns:
        table.add_column(name)
    return table


def _add(table: Table, *cells: object) -> None:
    table.add_row(*(escape(str(one)) for one in cells))
