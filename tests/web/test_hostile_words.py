"""What strangers may write, in every field that a page shows: it stays what it is, text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from atoll.access import Kind, Party, Share
from atoll.events import Event, Story
from atoll.launching.changes import Change
from atoll.launching.desk import State
from atoll.volumes import Volume
from support.browsing import running
from support.web_service import REPO, make_service

PLAIN = "Word, word"  # which is no name of a thing either
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "' autofocus onfocus=alert(1) x='",
    "</title></textarea></pre><h1>owned",
    "javascript:alert(1)",
    "{{7*7}}{% raw %}${7*7}",
    "&lt;script&gt;&#x3c;b&#x3e;",
    "-->]]><!--",
    "a\u202egpj.exe\u2066b",
    "\x1b[31mred\x07\x00\x9b",
]
SCHEMES = re.compile(r"(?:https?:|mailto:|[/#]|data:image/|$)", re.IGNORECASE)
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Structure(HTMLParser):
    """The tags of a page with the names of their attributes; its text; what is wrong with it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.text = ""
        self.wrong: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag != "wbr":  # put after each slash of a name
            self.tags.append((tag, *(name for name, _ in attrs)))
        for name, value in attrs:
            if name.startswith("on") or name in {"style", "srcdoc"}:
                self.wrong.append(f"{tag} {name}={value}")
            if name in {"href", "src", "action", "formaction"} and not SCHEMES.match(value or ""):
                self.wrong.append(f"{tag} {name}={value}")

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.wrong.append(f"a comment: {data}")


async def pages_of(folder, word: str) -> dict[str, str]:
    """Return every page, with *word* in all that it shows which somebody else may have written."""
    prepared = [{"title": word, "launch": REPO, "description": word}]
    links = {word: "https://docs.example.org"}
    tables = {"pages": {"notice": word, "credits": word, "links": links, "prepared": prepared}}
    service = make_service(folder, **tables)
    async with running(service) as open_browser:
        ada = open_browser()
        launch = await ada.launch(REPO)
        await ada.events(launch)
        launches = service.store.launches.kept
        launches.update(_launches(service, launch, word))
        del launches[launch]
        service.site.desk._stories["building"] = story = Story()
        story.tell(Event("build", word))
        story.tell(Event("build", word, detail=True))
        _servers_and_volumes(service, word)
        shown = {one: await ada.get(f"launches/{one}") for one in launches}
        for path in ("", "servers", "volumes", "about", "servers/engine/delete"):
            shown[path] = await ada.get(path)
        said = quote(word, safe="")
        shown["asked"] = await ada.get(
            f"?repository={said}&version={said}&opening={said}&name={said}"
            f"&title={said}&lifetime={said}&idle={said}&gpus={said}&volumes={said}"
        )
        shown["gone"] = await ada.get(f"servers?done={said}")
        shown["link"] = await ada.get(
            f"v2/git/{quote(REPO, safe='')}/HEAD?urlpath={said}&name={said}"
        )
        shown["done"] = await ada.get(f"volumes?done=make&volume={said}")
        shown["missing"] = await ada.get(f"servers/{said}/open")
        shown["error"] = await ada.post("volumes/delete", volume=word)
        shown["form"] = await ada.post("launches", repository=word, version=word, memory=word)
        return {f"{name} {page.status_code}": page.text for name, page in shown.items()}


def _launches(service, launch, word):
    made = service.store.launches.kept[launch]
    repo = replace(made.request.repo, locator=f"https://example.org/{word}", version=word)
    asked = replace(made.request, repo=repo, opening=word, typed=word)
    hostile = replace(
        made, request=asked, name=word, error=word, hint=word, ref=word, proposal=word, title=word
    )
    changes = (Change(word, word, word),)
    yield "ready", replace(hostile, id="ready")
    yield "failed", replace(hostile, id="failed", state=State.FAILED)
    yield "asking", replace(hostile, id="asking", state=State.ASKING, changes=changes)
    yield "building", replace(hostile, id="building", state=State.PREPARING, proposal="")
    [(plan, when)] = service.store.plans.made.values()
    ref = replace(plan.ref, repo=repo, version=word)
    told = replace(plan, ref=ref, environment_ref=ref, opening=word, title=word)
    service.store.plans.made[plan.id] = (told, when)


def _servers_and_volumes(service, word):
    service.hub.run("ada", f"a {word}")  # the first in the list, whatever it is
    service.store.trusts.kept["ada"] = {word}
    owner = Party(Kind.GROUP, word)
    shares = (Share(Party(Kind.PERSON, "ada")), Share(Party(Kind.GROUP, word), writable=True))
    for name, whose in ((word, Party(Kind.PERSON, "ada")), ("theirs", owner)):
        volume = Volume(f"id-{name}", whose, name, datetime.now(UTC), word, shares=shares)
        service.store.volumes.kept[volume.id] = volume
        service.engine.files.used.append((volume.id, word))


@pytest.mark.parametrize("word", HOSTILE)
async def test_no_word_of_a_stranger_becomes_more_than_text(word, tmp_path):
    expected = await pages_of(tmp_path / "plain", PLAIN)
    found = await pages_of(tmp_path / "hostile", word)
    wrong = []
    for name, page in found.items():
        here = Structure(page)
        wrong += [f"{name}: {one}" for one in here.wrong]
        if name == "link 400":  # what is wrong with the link differs
            continue
        if name in expected and here.tags != Structure(expected[name]).tags:
            wrong.append(f"{name} has other tags")
    assert wrong == []
    assert len(found.keys() & expected.keys()) > 12


async def test_no_log_line_and_no_error_turns_the_text_after_it_round(tmp_path):
    pages = await pages_of(tmp_path, "a\u202egpj\x1b[31m\x9b")
    for name in ("failed 200", "building 200", "error 404"):
        main = pages[name].partition("<main")[2]
        quoted = re.sub(r"<(?:input|textarea)[^>]*>", "", main)  # what they have typed themselves
        assert "agpj" in quoted, name
    assert not UNSEEN.search(
        Structure(pages["building 200"]).text.partition("Log")[2].partition("About")[0]
    )
