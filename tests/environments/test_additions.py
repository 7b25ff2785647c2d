from __future__ import annotations

from datetime import date

from atoll.environments import EnvSpec
from atoll.environments.additions import ADDED, installed, with_added
from atoll.environments.conda import ESSENCE, PIP
from atoll.environments.reading import DEFAULT_DAY, DEFAULT_TAKEN

DAY = date(2019, 5, 4)
SPEC = EnvSpec("python", "test", (("requirements.txt", b"six\n"),), as_of=date(2019, 1, 2))


def test_what_is_listed_stays_and_the_key_is_another():
    more = with_added(SPEC, ("numpy", "pandas"), DAY)
    assert dict(more.files) == {"requirements.txt": b"six\n", ADDED: b"numpy\npandas\n"}
    assert more.as_of == SPEC.as_of
    assert len({SPEC.key, more.key, with_added(SPEC, ("numpy",), DAY).key}) == 3


def test_what_has_no_day_of_its_own_gets_that_of_the_commit():
    pinned = EnvSpec("python", "test", (("uv.lock", b""),))
    assert with_added(pinned, ("numpy",), DAY).as_of == DAY
    bare = EnvSpec("python", "test", as_of=DEFAULT_DAY, notes=(DEFAULT_TAKEN, "Another."))
    more = with_added(bare, ("numpy",), DAY)
    assert (more.as_of, more.notes) == (DAY, ("Another.",))


def test_an_environment_yml_gets_lines_for_pip():
    conda = EnvSpec("conda", "test", ((ESSENCE, b"{}"), (PIP, b"six\n")))
    assert dict(with_added(conda, ("numpy",), DAY).files)[PIP] == b"six\nnumpy\n"
    conda = EnvSpec("conda", "test", ((ESSENCE, b"{}"),))
    assert dict(with_added(conda, ("numpy",), DAY).files)[PIP] == b"numpy\n"


def test_what_is_installed_is_known_by_its_lock():
    lock = """scikit_learn==1.0
# own-package 0.1: from the repository or another address
https://conda.example.org/linux-64/ruamel.yaml-0.17.21-py37h540881e_1.tar.bz2#62
https://conda.example.org/noarch/python-dateutil-2.8.2-pyhd8ed1ab_0.conda#dd
# six==1.16.0
# libfoo 2: from Debian
"""
    names = {"scikit-learn", "own-package", "ruamel-yaml", "python-dateutil", "six"}
    assert names <= installed(lock)
    assert installed("") == frozenset()
