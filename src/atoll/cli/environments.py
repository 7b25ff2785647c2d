"""`atoll environments`: what has been built, what it takes, and what nobody needs any more."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from atoll.app import opened
from atoll.cli.common import Laptop, as_json, human_size, laptop, print_table, show
from atoll.cli.pinning import only, pin, unpin
from atoll.disk import discard, freed, usage
from atoll.engines.local.builder import LocalBuilder
from atoll.engines.local.volumes import kept_home
from atoll.environments import EnvKey, ShelvedEnvironment
from atoll.settings import Settings


@click.group(invoke_without_command=True)
@click.pass_context
def environments(ctx: click.Context) -> None:
    """List, show, pin and prune the environments that have been built."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_environments)


environments.add_command(pin)
environments.add_command(unpin)


@environments.command("list")
@as_json
@click.pass_obj
def list_environments(settings: Settings, *, as_json: bool) -> None:
    """List environments, the most lately used first.

    ALONE is the disk that removing this one would free; the rest it shares, by hard links, with
    the package cache and with other environments.
    """
    rows = asyncio.run(_rows(laptop(settings)))

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
    found = only([row for row in asyncio.run(_rows(machine)) if row["key"].startswith(key)], key)
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


@environments.command("prune")
@click.option("--older-than", "days", default=30, show_default=True, help="Days since last use.")
@click.option("--cache", is_flag=True, help="Empty the package cache, too, unless a build uses it.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@as_json
@click.pass_obj
def prune(settings: Settings, days: int, *, cache: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what can be made again and was not used for some days.

    These are environments that no kept server needs and nobody has pinned, and the copies of
    repositories (mirrors and checkouts), but for those used within a day, which a launch may need,
    and those that a kept server has not been filled from yet.
    """
    machine = laptop(settings)
    before = datetime.now(UTC) - timedelta(days=days)
    pruned = asyncio.run(_prune(machine, before, dry_run=dry_run))
    if cache and not dry_run:
        pruned["cache"] = _empty_cache(machine)

    def text() -> None:
        for row in pruned["environments"]:
            click.echo(f"environment  {row['key']}  {human_size(row['alone'])}")
        for row in pruned["repositories"]:
            click.echo(f"repository   {row['path']}  {human_size(row['bytes'])}")
        if pruned.get("cache") is False:
            click.echo("The package cache stays: a build is using it.")
        count = len(pruned["environments"]) + len(pruned["repositories"])
        verb = "would be removed" if dry_run else "removed"
        click.echo(f"{count} {verb}, {human_size(pruned['freed'])}.")
        if not count:
            click.echo(
                f"The rest was used within {days} days (--older-than), or is pinned, or a kept "
                "server needs it; copies of repositories stay for a day in any case."
            )

    show(pruned, as_json=as_json, text=text)


def _empty_cache(machine: Laptop) -> bool:
    builder = machine.atoll.builder
    return isinstance(builder, LocalBuilder) and builder.empty_cache()


def _prune_layers(machine: Laptop) -> None:
    builder = machine.atoll.builder
    if isinstance(builder, LocalBuilder):
        builder.prune_layers()


async def _prune(machine: Laptop, before: datetime, *, dry_run: bool) -> dict[str, Any]:
    """Remove what was last used *before* then; return it, with its sizes."""
    rows = await _rows(machine)
    free = [row for row in rows if not (row["servers"] or row["pinned"])]
    doomed = [row for row in free if datetime.fromisoformat(row["used"]) <= before]
    async with opened(machine.atoll):
        needed = await _needed_checkouts(machine)
        copies = await machine.atoll.source.prune(before, needed, dry_run=True)
        old = machine.runner.unused()  # made anew since
        folders = [*(Path(row["path"]) for row in doomed), *old]
        places = [copy.path for copy in copies]
        sizes = await asyncio.to_thread(usage, {str(path): path for path in places})
        space = await asyncio.to_thread(freed, [*folders, *places])
        if not dry_run:
            doomed = [row for row in doomed if await _remove(machine, row, before)]
            copies = await machine.atoll.source.prune(before, needed)
            discard(old)
            _prune_layers(machine)
    repositories = [
        {
            "path": str(copy.path),
            "bytes": sizes[str(copy.path)].all if str(copy.path) in sizes else 0,
            "used": copy.used.isoformat(),
        }
        for copy in copies
    ]
    return {"environments": doomed, "repositories": repositories, "freed": space}


async def _remove(machine: Laptop, row: dict[str, Any], before: datetime) -> bool:
    """Remove the environment of *row*, unless somebody has used or pinned it meanwhile."""
    shelf = machine.atoll.store.shelf
    async with machine.atoll.builder.lock(row["key"]):
        these = [one for one in await shelf.all() if one.environment.key == row["key"]]
        if any(one.pinned or one.used > before for one in these):
            return False
        await shelf.drop(row["key"], row["engine"])
        await asyncio.to_thread(discard, [row["path"]])
    return True


async def _needed_checkouts(machine: Laptop) -> list[str]:
    """Return the checkouts that kept servers are still to be filled from."""
    return [
        plan.content.checkout
        for plan in await machine.atoll.store.plans.kept()
        if not kept_home(machine.atoll.settings, plan.owner.name, plan.name).exists()
    ]


async def _rows(machine: Laptop) -> list[dict[str, Any]]:
    async with opened(machine.atoll):
        shelved = await machine.atoll.store.shelf.all()
        plans = await machine.atoll.store.plans.kept()
    servers = defaultdict(set)
    for plan in plans:
        servers[plan.environment.key].add(f"{plan.owner.name}/{plan.name}")
    for record, alive in machine.runner.all():
        if alive:
            servers[EnvKey(record.environment)].add(f"{record.owner}/{record.name}")
    return _measured(shelved, servers)


def _measured(
    shelved: list[ShelvedEnvironment], servers: dict[EnvKey, set[str]]
) -> list[dict[str, Any]]:
    there = [one for one in shelved if Path(one.environment.handle).is_dir()]
    sizes = usage({one.environment.key: Path(one.environment.handle) for one in there})
    return [
        {
            "key": one.environment.key,
            "engine": one.environment.engine,
            "python": one.environment.python,
            "as_of": one.environment.as_of.isoformat() if one.environment.as_of else None,
            "bytes": sizes[one.environment.key].all,
            "alone": sizes[one.environment.key].alone,
            "shares": sorted(sizes[one.environment.key].shares),
            "made": one.made.isoformat(),
            "used": one.used.isoformat(),
            "servers": sorted(servers.get(one.environment.key, ())),
            "pinned": one.pinned,
            "path": one.environment.handle,
        }
        for one in there
    ]
