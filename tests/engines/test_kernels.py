"""Kernels of other languages that a repository's own packages bring: found by the Lab, and run."""

import asyncio
from dataclasses import replace

import httpx2
import pytest

from atoll.engines.local.runner import LocalRunner, open_gate
from support.building import Site
from support.kernels import run_cell
from support.plans import make_plan

TOKEN = {"Authorization": "token s3cret"}
FILES = {
    # the one brings its kernelspec in its wheel, for "python3"; the other writes it when told to
    "requirements.txt": "calysto-scheme==2.1.9\nbash_kernel==0.10.0\n",
    "postBuild": "#!/bin/bash\npython -m bash_kernel.install --sys-prefix\n",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The URL of a Lab whose environment has those kernels."""
    site = Site(tmp_path_factory.mktemp("kernels"), "")
    runner = LocalRunner(site.settings)

    async def start():
        made = await site.build(FILES, at="2026-11-01")
        await site.settle()
        plan = replace(make_plan(site.settings.data, {}), environment=made)
        return await runner.start(plan, {"JUPYTER_TOKEN": "s3cret"})

    server = asyncio.run(start())
    yield f"http://127.0.0.1:{open_gate(runner.records.find(server.handle))}/"
    asyncio.run(runner.stop(server.handle, now=True))


async def test_the_lab_finds_them_beside_python(base):
    answer = httpx2.get(f"{base}api/kernelspecs", headers=TOKEN, timeout=30).json()
    assert {"python3", "calysto_scheme", "bash"} <= set(answer["kernelspecs"])
    assert answer["default"] == "python3"


@pytest.mark.parametrize(
    ("kernel", "code", "said"),
    [
        ("bash", "echo $((6 * 7))", "42"),
        ("calysto_scheme", "(* 6 7)", "42"),
        ("python3", "import calysto_scheme; 6 * 7", "42"),
    ],
)
async def test_each_runs_a_cell(base, kernel, code, said):
    assert await run_cell(base, code, headers=TOKEN, kernel=kernel) == said
