from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from atoll.environments.conda import CONDA, PIP, essence_of, read_conda
from atoll.environments.reading import read_spec
from atoll.errors import BadSpecification, CannotBuildYet
from atoll.sources import Checkout, RepoRef, ResolvedRef

DAY = datetime(2022, 5, 17, tzinfo=UTC)


def spec(files, *, tree="t1", changed=None):
    ref = ResolvedRef(RepoRef("git", "https://example.org/r"), "c" * 40, tree, DAY)
    body = {name: text.encode() for name, text in files.items()}
    return read_spec(Checkout(ref, Path("/nowhere"), body, changed or {}), platform="p")


def asked(text):
    return read_conda("environment.yml", text.encode() if isinstance(text, str) else text)


WHOLE = """
name: reef
prefix: /home/somebody/conda
channels:
  - conda-forge
  - bioconda/label/old   # why
  - https://conda.example.org/lagoon/
dependencies:
  - python=3.10
  - numpy >=1.2, <2
  - bioconda::samtools=1.9=h_0
  - pip
  - pip:
    - six==1.16
    - -r more.txt
variables:
  ANSWER: 42
  EMPTY:
"""


def test_what_is_asked_is_kept_and_what_changes_nothing_is_not():
    read = asked(WHOLE)
    assert read.channels == (
        "conda-forge",
        "bioconda/label/old",
        "https://conda.example.org/lagoon",
    )
    assert read.dependencies == (
        "python=3.10",
        "numpy >=1.2, <2",
        "bioconda::samtools=1.9=h_0",
        "pip",
    )
    assert read.sources == (*read.channels, "bioconda")
    assert read.pip == ("six==1.16", "-r more.txt")
    assert read.variables == {"ANSWER": "42", "EMPTY": ""}
    assert read.python == "3.10"
    other = WHOLE.replace("name: reef", "name: other").replace("/home", "/srv").replace("# why", "")
    assert (
        spec({"environment.yml": WHOLE, "more.txt": "idna"}).key
        == spec({"environment.yml": other, "more.txt": "idna"}).key
    )


def test_it_rules_what_lists_python_packages_and_is_ruled_by_what_comes_before():
    files = {"environment.yml": "dependencies: [numpy]", "requirements.txt": "six", "runtime.txt": "python-2.7",
             "setup.py": "x", "pyproject.toml": "[", "uv.lock": "[", "Pipfile": "", "install.R": ""}  # fmt: skip
    found = spec(files)
    assert (found.kind, found.tree, found.python) == (CONDA, "", "")
    assert [name for name, _ in found.files] == ["conda.json"]
    for name in ("Dockerfile", "Project.toml", "default.nix"):
        with pytest.raises(CannotBuildYet, match=name):
            spec({**files, name: ""})


def test_the_folders_and_both_names_are_as_in_binder():
    top = {"environment.yml": "dependencies: [numpy]"}
    assert (
        b"scipy"
        in dict(spec({**top, "binder/environment.yaml": "dependencies: [scipy]"}).files)[
            "conda.json"
        ]
    )
    assert (
        b"numpy"
        in dict(spec({**top, "environment.yaml": "dependencies: [scipy]"}).files)["conda.json"]
    )
    found = spec({**top, "binder/requirements.txt": "six"})
    assert found.kind == "python"  # then the top is content
    same = {
        spec({f"{folder}environment.yml": "dependencies: [numpy]"}).key
        for folder in ("", "binder/", ".binder/")
    }
    assert len(same) == 1


def test_lines_for_pip_are_read_as_requirements_are():
    files = {
        "binder/environment.yml": "dependencies: [pip, {pip: ['-r ../requirements.txt', 'six # x']}]",
        "requirements.txt": "idna\n# x\n",
    }
    found = spec(files)
    assert dict(found.files)[PIP] == b"-r ../requirements.txt\nsix\n"
    assert dict(found.files)["../requirements.txt"] == b"idna\n"
    assert not found.tree
    changed = {"binder/environment.yml": DAY, "requirements.txt": datetime(2023, 1, 1, tzinfo=UTC)}
    assert spec(files, changed=changed).as_of == date(2023, 1, 1)


def test_lines_for_pip_begin_at_the_folder_of_the_file():
    assert spec({"binder/environment.yml": "dependencies: [{pip: ['-e ..']}]"}).tree == "t1"
    assert spec({"environment.yml": "dependencies: [{pip: [.]}]"}).tree == "t1"
    with pytest.raises(BadSpecification, match="outside the repository"):
        spec({"environment.yml": "dependencies: [{pip: ['-e ..']}]"})


