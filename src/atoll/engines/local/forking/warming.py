"""Warming: what every server would work out alike is worked out once, before the fork.

Every step below changes one thing in a library that the fork server has imported. None changes
what a server does, only when or how often; none looks at a home, at an environment or at any
person. What a step stands on may be gone with a library's next version: then it is left out, which
is said, and servers start a little slower.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import os
import re
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any


def warm(addresses: Iterable[str]) -> list[str]:
    """Take every step; return why some could not be taken.

    *addresses* are the patterns of a server's routes, each from the slash after its own path on.
    """
    failed = []
    steps: dict[str, Callable[[], None]] = {
        "packages": packages,
        "routes": functools.partial(routes, addresses),
        "languages": languages,
        "hub": hub,
    }
    for name, step in steps.items():
        try:
            step()
        except Exception as error:  # noqa: BLE001 - another library than the one we know
            failed.append(f"{name}: {error!r}")
    return failed


def packages() -> None:
    """Read once which entry points there are.

    A server asks some ten times, and each time all packages' files are read. They are Atoll's own
    installation; whoever changes the path on which packages are looked for is answered anew.
    """
    usual, path = importlib.metadata.entry_points, list(sys.path)
    known = usual()

    def entry_points(**wanted: Any) -> Any:
        return known.select(**wanted) if wanted and sys.path == path else usual(**wanted)

    _everywhere(usual, entry_points)


def routes(addresses: Iterable[str]) -> None:
    """Compile once what follows a server's own path in its routes: some 70 regular expressions.

    The path itself, which tornado would compile into each of them, is compared as it is.
    """
    routing: Any = import_module("tornado.routing")
    usual = routing.PathMatches
    compiled = {one: re.compile(one) for one in addresses}

    class Routed(usual):  # type: ignore[misc,valid-type]
        def __init__(self, path_pattern: Any) -> None:
            base = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "").rstrip("/")
            if base and isinstance(path_pattern, str) and path_pattern.startswith(base):
                rest = path_pattern[len(base) :].removesuffix("$") + "$"
                if rest in compiled:
                    path_pattern = After(base, compiled[rest])
            super().__init__(path_pattern)

    routing.PathMatches = Routed


class After:
    """A compiled regular expression after a fixed beginning; what tornado needs of one."""

    def __init__(self, beginning: str, rest: re.Pattern[str]) -> None:
        self._beginning, self._rest = beginning, rest
        self.pattern = beginning + rest.pattern
        self.groups, self.groupindex = rest.groups, rest.groupindex

    def match(self, path: str) -> re.Match[str] | None:
        """Match the whole of *path*."""
        if not path.startswith(self._beginning):
            return None
        return self._rest.match(path, len(self._beginning))


def languages() -> None:
    """Look for language servers when the Lab first asks for them, which by default it never does.

    It takes more than all the rest of a start: npm is run, only to find out where it installs.
    """
    serverextension: Any = import_module("jupyter_lsp.serverextension")
    usual = serverextension.initialize

    async def initialize(app: Any, documents: str) -> None:
        manager = app.language_server_manager
        begin = functools.cache(lambda: asyncio.ensure_future(usual(app, documents)))
        ready = manager.ready

        async def found() -> Any:
            await asyncio.shield(begin())
            return await ready()

        manager.ready = found

    serverextension.initialize = initialize


def hub() -> None:
    """Spare the hub what it knows.

    It is not asked for its version, which is this installation's, and is told that the server is
    active only after the first interval, since it has just started it.
    """
    extension: Any = import_module("jupyterhub.singleuser.extension")
    server = extension.JupyterHubSingleUser
    usual = server.keep_activity_updated
    server.check_hub_version  # noqa: B018 - there must be one

    async def check_hub_version(_: Any) -> None:
        pass

    async def keep_activity_updated(self: Any) -> None:
        await asyncio.sleep(self.hub_activity_interval)
        await usual(self)

    server.check_hub_version = check_hub_version
    server.keep_activity_updated = keep_activity_updated


def _everywhere(usual: Callable[..., Any], ours: Callable[..., Any]) -> None:
    """Put *ours* in the place of *usual* in every module that has it."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is usual:
                setattr(module, name, ours)
