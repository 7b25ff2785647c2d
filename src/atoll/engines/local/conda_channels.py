"""Conda channels: where the operator has them, and which are at an address of a stranger's."""

from __future__ import annotations

import re

from atoll.environments.conda import NO_DEFAULTS, CondaFile, is_address, parts
from atoll.settings.sections import BuildSettings

DEFAULTS = ("main", "r")  # what conda calls “defaults” is these two
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


def channels_of(asked: CondaFile, builds: BuildSettings) -> list[str]:
    """Return the channels to use, best first, by the operator's names and addresses for them."""
    listed = [one for one in asked.channels if one != NO_DEFAULTS]
    ours = [] if NO_DEFAULTS in asked.channels else builds.conda_channels
    named = [one for one in asked.sources if one not in asked.channels]
    found: list[str] = []
    for one in (*listed, *ours, *named):
        found += located(one, builds)
    return list(dict.fromkeys(found))


def specs_of(asked: CondaFile, builds: BuildSettings) -> list[str]:
    """Return the match specifications, their channels as the operator locates them."""
    found = []
    for one in asked.dependencies:
        channel, name, rest = parts(one)
        where = _PASSWORD.sub("", located(channel, builds)[0]) if channel else ""
        found.append(f"{where}::{name} {rest}".strip() if where else one)
    return found


def leads_away(asked: CondaFile, builds: BuildSettings) -> bool:
    """Say whether *asked* takes anything from an address that the operator has not named."""
    channels = (one for one in asked.sources if not _mirror(one, builds))
    return any(map(is_address, (*channels, *asked.dependencies)))


def located(channel: str, builds: BuildSettings) -> list[str]:
    """Return where *channel* is, as the operator says; else its own address, or its name."""
    if mirror := _mirror(channel, builds):
        return [mirror]
    if channel == "defaults":
        return [where for one in DEFAULTS for where in located(one, builds)]
    return [channel.removeprefix("pkgs/")]


def _mirror(channel: str, builds: BuildSettings) -> str:
    """Return the operator's address for *channel*, or for a part of what it begins with, or ""."""
    for name, mirror in builds.conda_mirrors.items():
        begin = name.rstrip("/")
        if channel == begin or channel.startswith(f"{begin}/"):
            return mirror.rstrip("/") + channel[len(begin) :]
    return ""
