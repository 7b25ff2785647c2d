"""Building specifications with a real local builder, for tests."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime

from atoll.engines.local.builder import LocalBuilder
from atoll.engines.local.owners import build_owner
from atoll.engines.local.published import metadata
from atoll.engines.local.pythons import prefix_binds
from atoll.engines.local.sandbox import Bind, Box, run
from atoll.engines.local.uv import operators_index
from atoll.environments.reading import read_spec
from atoll.servers import Network
from atoll.settings import Settings
from atoll.sources import Checkout, RepoRef, ResolvedRef


class Site:
    """A data folder, a builder that uses *index*, and repositories to build there.

    Without *kernel_forks*, no kernel layers are made, which would take as long as most builds here.
    """

    def __init__(self, folder, url, *, reach=Network.FULL, builds=None, kernel_forks=0):
        self.folder = folder
        servers = {"kernel_forks": kernel_forks}
        self.settings = Settings(data=folder / "data", builds=builds or {}, servers=servers)
        environ = {"UV_DEFAULT_INDEX": url, "UV_HTTP_RETRIES": "0"} if url else dict(os.environ)
        self.builder = LocalBuilder(self.settings, operators_index(environ), reach)
        self.said = []
        self.trees = 0

    def spec(self, files, *, day="2023-06-01", at="", tree=""):
        """Lay *files* out as a checkout; return its specification and its folder."""
        self.trees += 1
        path = self.folder / f"tree{self.trees}"
        for name, text in files.items():
            target = path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.mkdir(exist_ok=True)
        body = {name: (path / name).read_bytes() for name in files}
        when = datetime.fromisoformat(day).replace(tzinfo=UTC)
        ref = ResolvedRef(
            RepoRef("git", "https://example.org/r"), "c" * 40, tree or f"tree{self.trees}", when
        )
        checkout = Checkout(ref, path, body)
        return read_spec(checkout, platform="here", at=at), path

    async def build(self, files, **more):
        """Build *files* and return the environment."""
        spec, path = self.spec(files, **more)
        async with self.builder.lock(spec.key):
            return await self.builder.build(spec, path, self.said.append)

    async def python(self, environment, code):
        """Run *code* in *environment* as a server would; return what it printed."""
        told = []
        python = prefix_binds(metadata(environment.handle)["python_prefix"])
        binds = (*python, Bind(env_of(environment), "/srv/env"))
        box = Box(("/srv/env/bin/python", "-c", code), binds, {"PATH": "/usr/bin:/bin"},
                  owner=build_owner(self.settings))  # fmt: skip
        assert await run(box, told.append, timeout=60) == 0, told
        return told

    async def settle(self):
        """Wait for what the builder does after its builds."""
        await asyncio.gather(*self.builder.finishing)

    def leftovers(self):
        """Return what builds have left in the workshop folder."""
        making = self.settings.data / "cache" / "making"
        return sorted(path.name for path in making.iterdir()) if making.exists() else []


def env_of(environment):
    """Return the folder of *environment* that is at /srv/env in boxes."""
    from pathlib import Path

    return Path(environment.handle, "env")
