"""An environment of conda packages in use: a real Python, a real kernel, a real Lab."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest
from test_conda import environment

from atoll.engines.local.runner import LocalRunner, open_gate
from support.building import Site
from support.channel import Channel
from support.kernels import run_cell
from support.plans import make_plan

TOKEN = {"Authorization": "token s3cret"}


@pytest.fixture
async def base(tmp_path, index):
    """The URL of a Lab whose environment has a kernel of its own, and one of another language."""
    other = '{"argv": ["sh", "-c", "exec python -m ipykernel_launcher -f $0", "{connection_file}"], "display_name": "Reef", "language": "reef"}'
    with Channel() as channel:
        channel.python().real_kernel()
        channel.module("reef", files={"share/jupyter/kernels/reef/kernel.json": other})
        channel.add(
            "bell", files={"etc/conda/activate.d/bell.sh": "export BELL=$CONDA_PREFIX/bell"}
        )
        site = Site(
            tmp_path, index.url, builds={"conda_alias": channel.alias, "conda_channels": []}
        )
        made = await site.build(environment("reef", "bell", variables={"ANSWER": "42"}))
        await site.settle()
    runner = LocalRunner(site.settings)
    plan = replace(make_plan(site.settings.data, {}), environment=made)
    server = await runner.start(plan, {"JUPYTER_TOKEN": "s3cret"})
    yield f"http://127.0.0.1:{open_gate(runner.records.find(server.handle))}/"
    await runner.stop(server.handle, now=True)


async def test_cells_run_with_its_packages_and_its_variables(base):
    code = "import os, reef, sys; print(reef.VERSION, sys.prefix, os.environ['BELL'], os.environ['ANSWER'])"
    assert await run_cell(base, code, headers=TOKEN) == "1.0 /srv/env /srv/env/bell 42"
    specs = httpx2.get(f"{base}api/kernelspecs", headers=TOKEN, timeout=30).json()
    assert {"python3", "reef"} <= set(specs["kernelspecs"])
    assert (
        await run_cell(base, "import sys; print(sys.prefix)", headers=TOKEN, kernel="reef")
        == "/srv/env"
    )
