"""`atoll volumes`: files that several servers have, and who may read or change them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from atoll.app import Atoll, opened, wire
from atoll.cli.acts import note_command
from atoll.cli.common import a_size, as_json, me, print_table, show
from atoll.cli.seam import or_there
from atoll.cli.there import volumes as there
from atoll.errors import Cancelled
from atoll.settings import Settings
from atoll.volumes import Volume, written
from atoll.volumes.facts import facts, listed

Done = TypeVar("Done")
HAND_OVER = "Hand “{volume}” over to {to}? Only they can give it back."
DELETE = "Delete “{volume}” and all its files for good?"
quota = click.option(
    "--quota", callback=a_size, metavar="SIZE", help="The most that it may take, such as 5G."
)


def print_volumes(rows: list[dict[str, Any]]) -> None:
    """Print *rows*, the facts of volumes, for people."""
    if not rows:
        click.echo("There are no volumes. `atoll volumes make NAME` makes one.")
        return
    table = Table(box=None)
    table.add_column("Volume", no_wrap=True)  # other commands are told it
    for column in ("Size", "Quota", "Shared with", "In use by", "What it is"):
        table.add_column(column)
    for row in rows:
        table.add_row(*map(Text, _cells(row)))
    print_table(table)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    size = "not there" if row["bytes"] is None else written(row["bytes"])
    full = row["quota"] and row["bytes"] is not None and row["bytes"] >= row["quota"]
    shares = (f"{one['whom']}{' (write)' * one['write']}" for one in row["shares"])
    state = "deleted, can be restored" if row["deleted"] else "snapshot" if row["snapshot"] else ""
    said = "; ".join(one for one in (state, row["description"]) if one)
    return (
        row["volume"],
        f"{size}{' (full)' if full else ''}",
        written(row["quota"]) if row["quota"] else "",
        ", ".join(shares),
        ", ".join(row["servers"]),
        said,
    )


@click.group(invoke_without_command=True)
@click.pass_context
def volumes(ctx: click.Context) -> None:
    """Make, share, list and delete volumes: files that several servers may have at once.

    \b
    atoll volumes make thesis --quota 20G           make one
    atoll run gh:ada/notebooks -v thesis:data       have it in a server, at ~/data
    atoll volumes share thesis grace                let grace read it
    atoll run . -v ada/thesis:data:ro               what grace then writes

    VOLUME is the NAME of one of yours, PERSON/NAME, @GROUP/NAME, or @/NAME of the operator's.
    """  # noqa: D301 - click's own mark
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_volumes)


@volumes.command("list")
@click.option("--all", "everybodys", is_flag=True, help="Everybody's, for operators.")
@as_json
@or_there(there.listing(print_volumes))
def list_volumes(settings: Settings, *, everybodys: bool = False, as_json: bool = False) -> None:
    """List the volumes that you have, or share, or may read; with their size and servers."""
    known = _do(settings, lambda atoll: listed(atoll.keeper, me(), everybodys=everybodys))

    show(known, as_json=as_json, text=lambda: print_volumes(known))


@volumes.command()
@click.argument("volume")
@quota
@click.option("--description", default="", help="What is in it, for people.")
@as_json
@or_there(there.deed("make", "Made {done}. `run -v {done}` has it in a server."))
def make(
    settings: Settings, volume: str, *, quota: int | None, description: str, as_json: bool
) -> None:
    """Make an empty VOLUME: NAME of your own, or @GROUP/NAME of a group that you are in."""
    done = _do(
        settings,
        lambda atoll: atoll.keeper.make(me(), volume, quota=quota, description=description),
    )
    _told(done, f"Made {volume}. `atoll run REFERENCE -v {volume}` has it in a server.", as_json)


@volumes.command()
@click.argument("volume")
@quota
@click.option("--description", help="What is in it, for people.")
@as_json
@or_there(there.deed("change", "Changed {done}."))
def change(
    settings: Settings, volume: str, *, quota: int | None, description: str | None, as_json: bool
) -> None:
    """Give VOLUME another quota or description."""
    done = _do(
        settings,
        lambda atoll: atoll.keeper.change(me(), volume, quota=quota, description=description),
    )
    _told(done, f"Changed {volume}.", as_json)


@volumes.command()
@click.argument("volume")
@click.argument("whom")
@click.option("--write", is_flag=True, help="They may change it, not only read it.")
@as_json
@or_there(there.deed("share", "{whom} may use {done}."))
def share(settings: Settings, volume: str, whom: str, *, write: bool, as_json: bool) -> None:
    """Let WHOM, a person or an @group, read VOLUME."""
    done = _do(settings, lambda atoll: atoll.keeper.share(me(), volume, whom, writable=write))
    _told(done, f"{whom} may {'change' if write else 'read'} {volume}, as {done}.", as_json)


@volumes.command()
@click.argument("volume")
@click.argument("whom")
@as_json
@or_there(there.deed("unshare", "{whom} has no share in {done} any more."))
def unshare(settings: Settings, volume: str, whom: str, *, as_json: bool) -> None:
    """Take the share of WHOM in VOLUME back. Their running servers keep it until they stop."""
    done = _do(settings, lambda atoll: atoll.keeper.unshare(me(), volume, whom))
    _told(done, f"{whom} has no share in {volume} any more.", as_json)


@volumes.command()
@click.argument("volume")
@click.argument("name", default="")
@as_json
@or_there(there.deed("snapshot", "Made {done}."))
def snapshot(settings: Settings, volume: str, name: str, *, as_json: bool) -> None:
    """Copy VOLUME as it is now into a new one, NAME, that nobody can change.

    Where the file system has it, both share the disk of what they have alike.
    """
    done, shared = _do(settings, lambda atoll: atoll.keeper.snapshot(me(), volume, name))
    how = "shares its disk with the volume" if shared else "is a whole copy, with disk of its own"
    _told(done, f"Made {done.name}, which {how}.", as_json, shares_blocks=shared)


@volumes.command("hand-over")
@click.argument("volume")
@click.argument("to")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@or_there(there.deed("hand-over", "{volume} is {to}'s now, as {done}.", HAND_OVER))
def hand_over(settings: Settings, volume: str, to: str, *, yes: bool, as_json: bool) -> None:
    """Make TO, a person or an @group, the owner of VOLUME, in which you then have no share."""
    _sure(HAND_OVER.format(volume=volume, to=to), yes=yes)
    done = _do(settings, lambda atoll: atoll.keeper.hand_over(me(), volume, to))
    _told(done, f"{volume} is {to}'s now, as {done}.", as_json)


@volumes.command()
@click.argument("volume")
@click.option("--now", is_flag=True, help="For good; it cannot be restored.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@or_there(there.deed("delete", "Deleted {volume}.", DELETE))
def delete(settings: Settings, volume: str, *, now: bool, yes: bool, as_json: bool) -> None:
    """Delete VOLUME. It can be restored for some days; servers that run keep it until they stop."""
    if now:
        _sure(DELETE.format(volume=volume), yes=yes)
    done = _do(settings, lambda atoll: atoll.keeper.delete(me(), volume, now=now))
    days = settings.volumes.grace / 86400
    again = f" For {days:g} days, this restores it: atoll volumes restore {volume}"
    _told(done, f"Deleted {volume}.{'' if now else again}", as_json)


@volumes.command()
@click.argument("volume")
@as_json
@or_there(there.deed("restore", "Restored {done}."))
def restore(settings: Settings, volume: str, *, as_json: bool) -> None:
    """Take the deletion of VOLUME back."""
    done = _do(settings, lambda atoll: atoll.keeper.restore(me(), volume))
    _told(done, f"Restored {volume}.", as_json)


def _do(settings: Settings, deed: Callable[[Atoll], Awaitable[Done]]) -> Done:
    async def do() -> Done:
        async with opened(wire(settings, trusted=True)) as atoll:
            done = await deed(atoll)
            changed = done[0] if isinstance(done, tuple) else done
            if isinstance(changed, Volume):  # and nothing was only looked at
                name = (click.get_current_context().info_name or "").replace("-", " ")
                await note_command(atoll.store.acts, name, "volume", str(changed), _said())
            return done

    return asyncio.run(do())


def _said() -> dict[str, str]:
    given = click.get_current_context().params
    return {
        name: str(given[name])
        for name in ("whom", "to", "write", "now", "quota")
        if given.get(name)
    }


def _sure(question: str, *, yes: bool) -> None:
    if not yes and not click.confirm(question):
        raise Cancelled("Nothing was changed.")


def _told(volume: Volume, text: str, as_json: bool, **more: Any) -> None:
    show({**facts(volume, me()), **more}, as_json=as_json, text=lambda: click.echo(text))
