"""Volumes in real boxes and servers: shared, read-only, taken back, and attacked from inside."""

import asyncio
import errno
import os
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from atoll.app import volume_rules
from atoll.engines.local import mounting
from atoll.engines.local.commands import runtime
from atoll.engines.local.mounting import folder, owner
from atoll.engines.local.named_volumes import LocalFiles, shares_blocks
from atoll.engines.local.owners import give, person_owner
from atoll.engines.local.runner import LocalRunner, open_gate
from atoll.engines.local.sandbox import HOME, Bind, Box, run
from atoll.errors import BadRequest, StartFailed
from atoll.people import Person
from atoll.settings import settings_from
from atoll.testing.stores import MemoryVolumes
from atoll.volumes import Wish
from atoll.volumes.keeper import Keeper
from support.kernels import run_cell
from support.plans import make_plan

ADA, GRACE = Person("ada"), Person("grace")
TOKEN = {"Authorization": "token s3cret"}


class Place:
    """An installation's volumes and servers, without what builds environments."""

    def __init__(self, folder):
        (folder / "sky").mkdir()
        (folder / "sky" / "stars").write_text("sirius")
        folder.joinpath("sky").chmod(0o755)
        table = {"volumes": {"folders": {"sky": {"folder": str(folder / "sky")}}}}
        self.settings = settings_from({"data": str(folder / "data"), **table})
        self.runner = LocalRunner(self.settings)
        files = LocalFiles(self.settings, self.runner.records)
        self.keeper = Keeper(MemoryVolumes(), files, volume_rules(self.settings))

    async def mounts(self, person, **points):
        """Return the mounts of volumes, by their points."""
        wishes = [Wish(point, volume) for point, volume in points.items()]
        return await self.keeper.mounts(person, wishes)

    async def run(self, person, code, mounts=()):
        """Run *code* in a box with *person*'s home and *mounts*; return what it printed, notes."""
        user, home = person_owner(self.settings, person.name), self.home(person)
        home.mkdir(parents=True, exist_ok=True)
        give(home, user)
        mounts, notes = await self.keeper.granted(person, mounts)
        plan = make_plan(self.settings.data, {}, owner=person.name, mounts=mounts)
        binds = [*(Bind(Path(one), one) for one in runtime()), Bind(home, HOME, writable=True)]
        mounted = mounting.binds(self.settings, plan, home, user, binds)
        words = (sys.executable, "-I", "-c", code)
        box = Box(words, (*binds, *mounted.binds), {"PATH": "/usr/bin:/bin"}, owner=user)
        said = []
        await run(box, said.append, timeout=60)
        return "\n".join(said), [*notes, *mounted.notes]

    async def start(self, person, mounts, name="first"):
        plan = make_plan(self.settings.data, {}, owner=person.name, name=name, mounts=mounts)
        return await self.runner.start(plan, {"JUPYTER_TOKEN": "s3cret"})

    def home(self, person, name="first"):
        return self.settings.data / "volumes" / person.name / name / "home"

    def files(self, volume):
        return folder(self.settings, volume.id)


@pytest.fixture
async def place(tmp_path):
    place = Place(tmp_path)
    yield place
    for record, _ in list(place.runner.records.all()):
        await place.runner.stop(record.handle, now=True)


async def test_what_one_person_writes_another_reads_changes_and_removes(place):
    volume = await place.keeper.make(ADA, "x")
    await place.keeper.share(ADA, "x", "grace", writable=True)
    write = """
import os
os.umask(0o077)
os.chdir("data")
os.makedirs("private")
open("private/a", "w").write("from ada")
open("b", "w").write("b")
print(sorted(os.listdir()), os.stat("b").st_uid, os.stat("private").st_uid, os.getuid())
"""
    said, notes = await place.run(ADA, write, await place.mounts(ADA, data="x"))
    assert said == "['b', 'private'] 1000 1000 1000"
    assert notes == []
    change = """
import os
os.chdir("shared/ada")
print(open("private/a").read(), os.stat("private/a").st_uid)
open("private/a", "a").write(", and grace")
os.chmod("private/a", 0o400)
os.remove("b")
open("c", "w").write("c")
"""
    theirs = await place.mounts(GRACE, **{"shared/ada": "ada/x"})
    assert await place.run(GRACE, change, theirs) == ("from ada 1000", [])
    code = "print(open('d/private/a').read(), open('d/c').read())"
    said, _ = await place.run(ADA, code, await place.mounts(ADA, d="x"))
    assert said == "from ada, and grace c"
    owners = {one.lstat().st_uid for one in place.files(volume).rglob("*")}
    assert owners == {os.getuid() if owner() is None else owner()}
    assert not any(place.home(ADA).joinpath("data").iterdir())