def test_post_build_takes_the_tree_in():
    found = spec({"environment.yml": "dependencies: [numpy]", "postBuild": "x"})
    assert found.tree == "t1"
    assert dict(found.files)["postBuild"] == b"x"


def test_an_empty_file_asks_for_an_environment_of_conda_all_the_same():
    for text in ("", "# nothing\n", "name: x\n", "dependencies:\n"):
        assert essence_of(dict(spec({"environment.yml": text}).files)).dependencies == ()


def test_an_unknown_key_is_told_and_passed_over():
    found = spec({"environment.yml": "dependancies: [numpy]\ndependencies: [six]"})
    assert found.notes == (
        "environment.yml has “dependancies”, which conda does not know; it was passed over.",
    )


@pytest.mark.parametrize(
    ("line", "python"),
    [("python=3.9", "3.9"), ("python 3.9.*", "3.9"), ("python==3.9.1", "3.9"), ("python=3.9=h1", "3.9"),
     ("python>=3.9", ""), ("python", ""), ("python=3", ""), ("conda-forge::python=3.9", "3.9")],
)  # fmt: skip
def test_a_pinned_python_is_shown(line, python):
    assert asked(f"dependencies: ['{line}']").python == python


def test_a_version_is_what_was_written_and_not_a_number():
    assert asked("variables: {V: 3.10, W: 010, X: yes}").variables == {
        "V": "3.10",
        "W": "010",
        "X": "yes",
    }


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{one}: &{one} [{','.join([f'*{before}'] * 9)}]\n"
    for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than any environment needs"),
        ("a: &a [*a]", "more than any environment needs"),
        ("[" * 50_000, "not YAML"),
        ("{a: " * 50_000, "not YAML"),
        ("dependencies:\n\t- numpy", "line 2: there is a tab"),
        ("dependencies:\n  - numpy: 1.2", "line 2: “numpy:” means nothing"),
        ("dependencies:\n  - pip: [six]\n    npm: [left-pad]", "line 3: “npm:” means nothing"),
        ("dependencies:\n  - pip: {six: 1}", "“pip” is not a list"),
        ("dependencies:\n  - pip: [[six]]", "no line for pip"),
        ("- numpy", "not a mapping"),
        ("numpy", "not a mapping"),
        ("dependencies: {numpy: 1}", "“dependencies” is not a list"),
        ("dependencies: 3", "line 1: “3” is not a package"),
        ("dependencies: [3.10]", "“3.10” is not a package"),
        ("dependencies: [[numpy]]", "a list in the list"),
        ("dependencies: ['$HOME']", "is not a package"),
        ("dependencies: ['../x.conda']", "is not a package"),
        ("dependencies: ['file:///x.conda']", "is not a package"),
        ("dependencies:\n  - numpy\n - scipy", "line 3: this is not YAML"),
        (
            "dependencies: [numpy]\nchannels: [x]\ndependencies: [scipy]",
            "line 3: “dependencies” is there twice",
        ),
        ("a: b\n---\nc: d", "another document"),
        ("channels: [file:///etc]", "a channel that Atoll cannot fetch"),
        ("channels: [ftp://example.org/x]", "a channel that Atoll cannot fetch"),
        ("channels: [a/../../b]", "not the name of a channel"),
        ("channels: [{a: b}]", "no channel"),
        ("channels: ['']", "no channel"),
        ("dependencies: ['file:///etc::numpy']", "not a package|cannot fetch"),
        ("variables: [a]", "not a mapping"),
        ("variables: {'A B': 1}", "cannot be a variable"),
        ("variables: {A: [1]}", "no text"),
        ("? [a]\n: b", "this is no name"),
        ("!!python/object/apply:os.system ['true']", "not a mapping"),
        ("x" * 300_000, "larger than"),
        (b"\xff\xfen\0", "not UTF-8"),
        (b"a: \0", "NUL"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_plain_words(text, said):
    begun = time.process_time()
    with pytest.raises(BadSpecification, match=said):
        asked(text)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("channel", ["local", "./channel", "/srv/channel", "~/channel"])
def test_a_channel_on_somebodys_disk_cannot_be_had(channel):
    with pytest.raises(CannotBuildYet, match="own disk"):
        asked(f"channels: ['{channel}']")
