"""`atoll admin`: who is there, what it costs, and who did what, for a hub's operator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import update_wrapper
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from atoll.acts import Search
from atoll.cli.common import as_json, human_size, print_table, show
from atoll.cli.office import Here
from atoll.cli.seam import or_there
from atoll.cli.there.office import There
from atoll.cli.there.servers import print_servers
from atoll.cli.volumes import print_volumes
from atoll.client.models import Seen
from atoll.errors import BadRequest
from atoll.messages import Level
from atoll.web import overview

Row = dict[str, Any]
Office = Here | There
NEXT = 1.0  # seconds between two looks at what has come
MOST = 10_000  # acts that are shown at once


def in_office(command: Callable[..., None]) -> Callable[..., Any]:
    """Have *command* ask the hub of this machine, or with `--hub` the one elsewhere."""

    def here(settings: Any, /, *args: Any, **options: Any) -> None:
        command(Here(settings), *args, **options)

    def there(hub: Any, /, *args: Any, **options: Any) -> None:
        command(There(hub), *args, **options)

    return or_there(there)(update_wrapper(here, command))


@click.group()
def admin() -> None:
    """For the operator of a hub: people, servers, what they cost, and who did what.

    \b
    atoll admin servers                  what runs, with its memory and processors
    atoll admin stop ada/thesis          stop one server; atoll admin stop ada: all of hers
    atoll admin costs --by group         what this month has cost
    atoll admin limits @maths --memory 8G what a group or a person may have
    atoll admin message @ "Down at six."  tell people; take-back NUMBER ends it
    atoll admin see-as ada               what she sees, if that is switched on; she is told
    atoll admin log --who ada --since 1d what she did, or had done to what is hers

    On the machine of the hub, as whoever runs it; or from elsewhere, as an operator who has signed
    in: atoll --hub ADDRESS admin … What you do is written down.
    """  # noqa: D301 - click's own mark


@admin.command()
@as_json
@in_office
def people(office: Office, *, as_json: bool) -> None:
    """List everybody whom the hub knows, while it runs, with their servers and costs."""
    rows = office.people()

    def text() -> None:
        table = _table("Person", "Groups", "Running", "Servers", "Last seen", "CPU h", "GiB h")
        for row in rows:
            name = f"{row['person']}{' (operator)' * row['operator']}"
            groups, running = ", ".join(row["groups"]), ", ".join(row["running"])
            spent = (f"{row['cpu_hours']:.2f}", f"{row['memory_gib_hours']:.2f}")
            _add(table, name, groups, running, row["servers"], _when(row["last_seen"]), *spent)
        print_table(table)

    show(rows, as_json=as_json, text=text)


@admin.command()
@as_json
@in_office
def servers(office: Office, *, as_json: bool) -> None:
    """List the servers that run, those first that use most memory."""
    rows = office.servers()

    def text() -> None:
        if not rows:
            click.echo("No server was running when it was last measured.")
            return
        table = _table("Server", "Title", "Memory", "Processors", "Since")
        for row in rows:
            memory, cpus = human_size(row["memory"]), f"{row['cpus']:.2f}"
            _add(table, row["server"], row["title"], memory, cpus, _when(row["started"]))
        print_table(table)

    show(rows, as_json=as_json, text=text)


@admin.command()
@click.option("--month", default="", metavar="YYYY-MM", help="Which month; this one, if not said.")
@click.option(
    "--by", type=click.Choice(["person", "group"]), default="person", help="Whose costs are added."
)
@as_json
@in_office
def costs(office: Office, *, month: str, by: str, as_json: bool) -> None:
    """Say what a month has cost: processors, memory that was used, and disk.

    Environments are everybody's: they are the row “@”. By group, who is in two counts for both, and
    who is in none for the row without a name.
    """
    rows = office.costs(month, by)

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
@in_office
def log(
    office: Office,
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
    rows = office.acts(search)[::-1]
    if as_json and not follow:
        show(rows, as_json=True, text=lambda: None)
        return
    for row in rows:
        say(row)
    while follow:
        time.sleep(NEXT)
        search = replace(search, after=rows[-1]["number"] if rows else search.after, limit=MOST)
        rows = office.acts(search)[::-1]
        for row in rows:
            say(row)


@admin.command()
@click.argument("server", metavar="PERSON[/SERVER]")
@as_json
@in_office
def stop(office: Office, server: str, *, as_json: bool) -> None:
    """Stop somebody's SERVER, or all of PERSON's. Their files stay."""
    stopped, owner = office.stop(server), server.partition("/")[0]
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
@in_office
def limits(office: Office, /, whom: str, *, as_json: bool, **sent: str | None) -> None:
    """Say what a person or a group may have and why, or set it; without one, what is set.

    It goes over what atoll.toml says, from the next start of a server on. An empty value ("")
    takes it back.
    """
    given = {name: text for name, text in sent.items() if text is not None}
    if not whom:
        if given:
            raise BadRequest("For whom?", hint="atoll admin limits @maths --memory 8G")
        rows = office.limits()
    elif given:
        rows = office.limit(whom, given)
    else:
        rows = office.allowed(whom)

    def text() -> None:
        if not rows:
            click.echo("Nothing is set: what atoll.toml says counts.")
            return
        _print_all(rows)

    show(rows, as_json=as_json, text=text)


@admin.command()
@as_json
@in_office
def messages(office: Office, *, as_json: bool) -> None:
    """List the messages that people see now."""
    rows = office.messages()

    def text() -> None:
        if not rows:
            click.echo("Nothing is shown to anybody now.")
            return
        table = _table("Number", "To", "Message", "Level", "Until", "By")
        for row in rows:
            until = _when(row["until"]) if row["until"] else "it is taken back"
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
@in_office
def message(office: Office, whom: str, text: str, *, until: str, level: str, as_json: bool) -> None:
    """Show TEXT at the top of people's pages: of everybody (@), a group, or a person."""
    row = office.tell(whom, text, level, until)
    end = f"{office.command} admin take-back {row['number']}"
    said = f"Message {row['number']} is shown. To end it: {end}"
    show(row, as_json=as_json, text=lambda: click.echo(said))