async def test_two_running_servers_see_each_others_files_at_once_in_their_kernels(
    place, fork_server
):
    fork_server.serve(place.settings)
    volume = await place.keeper.make(ADA, "x")
    await place.keeper.share(ADA, "x", "grace", writable=True)
    code = """
import os, time
open("v/{mine}", "w").write("{mine}")
while not os.path.exists("v/{theirs}"):
    time.sleep(0.05)
print(open("v/{theirs}").read())
"""

    async def work(person, text, mine, theirs):
        server = await place.start(person, await place.mounts(person, v=text))
        record = place.runner.records.find(server.handle)
        assert record.fork
        base = f"http://127.0.0.1:{open_gate(record)}/"
        told = code.format(mine=mine, theirs=theirs)
        return await run_cell(base, told, headers=TOKEN)

    assert await asyncio.gather(work(ADA, "x", "a", "g"), work(GRACE, "ada/x", "g", "a")) == [
        *("g", "a")
    ]
    used = sorted(place.keeper.files.users())
    assert used == [(volume.id, "ada/first"), (volume.id, "grace/first")]


TRY_TO_WRITE = """
import os
def attempt(what, *words):
    try:
        what(*words)
        print("DONE", what, words)
    except OSError as error:
        print(error.errno, end=" ")
attempt(open, "v/new", "w")
attempt(open, "v/a", "a")
attempt(os.chmod, "v/a", 0o777)
attempt(os.remove, "v/a")
attempt(os.mkdir, "v/d")
attempt(os.link, "v/a", "mine")
attempt(os.rename, "v", "w")
attempt(os.rename, "v/a", "mine")
attempt(os.utime, "v/a")
os.system("mount -o remount,rw v; umount v; mount --bind v /mnt; unshare -Urm true")
attempt(open, "v/new", "w")
print(open("v/a").read())
"""


async def test_a_read_only_mount_cannot_be_written_to_by_any_way(place):
    volume = await place.keeper.make(ADA, "x")
    write = "import os; open('x/a', 'w').write('text'); os.chmod('x/a', 0o600)"
    await place.run(ADA, write, await place.mounts(ADA, x="x"))
    await place.keeper.share(ADA, "x", "grace")
    said, _ = await place.run(GRACE, TRY_TO_WRITE, await place.mounts(GRACE, v="ada/x"))
    assert "DONE" not in said
    assert said.endswith(" text")  # and reads what its owner alone may
    assert [one.name for one in place.files(volume).iterdir()] == ["a"]


async def test_other_peoples_volumes_are_nowhere_in_a_box(place):
    secret = await place.keeper.make(ADA, "secret")
    place.files(secret).joinpath("s").write_text("secret")
    await place.keeper.make(GRACE, "x")
    look = f"""
import os, subprocess
print(os.path.exists({str(place.files(secret))!r}), os.path.exists({str(place.settings.data)!r}))
words = "find /home /data /mnt /run /srv /tmp /var -name s 2> /dev/null; cat /proc/self/mountinfo"
print({secret.id!r} in subprocess.run(words, shell=True, capture_output=True, text=True).stdout)
"""
    said, _ = await place.run(GRACE, look, await place.mounts(GRACE, data="x"))
    assert said.split() == ["False", "False", "False"]


async def test_the_operators_folders_are_read_and_not_written_to(place):
    code = "print(open('/data/sky/stars').read())\ntry: open('/data/sky/x', 'w')\n"
    code += "except OSError as error: print(error.errno)"
    mounts = await place.mounts(GRACE, **{"/data/sky": "@/sky"})
    said, notes = await place.run(GRACE, code, mounts)
    assert said.split() == ["sirius", str(errno.EROFS)]
    assert notes == []


def is_mounted(point):
    """Return code that says whether something is mounted there; it may be of the same device."""
    found = f"line.split()[4] == '{HOME}/{point}' for line in open('/proc/self/mountinfo')"
    return f"print(any({found}))"


