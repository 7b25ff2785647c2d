"""The address of an archive is a repository: pinned to what is there now, and kept for later."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from atoll.errors import NotFound, TooLarge, Unreachable
from atoll.sources.parsing import parse
from support.depositservers import files_in, make_tar, make_zip

FILES = {"index.ipynb": b"{}", "requirements.txt": b"six==1.16\n", "data/a b.csv": b"1,2\n"}
WHEN = datetime(2018, 3, 4, 5, 6, 8, tzinfo=UTC)


async def test_an_archive_is_opened_with_the_dates_of_its_files(web, open_deposit):
    packed = make_zip(FILES, "engine-main/")
    found = await open_deposit(web.put("/engine.zip", packed))
    assert files_in(found) == FILES
    assert found.ref.version == hashlib.sha256(packed).hexdigest()
    assert found.ref.date == WHEN
    assert found.changed == {"requirements.txt": WHEN}
    assert found.warnings == ()


async def test_a_query_and_every_kind_of_tar_are_understood(web, open_deposit):
    for kind in ("", "gz", "bz2", "xz"):
        url = web.put(f"/x.tar{'.' * bool(kind)}{kind}", make_tar(FILES, "x/", kind))
        assert files_in(await open_deposit(f"{url}?download=1")) == FILES


async def test_a_version_is_typed_back_and_holds_for_ever(web, open_deposit, make_deposits):
    url = web.put("/x.zip", make_zip(FILES))
    first = await open_deposit(url)
    web.put("/x.zip", make_zip({"new": b"1", "z": b"2"}))
    second = await open_deposit(url)
    assert first.ref.version != second.ref.version
    assert files_in(second) == {"new": b"1", "z": b"2"}
    web.seen.clear()
    again = await open_deposit(f"{url}@{first.ref.version}", make_deposits())
    assert again.path == first.path
    assert web.seen == []
    shutil.rmtree(first.path.parent)
    with pytest.raises(NotFound, match="is another archive than") as caught:
        await open_deposit(f"{url}@{first.ref.version}")
    assert "Leave the version away" in caught.value.hint


async def test_what_has_not_changed_is_not_downloaded_again(web, open_deposit, make_deposits):
    packed = make_zip(FILES)

    def answer(request):
        if request.headers.get("If-None-Match") == '"one"':
            return 304, {}, b""
        return 200, {"ETag": '"one"', "Last-Modified": "Mon, 05 Mar 2018 00:00:00 GMT"}, packed

    web.answers["/x.zip"] = answer
    first = await open_deposit(f"{web.base}/x.zip")
    again = await open_deposit(f"{web.base}/x.zip", make_deposits())
    assert again.path == first.path
    shutil.rmtree(first.path.parent)  # then 304 would be of no use
    assert files_in(await open_deposit(f"{web.base}/x.zip")) == FILES


async def test_a_crowd_downloads_once(web, make_deposits, open_deposit):
    url = web.put("/x.zip", make_zip(FILES))
    source = make_deposits()
    found = await asyncio.gather(*[open_deposit(url, source) for _ in range(10)])
    assert len({one.path for one in found}) == 1
    assert web.count("/x.zip") <= 2  # whoever comes when it is here asks whether it still is so


async def test_dates_that_no_author_meant_are_not_taken(web, open_deposit):
    for date, name in (((1980, 1, 1, 0, 0, 0), "old"), ((2099, 1, 1, 0, 0, 0), "new")):
        url = web.put(f"/{name}.zip", make_zip(FILES, date=date))
        found = await open_deposit(url)
        assert datetime.now(UTC) - found.ref.date < timedelta(minutes=5)
        assert found.changed == {}
    said = {"Last_Modified": "Tue, 06 Mar 2018 07:08:09 GMT"}
    url = web.put("/told.zip", make_zip(FILES, date=(1980, 1, 1, 0, 0, 0)), **said)
    assert (await open_deposit(url)).ref.date == datetime(2018, 3, 6, 7, 8, 9, tzinfo=UTC)


async def test_a_page_in_place_of_an_archive_is_said(web, open_deposit, tmp_path):
    url = web.put("/x.zip", b"<html>Please sign in</html>")
    with pytest.raises(NotFound, match="is not an archive") as caught:
        await open_deposit(url)
    assert "sign in" in caught.value.hint
    assert leftovers(tmp_path) == []


def leftovers(tmp_path):
    """Return what should not be there any more."""
    data = tmp_path / "data"
    return [
        str(path)
        for folder in ("archives", "checkouts")
        for path in (data / folder).rglob("*")
        if path.is_file() and not path.name.endswith(".lock") and path.name != "answer.json"
    ]


async def test_a_broken_archive_leaves_nothing(web, open_deposit, tmp_path):
    files = {f"{n}": os.urandom(5000) for n in range(9)}
    url = web.put("/x.tar.gz", make_tar(files)[:20_000])
    with pytest.raises(Unreachable, match="broken"):
        await open_deposit(url)
    assert leftovers(tmp_path) == []
    web.put("/x.tar.gz", make_tar(files))
    assert files_in(await open_deposit(url)) == files


async def test_an_archive_that_is_too_large_is_given_up(web, make_deposits, open_deposit, tmp_path):
    source = make_deposits(max_size="2M")
    for name, body in (
        ("packed.zip", make_zip({"a": os.urandom(3 * 1024**2)})),
        ("unpacked.zip", make_zip({"a": bytes(3 * 1024**2)})),
    ):
        with pytest.raises(TooLarge, match="2 MB"):
            await open_deposit(web.put(f"/{name}", body), source)
    assert leftovers(tmp_path) == []


async def test_an_answer_that_hides_its_length_is_given_up_at_the_limit(
    web, make_deposits, open_deposit
):
    body = make_zip({"a": os.urandom(9 * 1024**2)})
    web.answers["/x.zip"] = lambda _: (200, {"Content-Length": "", "Connection": "close"}, body)
    with pytest.raises(TooLarge):
        await open_deposit(f"{web.base}/x.zip", make_deposits(max_size="2M"))


async def test_whoever_gives_up_leaves_nothing(web, make_deposits, tmp_path):
    url = web.put("/x.tar.gz", make_tar({f"{n}": os.urandom(3000) for n in range(3000)}))
    source = make_deposits()
    for pause in (0.05, 0.15, 0.3):
        task = asyncio.ensure_future(source.resolve(parse(url).repo, lambda _: None))
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            break
        await asyncio.sleep(0.3)
        assert leftovers(tmp_path) == []


async def test_what_a_killed_process_left_is_cleared(web, open_deposit, tmp_path):
    url = web.put("/x.zip", make_zip(FILES))
    found = await open_deposit(url)
    home = found.path.parent
    stale = home.with_name(f".{home.name}-0123")
    stale.mkdir()
    shutil.rmtree(home)
    await open_deposit(url)
    assert not stale.exists()


async def test_archives_are_forgotten_with_their_work_trees(web, make_deposits, open_deposit):
    source = make_deposits()
    found = await open_deposit(web.put("/x.zip", make_zip(FILES)), source)
    [known] = [path for path in source.archives.folder.iterdir() if path.is_dir()]
    for folder in (known, found.path.parent):
        os.utime(folder, (1, 1))
    gone = await source.prune(datetime.now(UTC), ())
    assert {one.path for one in gone} == {known, found.path.parent}


async def test_what_the_command_line_fetched_is_not_for_the_web(web, make_deposits, open_deposit):
    url = web.put("/x.zip", make_zip(FILES))
    own = await open_deposit(url, make_deposits(trusted=True))
    public = await open_deposit(url, make_deposits())
    assert own.path != public.path
