"""What a person uploads is a repository: unpacked at once, named by its digest, kept like others."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atoll.errors import BadReference, NotFound, Refused, TooLarge
from atoll.providers.deposits.uploads import clean_name
from atoll.sources.parsing import parse
from support.depositservers import files_in, make_tar, make_zip

FILES = {"index.ipynb": b"{}", "requirements.txt": b"six==1.16\n"}
NOTEBOOK = json.dumps({"cells": [], "metadata": {}, "nbformat": 4}).encode()


async def parts_of(body):
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


def leftovers(tmp_path):
    return [*(tmp_path / "data" / "uploads").iterdir()]


async def test_an_archive_is_received_and_opened_by_what_is_returned(
    make_deposits, open_deposit, tmp_path
):
    packed = make_zip(FILES, "course-main/")
    source = make_deposits()
    repo = await source.receive("my course (2).zip", parts_of(packed))
    digest = hashlib.sha256(packed).hexdigest()
    assert str(repo) == f"upload:{digest}/my-course-2.zip"
    assert parse(str(repo)).repo == repo
    assert parse(f"{repo}@{digest}").repo == replace(repo, version=digest)
    found = await open_deposit(str(repo), make_deposits())  # another process, another day
    assert files_in(found) == FILES
    assert (found.ref.version, found.ref.date.year) == (digest, 2018)
    assert leftovers(tmp_path) == []
    assert await source.receive("my-course-2.ZIP", parts_of(packed)) == repo


async def test_a_notebook_alone_is_received_too(make_deposits, open_deposit):
    source = make_deposits()
    repo = await source.receive("Analysis.ipynb", parts_of(NOTEBOOK))
    assert files_in(await open_deposit(str(repo), source)) == {"Analysis.ipynb": NOTEBOOK}
    assert parse(str(repo)).opening == "lab/tree/Analysis.ipynb"


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("thesis.pdf", b"%PDF", "neither an archive nor a notebook"),
        (".zip", b"PK", "not an archive"),
        ("x.zip", b"<html>", "not an archive"),
        ("x.zip", b"", "not an archive"),
        ("x.ipynb", b"{", "no JSON"),
        ("x.ipynb", b"[" * 100_000, "no JSON"),
        ("x.ipynb", b"\xff\xfe", "no JSON"),
        ("x.ipynb", b"[]", "nbformat"),
    ],
)
async def test_what_is_neither_is_refused_and_nothing_is_left(
    make_deposits, tmp_path, name, body, message
):
    with pytest.raises(BadReference, match=message) as caught:
        await make_deposits().receive(name, parts_of(body))
    assert "archive (.zip" in caught.value.hint
    assert not (tmp_path / "data" / "uploads").exists() or leftovers(tmp_path) == []


async def test_one_that_is_too_large_or_leads_outside_leaves_nothing(make_deposits, tmp_path):
    with pytest.raises(TooLarge):
        await make_deposits(max_size="1M").receive("x.tar", parts_of(make_tar({"a": b"a" * 2**21})))
    with pytest.raises(Refused, match="outside"):
        await make_deposits().receive("x.tar", parts_of(make_tar({"../a": b"a"})))
    assert leftovers(tmp_path) == []
    assert [one for one in (tmp_path / "data" / "checkouts").iterdir() if one.is_dir()] == []


async def test_one_that_breaks_off_leaves_nothing(make_deposits, tmp_path):
    async def breaking():
        yield b"PK"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await make_deposits().receive("x.zip", breaking())
    assert leftovers(tmp_path) == []


async def test_what_was_never_uploaded_or_is_pruned_is_not_there(make_deposits, open_deposit):
    source = make_deposits()
    repo = await source.receive("x.zip", parts_of(make_zip(FILES)))
    with pytest.raises(NotFound, match="no such upload"):
        await open_deposit(f"upload:{'0' * 64}/x.zip", source)
    with pytest.raises(NotFound, match="no such upload"):
        await open_deposit(f"{repo}@other", source)
    assert await source.prune(datetime.now(UTC), ()) == []  # it is new
    [place] = {one.path.parent for one in [await open_deposit(str(repo), source)]}
    old = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    os.utime(place, (old, old))
    assert [copy.path for copy in await source.prune(datetime.now(UTC), ())] == [place]
    with pytest.raises(NotFound, match="not any more"):
        await open_deposit(str(repo), source)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/x.zip", "x.zip"),
        ("..zip", "upload.zip"),
        ("-rf.tar.gz", "rf.tar.gz"),
        ("übung + lösung@2.tar.XZ", "bung-l-sung-2.tar.xz"),
        ("x" * 300 + ".ipynb", "x" * 94 + ".ipynb"),
    ],
)
def test_names_come_to_stand_in_a_reference(sent, kept):
    assert clean_name(sent) == kept
    assert parse(f"upload:{'0' * 64}/{kept}").repo.locator.endswith(kept)


@pytest.mark.parametrize("text", ["upload:", "upload:x.zip", f"upload:{'0' * 64}/../x.zip"])
def test_other_texts_are_no_upload(text):
    with pytest.raises(BadReference, match=re.escape("is no upload")):
        parse(text)