LEFT = {
    "absolute": "os.symlink('/oldroot{outside}', 'v')",
    "upwards": "os.symlink('../../..{outside}', 'v')",
    "in the home": "os.mkdir('d'); os.symlink('d', 'v')",
    "to the box's own": "os.symlink('/usr/bin', 'v')",
    "dangling": "os.symlink('nowhere', 'v')",
    "a file": "open('v', 'w')",
    "a pipe": "os.mkfifo('v')",
}


@pytest.mark.parametrize("kind", LEFT)
@pytest.mark.parametrize("point", ["v", "v/inner"])
async def test_what_code_has_left_at_a_mount_point_leads_nowhere(place, tmp_path, kind, point):
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    volume = await place.keeper.make(ADA, "x")
    await place.run(ADA, "import os; " + LEFT[kind].format(outside=outside))
    assert os.path.lexists(place.home(ADA) / "v")
    said, [note] = await place.run(ADA, is_mounted(point), await place.mounts(ADA, **{point: "x"}))
    assert said == "False"
    assert "a link or a file of this server's own is in the way" in note
    assert list(outside.iterdir()) == []
    assert list(place.files(volume).iterdir()) == []


async def test_a_folder_that_lets_nobody_in_is_no_mount_point(place):
    await place.keeper.make(ADA, "x")
    await place.run(ADA, "import os; os.makedirs('v/w'); os.chmod('v', 0)")
    _, [note] = await place.run(ADA, "", await place.mounts(ADA, v="x"))
    assert "is not mounted" in note
    place.home(ADA).joinpath("v").chmod(0o700)


async def test_files_of_ones_own_are_never_hidden(place):
    await place.keeper.make(ADA, "x")
    code = "import os; os.makedirs('v', exist_ok=True); open('v/mine', 'a'); print(os.listdir('v'))"
    await place.run(ADA, code)
    said, [note] = await place.run(ADA, code, await place.mounts(ADA, v="x"))
    assert said == "['mine']"
    assert "files of this server's own are in that folder" in note


async def test_a_mount_point_may_be_moved_into_the_one_of_before(place):
    await place.keeper.make(ADA, "x")
    for point in ("v", "v/w"):
        mounts = await place.mounts(ADA, **{point: "x"})
        assert await place.run(ADA, is_mounted(point), mounts) == ("True", [])


async def test_where_no_volume_is_mounted_any_more_nothing_is_saved_by_mistake(place):
    await place.keeper.make(ADA, "x")
    await place.run(ADA, "", await place.mounts(ADA, v="x"))
    code = """
import os
try:
    open("v/lost", "w")
except OSError as error:
    print(error.errno)
os.rmdir("v")
os.mkdir("v")
open("v/mine", "w")
"""
    said, _ = await place.run(ADA, code)
    assert said == str(errno.EACCES)
    assert (place.home(ADA) / "v" / "mine").exists()


async def test_atolls_own_folders_are_never_covered(place, tmp_path):
    await place.keeper.make(ADA, "x")
    plan = make_plan(tmp_path, {}, mounts=await place.mounts(ADA, **{"/mnt/disk": "x"}))
    taken = [Bind(tmp_path, "/mnt/disk/atoll/venv")]
    mounted = mounting.binds(place.settings, plan, tmp_path, None, taken)
    assert mounted.binds == []
    assert "Atoll itself is there" in mounted.notes[0]


async def test_a_volume_that_is_removed_at_this_moment_is_missed(place):
    volume = await place.keeper.make(ADA, "x")
    plan = make_plan(place.settings.data, {}, mounts=await place.mounts(ADA, v="x"))
    await place.keeper.files.remove(volume.id)
    mounted = mounting.binds(place.settings, plan, place.home(ADA), None, [])
    assert (mounted.binds, mounted.ids) == ([], ())
    assert "its files are not there" in mounted.notes[0]


