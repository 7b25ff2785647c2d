from __future__ import annotations

import json

import pytest
from packaging.specifiers import SpecifierSet

from atoll.environments import EnvSpec
from atoll.environments.conda import CONDA, PIP, CondaFile
from atoll.environments.substitutes import conda_names, from_pypi, is_substitute, specifier
from atoll.errors import ChannelsUnreachable


def substitute(*dependencies, pip="", names=None, lock="", **more):
    files = {"conda.json": CondaFile(dependencies=dependencies).essence}
    files |= {PIP: pip.encode()} if pip else {}
    files |= {"conda-lock.yml": lock.encode()} if lock else {}
    spec = EnvSpec(CONDA, "p", tuple(sorted(files.items())), **more)
    return from_pypi(spec, names if names is not None else {})


def lines(spec):
    return dict(spec.files)[PIP].decode().splitlines()


@pytest.mark.parametrize(
    ("conda", "pypi"),
    [("", ""), ("*", ""), ("=*", ""), ("=1.2", "==1.2.*"), ("=1.2.*", "==1.2.*"), ("1.2.*", "==1.2.*"),
     ("1.2*", "==1.2.*"), ("==1.2", "==1.2"), ("1.2", "==1.2"), (">=1.2,<2", ">=1.2,<2"),
     (">=1.2 , <2", ">=1.2,<2"), (">= 1.2", ">=1.2"), (">=1.2.*", ">=1.2"), ("=1.2=py37_0", "==1.2.*"),
     ("==1.2=h_0", "==1.2"), ("1.2 py37_0", "==1.2"), ("=1.2 *_cpython", "==1.2.*"), ("!=1.3.*", "!=1.3.*"),
     ("~=1.4", "~=1.4"), ("1.7|1.8", "==1.8"), ("[version='>=1,<2',build=x]", ">=1,<2"),
     ("=1.0rc1", "==1.0rc1"), ("=9e", None), (">=1,=9e", None)],
)  # fmt: skip
def test_versions_are_translated(conda, pypi):
    assert specifier(conda) == pypi
    SpecifierSet(pypi or "")


def test_names_are_translated_and_what_only_conda_has_is_left_out_and_named():
    made = substitute("python=3.9", "pytorch=1.9", "conda-forge::numpy", "matplotlib-base", "r-ggplot2", "nodejs",
                      "gcc_linux-64", "libgdal", "gdal", "https://conda.example.org/x/noarch/odd-1.0-0.conda",
                      names={"pytorch": "torch", "matplotlib-base": "matplotlib"})  # fmt: skip
    assert lines(made) == ["torch==1.9.*", "numpy", "matplotlib"]
    assert (made.kind, made.python) == ("python", "3.9")
    first, second = made.notes
    assert first.endswith(
        "Taken from the Python package index: pytorch (as torch), numpy, matplotlib-base (as matplotlib)."
    )
    assert (
        second
        == "Left out, as only conda has it: r-ggplot2, nodejs, gcc_linux-64, libgdal, gdal, odd-1.0-0.conda."
    )


@pytest.mark.parametrize(
    ("asked", "python"),
    [("python=3.7", "3.7"), ("python=3.7.3", "3.7"), ("python 3.7.*", "3.7"), ("python", ""),
     ("python>=3.6,<3.9", ">=3.6,<3.9"), ("python=2.7", "2.7"), ("numpy", "")],
)  # fmt: skip
def test_the_version_of_python_is_that_of_the_dependencies(asked, python):
    assert substitute(asked).python == python


def test_a_line_for_pip_rules_what_conda_would_have_installed():
    made = substitute("numpy=1.20", "scipy", pip="numpy==1.21\n")
    assert lines(made) == ["scipy", "numpy==1.21"]


def test_a_pin_that_only_conda_can_read_is_dropped_and_named():
    made = substitute("jpegs=9e")
    assert lines(made) == ["jpegs"]
    assert made.notes[-1] == "Taken in any version: jpegs."


def test_where_only_conda_has_what_is_asked_for_there_is_no_substitute():
    with pytest.raises(ChannelsUnreachable, match="only conda has r-base, r-digest"):
        substitute("r-base=4.1", "r-digest")
    assert lines(substitute("r-base", pip="six\n")) == ["six"]
    assert lines(substitute()) == []


def test_a_lock_of_conda_packages_says_nothing_about_their_substitutes():
    locked = substitute("numpy", lock="x")
    assert (lines(locked), locked.key) == (["numpy"], substitute("numpy").key)
    with pytest.raises(ChannelsUnreachable, match="only a lock says"):
        substitute(lock="x")


def test_it_is_no_environment_of_those_who_ask_for_the_same_packages_themselves():
    made = substitute("numpy")
    plain = EnvSpec("python", "p", (("requirements.txt", b"numpy\n"),))
    assert made.key != plain.key
    assert is_substitute(made)
    assert not is_substitute(plain)


def test_the_table_of_names_is_there_and_readable():
    names = conda_names()
    assert names["pytorch"] == "torch"
    assert names["matplotlib-base"] == "matplotlib"
    assert "numpy" not in names  # only what differs
    assert json.dumps(names)
