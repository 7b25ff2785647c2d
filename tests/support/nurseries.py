"""Nurseries: a real environment, and a Lab in a box whose kernels are forks."""

import asyncio
import contextlib
import time
from dataclasses import replace

from atoll.engines.local import commands
from atoll.engines.local.runner import LocalRunner, open_gate
from atoll.engines.local.volumes import kept_home
from support.building import Site
from support.plans import make_plan

TOKEN = {"Authorization": "token s3cret"}
ENVIRON = {"JUPYTER_TOKEN": "s3cret"}


class Class:
    """An installation with one environment; `opened` starts a server in it."""

    def __init__(self, folder, forks, files=None, at="2026-11-01"):
        self.site = Site(folder, "", kernel_forks=4)
        self.runner = LocalRunner(self.site.settings)
        commands.run_folder(self.site.settings).mkdir(parents=True, exist_ok=True)
        forks.serve(self.site.settings)
        self.environment = asyncio.run(self._build(files or {"requirements.txt": ""}, at))
        self.layer = commands.layer(self.site.settings, self.plan())

    async def _build(self, files, at):
        made = await self.site.build(files, at=at)
        await self.site.settle()
        return made

    def plan(self, name="one"):
        plan = make_plan(self.site.settings.data, {}, name=name)
        return replace(plan, environment=self.environment)

    def ready(self):
        """Wait until there is a fork server of kernels; return where it listens."""
        until = time.monotonic() + 60
        while not (place := self.runner.nursery.take(self.layer)):
            assert time.monotonic() < until
            time.sleep(0.05)
        return place

    @contextlib.asynccontextmanager
    async def opened(self, name="one", plan=None):
        """Start a server; yield its URL."""
        server = await self.runner.start(plan or self.plan(name), ENVIRON)
        try:
            yield f"http://127.0.0.1:{open_gate(self.runner.records.find(server.handle))}/"
        finally:
            await self.runner.stop(server.handle, now=True)

    def home(self, name):
        """Return the folder of the files of the server *name*."""
        return kept_home(self.site.settings, self.plan(name).owner.name, name)

    def close(self):
        self.runner.nursery.close()
