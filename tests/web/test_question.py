"""What a person is asked before a link runs, and that nothing gets round it."""

from __future__ import annotations

import re

import pytest

from atoll.web.arriving import whence_of
from support.browsing import HOME, PREFIX
from support.web_service import REPO

LINK = "/v2/gh/ada/engine/main"
ELSEWHERE = {"Referer": "https://blog.example.com/", "Sec_Fetch_Site": "cross-site"}


def said(page) -> str:
    """Return the page's words, without its marks."""
    asks = page.text.partition('<dl class="asks">')[2].partition("</dl>")[0]
    return " ".join(re.sub(r"<[^>]*>", "", asks).split())


def starts_at_once(page) -> bool:
    return "data-autostart" in page.text


async def trusted(ada, path=LINK, **fields):
    """Launch the link at *path* and say that no more is to be asked."""
    page = await ada.get(path)
    assert not starts_at_once(page)
    form = dict(re.findall(r'<input[^>]*type="text"[^>]*name="(\w+)" value="([^"]*)"', page.text))
    await ada.post("launches", **form, trust="yes", **fields)


async def test_a_link_says_in_words_what_it_would_do(browse, service):
    page = await browse().get(f"{LINK}?memory=4G&network=none&temporary=yes&at=today", **ELSEWHERE)
    assert "on a page of blog.example.com" in said(page)
    assert "with packages as they are today" in said(page)
    assert "nothing outside its server" in said(page)
    assert "discarded when it stops" in said(page)
    assert "at most 4G of memory and 2 processors" in said(page)
    assert 'value="4G"' in page.text  # the form sends it, too
    assert not starts_at_once(page)
    assert not service.store.launches.kept


async def test_a_link_that_asks_for_more_than_there_may_be_says_so(browse):
    page = await browse().get(f"{LINK}?memory=900G")
    assert page.status_code == 400
    assert "at most 16G of memory" in page.text
    assert 'value="900G"' in page.text


async def test_a_link_says_what_it_asks_for_in_vain_and_can_be_launched_without(browse, service):
    wishes = "gpus=2&credentials=yes&title=Ma+th%C3%A8se&lifetime=8h&idle=30m"
    ada = browse()
    page = await ada.get(f"{LINK}?{wishes}", **ELSEWHERE)
    assert "called“Ma thèse”, as the link has it" in said(page)
    assert "stoppedafter 30 minutes without use, and after 8 hours in any case" in said(page)
    assert "It asks for 2 GPUs; a server here can have none." in said(page)
    assert "no server here is passed any" in said(page)
    assert "trust" not in page.text
    launch = await ada.launch(f"https://hub.example.org{LINK}?{wishes}")  # pasted
    await ada.events(launch)
    [(plan, _)] = service.store.plans.made.values()
    assert (plan.limits.gpus, plan.title) == (0, "Ma thèse")
    page = await ada.get(f"launches/{launch}")
    assert "It asks for 2 GPUs; a server here can have none." in page.text


@pytest.mark.parametrize("wish", ["network=none", "volumes=thesis:work"])
async def test_a_pasted_link_that_chooses_what_is_reached_is_asked_about(browse, service, wish):
    ada = browse()
    await ada.get("")
    page = await ada.post("launches", repository=f"https://hub.example.org{LINK}?{wish}")
    assert page.status_code == 200
    assert "What runs" in said(page)
    assert not service.store.launches.kept


async def test_the_form_says_why_it_offers_no_gpus_and_passes_no_credentials(browse, service):
    page = await browse().get("")
    assert "Servers of this hub have none." in page.text
    assert re.search(r'<input[^>]*name="gpus"[^>]* disabled>', page.text)
    assert re.search(r'<input[^>]*name="credentials"[^>]* disabled', page.text)
    service.engine.runner.gpus_there = 4
    page = await browse().get("")
    assert "At most 4." in page.text
    assert not re.search(r'<input[^>]*name="gpus"[^>]* disabled>', page.text)


