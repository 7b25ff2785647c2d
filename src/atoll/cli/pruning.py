"""`atoll environments prune`: removing what nobody needs any more, by age, size and last use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from atoll.app import opened
from atoll.cli.acts import note_command
from atoll.cli.common import Laptop, a_size, as_json, human_size, laptop, show
from atoll.cli.shelves import rows_of
from atoll.disk import beyond, discard, freed, usage
from atoll.engines.local.builder import LocalBuilder
from atoll.engines.local.volumes import kept_home
from atoll.settings import Settings

MONTH = 30  # days


@dataclass(frozen=True, slots=True)
class Rule:
    """What goes: environments unused since ``used`` and made before ``made``, and old copies.

    With ``keep``, those used longest ago go first, until all that are left take so many bytes.
    """

    used: datetime
    made: datetime
    copies: datetime
    keep: int | None = None

    def picks(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of *rows* that go, as they are measured now."""
        old = [
            row
            for row in rows
            if not (row["servers"] or row["pinned"])
            and datetime.fromisoformat(row["used"]) <= self.used
            and datetime.fromisoformat(row["made"]) <= self.made
        ]
        if self.keep is None:
            return old
        old.sort(key=lambda row: row["used"])
        goes = beyond(self.keep, [row["path"] for row in old], [row["path"] for row in rows])
        return [row for row in old if row["path"] in goes]


@click.command()
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(0),
    help=f"Days since last use; {MONTH} if no other option says what goes.",
)
@click.option("--built-before", "age", type=click.IntRange(0), help="Days since it was built.")
@click.option(
    "--keep",
    callback=a_size,
    metavar="SIZE",
    help="Only until the environments left take no more than SIZE, such as 20G: "
    "those used longest ago go first. What they share counts once.",
)
@click.option("--cache", is_flag=True, help="Empty the package cache, too, unless a build uses it.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@as_json
@click.pass_obj
def prune(
    settings: Settings,
    *,
    days: int | None,
    age: int | None,
    keep: int | None,
    cache: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove what can be made again: by last use, age and size.

    These are environments that no kept server needs and nobody has pinned, and the copies of
    repositories (mirrors and checkouts), but for those used within a day, which a launch may need,
    and those that a kept server has not been filled from yet. An environment goes if all that you
    ask for is true of it. Copies of repositories go by --older-than alone.
    """
    machine = laptop(settings)
    unused = MONTH if days is None else days
    since = unused if days is not None or (age is None and keep is None) else 0
    now = datetime.now(UTC)
    used, made, copies = (now - timedelta(days=one) for one in (since, age or 0, unused))
    pruned = asyncio.run(_prune(machine, Rule(used, made, copies, keep), dry_run=dry_run))
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
            within = f"was used within {since} days (--older-than), or " if since else ""
            click.echo(
                f"The rest {within}is pinned, or a kept server needs it, or you asked to keep it; "
                "copies of repositories stay for a day in any case."
            )

    show(pruned, as_json=as_json, text=text)


def _empty_cache(machine: Laptop) -> bool:
    builder = machine.atoll.builder
    return isinstance(builder, LocalBuilder) and builder.empty_cache()


def _prune_layers(machine: Laptop) -> None:
    builder = machine.atoll.builder
    if isinstance(builder, LocalBuilder):
        builder.prune_layers()


async def _prune(machine: Laptop, rule: Rule, *, dry_run: bool) -> dict[str, Any]:
    """Remove what *rule* picks; return it, with its sizes."""
    doomed = rule.picks(await rows_of(machine))
    async with opened(machine.atoll):
        needed = await _needed_checkouts(machine)
        copies = await machine.atoll.source.prune(rule.copies, needed, dry_run=True)
        old = machine.runner.unused()  # made anew since
        folders = [*(Path(row["path"]) for row in doomed), *old]
        places = [copy.path for copy in copies]
        sizes = await asyncio.to_thread(usage, {str(path): path for path in places})
        space = await asyncio.to_thread(freed, [*folders, *places])
        if not dry_run:
            doomed = [row for row in doomed if await _remove(machine, row, rule.used)]
            copies = await machine.atoll.source.prune(rule.copies, needed)
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
    await note_command(machine.atoll.store.acts, "prune", "environment", row["key"])
    return True


async def _needed_checkouts(machine: Laptop) -> list[str]:
    """Return the checkouts that kept servers are still to be filled from."""
    return [
        plan.content.checkout
        for plan in await machine.atoll.store.plans.kept()
        if not kept_home(machine.atoll.settings, plan.owner.name, plan.name).exists()
    ]
