"""Launches and servers for programs, which show a token."""

from __future__ import annotations

import pytest

from support.browsing import PREFIX, parse_stream, running, until
from support.web_service import REPO


@pytest.fixture
async def ask(service):
    """Return what asks below ``api/`` as ada, or as somebody else, and gives the answer."""
    service.hub.users["ada"]["admin"] = False
    async with running(service) as open_browser:
        http = open_browser().http

        async def asks(method, path, person="ada", headers=None, **how):
            token = service.hub.token_of(person)
            sent = {"Authorization": f"Bearer {token}", **(headers or {})}
            return await http.request(method, f"{PREFIX}api/{path}", headers=sent, **how)

        yield asks


async def launched(ask, **asked):
    answer = await ask("POST", "launches", json={"repository": REPO, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def test_a_launch_is_followed_from_where_one_was_to_how_it_ended(ask):
    launch = await launched(ask, memory="3G")
    whole = parse_stream((await ask("GET", f"launches/{launch}/events")).text)
    assert [event for _, event, _ in whole[:-1]] == ["told"] * (len(whole) - 1)
    assert whole[-1][1] == "over"
    over = whole[-1][2]
    assert (over["state"], over["name"], over["url"]) == ("ready", "engine", "/user/ada/engine/lab")
    assert any(data.get("note") for _, _, data in whole)
    seen = {"Last-Event-ID": whole[3][0]}
    rest = parse_stream((await ask("GET", f"launches/{launch}/events", headers=seen)).text)
    assert rest == whole[4:]
    assert (await ask("GET", f"launches/{launch}")).json() == over


async def test_who_has_such_a_server_is_asked_unless_they_say_how(ask, service):
    await ask("GET", f"launches/{await launched(ask)}/events")
    asking = await launched(ask, memory="3G")
    over = parse_stream((await ask("GET", f"launches/{asking}/events")).text)[-1][2]
    assert over["state"] == "asking"
    assert over["changes"] == [{"what": "Memory", "was": "2G", "now": "3G"}]
    for how in ("", "leave it", "Update"):
        answer = await ask("POST", f"launches/{asking}/answer", json={"how": how})
        assert answer.status_code == 400
    other = await ask("POST", f"launches/{asking}/answer", "bob", json={"how": "new"})
    assert other.status_code == 404
    new = (await ask("POST", f"launches/{asking}/answer", json={"how": "new"})).json()
    assert new["name"] == "engine-2"
    left = await launched(ask, memory="3G", existing="leave")
    over = parse_stream((await ask("GET", f"launches/{left}/events")).text)[-1][2]
    assert (over["state"], over["name"]) == ("ready", "engine")
    plan = await service.store.plans.newest("ada", "engine")
    assert plan.limits.memory == 2 * 1024**3
    for name in ("engine-3", "engine-4"):  # whether it differs or not
        made = await launched(ask, existing="new")
        over = parse_stream((await ask("GET", f"launches/{made}/events")).text)[-1][2]
        assert (over["state"], over["name"]) == ("ready", name)


async def test_who_answers_that_it_is_left_has_let_nobody_in(ask, service):
    await ask("GET", f"launches/{await launched(ask)}/events")
    service.hub.users.setdefault(
        "bob", {"name": "bob", "admin": False, "groups": [], "servers": {}}
    )
    asking = await launched(ask, people="bob", memory="3G")
    over = parse_stream((await ask("GET", f"launches/{asking}/events")).text)[-1][2]
    assert [one["what"] for one in over["changes"]] == ["Memory", "People"]
    left = (await ask("POST", f"launches/{asking}/answer", json={"how": "leave"})).json()
    over = parse_stream((await ask("GET", f"launches/{left['id']}/events")).text)[-1][2]
    assert over["state"] == "ready"
    assert await service.site.shares.of("ada", "engine") == []


async def test_a_launch_is_cancelled_and_says_so(ask, service):
    service.hub.pause = 30.0
    launch = await launched(ask)
    await until(lambda: service.hub.started)
    cancelled = (await ask("POST", f"launches/{launch}/cancel", json={})).json()
    assert (cancelled["state"], cancelled["error"]) == ("cancelled", "Cancelled.")


@pytest.mark.parametrize(
    "sent",
    [
        {"repository": ""},
        {"repository": ["x"]},
        {"repository": REPO, "version": 3},
        {"repository": REPO, "people": [7]},
        {"repository": REPO, "existing": "destroy"},
        {"repository": REPO, "existing": 7},
        {"repository": REPO, "memory": "lots"},
        {"repository": REPO, "network": "full"},
        {"repository": REPO, "name": "../x"},
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence(ask, sent):
    answer = await ask("POST", "launches", json=sent)
    assert answer.status_code == 400
    told = answer.json()
    assert told["kind"] in {"BadRequest", "BadReference"}
    assert told["error"].endswith(".")


async def test_people_may_not_make_environments_anew_by_a_program_either(ask):
    answer = await ask("POST", "launches", json={"repository": REPO, "rebuild": "yes"})
    assert answer.status_code == 403


async def test_a_cookie_is_no_token_and_a_servers_own_token_is_none_here(service):
    async with running(service) as open_browser:
        browser = open_browser()
        await browser.get("sign-in")
        for path in ("me", "servers", "launches/x"):
            assert (await browser.http.get(f"{PREFIX}api/{path}")).status_code == 403
        narrow = service.hub.token_of("ada", "access:servers!server=ada/engine")
        headers = {"Authorization": f"Bearer {narrow}"}
        sent = {"repository": REPO}
        answer = await browser.http.post(f"{PREFIX}api/launches", json=sent, headers=headers)
        assert answer.status_code == 403
