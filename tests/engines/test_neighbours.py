"""Who else has a document of a volume open: what servers note, and what hostile ones try."""

import json
import os
import sys
import time
from dataclasses import replace

import httpx2
import pytest

from atoll.engines.local import neighbours
from atoll.engines.local.commands import INSIDE
from atoll.engines.local.mounting import Mounted, folder, owner
from atoll.engines.local.named_volumes import LocalFiles
from atoll.engines.local.owners import give
from atoll.engines.local.runner import LocalRunner, open_gate
from atoll.engines.local.sandbox import Bind
from atoll.folders import run_folder
from atoll.settings import Settings
from atoll.volumes import Mount
from support.kernels import run_cell
from support.plans import make_plan

sys.path.append(str(INSIDE))
from neighbours import ASKED, DOCUMENTS, LARGEST, LASTS, Neighbours

VOLUME = "0123456789abcdef01234567"
TOKEN = {"Authorization": "token s3cret"}
HEARD = f"grace has a.ipynb open in their own server, too. {ASKED}"


class Street:
    """Servers that write to one volume, each as it sees it; no boxes."""

    def __init__(self, place):
        self.place, self.notes = place, place / "notes"
        self.notes.mkdir()

    def server(self, person, name="first", point="data"):
        """Return the neighbour's view of a server of *person*'s, with the volume at *point*."""
        home = self.place / f"{person}-{name}"
        (home / point).mkdir(parents=True)
        note = self.notes / f"{person}-{name}"
        who = {"owner": person, "server": name}
        note.with_name(f"{note.name}.who").write_text(json.dumps(who))
        note.with_name(f"{note.name}.open").touch()
        return Neighbours({str(home / point): str(note)}, str(home))

    def note(self, server):
        return self.notes / f"{server}.open"


@pytest.fixture
def street(tmp_path):
    return Street(tmp_path)


def test_two_people_hear_of_each_other_wherever_the_volume_is_mounted(street):
    ada, grace = street.server("ada"), street.server("grace", point="shared/course")
    assert ada.hear("p", ["data/a.ipynb", "a.ipynb"]) == {}
    told = grace.hear("p", ["shared/course/a.ipynb", "a.ipynb"])
    said = f"ada has a.ipynb open in their own server, too. {ASKED}"
    assert told == {"shared/course/a.ipynb": said}
    assert ada.hear("p", ["data/a.ipynb"]) == {"data/a.ipynb": HEARD}
    assert grace.hear("p", []) == {}
    assert ada.hear("p", ["data/a.ipynb"]) == {}


def test_other_documents_of_the_same_name_are_not_mistaken(street):
    ada, grace = street.server("ada"), street.server("grace")
    grace.hear("p", ["data/old/a.ipynb", "database/a.ipynb", "a.ipynb", "data"])
    assert ada.hear("p", ["data/a.ipynb"]) == {}


def test_two_servers_of_one_person_and_many_people(street):
    ada = street.server("ada")
    street.server("ada", "thesis").hear("p", ["data/a.ipynb"])
    [said] = ada.hear("p", ["data/a.ipynb"]).values()
    assert said.startswith("You have a.ipynb open in your server “thesis”, too.")
    for name in ("grace", "vera"):
        street.server(name).hear("p", ["data/a.ipynb"])
    [said] = ada.hear("p", ["data/a.ipynb"]).values()
    assert said.startswith("grace and 1 other have a.ipynb open")


def test_what_one_page_closes_another_page_may_still_have_open(street):
    ada, grace = street.server("ada"), street.server("grace")
    grace.hear("one", ["data/a.ipynb"])
    grace.hear("other", ["data/a.ipynb"])
    grace.hear("one", [])
    assert ada.hear("p", ["data/a.ipynb"]) == {"data/a.ipynb": HEARD}


def test_a_link_to_a_document_is_that_document(street):
    ada, grace = street.server("ada"), street.server("grace")
    (street.place / "ada-first" / "link.ipynb").symlink_to("data/a.ipynb")
    grace.hear("p", ["data/a.ipynb"])
    [said] = ada.hear("p", ["link.ipynb"]).values()
    assert said.startswith("grace has link.ipynb open")


