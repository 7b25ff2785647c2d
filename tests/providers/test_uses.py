"""What was not needed for long goes, and never what a launch is using."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta

from atoll.providers.uses import LEAST
from support.gitservers import make_repo

LONG_AGO = time.time() - 100 * 24 * 3600


def now():
    return datetime.now(UTC)


def age(*folders):
    """Date what is in *folders* a hundred days back."""
    for folder in folders:
        for place in folder.iterdir():
            os.utime(place, (LONG_AGO, LONG_AGO))


def names(copies):
    return sorted(one.path.parent.name for one in copies)


async def test_what_was_needed_long_ago_goes_and_can_be_had_again(
    tmp_path, make_source, open_text, base, remote
):
    make_repo(remote / "course", {"a.txt": "1"})
    source = make_source()
    made = await open_text(f"{base}/course", source)
    data = tmp_path / "data"
    age(data / "mirrors", data / "checkouts")
    assert await source.prune(datetime.fromtimestamp(LONG_AGO - 1, UTC), ()) == []
    found = await source.prune(now() - timedelta(days=30), (), dry_run=True)
    assert names(found) == ["checkouts", "mirrors"]
    assert made.path.exists()
    assert await source.prune(now() - timedelta(days=30), ()) == found
    assert not made.path.exists()
    assert [one for one in (data / "checkouts").iterdir() if one.is_dir()] == []
    again = await open_text(f"{base}/course", source)
    assert again.path == made.path
    assert (again.path / "a.txt").read_text() == "1"


async def test_what_is_needed_today_stays_however_little_is_to_be_kept(
    tmp_path, make_source, open_text, base, remote
):
    make_repo(remote / "course", {"a.txt": "1"})
    source = make_source()
    made = await open_text(f"{base}/course", source)
    assert await source.prune(now(), ()) == []
    age(tmp_path / "data" / "mirrors", tmp_path / "data" / "checkouts")
    await open_text(f"{base}/course", source)  # which dates them again
    assert await source.prune(now(), ()) == []
    assert made.path.exists()
    assert timedelta(hours=1) < LEAST  # longer than any launch


async def test_what_a_kept_server_is_to_be_filled_from_stays(
    tmp_path, make_source, open_text, base, remote
):
    make_repo(remote / "course", {"a.txt": "1"})
    source = make_source()
    made = await open_text(f"{base}/course", source)
    age(tmp_path / "data" / "mirrors", tmp_path / "data" / "checkouts")
    assert names(await source.prune(now(), [str(made.path)])) == ["mirrors"]
    assert (made.path / "a.txt").exists()


async def test_folders_are_copied_again_and_what_a_kill_left_aside_goes(
    tmp_path, make_source, open_text
):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.txt").write_text("1")
    source = make_source(trusted=True)
    made = await open_text(str(folder), source)
    checkouts = tmp_path / "data" / "checkouts"
    (checkouts / ".mine-of-a-killed-fetch").mkdir()
    age(checkouts)
    assert len(await source.prune(now(), ())) == 2
    assert not made.path.exists()
    assert [one for one in checkouts.iterdir() if one.is_dir()] == []
    assert (await open_text(str(folder), source)).path == made.path
    assert (made.path / "a.txt").read_text() == "1"


async def test_pruning_never_takes_what_was_just_found(
    tmp_path, make_source, open_text, base, remote
):
    make_repo(remote / "course", {"requirements.txt": "six"})
    source, other = make_source(), make_source()  # two processes, as it were
    text = f"{base}/course@{make_repo(remote / 'course', {'b.txt': '2'})}"
    made = await open_text(text, source)
    gone = 0
    for _ in range(15):
        age(tmp_path / "data" / "mirrors", tmp_path / "data" / "checkouts")
        opened, pruned = await asyncio.gather(open_text(text, source), other.prune(now(), ()))
        assert opened.files["requirements.txt"] == b"six"
        assert (made.path / "b.txt").read_text() == "2"
        gone += len(pruned)
    assert gone  # else nothing was tried here
