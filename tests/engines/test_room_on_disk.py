"""A disk that fills during a build: a real one, of some megabytes, in mounts of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random

import pytest

from atoll.engines.local import room
from atoll.engines.local.owners import build_owner
from atoll.environments import Environments
from atoll.errors import Lacking
from atoll.stores.sql import open_store
from support.building import Site, env_of
from support.channel import MINOR, Channel
from support.index import PackageIndex
from support.small_disk import tell_on_small_disk

MB = 1024**2
LARGE = 12 * MB  # bytes of the package that does not fit
CODE = f"import large; assert len(large.TEXT) == {LARGE}; print('whole')"


def large():
    """Return the text of a module that no compression makes much smaller."""
    return f"TEXT = '{random.Random(1).randbytes(LARGE // 2).hex()}'\n"


@contextlib.contextmanager
def filled(site, leave):
    """Take all of the disk but *leave* bytes, as long as it lasts."""
    ballast = site.settings.data / "ballast"
    found = os.statvfs(site.settings.data)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - leave)
    yield
    ballast.unlink()


@contextlib.asynccontextmanager
async def started(folder, url, **builds):
    """Yield a site and its environments, whose database is on the small disk, too."""
    site = Site(folder, url, builds=builds)
    store = open_store(site.settings)
    await store.open()
    yield site, Environments(site.builder, store.shelf)
    await site.settle()
    await store.close()


def standing(site):
    """Return what there is of environments and of those being made, whole or not."""
    there = (site.settings.data / "environments").glob("*")
    return [*sorted(one.name for one in there if one.name != ".locks"), *site.leftovers()]


async def built(environments, site, files):
    spec, tree = site.spec(files, tree="t")
    return await environments.ensure(spec, tree, lambda _: None)


async def refused(environments, site, files):
    """Have two people launch *files*: both hear of the disk, nothing is left, nothing remembered.

    Returns what they hear.
    """
    spec, tree = site.spec(files, tree="t")
    before = standing(site)
    waiting = [environments.ensure(spec, tree, lambda _: None) for _ in range(2)]
    one, other = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(one, Lacking), repr(one)
    assert str(one) == str(other)
    assert str(one).startswith("The disk is full: ")
    assert (one.hint, one.log) == (room.MAKE_ROOM, spec.key)
    assert standing(site) == before
    assert await environments.shelf.failure(spec.key, "local") is None
    return str(one)


def test_a_wheel_that_does_not_fit_fails_its_build_alone(tmp_path):
    tell_on_small_disk(wheels, tmp_path, 80)


async def wheels(folder):
    with PackageIndex() as index:
        index.kernel().wheel("large", files={"large.py": large()})
        async with started(folder, index.url) as (site, environments):
            made = await built(environments, site, {})
            with filled(site, 8 * MB):
                await refused(environments, site, {"requirements.txt": "large\n"})
                assert await environments.find(site.spec({})[0])
                assert await site.python(made, "print(6 * 7)") == ["42"]
            made = await built(environments, site, {"requirements.txt": "large\n"})
            assert await site.python(made, CODE) == ["whole"]


def test_a_conda_package_that_does_not_fit_fails_its_build_alone(tmp_path):
    tell_on_small_disk(conda_packages, tmp_path, 200)


async def conda_packages(folder):
    with Channel() as channel, PackageIndex() as index:
        channel.python().kernel()
        channel.module("large", files={f"lib/python{MINOR}/site-packages/large.py": large()})
        asked = {"channels": ["lagoon"], "dependencies": ["python", "large"]}
        files = {"environment.yml": json.dumps(asked)}
        small = {"environment.yml": json.dumps({**asked, "dependencies": ["python"]})}
        builds = {"conda_alias": channel.alias, "conda_channels": []}
        async with started(folder, index.url, **builds) as (site, environments):
            await built(environments, site, small)
            await site.settle()
            with filled(site, 11 * MB):
                await refused(environments, site, files)
                await built(environments, site, small)
            made = await built(environments, site, files)
            assert await site.python(made, CODE) == ["whole"]


def test_a_post_build_that_writes_all_that_there_is_fails_its_build_alone(tmp_path):
    tell_on_small_disk(at_once, tmp_path, 60)


async def at_once(folder):
    with PackageIndex() as index:
        index.kernel()
        async with started(folder, index.url) as (site, environments):
            await refused(environments, site, {"postBuild": "exec cat /dev/zero > /srv/env/all\n"})
            made = await built(environments, site, {"postBuild": "echo > /srv/env/little\n"})
            assert (env_of(made) / "little").exists()


def test_the_last_of_the_disk_is_left_to_others_while_a_build_writes_and_writes(tmp_path):
    tell_on_small_disk(bit_by_bit, tmp_path, 100)


BIT_BY_BIT = """
while head --bytes 200000 /dev/zero >> /srv/env/more; do sleep 0.04; done  # 5 MB/s at most
echo "The disk was full."
"""
MEANWHILE = "sleep 4; head --bytes 1000000 /dev/zero > /srv/env/some\n"


async def bit_by_bit(folder):
    kept, ended = folder / "data" / "notebook", asyncio.Event()

    async def write():
        while not ended.is_set():
            kept.write_bytes(os.urandom(MB))
            await environments.shelf.get("nobody", "local")
            await environments.shelf.put_failure("nobody", "local", Lacking("x"))
            await asyncio.sleep(0.05)

    with PackageIndex() as index:
        index.kernel()
        async with started(folder, index.url) as (site, environments):
            await built(environments, site, {})
            with filled(site, 40 * MB):
                writing = asyncio.create_task(write())
                other = asyncio.create_task(built(environments, site, {"postBuild": MEANWHILE}))
                spec, tree = site.spec({"postBuild": BIT_BY_BIT}, tree="t")
                said = []
                with pytest.raises(Lacking):
                    async with site.builder.lock(spec.key):
                        await site.builder.build(spec, tree, said.append)
                assert said[-1].endswith("MB are free, and builds leave 5 MB to all else."), said
                assert "The disk was full." not in said
                made = await other
                ended.set()
                await writing
            assert (env_of(made) / "some").stat().st_size == 10**6


def test_where_the_disk_is_full_no_build_is_begun(tmp_path):
    tell_on_small_disk(before, tmp_path, 40)


async def before(folder):
    with PackageIndex() as index:
        index.kernel()
        async with started(folder, index.url) as (site, environments):
            made = await built(environments, site, {})
            await site.settle()
            [compiled] = env_of(made).rglob("pip.*.pyc")
            with filled(site, MB):
                asked = len(index.asked)
                said = await refused(environments, site, {"requirements.txt": "pip\n"})
                assert said == (
                    "The disk is full: 1 MB of 42 MB are free, and builds leave 2 MB to all else."
                )
                assert len(index.asked) == asked
                assert (await built(environments, site, {})).handle == made.handle
                compiled.unlink()
                site.builder._finish_later(env_of(made).parent, build_owner(site.settings))
                await site.settle()
                assert not compiled.exists()
            assert await built(environments, site, {"requirements.txt": "pip\n"})
