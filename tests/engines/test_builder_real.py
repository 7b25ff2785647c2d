"""A few small packages from the real registry, on the Pythons that this machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from atoll.engines.local.pythons import Pythons
from atoll.environments.pythons import TWO
from support.building import Site


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("real")


async def test_small_packages_of_2021_on_a_python_of_2021(folder):
    site = Site(folder, "")
    files = {"requirements.txt": "six\nidna<3\n"}
    made = await site.build(files, day="2021-06-01")
    told = await site.python(made, "import six, idna; print(six.__version__, idna.__version__)")
    assert told == ["1.16.0 2.10"]
    lock = Path(made.handle, "lock.txt").read_text()
    there = [minor for minor in Pythons(folder / "p").available() if minor <= (3, 9)]
    if there:
        assert "ipykernel==5.5.5" in lock
        assert made.python.startswith(f"3.{max(there)[1]}.")
    else:
        assert made.notes
    code = "import ipykernel.kernelbase; print('kernel')"
    assert await site.python(made, code) == ["kernel"]


async def test_the_oldest_python_here_still_makes_an_environment(folder):
    site = Site(folder, "")
    oldest = min(Pythons(folder / "p").available().keys() - {TWO})
    runtime = f"python-{oldest[0]}.{oldest[1]}"
    files = {"runtime.txt": runtime, "requirements.txt": "idna\n"}
    made = await site.build(files, day="2021-12-01" if oldest < (3, 10) else "2025-12-01")
    assert made.python.startswith(f"{oldest[0]}.{oldest[1]}.")
    assert made.notes == ()
    assert await site.python(made, "import idna, ipykernel; print('fine')") == ["fine"]
