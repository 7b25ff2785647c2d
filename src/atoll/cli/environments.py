"""`atoll environments`: what has been built, what it takes, and what nobody needs any more."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import click
from rich.table import Table

from atoll.cli.common import as_json, human_size, laptop, print_table, show
from atoll.cli.pinning import only, pin, unpin
from atoll.cli.pruning import prune
from atoll.cli.shelves import rows_of
from atoll.settings import Settings


@click.group(invoke_without_command=True)
@click.pass_context
def environments(ctx: click.Context) -> None:
    """List, show, pin and prune the environments that have been built."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_environments)


environments.add_command(pin)
environments.add_command(unpin)
environments.add_command(prune)


@environments.command("list")
@as_json
@click.pass_obj
def list_environments(settings: Settings, *, as_json: bool) -> None:
    """List environments, the most lately used first.

    ALONE is the disk that removing this one would free; the rest it shares, by hard links, with
    the package cache and with other environments.
    """
    rows = asyncio.run(rows_of(laptop(settings)))

    def text() -> None:
        if not rows:
            click.echo("There are no environments yet. `atoll build REFERENCE` makes one.")
            return
        table = Table(box=None)
        table.add_column("Key", no_wrap=True)  # other commands are told it
        for column in ("Python", "As of", "Disk", "Alone", "Used", "Servers"):
            table.add_column(column)
        for row in rows:
            used = datetime.fromisoformat(row["used"]).astimezone()
            sizes = (human_size(row["bytes"]), human_size(row["alone"]))
            servers = str(len(row["servers"]))
            as_of = row["as_of"] or "pinned"
            use = (f"{used:%d %b %H:%M}", f"{servers} *" if row["pinned"] else servers)
            table.add_row(row["key"], row["python"], as_of, *sizes, *use)
        print_table(table)
        if any(row["pinned"] for row in rows):
            click.echo(" * pinned: never pruned")

    show(rows, as_json=as_json, text=text)


@environments.command("show")
@click.argument("key")
@click.option("--log", is_flag=True, help="Show the log of its build.")
@as_json
@click.pass_obj
def show_environment(settings: Settings, key: str, *, log: bool, as_json: bool) -> None:
    """Show the environment KEY (its first letters are enough): what is in it, who needs it."""
    machine = laptop(settings)
    if log and (failed := settings.data / "logs" / f"{Path(key).name}.txt").exists():
        click.echo(failed.read_text(errors="replace"), nl=False)  # of a build that failed, too
        return
    found = only([row for row in asyncio.run(rows_of(machine)) if row["key"].startswith(key)], key)
    folder = Path(found["path"])
    if log:
        click.echo((folder / "log.txt").read_text(errors="replace"), nl=False)
        return
    packages = (folder / "lock.txt").read_text(errors="replace").splitlines()
    whole = {**found, "packages": [line for line in packages if line[:1].isalnum()]}

    def text() -> None:
        for name, value in whole.items():
            shown = human_size(value) if name in {"bytes", "alone"} else value
            several = isinstance(value, list | tuple)
            click.echo(f"{name:>10}  " + ("\n            ".join(value) if several else f"{shown}"))

    show(whole, as_json=as_json, text=text)
