"""Solving: choosing the versions for an environment, the quick way first.

uv can choose without building anything; then nothing of a repository's can run and the package
cache may be used as it is. But it then passes over versions that only come as source. Where its
account of the choice (`searches`) does not say that it passed over none, the choice is checked by
the same choice with everything allowed, in a box, while wheels are being installed already.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import date

from atoll.engines.local.explanations import Explanation, Kind
from atoll.engines.local.locks import LABS, Lock, Pin, has_lab
from atoll.engines.local.searches import BEST_MATCH, Searches
from atoll.engines.local.steps import Steps
from atoll.environments.pythons import show
from atoll.errors import AtollError, BadSpecification, BuildFailed, Lacking, Unreachable

WIDGETS_8 = date(2022, 8, 5)  # before it, ipywidgets brought a whole notebook server
ENOUGH, MOST = 2, 5  # older Pythons that are looked at; the most where nothing serves yet
NAMED = 3  # packages that a note names, at most


async def solve_quickly(
    steps: Steps, hashes: Mapping[str, tuple[str, ...]], *, shared: bool
) -> tuple[Lock | None, Lock | None]:
    """Install the choice that uv makes without building anything, while it is being checked.

    The check is the same choice with everything allowed, in a box; none is needed where that is
    known to come to the same. Returns the quick choice if it stands, installed; else, if the check
    found another, that.
    """
    extras = extras_of(steps)
    searches = Searches()
    lock = await steps.resolve(extras, quick=searches)
    if not isinstance(lock, Lock) or not lock.harmless:
        return None, None
    if LABS & lock.names and "jupyterlab" not in lock.names:
        return None, None
    checked = steps.sealed or (searches.settled and not _mixes_indexes(steps))
    for line in searches.said if checked else ():
        steps.say(line)
    try:
        async with asyncio.TaskGroup() as group:
            checking = None if checked else group.create_task(steps.resolve(extras))
            install = group.create_task(steps.install(lock.pins, hashes, shared=shared))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    check(install.result())
    found = checking.result() if checking else lock
    if isinstance(found, Lock) and found.versions != lock.versions:
        steps.say("Some versions come as source only; building them")
        return None, found
    if isinstance(found, Explanation):
        steps.say(f"Left out what comes as source only. {found.message}")
    return lock, None


def _mixes_indexes(steps: Steps) -> bool:
    """Say whether one search may go through several indexes, and take a wheel of a later one."""
    return steps.index.mixed or any(BEST_MATCH.encode() in body for _, body in steps.spec.files)


async def solve_on_best(
    steps: Steps, older: Sequence[Steps], found: Lock | None, notes: list[str]
) -> tuple[Steps, Lock | Explanation]:
    """Choose versions on the Python of *steps* or, where more is ready made for them, on *older*.

    Wheels for a new Python come months after it: whoever pinned versions then, and named no
    Python, used an older one; pins may be years older than the day. *found* is the choice for
    *steps* where it is known. Returns the steps to go on with and their choice, or why there is
    none.
    """
    first = best = found or await steps.resolve(extras_of(steps))
    newest = steps.python
    for tried, other in enumerate(older):
        lacking = _lacking(best)
        if not lacking or tried >= (ENOUGH if lacking < math.inf else MOST):
            break
        steps.say(f"Looking whether more is ready made for Python {show(other.python.minor)}")
        choice = await other.resolve(extras_of(other))
        if isinstance(choice, Lock) and _lacking(choice) < lacking:
            steps, best = other, choice
    if steps.python is not newest and isinstance(best, Lock):
        spared = sorted(first.sources - best.sources) if isinstance(first, Lock) else []
        names = ", ".join(spared[:NAMED]) + " …" * (len(spared) > NAMED)
        why = f"would have to build {names} from source" if names else "does not serve"
        notes.append(f"Python {show(steps.python.minor)} was taken: {show(newest.minor)} {why}.")
        steps.say(f"Python {steps.python.version}")
    return steps, best


def _lacking(found: Lock | Explanation) -> float:
    """Return how many packages come as source only; 0, too, where no other Python would help."""
    if isinstance(found, Lock):
        return len(found.sources)
    helps = found.python or found.kind in {Kind.BUILD, Kind.NEEDS_BUILD}
    return math.inf if helps else 0


async def solve(
    steps: Steps, found: Lock | Explanation, notes: list[str]
) -> tuple[Lock, tuple[Pin, ...]]:
    """Choose versions for what the repository asks for and for what a notebook needs beside it.

    Both are chosen together, so that the repository's pins rule; *found* is that choice. Where it
    cannot be, less and less is added; at last the kernel gets a folder of its own. Returns the
    lock, and the pins of that folder.
    """
    extras = extras_of(steps)
    found = await with_remedies(steps, extras, found)
    if isinstance(found, Lock):
        return await with_lab(steps, extras, found), ()
    if found.kind is not Kind.UNSOLVABLE:
        raise failed(found)
    alone = await steps.resolve(())
    if isinstance(alone, Explanation):
        raise failed(alone)
    steps.say("That cannot be had together with a current kernel; trying with less")
    lean = await steps.resolve(("ipykernel",))
    if isinstance(lean, Lock):
        return await with_lab(steps, ("ipykernel",), lean), ()
    kernel = await steps.resolve(("ipykernel",), alone=True)
    if isinstance(kernel, Explanation) or not kernel.harmless:
        raise failed(found)
    notes.append("No notebook kernel fits the repository's pins; one was put beside them.")
    return alone, kernel.pins


async def with_remedies(
    steps: Steps, extras: tuple[str, ...], found: Lock | Explanation
) -> Lock | Explanation:
    """Choose again, with `remedies`, as long as something cannot be built and more can be tried.

    Where nothing helps a package, what was wrong with it at first is returned.
    """
    files = dict(steps.spec.files)
    first: dict[str, Explanation] = {}
    while isinstance(found, Explanation) and steps.remedies.add(found, files):
        first.setdefault(found.package, found)
        steps.say(f"{found.message} Trying otherwise")
        again = await steps.resolve(extras)
        if isinstance(again, Explanation) and again.kind is not Kind.BUILD:
            steps.remedies.drop(found.package)
        else:
            found = again
    return first.get(found.package, found) if isinstance(found, Explanation) else found


async def with_lab(steps: Steps, extras: tuple[str, ...], lock: Lock) -> Lock:
    """Add JupyterLab where the repository brings a Jupyter server without it, if that fits."""
    if not LABS & lock.names or "jupyterlab" in lock.names:
        return lock
    steps.say("The repository brings its own Jupyter server; adding JupyterLab to it")
    found = await steps.resolve((*extras, "jupyterlab"))
    return found if isinstance(found, Lock) and has_lab(found.versions) else lock


def extras_of(steps: Steps) -> tuple[str, ...]:
    """Return what a notebook needs on the kernel's side, and people expect to find there."""
    day = steps.spec.as_of
    extras = ["ipykernel", "pip"]
    if steps.python.minor < (3, 12):  # until then, every virtual environment came with it
        extras.append("setuptools")
    if steps.python.minor >= (3, 7) and (day is None or day > WIDGETS_8):
        extras.append("ipywidgets>=8")
    return tuple(extras)


def check(problem: Explanation | None) -> None:
    """Raise what *problem* says, if there is one."""
    if problem:
        raise failed(problem)


def failed(problem: Explanation) -> AtollError:
    """Return *problem* as the error to raise; its class decides whether it is remembered."""
    kinds: dict[Kind, type[AtollError]] = {
        Kind.MACHINE: Lacking,
        Kind.UNREACHABLE: Unreachable,
        Kind.SPECIFICATION: BadSpecification,
    }
    return kinds.get(problem.kind, BuildFailed)(problem.message, hint=problem.hint)