@admin.command("take-back")
@click.argument("number", type=click.IntRange(1, 2**31 - 1))
@as_json
@in_office
def take_back(office: Office, number: int, *, as_json: bool) -> None:
    """Show the message NUMBER to nobody any more."""
    row = office.take_back(number)
    show(row, as_json=as_json, text=lambda: click.echo(f"Message {number} is shown no more."))


@admin.command("see-as")
@click.argument("person")
@as_json
@in_office
def see_as(office: Office, person: str, *, as_json: bool) -> None:
    """Show what PERSON sees: servers, what is shared with them, volumes, limits; and only look.

    Where [operator] see_as is on. It is written down, and PERSON is told.
    """
    seen = office.see_as(person)

    def text() -> None:
        click.echo(f"{person} is told that you have looked.\n")
        them = Seen.model_validate(seen)
        if them.servers or them.shared:
            print_servers(them.servers, them.shared)
        else:
            click.echo(f"{person} has no servers.")
        click.echo()
        if seen["volumes"]:
            print_volumes(seen["volumes"])
        else:
            click.echo(f"{person} has no volumes.")
        click.echo()
        _print_all(seen["limits"])

    show(seen, as_json=as_json, text=text)


def _tell(row: Row) -> None:
    detail = "; ".join(f"{name}: {value}" for name, value in row["detail"].items())
    where = f"{row['way']} {row['address']}".strip()
    server = f" in {row['server']}" if row["server"] not in {"", row["what"]} else ""
    more = f" ({detail})" if detail else ""
    what = f"{row['kind']} {row['what']}".strip()
    deed = f"{row['who'] or 'somebody'}: {row['deed']}: {what}{server}"
    click.echo(f"{_when(row['at'], 19)} {deed}, {where}{more}")


def _line(row: Row) -> None:
    click.echo(json.dumps(row))


def _when(text: str, most: int = 16) -> str:
    """Write a moment that a row has, in UTC, for people; to the minute, or as far as *most*."""
    return text[:most].replace("T", " ")


def _print_all(rows: list[Row]) -> None:
    table = _table(*(name.capitalize() for name in rows[0]))
    for row in rows:
        _add(table, *(_when(value) if name == "at" else value for name, value in row.items()))
    print_table(table)


def _table(*columns: str) -> Table:
    table = Table(box=None)
    for name in columns:
        table.add_column(name)
    return table


def _add(table: Table, *cells: object) -> None:
    table.add_row(*(escape(str(one)) for one in cells))
