"""`atoll backup` and `atoll restore`: all that cannot be made again, in one file, and back."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from atoll.cli.common import as_json, human_size, show
from atoll.settings import Settings, settings_file

if TYPE_CHECKING:
    from atoll.backups import Kept
    from atoll.backups.making import Backup
    from atoll.backups.packing import Say
    from atoll.backups.restoring import Restored

BETWEEN = 0.1  # seconds between two words about how far it has come
SOME = 5  # names that are listed of many


@click.command()
@click.argument("target", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--with-environments",
    is_flag=True,
    help="Take the environments of all kept servers, too, so that they open where the repositories "
    "and the package index cannot be reached any more. Much larger.",
)
@as_json
@click.pass_context
def backup(ctx: click.Context, target: Path, *, with_environments: bool, as_json: bool) -> None:
    """Back up all that cannot be made again to FILE (.tar.gz or .tar), also while the hub runs.

    \b
    atoll backup /backups                     a file named after the moment, such as
                                              /backups/atoll-2026-11-22T031500Z.tar.gz
    atoll backup /backups/before-upgrade.tar  not compressed: for programs that do that themselves
    atoll restore --check FILE                is all of it there? what is in it?

    In it: the databases, the files of all kept servers, what people uploaded for them, accounts,
    secrets and settings. Only its owner can read it: it holds people's files and the hub's secrets.
    It appears under its name once it is whole; whatever stops a backup leaves none.

    Not in it: what is fetched or built again when somebody needs it (environments, copies of
    repositories, caches), logs, and servers that are temporary.
    """  # noqa: D301 - click's own mark
    from atoll.backups.making import Wish, back_up
    from atoll.cli.acts import note_alone

    settings: Settings = ctx.obj
    wish = Wish(settings, settings_file(ctx.find_root().params["config"]), with_environments)
    began = time.monotonic()
    with _telling("Backing up") as say:
        made = back_up(wish, target, say)
    note_alone(settings, "back up", "hub", str(made.file))
    told = {
        "file": str(made.file),
        "size": made.size,
        "files": made.files,
        "bytes": made.bytes,
        "environments": made.environments,
        "servers": [asdict(one) for one in made.servers],
        "not_as_it_is": made.remarks.told(),
        "seconds": round(time.monotonic() - began, 3),
    }
    show(told, as_json=as_json, text=lambda: _tell_of_backup(made))


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only read FILE to its end, and say what is in it.")
@as_json
@click.pass_context
def restore(ctx: click.Context, file: Path, *, check: bool, as_json: bool) -> None:
    """Make the data folder from the backup FILE. The folder must be empty, or not there yet.

    \b
    atoll restore FILE                                   to the data folder: $ATOLL_DATA, else
                                                         ~/.local/share/atoll
    ATOLL_DATA=/srv/atoll-new atoll restore FILE         to another one
    atoll --config /etc/atoll.toml restore FILE          to that of these settings
    ATOLL_DATA=/srv/atoll-new atoll up                   then: everything is as it was

    A file that was cut off or damaged is refused, and nothing of it is kept. A PostgreSQL database
    is restored into the empty one that [database] url names, in the settings that you give or in
    those of the backup. As root, files belong to whom they belonged to; else all are yours.
    """  # noqa: D301 - click's own mark
    from atoll.backups import restoring

    settings: Settings = ctx.obj
    given = settings_file(ctx.find_root().params["config"]) is not None
    with _telling("Reading" if check else "Restoring") as say:
        found = (
            restoring.look_through(file, say)
            if check
            else restoring.restore(file, settings, say, given=given)
        )
    manifest = found.manifest
    told = {
        "data": str(found.data),
        **manifest.told(),
        "restored": not check,
        "files": found.files,
        "bytes": found.bytes,
        "notes": list(found.notes),
    }
    show(told, as_json=as_json, text=lambda: _tell_of_restored(found, check=check))


@contextlib.contextmanager
def _telling(verb: str) -> Iterator[Say]:
    """Lend what shows how far it has come, where somebody watches."""
    console = Console(stderr=True, highlight=False)
    last = 0.0
    with console.status(f"{verb} …") if sys.stderr.isatty() else contextlib.nullcontext() as status:

        def say(files: int, size: int) -> None:
            nonlocal last
            if status and time.monotonic() - last > BETWEEN:
                last = time.monotonic()
                status.update(f"{verb} … {files:,} files, {human_size(size)}")

        yield say


def _tell_of_backup(made: Backup) -> None:
    click.echo(f"{made.file}  {human_size(made.size)}")
    click.echo(_contents(made.servers, made.files, made.bytes))
    for why, count in made.remarks.counts.items():
        some = ", ".join(made.remarks.examples[why][:SOME])
        left = "not as it was at one moment" if why == "changed meanwhile" else "left out"
        click.echo(f"{count} {left} ({why}): {some}")
    if not made.environments and made.servers:
        click.echo(
            "Environments are not in it: after a restore, each is built again when its server is "
            "first started, from its repository."
        )
    if lost := [one for one in made.servers if one.only_here and not made.environments]:
        click.echo(
            f"{len(lost)} could not be opened where these folders are not: "
            f"{_listed([f'{one.person}/{one.name} ({one.only_here})' for one in lost])}. "
            "Their files are in it all the same; --with-environments lets them open, too."
        )


def _tell_of_restored(found: Restored, *, check: bool) -> None:
    manifest = found.manifest
    made = f"made on {manifest.made} by Atoll {manifest.atoll}"
    if check:
        click.echo(f"All of it is there: a backup of {manifest.data}, {made}.")
    else:
        click.echo(f"Restored to {found.data} what was in {manifest.data}, {made}.")
    click.echo(_contents(manifest.servers, found.files, found.bytes))
    for note in found.notes:
        click.echo(note)
    if check:
        return
    if manifest.servers and not manifest.environments:
        click.echo("Servers' environments are built again when they are first started.")
    start = f"ATOLL_DATA={shlex.quote(str(found.data))} atoll up"
    click.echo(f"To start: {start}   (see [hub] bind in its atoll.toml if the old hub still runs)")


def _contents(servers: Sequence[Kept], files: int, size: int) -> str:
    people = sorted({one.person for one in servers})
    whose = f" of {_listed(people)}" if people else ""
    plural = "s" * (len(servers) != 1)
    return f"{len(servers)} kept server{plural}{whose}; {files:,} files, {human_size(size)}."


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SOME
    return ", ".join(names[:SOME]) + (f" and {more} more" if more > 0 else "")
