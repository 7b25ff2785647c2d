"""`atoll sign-in`, `atoll sign-out`: a hub elsewhere gets to know who runs the commands."""

from __future__ import annotations

import contextlib
from typing import IO

import click

from atoll.cli.common import browse
from atoll.cli.seam import checked_token
from atoll.client import Hub
from atoll.client.addresses import hub_address
from atoll.client.keeping import SignedIn, forget, keep, kept, kept_file
from atoll.errors import BadRequest, NotFound

LONGEST = 4096  # characters of a token


@click.command("sign-in")
@click.argument("address")
@click.option(
    "--token-file",
    type=click.File("r"),
    help="Read the token from this file (- is standard input), and ask nobody.",
)
@click.option("--plain-http", is_flag=True, help="The hub has no encryption, and that is known.")
@click.option("--no-browser", is_flag=True, help="Do not open the page that makes tokens.")
def sign_in(
    address: str, *, token_file: IO[str] | None, plain_http: bool, no_browser: bool
) -> None:
    """Sign in to the hub at ADDRESS, for `atoll --hub ADDRESS` from then on.

    In your browser, on the hub's own page, you make a token, and paste it here. It is tried, and
    kept in a file that you alone can read: ~/.config/atoll/hubs.json.
    """
    hub = hub_address(address, plain_http=plain_http)
    if token_file:
        token = token_file.read(LONGEST).strip()
    else:
        page = f"{hub}hub/token"
        click.echo(f"Make a token on this page, and copy it:\n\n  {page}\n", err=True)
        if not no_browser:
            browse(page)
        token = str(click.prompt("Paste it here (it is not shown)", hide_input=True, err=True))
    token = checked_token(token.strip())
    if not token:
        raise BadRequest("That is no token.", hint="Copy it from the hub's page, and try again.")
    with contextlib.closing(Hub.at(hub, token)) as there:
        me = there.me()
    keep(SignedIn(hub, me.name, token, plain_http))
    click.echo(f"You are {me.name} at {hub}. `atoll --hub {hub} list` shows what you have there.")


@click.command("sign-out")
@click.argument("address")
def sign_out(address: str) -> None:
    """Forget the token for the hub at ADDRESS. It is good until it is deleted there."""
    hub = hub_address(address, plain_http=True)
    if forget(hub) is None:
        known = ", ".join(one.address for one in kept()) or "none"
        raise NotFound(f"You have not signed in to {hub}", hint=f"{kept_file()} has: {known}.")
    click.echo(f"Forgotten here. To end it there, too, delete the token: {hub}hub/token")
