"""The same launch on other hubs and at home: where it leads, and what it leaves out."""

from __future__ import annotations

import contextlib
import shlex
from urllib.parse import urlsplit

import pytest

from atoll.errors import BadReference, BadSettings
from atoll.launching.wishes import Wishes
from atoll.settings import settings_from
from atoll.sources.parsing import parse
from atoll.web.recognition import recognise
from atoll.web.ways import elsewhere
from support.web_service import REPO, make_service

HOME = "https://lagoon.example.org/"
GIVEN = {
    "mybinder.org": "https://mybinder.org",
    "Reef": "https://reef.example.org/hub/",
    "Cay": {"address": "http://cay.example.org", "kind": "binder"},
}
HUBS = settings_from({"pages": {"hubs": GIVEN}}).pages.hubs


def found(text, **asked):
    return elsewhere(parse(text), Wishes(**asked), HOME, HUBS)


def test_an_address_alone_is_an_atolls_but_for_the_public_binders():
    kinds = {name: hub.kind for name, hub in HUBS.items()}
    assert kinds == {"mybinder.org": "binder", "Reef": "atoll", "Cay": "binder"}
    others = {"a": "https://gke.mybinder.org/x", "b": "https://mybinder.org.evil.example"}
    hubs = settings_from({"pages": {"hubs": others}}).pages.hubs
    assert [hub.kind for hub in hubs.values()] == ["binder", "atoll"]


@pytest.mark.parametrize(
    "address",
    [
        *("javascript:alert(1)", "mailto:ada@example.org", "file:///etc", "//x.example", ""),
        *("https://", "https://x.example/?a=b", "https://x.example/#a", "https://a@b.example"),
        *("https://x.example/ a", "https:\\\\x.example"),
    ],
)
def test_what_is_no_address_of_a_hub_is_a_mistake_in_the_settings(address):
    for given in (address, {"address": address, "kind": "binder"}):
        with pytest.raises(BadSettings):
            settings_from({"pages": {"hubs": {"Reef": given}}})


def test_another_atoll_gets_all_but_what_is_on_this_hub_alone():
    there = found("gh:ada/engine@v1", memory="4G", name="mine", volumes="thesis:data")
    reef = {way.name: way for way in there.ways}["Reef"]
    assert reef.url == "https://reef.example.org/hub/v2/gh/ada/engine/v1?name=mine&memory=4G"
    assert reef.said == "without volumes"
    assert shlex.split(there.command) == [
        *("atoll", "run", f"{HOME}v2/gh/ada/engine/v1?name=mine&memory=4G")
    ]
    assert there.said == "without volumes"


def test_a_binder_gets_what_a_binder_understands():
    link = f"{HOME}v2/gh/ada/engine/main?urlpath=lab/tree/a%20b.ipynb"
    there = elsewhere(parse(link), Wishes(memory="4G", at="today"), HOME, HUBS)
    public, _, cay = there.ways
    path = "v2/gh/ada/engine/main?urlpath=lab/tree/a%20b.ipynb"
    assert public.url == f"https://mybinder.org/{path}"
    assert cay.url == f"http://cay.example.org/{path}"
    assert public.said == cay.said == "without memory, the day of its packages"


@pytest.mark.parametrize(
    ("text", "opens"),
    {
        "gl:group/sub/name@main": "v2/gl/group%2Fsub%2Fname/main",
        "https://git.example.org/x.git": "v2/git/https%3A%2F%2Fgit.example.org%2Fx.git/HEAD",
        "10.5281/zenodo.3242074": "v2/zenodo/10.5281/zenodo.3242074",
        "hg+https://hg.example.org/course": "",
        "https://example.org/x.zip": "",
    }.items(),
)
def test_what_no_binder_opens_leads_to_none_and_is_said(text, opens):
    there = found(text)
    public, reef, _ = there.ways
    assert public.url == (f"https://mybinder.org/{opens}" if opens else "")
    assert public.said == ("" if opens else "a Binder cannot open this")
    assert reef.url.startswith("https://reef.example.org/hub/v2/")


def test_of_a_pair_a_binder_opens_the_environments_own_files():
    public, reef, _ = found("gh:ada/env + gh:ada/course").ways
    assert public.url == "https://mybinder.org/v2/gh/ada/env/HEAD"
    assert public.said == "without the files of the second repository"
    assert "content=gh/ada/course/HEAD" in reef.url


@pytest.mark.parametrize("text", ["/srv/courses/one", f"upload:{'a' * 64}/x.zip"])
def test_what_is_on_this_hub_alone_leads_nowhere(text):
    there = found(text)
    assert there.command == ""
    assert {way.url for way in there.ways} == {""}
    assert "on this hub alone" in there.said


@pytest.mark.parametrize(
    "hostile",
    [
        "gh:ada/engine@'; rm -rf ~; '",
        'gh:ada/engine@"><script>alert(1)</script>',
        "gh:ada/engine@$(id)`id`",
        "gh:ada/engine@../../../evil",
    ],
)
def test_no_name_leads_to_another_host_or_another_command(hostile):
    asked = Wishes(name="$(id)", at="';id'")
    hosts = ("mybinder.org", "reef.example.org", "cay.example.org")
    with contextlib.suppress(BadReference):
        there = recognise(hostile, "", "", HOME, asked, HUBS).elsewhere
        assert len(shlex.split(there.command)) == 3
        for way, host in zip(there.ways, hosts, strict=True):
            assert urlsplit(way.url).netloc == host
            assert not set(way.url) & set('"<>\\ `')


async def test_a_server_has_a_page_of_its_other_places_without_any_script(tmp_path):
    from support.browsing import running

    service = make_service(tmp_path, pages={"hubs": GIVEN})
    async with running(service) as open_browser:
        browser = open_browser()
        launch = await browser.launch(REPO, memory="4G")
        await browser.events(launch)
        listed = await browser.get("servers")
        assert "/services/atoll/servers/engine/elsewhere" in listed.text
        page = await browser.get("servers/engine/elsewhere")
        (plan,) = [plan for plan, _ in (await service.store.plans.latest("ada")).values()]
        commit = plan.ref.version
        assert f"https://mybinder.org/v2/gh/ada/engine/{commit}" in page.text
        assert f"https://reef.example.org/hub/v2/gh/ada/engine/{commit}" in page.text
        assert "memory=4G" in page.text
        assert "atoll run" in page.text
        assert (await browser.get("servers/nothing/elsewhere")).status_code == 404
        launched = await browser.get("?repository=gh:ada/engine&memory=4G")
        assert "https://reef.example.org/hub/v2/gh/ada/engine/HEAD?memory=4G" in launched.text
