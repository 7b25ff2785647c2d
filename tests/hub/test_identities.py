import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from atoll.hub.identities import Identities
from atoll.people import LONGEST


@pytest.fixture
def identities(tmp_path):
    return Identities(tmp_path / "identities")


def test_a_name_stays_whose_it_was_first(identities):
    assert identities.claim("ada", "https://id.example.org 1")
    assert identities.claim("ada", "https://id.example.org 1")
    assert not identities.claim("ada", "https://id.example.org 2")
    assert not identities.claim("ada", "https://elsewhere.example.org 1")
    assert identities.claim("bob", "https://id.example.org 2")
    assert stat.S_IMODE(identities.folder.stat().st_mode) == 0o700


def test_a_name_that_was_forgotten_may_be_somebody_elses(identities):
    identities.claim("ada", "1")
    identities.forget("ada")
    identities.forget("nobody")
    assert identities.claim("ada", "2")


def test_of_many_who_come_at_once_one_gets_the_name(identities):
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda n: identities.claim("ada", str(n)), range(50)))
    assert sum(won) == 1
    assert [file.name for file in identities.folder.iterdir()] == ["ada"]


@pytest.mark.parametrize("name", ["ada/../x", "ü" * (LONGEST // 2), "a b@example.org", "日" * 26])
def test_every_name_has_a_file_of_its_own_in_the_folder(identities, name):
    assert identities.claim(name, "1")
    assert len([*identities.folder.iterdir()]) == 1
