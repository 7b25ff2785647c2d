"""Doctor: says what this machine can do, and for each lack what is lost and how to get it."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import entry_points

import click
from rich.console import Console
from rich.padding import Padding

from atoll import __version__
from atoll.engines.local.checks import Check, checks
from atoll.errors import BadSettings
from atoll.settings import Settings, load_settings

KINDS = ("providers", "engines", "stores")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def doctor(*, as_json: bool) -> None:
    """Say what this machine can do, and how to get what is missing.

    The exit code is 0 unless something is missing without which nothing works.
    """
    found = [*_settings_and_machine(), plug_ins()]
    works = all(check.ok for check in found if check.needed)
    if as_json:
        listed = [dataclasses.asdict(check) for check in found]
        click.echo(json.dumps({"atoll": __version__, "works": works, "checks": listed}, indent=2))
    else:
        show(found, works=works)
    if not works:
        raise SystemExit(1)


def show(found: list[Check], *, works: bool) -> None:
    """Print *found* for a person: what is there in a line each, what is not in three."""
    console = Console(highlight=False)
    width = max(len(check.name) for check in found)
    for check in found:
        sign, style = ("✓", "green") if check.ok else ("✗", "red" if check.needed else "yellow")
        console.print(f"[{style}]{sign}[/] {check.name:{width}}  ", end="")
        console.print(check.found, markup=False, soft_wrap=True)
        if not check.ok:
            text = "\n".join(part for part in (check.lost, check.get) if part)
            console.print(Padding(text.replace("[", r"\["), (0, 0, 0, width + 4)), style="dim")
    lacks = sum(not check.ok for check in found)
    if not works:
        console.print("\nSomething that Atoll cannot do without is missing; see above.")
    elif lacks:
        console.print(f"\nAtoll works here; {lacks} thing{'s' * (lacks > 1)} could be better.")
    else:
        console.print("\nAtoll works here.")


def plug_ins() -> Check:
    """Load every plug-in once, so that a broken one is named here and not in somebody's launch."""
    names: list[str] = []
    broken: list[str] = []
    for kind in KINDS:
        for entry in entry_points(group=f"atoll.{kind}"):
            try:
                entry.load()
                names.append(f"{kind} {entry.name}")
            except Exception as error:  # noqa: BLE001 - a broken plug-in is a status, not a crash
                broken.append(f"{kind} {entry.name} is broken: {error!r}")
    return Check(
        "Plug-ins",
        not broken,
        ", ".join([*broken, *names]) or "none",
        "What it would have brought cannot be used.",
        "Update the package that it comes from, or uninstall it.",
        needed=not names,
    )


def _settings_and_machine() -> list[Check]:
    try:
        settings = click.get_current_context().find_object(Settings) or load_settings()
    except BadSettings as error:
        bad = Check("Settings", ok=False, found=str(error), get=error.hint, needed=True)
        return [bad, *checks(Settings())]
    read = Check("Settings", ok=True, found=f"data in {settings.data}")
    return [read, signing_in(settings), *checks(settings)]


def signing_in(settings: Settings) -> Check:
    """Look whether the secrets are there by which people sign in, and for nobody else to read."""
    from atoll.hub.places import read_private

    try:
        for file in settings.sign_in.secret_files:
            read_private(file)
    except BadSettings as error:
        return Check("Sign-in", False, str(error), "`atoll up` does not start.", error.hint)  # noqa: FBT003
    return Check("Sign-in", ok=True, found=f"by {settings.sign_in.kind}")
