"""What of a devcontainer.json maps, and that it decides nothing where anything else does."""

from __future__ import annotations

import pytest

from atoll.environments.devcontainer import DEVCONTAINER, read_devcontainer
from atoll.environments.reading import DEFAULT_TAKEN, WANTED
from atoll.errors import BadSpecification
from support.reading import spec

IMAGE = '{ // Python\n "image": "example.org/devcontainers/python:1-3.11-bookworm", }'


@pytest.mark.parametrize(
    ("image", "python"),
    [
        ("example.org/devcontainers/python:3.11", "3.11"),
        ("example.org/vscode/devcontainers/python:0-3.9-bullseye", "3.9"),
        ("example.org:5000/python:dev-3.13", "3.13"),
        ("python:3.10.4-slim", "3.10"),
        ("python:3.8", "3.8"),
        ("python:3", ""),
        ("example.org/devcontainers/miniconda:3", ""),
        ("cpython:3.11", ""),
        ("python:3.8rc1", ""),
        ("", ""),
    ],
)
def test_the_python_of_an_image_is_in_its_tag(image, python):
    told = read_devcontainer("d.json", f'{{"image": "{image}"}}'.encode())
    assert told.python == python
    assert bool(told.notes) == (bool(image) and not python)


def test_its_python_is_taken_and_what_does_not_map_is_said():
    more = IMAGE.replace(", }", ', "features": {"x": {}}, "postCreateCommand": "pip install x"}')
    found = spec({DEVCONTAINER: more})
    assert (found.python, found.files) == ("3.11", ())
    assert found.as_of.isoformat() == "2022-05-17"
    assert "“features”, “postCreateCommand”" in found.notes[0]
    assert DEVCONTAINER in WANTED


def test_without_a_python_the_default_is_taken_and_what_does_not_map_is_said():
    found = spec({DEVCONTAINER: '{"build": {"dockerfile": "Dockerfile"}, "customizations": {}}'})
    assert found.key == spec({}).key
    assert found.notes[0] == DEFAULT_TAKEN
    assert "“build”" in found.notes[1]


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "six"},
        {"runtime.txt": "python-3.8"},
        {"postBuild": ""},
        {"environment.yml": "dependencies: [numpy]"},
        {"Pipfile": "[packages]"},
        {"binder/start": ""},
    ],
)
def test_it_says_nothing_where_anything_else_does(files):
    found = spec({DEVCONTAINER: IMAGE, **files})
    assert found.key == spec(files).key
    assert spec({DEVCONTAINER: "broken", **files}).notes == found.notes


@pytest.mark.parametrize("body", [b"\xff", b"\0", b"[]", b'{"image": 3}', b"{" * 100_000, b""])
def test_broken_ones_are_said(body):
    with pytest.raises(BadSpecification, match=r"devcontainer\.json") as caught:
        spec({DEVCONTAINER: body})
    assert caught.value.hint
