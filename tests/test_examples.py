"""Each example is launched as a person would, and its own `verify` says whether it is right."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import stat
import time
import tomllib
from pathlib import Path

import pytest

from atoll.app import opened, wire
from atoll.folders import run_folder
from atoll.launching import LaunchRequest
from atoll.people import Person
from atoll.settings import settings_from
from atoll.sources.parsing import parse
from support.verifying import verify

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = tomllib.loads((FOLDER / "examples.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One data folder for all: they share the package cache, as people's launches do."""
    folder = tmp_path_factory.mktemp("examples")
    yield folder
    shutil.rmtree(run_folder(settings_from({"data": str(folder)})))


@pytest.fixture
async def installed(data):
    async with opened(wire(settings_from({"data": str(data)}), trusted=True)) as atoll:
        yield atoll


async def prepare(atoll, folder, *, at="", told=None):
    request = LaunchRequest(Person("ada"), parse(str(folder)).repo, at=at, temporary=True)
    return await atoll.launcher.prepare(request, (told if told is not None else []).append)


@pytest.fixture
def copy(tmp_path):
    """Copy an example out of this checkout, which has a history of its own."""
    return lambda name: shutil.copytree(FOLDER / name, tmp_path / name)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_gets_what_it_asks_for(name, installed, copy, tmp_path):
    told = []
    prepared = await prepare(installed, copy(name), at=EXAMPLES[name].get("at", ""), told=told)
    code, said = await verify(installed, prepared.plan, tmp_path)
    assert code == 0, "\n".join(said) + "\n" + "\n".join(event.message for event in told)


@pytest.mark.parametrize("name", [name for name, more in EXAMPLES.items() if "path" in more])
async def test_an_example_with_an_address_answers_there(name, installed, copy):
    more = EXAMPLES[name]
    prepared = await prepare(installed, copy(name))
    server = await installed.runner.start(prepared.plan, {"JUPYTER_TOKEN": "sesame"})
    try:
        answer = await asyncio.to_thread(ask, server.socket, f"/{more['path']}?token=sesame")
    finally:
        await installed.runner.stop(server.handle)
    assert more["says"] in answer


def ask(path, target, patience=60):
    """GET *target* from what listens at the unix socket *path*, until it answers well."""
    until = time.monotonic() + patience
    while True:
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(path)
            connection.request("GET", target, headers={"Authorization": "token sesame"})
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
            if answer.status == 200:
                return body
        except OSError as error:
            body = str(error)
        finally:
            connection.close()
        assert time.monotonic() < until, body
        time.sleep(0.2)


async def test_editing_a_notebook_of_an_example_rebuilds_nothing(installed, copy):
    folder = copy("requirements")
    first = await prepare(installed, folder)
    notebook = json.loads((folder / "index.ipynb").read_text())
    notebook["cells"].pop()
    (folder / "index.ipynb").write_text(json.dumps(notebook))
    second = await prepare(installed, folder)
    assert second.plan.environment.key == first.plan.environment.key
    assert second.cached


async def test_editing_the_code_of_a_package_makes_another_environment(installed, copy):
    folder = copy("package")
    first = installed.launcher.read(await checkout(installed, folder))
    (folder / "src" / "tides" / "__init__.py").write_text("VERSION = 2\n")
    assert installed.launcher.read(await checkout(installed, folder)).key != first.key


async def checkout(atoll, folder):
    ref = await atoll.source.resolve(parse(str(folder)).repo)
    return await atoll.source.fetch(ref, print)


def test_every_example_is_described_and_has_a_verify_that_can_run():
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    assert folders == set(EXAMPLES)
    assert len(folders) >= 5
    text = (FOLDER / "README.md").read_text("utf-8")
    for name in folders:
        assert f"[{name}]({name})" in text
        assert (FOLDER / name / "verify").stat().st_mode & stat.S_IXUSR, name