def test_what_a_server_noted_that_was_killed_is_soon_forgotten(street):
    ada, grace = street.server("ada"), street.server("grace")
    grace.hear("p", ["data/a.ipynb"])
    for moved in (-LASTS - 1, LASTS + 10_000):  # nor does a note of the future stay for ever
        then = time.time() + moved
        os.utime(street.note("grace-first"), (then, then))
        assert ada.hear("p", ["data/a.ipynb"]) == {}


def test_a_page_that_is_silent_has_nothing_open_any_more(street, monkeypatch):
    ada, grace = street.server("ada"), street.server("grace")
    grace.hear("gone", ["data/a.ipynb"])
    monkeypatch.setattr("neighbours.LASTS", -1)
    grace.hear("p", [])
    monkeypatch.undo()
    assert ada.hear("p", ["data/a.ipynb"]) == {}


HOSTILE = {
    "nothing": b"",
    "JSON": b'[{"owner": "root", "path": "data/a.ipynb"}]',
    "a page": b"<script>alert(1)</script> \x1b]0;x\x07 \xe2\x80\xae",
    "no text": bytes(range(256)),
    "UTF-16": "a.ipynb".encode("utf-16"),
    "very much": b"f" * (LARGEST * 20),
    "very many": b"0 " * LARGEST,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_whatever_a_note_holds_nothing_of_it_is_shown(street, kind):
    ada = street.server("ada")
    street.server("grace")
    street.note("grace-first").write_bytes(HOSTILE[kind])
    assert ada.hear("p", ["data/a.ipynb"]) == {}


def test_a_neighbour_that_is_just_coming_or_going_is_passed_over(street):
    ada, grace = street.server("ada"), street.server("grace")
    grace.hear("p", ["data/a.ipynb"])
    for text in ("", '{"owner": "gr'):
        street.notes.joinpath("grace-first.who").write_text(text)
        assert ada.hear("p", ["data/a.ipynb"]) == {}
    street.notes.joinpath("grace-first.who").unlink()
    assert ada.hear("p", ["data/a.ipynb"]) == {}


@pytest.mark.parametrize("path", ["", "/", "..", "data/../../x", "data/\0", "data/\ud800", "data"])
def test_paths_that_are_none_are_passed_over(street, path):
    ada, grace = street.server("ada"), street.server("grace")
    for one in (ada, grace, ada):
        assert one.hear("p", [path]) == {}
    assert street.note("ada-first").read_bytes() == b""


def test_names_are_shown_plainly_and_the_lab_cuts_nothing_off(street):
    file = "data/\u202egnp.\x1b" + "ä<b>" * 50
    ada = street.server("ada")
    street.server("grace" * 40).hear("p", [file])
    street.server("vera").hear("p", [file])
    [said] = ada.hear("p", [file]).values()
    assert len(said) <= 140
    assert said.isprintable()
    assert "ä<b>" in said  # as it is: the Lab shows text


def test_a_note_does_not_grow_without_end(street):
    ada = street.server("ada")
    for page in range(1000):
        ada.hear(str(page), [f"data/{page}"])
    assert street.note("ada-first").stat().st_size < 64 * 100


def test_only_what_may_be_written_to_is_noted_and_a_repositorys_own_lab_has_none(tmp_path):
    settings = Settings(data=tmp_path)
    plan = make_plan(tmp_path, {})
    read = Mounted([Bind(tmp_path, "/home/jovyan/data")], ids=(VOLUME,))
    assert neighbours.introduce(settings, plan, "h", None, read) == ((), {})
    write = Mounted([replace(read.binds[0], writable=True)], ids=(VOLUME,))
    own = replace(plan, environment=replace(plan.environment, own_lab=True))
    assert neighbours.introduce(settings, own, "h", None, write) == ((), {})
    binds, told = neighbours.introduce(settings, plan, "h", None, write)
    assert [one.writable for one in binds] == [False, True]
    assert list(told) == [neighbours.VARIABLE]
    neighbours.introduce(settings, plan, "other", None, write)
    folder = run_folder(settings) / "neighbours" / VOLUME
    neighbours.forget(settings, "h")
    assert {one.name for one in folder.iterdir()} == {"other.open", "other.who"}
    neighbours.forget(settings, "other")
    assert not folder.exists()
    neighbours.forget(settings, "other")


class Place:
    """Two people's real servers, with one volume."""

    def __init__(self, data):
        self.settings = Settings(data=data)
        self.runner = LocalRunner(self.settings)

    async def start(self, person, *, writable=True):
        mounts = (Mount("data", VOLUME, "course", writable=writable),)
        plan = make_plan(self.settings.data, {}, owner=person, mounts=mounts)
        return await self.runner.start(plan, {"JUPYTER_TOKEN": "s3cret"})

    def notes(self):
        return sorted(one.name for one in (run_folder(self.settings) / "neighbours").glob("*/*"))

    async def ask(self, server, asked, method="POST", path="/atoll/neighbours"):
        transport = httpx2.AsyncHTTPTransport(uds=server.socket)
        async with httpx2.AsyncClient(transport=transport, base_url="http://lab") as http:
            return await http.request(method, path, json=asked, headers=TOKEN)


@pytest.fixture
async def place(tmp_path):
    place = Place(tmp_path)
    await LocalFiles(place.settings, place.runner.records).make(VOLUME)
    file = folder(place.settings, VOLUME) / "a.ipynb"
    file.write_text("{}")
    give(folder(place.settings, VOLUME), owner())
    yield place
    for record, _ in list(place.runner.records.all()):
        await place.runner.stop(record.handle, now=True)


ATTACK = """
import json, os
[own] = json.loads(os.environ["ATOLL_NEIGHBOURS"]).values()
folder, mine = os.path.split(own)
def attempt(what, *words):
    try:
        what(*words)
        print("DONE", what, words)
    except OSError:
        print(end=".")
for name in os.listdir(folder):
    at = os.path.join(folder, name)
    attempt(os.unlink, at)
    attempt(os.rename, at, at + "x")
    attempt(os.symlink, "/etc/passwd", at + "x")
    if name != mine + ".open":
        attempt(open, at, "w")
        attempt(os.chmod, at, 0)
print(len(os.listdir(folder)))
"""


async def test_two_servers_warn_each_other_and_neither_can_forge_the_others_note(
    place, fork_server
):
    fork_server.serve(place.settings)
    ada, grace = await place.start("ada"), await place.start("grace")
    asked = {"page": "p", "open": ["data/a.ipynb"]}
    assert (await place.ask(ada, asked)).json() == {"said": {}, "share": ""}
    said = (await place.ask(grace, asked)).json()["said"]["data/a.ipynb"]
    assert said.startswith("ada has a.ipynb open")
    assert (await place.ask(ada, asked)).json()["said"]["data/a.ipynb"] == HEARD
    assert sorted(one.name for one in folder(place.settings, VOLUME).iterdir()) == ["a.ipynb"]

    gate = f"http://127.0.0.1:{open_gate(place.runner.records.find(grace.handle))}/"
    tried = await run_cell(gate, ATTACK, headers=TOKEN)
    assert "DONE" not in tried
    assert tried.endswith(".4")
    assert (await place.ask(ada, asked)).json()["said"]["data/a.ipynb"] == HEARD

    for wrong in ([], {}, {"page": "p"}, {"page": 1, "open": []}, {"page": "p", "open": [1]}):
        assert (await place.ask(ada, wrong)).status_code == 400
    long, many = {"open": ["x" * 5000]}, {"open": ["x"] * (DOCUMENTS + 1)}
    for wrong in (long, many):
        assert (await place.ask(ada, {"page": "p", **wrong})).status_code == 400
    before = (await place.ask(ada, None, "GET", "/api/status")).json()["last_activity"]
    await place.ask(ada, asked)
    after = (await place.ask(ada, None, "GET", "/api/status")).json()["last_activity"]
    assert after == before  # an open page keeps no server from being idle

    await place.runner.stop(grace.handle)
    assert place.notes() == [f"{ada.handle}.open", f"{ada.handle}.who"]
    assert (await place.ask(ada, asked)).json()["said"] == {}


async def test_a_server_that_only_reads_a_volume_has_nothing_of_it(place, fork_server):
    fork_server.serve(place.settings)
    server = await place.start("ada", writable=False)
    assert (await place.ask(server, {"page": "p", "open": []})).status_code in {404, 405}
    page = (await place.ask(server, None, "GET", "/lab")).text
    assert "atoll-neighbours" not in page
    assert place.notes() == []
