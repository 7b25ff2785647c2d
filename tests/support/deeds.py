"""Deeds: what people ask for of volumes and limits, and what there may be after several at once.

What is known to be there is a dictionary: volumes by ``("volume", OWNER/NAME)``, and what operators
have set by ``("limit", WHOM, NAME)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Vol:
    quota: int = 10 * 1024**3
    description: str = ""
    shares: frozenset[tuple[str, bool]] = frozenset()
    deleted: bool = False


@dataclass(frozen=True)
class Deed:
    """What somebody asks for over the API, and what that makes of what there is, if it can be.

    ``half`` is what it may have come to when the service dies in its middle.
    """

    who: str
    path: str
    sent: dict
    whole: Callable[[dict], dict | None]
    half: Callable[[dict], dict | None] | None = None


def on_volume(deed, who, volume, whole, half=None, **sent):
    key = ("volume", volume)

    def doing(change):
        def done(world):
            there = world.get(key)
            after = change(there) if there else None
            return after and {**world, key: after}

        return done

    path = f"api/volumes/{deed}"
    return Deed(who, path, {"volume": volume, **sent}, doing(whole), half and doing(half))


def make(who, volume):
    key, path = ("volume", volume), "api/volumes/make"
    return Deed(who, path, {"volume": volume}, lambda w: None if key in w else {**w, key: Vol()})


def change(who, volume, **new):
    return on_volume(
        "change", who, volume, lambda one: None if one.deleted else replace(one, **new), **new
    )


def share(who, volume, whom, write):
    def done(one):
        others = frozenset(share for share in one.shares if share[0] != whom)
        return None if one.deleted else replace(one, shares=others | {(whom, write)})

    return on_volume("share", who, volume, done, whom=whom, write=write)


def unshare(who, volume, whom):
    def done(one):
        others = frozenset(share for share in one.shares if share[0] != whom)
        return None if one.deleted else replace(one, shares=others)

    return on_volume("unshare", who, volume, done, whom=whom)


def delete(who, volume, now):
    half = on_volume("delete", who, volume, lambda one: replace(one, deleted=True))
    if not now:
        return half
    key = ("volume", volume)

    def gone(world):
        return {name: one for name, one in world.items() if name != key} if key in world else None

    return Deed(who, half.path, {**half.sent, "now": True}, gone, half.whole)


def restore(who, volume):
    return on_volume("restore", who, volume, lambda one: replace(one, deleted=False))


def limit(who, whom, name, value):
    sent = {"whom": whom, name: value}
    return Deed(who, "api/admin/limits", sent, lambda w: {**w, ("limit", whom, name): value})


def possible(world, done, perhaps):
    """Return all that may be there after *world*, in whichever order things were done, or not."""
    found = []
    choices = [[None, one.whole, *([one.half] if one.half else [])] for one in perhaps]
    for chosen in itertools.product(*choices):
        picked = [*(one.whole for one in done), *(one for one in chosen if one)]
        for order in itertools.permutations(picked):
            now = world
            for step in order:
                now = now if now is None else step(now)
            if now is not None and now not in found:
                found.append(now)
    return found
