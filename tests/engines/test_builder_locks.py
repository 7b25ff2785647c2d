"""Lock files of other tools, built: just those versions, with their hashes, as uv knows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atoll.errors import BuildFailed
from support.index import BACKEND, PackageIndex, own_address


@pytest.fixture
def index():
    """Return an index that boxes in which code may run reach, too."""
    with PackageIndex(own_address()) as served:
        yield served.kernel()


@pytest.fixture
def reef(index):
    """Add two versions of a package that needs another, and return the older ones' hashes."""
    digests = index.wheel("reef", "1.0", requires=["lagoon"]), index.wheel("lagoon", "1.0")
    index.wheel("reef", "2.0", requires=["lagoon"])
    index.wheel("lagoon", "2.0")
    index.wheel("atoll-of-tests", "1.0")
    return digests


def installed(made):
    return Path(made.handle, "lock.txt").read_text().splitlines()


def poetry_lock(reef, lagoon):
    one = '[[package]]\nname = "%s"\nversion = "1.0"\nfiles = [{file = "x", hash = "sha256:%s"}]\n'
    more = '[[package]]\nname = "missing"\nversion = "1.0"\n[metadata]\npython-versions = ">=3.8"\n'
    return one % ("reef", reef) + one % ("lagoon", lagoon) + more


PROJECT = '[tool.poetry.dependencies]\npython = "^3.8"\nreef = "^1.0"\n'


async def test_a_lock_brings_its_versions_and_what_else_it_lists_only_if_it_is_needed(site, reef):
    made = await site.build({"poetry.lock": poetry_lock(*reef), "pyproject.toml": PROJECT})
    assert {"reef==1.0", "lagoon==1.0"} < set(installed(made))
    assert not [line for line in installed(made) if line.startswith("missing")]


async def test_hashes_of_a_lock_are_held_against_the_index(site, reef):
    with pytest.raises(BuildFailed, match=r"lagoon.* not what the repository's hash says"):
        lock = poetry_lock(reef[0], "0" * 64)
        await site.build({"poetry.lock": lock, "pyproject.toml": PROJECT})


async def test_markers_of_a_lock_decide_and_post_build_finds_the_content(site, reef):
    lock = {
        "_meta": {"requires": {}},
        "default": {
            "reef": {"version": "==2.0", "markers": "sys_platform == 'win32'"},
            "lagoon": {"version": "==1.0", "hashes": [f"sha256:{reef[1]}"]},
        },
    }
    files = {"Pipfile.lock": json.dumps(lock), "postBuild": "test -e Pipfile.lock\n"}
    made = await site.build(files)
    assert "lagoon==1.0" in installed(made)
    assert not [line for line in installed(made) if line.startswith("reef")]


async def test_a_pipfile_in_a_binder_folder_installs_the_repository_from_there(site, reef):
    toml = "[build-system]\nrequires=[]\nbuild-backend='backend'\nbackend-path=['.']\n"
    backend = BACKEND.replace("@NAME@", "mine").replace("@VERSION@", "1")
    pipfile = '[packages]\natoll-of-tests = "*"\nmine = {path = ".."}\n'
    files = {"binder/Pipfile": pipfile, "pyproject.toml": toml, "backend.py": backend}
    made = await site.build(files)
    assert "atoll-of-tests==1.0" in installed(made)
    assert await site.python(made, "import mine; print(mine.BUILT)") == ["True"]
