"""Choosing versions, on one Python or on an older one; real builds with small packages.

The machine's Pythons are what they are: each test says what holds with one and with several.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.engines.local.published import metadata
from atoll.engines.local.steps import Steps
from atoll.environments.pythons import older, show
from support.building import env_of
from support.index import PackageIndex, own_address


@pytest.fixture
def index():
    with PackageIndex(own_address()) as served:
        yield served.kernel()


@pytest.mark.parametrize(
    ("asked", "found"),
    [("", [(3, 8), (3, 6)]), (">=3.7", [(3, 8)]), ("==3.9.*", []), ("3.9", [])],
)
def test_the_pythons_before_one_that_nobody_asked_for(asked, found):
    assert older(asked, (3, 9), [(3, 6), (3, 9), (3, 8), (3, 11)]) == found


async def test_the_python_before_is_taken_where_only_for_it_things_are_ready_made(site, index):
    newest, *others = sorted(site.builder.pythons.available(), reverse=True)
    before = others[0] if others else newest
    index.source("lagoon", "1.0")
    index.wheel("lagoon", "1.0", tag=f"cp{before[0]}{before[1]}-none-any")
    made = await site.build({"requirements.txt": "lagoon==1.0\n"}, at="today")
    assert made.python.startswith(f"{show(before)}.")
    assert await site.python(made, "import lagoon; print(lagoon.VERSION)") == ["1.0"]
    taken = f"Python {show(before)} was taken"
    note = f"{taken}: {show(newest)} would have to build lagoon from source."
    assert made.notes == ((note,) if others else ())
    assert metadata(made.handle)["python_program"].endswith(f"python{show(before)}")


async def test_the_python_that_is_asked_for_is_kept_and_things_are_built_for_it(site, index):
    newest, *others = sorted(site.builder.pythons.available(), reverse=True)
    before = others[0] if others else (3, 0)
    index.source("lagoon", "1.0")
    index.wheel("lagoon", "1.0", tag=f"cp{before[0]}{before[1]}-none-any")
    files = {"requirements.txt": "lagoon==1.0\n", "runtime.txt": f"python-{show(newest)}"}
    made = await site.build(files, at="today")
    assert made.python.startswith(f"{show(newest)}.")
    assert await site.python(made, "import lagoon; print(lagoon.BUILT)") == ["True"]


async def test_the_python_before_that_one_is_looked_at_too(site, index):
    newest, *others = sorted(site.builder.pythons.available(), reverse=True)
    before = others[1] if others[1:] else newest
    index.source("lagoon", "1.0")
    index.wheel("lagoon", "1.0", tag=f"cp{before[0]}{before[1]}-none-any")
    made = await site.build({"requirements.txt": "lagoon==1.0\n"}, at="today")
    assert made.python.startswith(f"{show(before)}.")


async def test_what_is_source_everywhere_is_built_on_the_newest_python(site, index):
    newest = max(site.builder.pythons.available())
    index.source("lagoon", "1.0")
    made = await site.build({"requirements.txt": "lagoon\n"}, at="today")
    assert made.python.startswith(f"{show(newest)}.")
    assert made.notes == ()


async def test_what_is_built_stays_where_the_kernel_stands_beside_the_pins(site, index):
    index.wheel("traitlets", "4.0")
    index.wheel("traitlets", "5.0")
    index.listing["ipykernel"].clear()
    launcher = {"ipykernel_launcher.py": "print('a kernel')\n"}
    index.wheel("ipykernel", "7.0", requires=["traitlets>=5"], files=launcher)
    index.source("lagoon", "1.0")
    made = await site.build({"requirements.txt": "traitlets==4.0\nlagoon\n"})
    assert "put beside them" in " ".join(made.notes)
    code = "import lagoon, traitlets; print(lagoon.BUILT, traitlets.VERSION)"
    assert await site.python(made, code) == ["True 4.0"]


@pytest.fixture
def opened(monkeypatch):
    """Return a list that grows with each box in which code may run."""
    boxes, open_box = [], Steps.open_box

    def opening(steps, *words, **more):
        boxes.append(open_box(steps, *words, **more))
        return boxes[-1]

    monkeypatch.setattr(Steps, "open_box", opening)
    return boxes


async def test_what_is_all_ready_made_is_chosen_once(site, index, opened):
    index.wheel("lagoon", "1.0", requires=["reef"])
    index.wheel("reef", "1.0")
    index.source("reef", "1.0")  # beside its wheel
    index.source("reef", "2.0", uploaded="2023-07-01T00:00:00Z")  # newer than the date
    made = await site.build({"requirements.txt": "lagoon\n"})
    assert not opened
    assert "reef==1.0" in Path(made.handle, "lock.txt").read_text()
    assert "Resolved" in Path(made.handle, "log.txt").read_text()


async def test_what_may_be_newer_as_source_is_looked_at_with_building(site, index, opened):
    index.wheel("lagoon", "1.0", requires=["reef"])
    index.wheel("reef", "1.0")
    index.source("reef", "2.0")
    made = await site.build({"requirements.txt": "lagoon\n"})
    assert opened
    assert await site.python(made, "import reef; print(reef.BUILT)") == ["True"]


async def test_so_is_what_an_operator_mixes_of_several_indexes(site, index, opened):
    site.builder.index = replace(site.builder.index, mixed=True)
    await site.build({})
    assert opened


@pytest.mark.parametrize(
    ("files", "module"),
    [({}, "ipykernel"), ({"ipykernel_launcher.py": ""}, "ipykernel_launcher")],
)
async def test_a_kernel_of_before_the_launcher_starts_too(site, index, files, module):
    index.listing["ipykernel"].clear()
    index.wheel("ipykernel", "4.5", files=files)
    made = await site.build({"requirements.txt": "pip\n"})
    spec = json.loads(Path(env_of(made), "share/jupyter/kernels/python3/kernel.json").read_text())
    assert spec["argv"] == ["/srv/env/bin/python", "-m", module, "-f", "{connection_file}"]
