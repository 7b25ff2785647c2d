"""A pixi.toml is read as the environment.yml that asks for the same."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.environments import EnvSpec
from atoll.environments.conda import CONDA, PIP, essence_of
from atoll.environments.reading import PACKAGE
from atoll.errors import BadSpecification
from support.reading import spec as read

HEAD = '[workspace]\nname = "x"\nchannels = ["conda-forge"]\nplatforms = ["linux-64"]\n'


def spec(files, **more):
    return read(files, platform="x86_64-linux-gnu", **more)


def asked(body):
    return essence_of(dict(spec({"pixi.toml": HEAD + body}).files)).dependencies


def test_it_is_the_same_environment_as_that_of_an_environment_yml():
    pixi = """
    [dependencies]
    python = "3.11.*"
    numpy = ">=1.26,<2"
    scipy = "*"
    [pypi-dependencies]
    six = "*"
    [activation.env]
    THREADS = "2"
    """
    conda = """
    channels: [conda-forge, nodefaults]
    dependencies: [python 3.11.*, "numpy >=1.26,<2", scipy, pip: [six]]
    variables: {THREADS: "2"}
    """
    one, two = spec({"pixi.toml": HEAD + pixi}), spec({"environment.yml": conda})
    assert (one.kind, one.python, one.key) == (CONDA, "3.11", two.key)
    old = HEAD.replace("workspace", "project")
    assert spec({"pixi.toml": old + pixi}).key == two.key


def test_targets_of_this_platform_and_features_of_the_default_environment_belong_to_it():
    body = """
    [target.linux-64.dependencies]
    here = "*"
    [target.unix.dependencies]
    too = "*"
    [target.osx-arm64.dependencies]
    elsewhere = "*"
    [feature.test.dependencies]
    tested = "*"
    [feature.docs.dependencies]
    documented = "*"
    [environments]
    default = %s
    docs = ["docs"]
    """
    assert asked(body % '["test"]') == ("too", "here", "tested")
    assert asked(body % '{features = ["docs"], solve-group = "x"}') == ("too", "here", "documented")


def test_channels_and_builds_of_single_packages():
    (line,) = asked('[dependencies]\nx = {version = "1.*", build = "py*", channel = "bioconda"}\n')
    assert line == "bioconda::x[version='1.*',build='py*']"
    head = HEAD.replace('["conda-forge"]', '["a", {channel = "b", priority = 1}]')
    assert essence_of(dict(spec({"pixi.toml": head}).files)).channels == ("a", "b", "nodefaults")


def test_packages_of_the_python_index():
    body = """
    [pypi-dependencies]
    a = {version = ">=1", extras = ["b"]}
    c = "1.2"
    here = {path = "sub", editable = true}
    git = {git = "https://example.org/x.git", tag = "v1"}
    [pypi-options]
    extra-index-urls = ["https://example.org/simple"]
    """
    found = spec({"pixi.toml": HEAD + body})
    assert dict(found.files)[PIP].decode().splitlines() == [
        "--extra-index-url https://example.org/simple",
        "a[b]>=1",
        "c==1.2",
        "-e ./sub",
        "git @ git+https://example.org/x.git@v1",
    ]
    assert found.tree == "t1"


def test_its_lock_goes_with_it_as_it_is_and_its_day_counts():
    files = {"pixi.toml": HEAD, "pixi.lock": b"\xff"}
    changed = {
        "pixi.toml": datetime(2020, 1, 1, tzinfo=UTC),
        "pixi.lock": datetime(2021, 2, 3, tzinfo=UTC),
    }
    found = spec(files, changed=changed)
    assert (found.as_of, dict(found.files)["pixi.lock"]) == (date(2021, 2, 3), b"\xff")
    assert found.key != spec({**files, "pixi.lock": b"\xfe"}, changed=changed).key


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "six"},
        {"environment.yml": "dependencies: [x]"},
        {"Pipfile": "[packages]"},
        {"setup.py": ""},
        {"pyproject.toml": "[project]\nname='x'\nversion='1'\ndependencies=['six']\n"},
        {"poetry.lock": ""},
        {"binder/postBuild": ""},
    ],
)
def test_it_is_passed_over_where_anything_else_lists_packages(files):
    assert spec({"pixi.toml": "broken", "pixi.lock": "", **files}).key == spec(files).key


def test_it_rules_beside_scripts_tools_and_other_pythons():
    others = {"runtime.txt": "python-3.6", "postBuild": "x", "pyproject.toml": "[tool.ruff]\n"}
    found = spec({"pixi.toml": HEAD + '[dependencies]\npython = "3.12.*"\n', **others})
    assert (found.kind, found.python, "postBuild" in dict(found.files)) == (CONDA, "3.12", True)
    assert found.kind != PACKAGE


@pytest.mark.parametrize(
    "body",
    [
        *(b"\xff", b"\0", b"[", b"x = " + b"[" * 100_000, b"dependencies = 3"),
        *(b"[dependencies]\nx = 3", b"[dependencies]\nx = [1]", b'[dependencies]\nx = "1]"'),
        *(b'[dependencies]\n"-x" = "*"', b'[dependencies]\n"x\\ny" = "*"', b"[workspace]\nchannels = 3"),
        *(b'[dependencies]\nx = "1\\n2"', b'[dependencies]\nx = {build = "a\'b"}', b"environments = 3"),
        *(b'[dependencies]\nx = {channel = "../y"}', b"[workspace]\nchannels = [3]", b"target = 3"),
        *(b'[pypi-dependencies]\n"-r" = "*"', b'[pypi-dependencies]\nx = "1 --y"', b"pypi-options = 3"),
        *(b'[pypi-dependencies]\nx = {path = "/etc"}', b'[activation.env]\n"A B" = "x"'),
        *(b"[activation.env]\nA = 3", b"[environments]\ndefault = [3]", b'[dependencies]\nx = {git = "y"}'),
    ],
)  # fmt: skip
def test_broken_ones_are_said(body):
    with pytest.raises(BadSpecification, match=r"pixi\.toml"):
        spec({"pixi.toml": body})


@given(st.binary(max_size=60))
def test_no_bytes_make_reading_crash(body):
    with contextlib.suppress(BadSpecification):
        assert isinstance(spec({"pixi.toml": body}), EnvSpec)


PROJECT = """
[project]
name = "x"
requires-python = ">=3.11"
dependencies = ["six>=1"]
[tool.pixi.workspace]
channels = ["conda-forge"]
[tool.pixi.dependencies]
numpy = "1.*"
"""


def test_a_pyproject_toml_may_say_the_same_and_what_the_project_needs():
    found = spec({"pyproject.toml": PROJECT, "pixi.lock": "x"})
    assert (found.kind, found.python) == (CONDA, "")
    assert essence_of(dict(found.files)).dependencies == ("python >=3.11", "numpy 1.*")
    assert dict(found.files)[PIP] == b"six>=1\n"
    assert set(dict(found.files)) == {"conda.json", PIP, "pixi.lock"}
    own = spec({"pyproject.toml": PROJECT + 'python = "3.12.*"\n'})
    assert own.python == "3.12"


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "six"},
        {"environment.yml": "dependencies: [x]"},
        {"Pipfile": "[packages]"},
        {"setup.py": ""},
        {"uv.lock": "version = 1"},
        {"binder/postBuild": ""},
        {"pyproject.toml": PROJECT + '[build-system]\nrequires = ["hatchling"]\n'},
    ],
)
def test_a_pyproject_toml_that_binder_or_uv_takes_otherwise_is_taken_so(files):
    told = spec({"pyproject.toml": PROJECT, **files})
    assert told.kind != CONDA or "environment.yml" in files
    assert all("numpy" not in body.decode() for _, body in told.files)
