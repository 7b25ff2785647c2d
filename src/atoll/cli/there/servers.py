"""`atoll --hub … list`, `open`, `logs`, `stop`, `remove`: what a person has on a hub."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from atoll.cli.common import browse, human_size, print_table, show
from atoll.client import Hub, dumped
from atoll.client.models import Server, Shared
from atoll.errors import BadRequest, Cancelled, NotFound
from atoll.servers import SHORT


def list_servers(hub: Hub, *, as_json: bool) -> None:
    """List the person's servers there, and those that others let them into."""
    own, shared = hub.servers(), hub.shared()
    rows: list[dict[str, Any]] = [*dumped(own), *map(_as_row, shared)]

    def text() -> None:
        if not rows:
            click.echo("You have no servers there. `atoll --hub … run REFERENCE` makes one.")
            return
        print_servers(own, shared)

    show(rows, as_json=as_json, text=text)


def print_servers(own: list[Server], shared: list[Shared]) -> None:
    """Print somebody's *own* servers, and those that are *shared* with them."""
    table = Table(box=None)
    table.add_column("Name", no_wrap=True)  # other commands are told it
    table.add_column("State")
    table.add_column("Repository", overflow="fold")
    for column in ("Version", "Disk", "Used"):
        table.add_column(column)
    for server in own:
        table.add_row(*map(Text, _cells(server)))
    for one in shared:
        state = "running" if one.running else "stopped"
        table.add_row(*map(Text, (_titled(_path(one), one.title), state, f"to {one.level}")))
    print_table(table)


def _as_row(one: Shared) -> dict[str, Any]:
    state = "running" if one.running else "stopped"
    return {"name": _path(one), "title": one.title, "state": state, "level": one.level}


def _path(one: Shared) -> str:
    return f"{one.owner}/{one.server}"


def _titled(name: str, title: str) -> str:
    return f"{name}\n{title}" if title else name


def _cells(server: Server) -> tuple[str, ...]:
    versions = (one[:SHORT] for one in (server.version, server.launched) if one)
    repository = " + ".join(one for one in (server.environment, server.repository) if one)
    size = "temporary" if server.temporary else human_size(server.bytes or 0)
    used = ""
    with contextlib.suppress(ValueError):
        used = f"{datetime.fromisoformat(server.since).astimezone():%d %b %H:%M}"
    name = _titled(server.name, server.title)
    return (name, server.state, repository, " → ".join(versions), size, used)


def open_server(hub: Hub, name: str, *, no_browser: bool, as_json: bool) -> None:
    """Open the running server NAME, or OWNER/NAME of another's, in a browser."""
    owner, _, shared = name.rpartition("/")
    if owner:
        if not any((one.owner, one.server) == (owner, shared) for one in hub.shared()):
            raise NotFound(f"Nobody lets you into “{name}”.", hint="See `atoll --hub … list`.")
        url = hub.own_page("shared", owner, shared, "open")
    else:
        server = _find(hub, name)
        if server.state == "stopped":
            hint = f"To start it: atoll --hub {hub.address} start {name}"
            raise NotFound(f"“{name}” is stopped.", hint=hint)
        url = hub.own_page("servers", name, "open")
    answer = {"name": name, "url": url, "hub": hub.address}
    show(answer, as_json=as_json, text=lambda: click.echo(url))
    if not (no_browser or as_json):
        browse(url)


def logs(hub: Hub, name: str, *, follow: bool) -> None:
    """Show what the running server NAME has printed."""
    shown = hub.log(name)
    click.echo(shown, nl=False)
    while follow:
        time.sleep(2)
        try:
            now = hub.log(name)
        except (BadRequest, NotFound):  # it has ended
            return
        click.echo(now.removeprefix(shown), nl=False)
        shown = now


def stop(hub: Hub, names: tuple[str, ...], *, now: bool) -> None:
    """Stop the servers NAMES."""
    if now:
        raise BadRequest("A hub lets servers end by themselves.", hint="Leave --now out.")
    for name in names:
        hub.stop(name)
        click.echo(f"Stopped {name}.")


def retitle(hub: Hub, name: str, title: str) -> None:
    """Call the server NAME by TITLE."""
    done = hub.retitle(name, title)
    click.echo(f"It is called “{done.title or done.name}” now.")


def remove(hub: Hub, name: str, *, yes: bool) -> None:
    """Delete the stopped server NAME and all its files."""
    server = _find(hub, name)
    if server.state != "stopped":
        hint = f"First: atoll --hub {hub.address} stop {name}"
        raise BadRequest(f"“{name}” is {server.state}.", hint=hint)
    size = human_size(server.bytes or 0)
    if not yes and not click.confirm(f"Delete “{name}” and its files ({size}) on the hub?"):
        raise Cancelled("Nothing was removed.")
    hub.delete(name)
    click.echo(f"Removed {name}.")


def _find(hub: Hub, name: str) -> Server:
    for server in hub.servers():
        if server.name == name:
            return server
    hint = "See `atoll --hub … list`."
    raise NotFound(f"You have no server called “{name}” there.", hint=hint)
