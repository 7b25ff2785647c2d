"""`atoll --hub … share`: who is let into a server on a hub."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table
from rich.text import Text

from atoll.cli.common import as_json, print_table, show
from atoll.cli.seam import only_there
from atoll.client import Hub, dumped
from atoll.client.models import People
from atoll.errors import BadRequest

LEVELS = ("view", "run", "manage")


@click.command()
@click.argument("name")
@click.option(
    "--with", "whom", multiple=True, metavar="WHO[:LEVEL]", help="Let a person or an @group in."
)
@click.option("--take-back", multiple=True, metavar="WHO", help="Let them in no more.")
@click.option("--list", "listing", is_flag=True, help="List who is let in, which it does anyway.")
@click.option("--link", type=click.Choice(LEVELS), help="Make a link that lets in who follows it.")
@click.option("--days", type=click.IntRange(1, 365), default=7, help="How long the link is good.")
@click.option("--unlink", multiple=True, metavar="ID", help="End the link of this ID.")
@click.option(
    "--copies/--no-copies", default=None, help="Make a link to copies for visitors, or end it."
)
@click.option("--read", multiple=True, metavar="VOLUME", help="With --copies: which they read.")
@click.option("--end-running", is_flag=True, help="With either: end the copies that run, too.")
@as_json
@only_there
def share(hub: Hub, name: str, *, as_json: bool, **options: Any) -> None:
    """Let people and groups into your server NAME on a hub, see who is, or take it back.

    NAME is one of yours, or OWNER/NAME of one that you manage. LEVEL is view, run or manage: who
    may run runs code as you, with all the files there; who may manage starts and stops it, too,
    and lets others in. Visitors get temporary copies, by a link that only you make.
    """
    copies = options["copies"]
    if copies is None and options["end_running"]:
        raise BadRequest("--end-running is said with --copies or --no-copies.")
    if not copies and options["read"]:
        raise BadRequest("--read is said with --copies.")
    owner, _, server = name.rpartition("/")
    owner = owner or hub.me().name
    wanted = [_whom(one) for one in options["whom"]]
    for person in options["take_back"]:
        hub.people_deed(owner, server, "take", whom=person)
    for link in options["unlink"]:
        hub.people_deed(owner, server, "unlink", link=link)
    for person, level in wanted:
        hub.people_deed(owner, server, "give", whom=person, level=level)
    made, level, days = "", options["link"], str(options["days"])
    if level:
        made = hub.people_deed(owner, server, "link", level=level, days=days).link
    if copies is not None:
        told = {"volumes": ", ".join(options["read"]), "end": options["end_running"]}
        hub.people_deed(owner, server, "show" if copies else "hide", **told)
    people = hub.people(owner, server)
    answer = dumped(people) | {"link": made}
    show(answer, as_json=as_json, text=lambda: _print(people, made))


def _whom(text: str) -> tuple[str, str]:
    """Return the person or group and the level that ``anna:run`` means; no level is to view."""
    who, _, level = text.rpartition(":")
    if not who:
        return text, LEVELS[0]
    if level not in LEVELS:
        raise BadRequest(
            f"“{level[:20]}” is nothing that somebody may do in a server.",
            hint=f"Write {who}:LEVEL with one of {', '.join(LEVELS)}.",
        )
    return who, level


def _print(people: People, made: str) -> None:
    if made:
        click.echo(f"Who follows this link is let in. It is told only now:\n\n  {made}\n")
    if people.copies:
        click.echo(f"Visitors get copies by this link:\n\n  {people.copies}\n")
    if people.copies_running:
        click.echo(f"Copies that run: {people.copies_running}")
    if not (people.people or people.links):
        click.echo("Nobody else is let in.")
        return
    table = Table(box=None)
    table.add_column("Who", no_wrap=True)
    table.add_column("May")
    for one in people.people:
        table.add_row(Text(one.whom), Text(one.level))
    for link in people.links:
        until = f"{link.level}, until {link.until[:16].replace('T', ' ')}"
        table.add_row(Text(f"link {link.id}"), Text(until))
    print_table(table)