async def test_who_has_said_so_is_not_asked_again_about_this_version(browse):
    ada = browse()
    await trusted(ada)
    assert starts_at_once(await ada.get(LINK, **ELSEWHERE))
    assert starts_at_once(await ada.get(f"{LINK}?labpath=other.ipynb", **ELSEWHERE))
    for other in (
        "/v2/gh/ada/engine/v2",
        "/v2/gh/eve/engine/main",
        f"{LINK}?memory=8G",
        f"{LINK}?urlpath=proxy/8000/",
        f"{LINK}?content=gh/eve/course/HEAD",
        f"{LINK}?urlpath=git-pull%3Frepo%3Dhttps%253A%252F%252Fgithub.com%252Feve%252Fx",
    ):
        assert not starts_at_once(await ada.get(other, **ELSEWHERE)), other


async def test_an_answer_is_one_persons_and_can_be_taken_back(browse, service):
    ada = browse()
    await trusted(ada)
    assert await service.store.trusts.all("bob") == []
    page = await ada.get("servers")
    [what] = re.findall(r'name="what" value="([^"]*)"', page.text)
    await ada.post("trusted/drop", what=what)
    assert not starts_at_once(await ada.get(LINK))
    assert "without a question" not in (await ada.get("servers")).text


async def test_no_page_elsewhere_can_answer_for_a_person(browse, service):
    ada = browse()
    await ada.get(LINK)
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = await ada.post("launches", headers=foreign, repository=REPO, trust="yes")
    assert answer.status_code == 403
    answer = await ada.post("trusted/drop", headers=foreign, what="x")
    assert answer.status_code == 403
    assert not service.store.trusts.kept
    framed = await ada.get(LINK, Sec_Fetch_Dest="iframe", **ELSEWHERE)
    assert framed.status_code == 403


@pytest.mark.parametrize("extra", ["trust=yes", "autostart=1", "form_token=x", "whence=here"])
async def test_an_address_cannot_answer_by_itself(browse, service, extra):
    page = await browse().get(f"{LINK}?{extra}", **ELSEWHERE)
    assert not starts_at_once(page)
    assert "on a page of blog.example.com" in said(page)
    assert not service.store.trusts.kept


async def test_a_page_of_the_hub_is_asked_about_like_any_other(browse):
    page = await browse().get(LINK, Referer=f"{HOME}/user/eve/x", Sec_Fetch_Site="same-origin")
    assert "on a page of this hub, or of somebody’s server on it" in said(page)
    assert not starts_at_once(page)


async def test_who_must_sign_in_first_is_told_where_the_link_was(browse, service):
    ada = browse()
    ada.http.cookies.clear()
    page = await ada.get(LINK, **ELSEWHERE)  # by the hub's sign-in and back
    assert page.url.path == f"{PREFIX}v2/gh/ada/engine/main"
    assert "on a page of blog.example.com" in said(page)
    again = await ada.get(LINK, Referer=f"{HOME}/services/atoll/")
    assert "on a page of this hub" in said(again)


@pytest.mark.parametrize(
    ("headers", "where"),
    [
        ({}, "nowhere"),
        ({"sec-fetch-site": "none"}, "nowhere"),
        ({"sec-fetch-site": "cross-site"}, "hidden"),
        ({"sec-fetch-site": "same-site"}, "hidden"),
        ({"sec-fetch-site": "same-origin"}, "here"),
        ({"referer": "https://hub.example.org/x"}, "here"),
        ({"referer": "https://hub.example.org.evil.example/"}, "hub.example.org.evil.example"),
        ({"referer": "https://hub.example.org@evil.example/"}, "nowhere"),
        ({"referer": "http://[", "sec-fetch-site": "cross-site"}, "hidden"),
        ({"referer": "https://<b>/", "sec-fetch-site": "cross-site"}, "hidden"),
    ],
)
def test_where_a_link_was_is_what_the_browser_says(headers, where):
    assert whence_of(headers, "hub.example.org") == where
