import os

import pytest

from atoll.engines.local import owners
from atoll.settings import Settings


def test_an_ordinary_users_boxes_run_as_that_user(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert owners.person_owner(Settings(data=tmp_path), "ada") is None
    assert owners.build_owner(Settings(data=tmp_path)) is None


def test_roots_people_have_a_user_id_each_for_ever(tmp_path):
    settings = Settings(data=tmp_path)
    ada, eve = owners.person_owner(settings, "ada"), owners.person_owner(settings, "eve")
    if os.getuid() != 0:
        assert (ada, eve) == (None, None)
        return
    assert ada != eve
    assert min(ada, eve) > owners.build_owner(settings)
    assert owners.person_owner(settings, "ada") == ada
    assert (tmp_path / "volumes" / "ada").stat().st_uid == ada


def test_the_id_of_a_person_who_was_forgotten_is_nobody_elses(tmp_path):
    settings = Settings(data=tmp_path)
    gone, kept = owners.person_owner(settings, "gone"), owners.person_owner(settings, "kept")
    volumes = tmp_path / "volumes"
    for name in ("gone", "kept"):
        (volumes / name).mkdir(parents=True, exist_ok=True)
    (volumes / "kept" / "course").mkdir()
    for name in ("kept", "gone", "never"):
        owners.forget_person(settings, name)
    assert [one.name for one in volumes.iterdir() if one.is_dir()] == ["kept"]
    if os.getuid() == 0:
        (volumes / "kept" / "course").rmdir()
        owners.forget_person(settings, "kept")
        assert owners.person_owner(settings, "new") > max(gone, kept)


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "..", "Ada", "é", "a b", "\0", "-rf"])
def test_a_persons_name_is_never_a_path(name):
    folder = owners.folder_name(name)
    assert "/" not in folder
    assert not folder.startswith(".")
    assert folder.isascii()


def test_different_people_have_different_folders():
    names = ["ada", "Ada", "a%64a", "ad", "a da", "%", "%25"]
    assert len({owners.folder_name(name) for name in names}) == len(names)


def test_giving_follows_no_link(tmp_path):
    (tmp_path / "target").write_text("")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "link").symlink_to(tmp_path / "target")
    owners.give(mine, 12345 if os.getuid() == 0 else os.getuid())
    assert (tmp_path / "target").stat().st_uid == os.getuid()