async def test_a_deleted_volume_stays_with_the_server_that_has_it_until_that_stops(
    place, fork_server
):
    fork_server.serve(place.settings)
    volume = await place.keeper.make(ADA, "x")
    mounts = await place.mounts(ADA, v="x")
    server = await place.start(ADA, mounts)
    with pytest.raises(BadRequest, match="in use by ada/first"):
        await place.keeper.delete(ADA, "x", now=True)
    await place.keeper.delete(ADA, "x")
    await place.keeper.clear_up()
    transport = httpx2.AsyncHTTPTransport(uds=server.socket)
    async with httpx2.AsyncClient(transport=transport, base_url="http://lab") as http:
        body = {"type": "file", "format": "text", "content": "saved"}
        answer = await http.put("/api/contents/v/late.txt", json=body, headers=TOKEN)
        assert answer.status_code == 201
    await place.runner.stop(server.handle)
    _, [note] = await place.run(ADA, "", mounts)
    assert "it was deleted" in note
    await place.keeper.restore(ADA, "x")
    assert (place.files(volume) / "late.txt").read_text() == "saved"
    await place.keeper.delete(ADA, "x", now=True)
    assert not place.files(volume).exists()


async def test_a_snapshot_is_what_was_there_and_no_link_leads_it_out(place, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    volume = await place.keeper.make(ADA, "x")
    mounts = await place.mounts(ADA, v="x")
    code = f"import os; os.chdir('v'); open('a', 'w').write('1'); os.symlink({str(secret)!r}, 'l')"
    await place.run(ADA, code, mounts)
    snapshot, shared = await place.keeper.snapshot(ADA, "x")
    assert shared == shares_blocks(place.files(volume).parent)
    await place.run(ADA, "open('v/a', 'w').write('2')", mounts)
    assert (place.files(volume) / "a").read_text() == "2"
    copy = place.files(snapshot)
    assert (copy / "a").read_text() == "1"
    assert os.readlink(copy / "l") == str(secret)
    said, _ = await place.run(ADA, TRY_TO_WRITE, await place.mounts(ADA, v=snapshot.name))
    assert "DONE" not in said
    assert {one.name for one in copy.parent.iterdir()} == {volume.id, snapshot.id}


async def test_what_was_half_copied_or_half_deleted_when_all_was_killed_goes(place):
    volume = await place.keeper.make(ADA, "x")
    folder = place.files(volume).parent
    for name in (".0123.making", ".0123.4567"):
        (folder / name / "deep").mkdir(parents=True)
    await place.keeper.clear_up()  # somebody may be at it
    assert len(list(folder.iterdir())) == 3
    await place.keeper.files.sweep(datetime.now(UTC) + timedelta(hours=1))
    assert list(folder.iterdir()) == [place.files(volume)]


async def test_a_copy_that_fails_leaves_nothing(place):
    volume = await place.keeper.make(ADA, "x")
    await place.keeper.files.remove(volume.id)
    with pytest.raises((StartFailed, OSError)):
        await place.keeper.snapshot(ADA, "x")
    assert list(place.files(volume).parent.iterdir()) == []
    assert len(await place.keeper.records.all()) == 1


async def test_what_has_filled_up_is_read_only_for_others_at_their_next_start(place):
    volume = await place.keeper.make(ADA, "x", quota=2**20)
    await place.keeper.share(ADA, "x", "grace", writable=True)
    fill = "open('v/a', 'wb').write(b'x' * 2**20)"
    assert await place.run(ADA, fill, await place.mounts(ADA, v="x")) == ("", [])
    assert 2**20 <= await place.keeper.files.size(volume) < 2**20 + 2**16
    theirs = await place.mounts(GRACE, v="ada/x")
    said, [note] = await place.run(GRACE, "open('v/b', 'w')", theirs)
    assert "Read-only file system" in said
    assert "is full: 1M of 1M" in note
    said, [note] = await place.run(
        ADA, "import os; os.remove('v/a')", await place.mounts(ADA, v="x")
    )
    assert (said, "Make room in it" in note) == ("", True)
    assert await place.run(GRACE, "open('v/b', 'w')", theirs) == ("", [])


async def test_a_file_system_that_cannot_show_files_as_anothers_is_an_error_that_says_so(place):
    user = person_owner(place.settings, "ada")
    bind = Bind(Path("/sys/kernel"), "/mnt/x", theirs=owner())
    box = Box(("/bin/true",), (bind,), owner=user)
    expected = nullcontext() if user is None else pytest.raises(StartFailed, match="cannot show")
    with expected:
        assert await run(box, print, timeout=60) == 0
