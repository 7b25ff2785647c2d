"""`atoll --hub … run`, `start`, `update`: a launch on a hub, followed from here."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from atoll.cli.asking_for import existing_from, how_to_go_on, wishes_given
from atoll.cli.common import Interrupted, as_json, browse, show
from atoll.cli.progress import Progress
from atoll.cli.seam import only_there
from atoll.client import Hub, dumped
from atoll.client.asking import error_of
from atoll.client.models import Launched
from atoll.errors import BadRequest, Cancelled, StartFailed
from atoll.events import Event, Tell
from atoll.launching.confirming import unasked
from atoll.launching.wishes import Wishes
from atoll.plain import plain
from atoll.servers import SHORT
from atoll.sources.pairs import halves

OVER = ("ready", "failed", "cancelled", "asking")
STARTING = 600  # seconds until a server that starts must be there


def run(hub: Hub, /, reference: str, **options: Any) -> None:
    """Launch *reference* there, follow how it goes, and open it in a browser."""
    form = _form(reference, options) | {"existing": existing_from(options)}
    launched = followed(hub, lambda _: hub.launch(form))
    if launched.state == "asking":
        how = how_to_go_on(launched.error, launched.changes, launched.renewal.said)
        launched = followed(hub, partial(_answered, hub, launched.id, how))
    tell_of(hub, launched, options)


def _form(reference: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what is sent: the fields of the launch page's form."""
    for half in halves(reference):
        if half.startswith(("~", ".", "/")) or os.path.isdir(half):  # noqa: PTH112 - long texts
            raise BadRequest(
                f"The hub cannot see {Path(half).name or half} of this machine.",
                hint="Push it to where the hub can fetch it, or upload an archive of it there.",
            )
    opening = options["opening"]
    if opening.startswith("lab") or "?" in opening or "://" in opening:
        opening = f"/{opening}"  # as the form tells an address from a file
    ticked = {name: "yes" for name in ("retry", "infer", "rebuild", "no_volumes") if options[name]}
    asked = wishes_given(options).asked()
    link = Wishes.of_link(reference)
    for name in link.asked().keys() - unasked(link).asked().keys() - asked.keys():
        text = plain(getattr(link, name))
        click.echo(f"The link asks for {name}={text}, too: ask for it yourself if so.", err=True)
    return {"repository": reference, "opening": opening, **asked, **ticked}


def _answered(hub: Hub, launch: str, how: str, _: Tell) -> Launched:
    return hub.answer(launch, how)


def followed(hub: Hub, begin: Callable[[Tell], Launched]) -> Launched:
    """Return how the launch that *begin* begins has ended, shown while it goes on.

    Raises what it failed of. Whoever leaves is told that it goes on.
    """
    where = hub.own_page("servers")
    try:
        with Progress() as progress:
            launched = begin(progress.tell)
            where = hub.own_page("launches", launched.id)
            if launched.state not in OVER:
                launched = hub.follow(launched, progress.tell)
            if launched.state in {"failed", "cancelled"}:
                kind = Cancelled if launched.state == "cancelled" else error_of(launched.kind)
                raise kind(launched.error or "It failed there.", hint=launched.hint)
    except KeyboardInterrupt:
        raise Interrupted("You left; the launch goes on there.", hint=where) from None
    return launched


def tell_of(hub: Hub, launched: Launched, options: dict[str, Any]) -> None:
    """Say where the server is, and open it in a browser unless *options* say otherwise."""
    url = hub.page(launched.url)
    answer = {"name": launched.name, "url": url, "hub": hub.address, "version": launched.version}

    def text() -> None:
        click.echo(f"\n  {launched.name} is open at\n\n    {url}\n")
        stop = shlex.join(["atoll", "--hub", hub.address, "stop", launched.name])
        click.echo(f"  It runs on the hub until `{stop}`.\n", err=True)

    show(answer, as_json=options["as_json"], text=text)
    if not (options["no_browser"] or options["as_json"]):
        browse(url)


@click.command()
@click.argument("name")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@as_json
@only_there
def start(hub: Hub, name: str, *, no_browser: bool, as_json: bool) -> None:
    """Start your stopped server NAME on a hub, as it was, and open it in a browser.

    On this machine, `atoll run` starts again what it has run before.
    """
    launched = followed(hub, lambda tell: _started(hub, name, tell))
    tell_of(hub, launched, {"no_browser": no_browser, "as_json": as_json})


def _started(hub: Hub, name: str, tell: Tell) -> Launched:
    begun = hub.start(name).launch
    if begun:
        return begun
    tell(Event("start", f"Starting server {name}"))
    late = time.monotonic() + STARTING
    while time.monotonic() < late:
        server = next((one for one in hub.servers() if one.name == name), None)
        if server is None or server.state == "stopped":
            raise StartFailed(f"Server {name} did not start.", hint=hub.own_page("servers"))
        if server.state == "running":
            told = {"name": name, "version": server.version, "url": server.url}
            return Launched(id="-", state="ready", **told)
        time.sleep(1)
    raise StartFailed(f"Server {name} takes too long to start.", hint=hub.own_page("servers"))


def update(hub: Hub, name: str, *, version: str, look: bool, yes: bool, as_json: bool) -> None:
    """Bring newer files into a server there, once its person has seen what would change."""
    launched = followed(hub, lambda _: hub.update(name, version=version, look=True))
    changes = dumped(launched.renewal.changes)
    answer = {"version": launched.version, "count": launched.renewal.count, "changes": changes}

    def text() -> None:
        if not launched.changes:
            click.echo(f"{name} has all that is in that version.")
        for one in (*launched.changes, *launched.renewal.said):
            click.echo(f"  {one}")

    if look or not launched.changes:
        show({**answer, "done": False}, as_json=as_json, text=text)
        return
    if as_json and not yes:
        raise BadRequest("Nobody can be asked.", hint="Say --look, or --yes.")
    if not as_json:
        text()
    if not yes and not click.confirm("Do it? It is started anew if need be."):
        raise Cancelled("Nothing was changed.")
    done = followed(hub, partial(_answered, hub, launched.id, "update")).version
    said = f"{name} is now as in version {done[:SHORT]}."
    answer |= {"version": done, "done": True}
    show(answer, as_json=as_json, text=lambda: click.echo(said))
