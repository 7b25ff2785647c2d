"""Volumes in the story of a launch: asked for, kept, given up, and never over the content."""

from __future__ import annotations

import pytest

from atoll.environments import Environments
from atoll.errors import BadRequest, NotFound, Refused
from atoll.launching import Existing, Launcher, LaunchRequest
from atoll.launching.mounts import check_hidden
from atoll.people import Person
from atoll.sources import RepoRef
from atoll.testing.engines import FakeBuilder, FakeFiles
from atoll.testing.sources import FakeSource
from atoll.testing.stores import MemoryPlans, MemoryShelf, MemoryVolumes
from atoll.volumes import Mount, Wish
from atoll.volumes.keeper import Keeper

ADA = Person("ada")
REPO = RepoRef("git", "https://example.org/a/tour")
FILES = {REPO.locator: {"data/x.csv": b"1,2\n", "requirements.txt": b"six==1.16.0\n"}}


@pytest.fixture
async def launcher(tmp_path):
    keeper = Keeper(MemoryVolumes(), FakeFiles())
    await keeper.make(ADA, "thesis")
    environments = Environments(FakeBuilder(), MemoryShelf())
    source = FakeSource(tmp_path, FILES)
    return Launcher(source, environments, MemoryPlans(), "test", keeper=keeper)


async def launch(launcher, *wishes, person=ADA, **more):
    mounts = wishes if wishes or more.pop("none", False) else None
    request = LaunchRequest(person, REPO, mounts=mounts, existing=Existing.UPDATE, **more)
    return (await launcher.prepare(request, lambda _: None)).plan.mounts


async def test_a_server_keeps_its_volumes_until_others_are_asked_for(launcher):
    [volume] = launcher.keeper.records.kept
    assert await launch(launcher) == ()
    mounts = (Mount("notes", volume, "thesis", writable=True),)
    assert await launch(launcher, Wish("notes", "thesis")) == mounts
    assert await launch(launcher) == mounts
    assert await launch(launcher, name="another") == ()
    assert await launch(launcher, none=True) == ()
    assert await launch(launcher) == ()


async def test_what_cannot_be_mounted_is_said_before_anything_is_fetched(launcher):
    told = []
    request = LaunchRequest(Person("eve"), REPO, mounts=(Wish("x", "ada/thesis"),))
    with pytest.raises(NotFound):
        await launcher.prepare(request, told.append)
    assert told == []


@pytest.mark.parametrize("point", ["data", "data/x.csv", "requirements.txt", "data/x.csv/inner"])
async def test_the_repositorys_own_files_are_never_hidden(launcher, point):
    with pytest.raises(BadRequest, match="which the volume would hide"):
        await launch(launcher, Wish(point, "thesis"))


async def test_beside_the_repositorys_files_there_is_room(launcher):
    points = ["data/more", "datas", "/data/x", "x/y/z"]
    found = await launch(launcher, *(Wish(point, "thesis") for point in points))
    assert [one.point for one in found] == points


def test_a_link_in_the_repository_leads_no_mount_anywhere(tmp_path):
    (tmp_path / "link").symlink_to("/tmp")
    for point in ("link", "link/x"):
        with pytest.raises(BadRequest):
            check_hidden(tmp_path, [Mount(point, "v", "x")])


async def test_where_there_is_no_keeper_there_are_no_volumes(tmp_path):
    environments = Environments(FakeBuilder(), MemoryShelf())
    launcher = Launcher(FakeSource(tmp_path, FILES), environments, MemoryPlans(), "test")
    with pytest.raises(Refused, match="no volumes here"):
        await launch(launcher, Wish("x", "thesis"))
