from __future__ import annotations

import asyncio

import pytest

from atoll.errors import BuildFailed
from atoll.launching.desk import State
from atoll.servers import Ends
from support.browsing import parse_stream, running, until
from support.web_service import REPO, make_service

SPEC = "/build/gh/ada/engine/main"
BOOK = "https://book.example.org"
STREAM = {"Accept": "text/event-stream"}


async def ask(browser, path=SPEC, **headers):
    sent = {**STREAM, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await browser.http.get(path, headers=sent)


def phases(answer):
    return [data["phase"] for _, _, data in parse_stream(answer.text)]


async def test_a_program_with_a_token_gets_a_server(browse, service):
    token = service.hub.token_of("ada")
    answer = await ask(browse(), Authorization=f"Bearer {token}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert list(dict.fromkeys(phases(answer))) == [
        "waiting",
        "fetching",
        "building",
        "built",
        "launching",
        "ready",
    ]
    last = parse_stream(answer.text)[-1][2]
    assert last["url"] == "http://atoll.example.org/user/ada/engine/"
    assert last["binder_request"] == "v2/gh/ada/engine/main"
    assert service.hub.minted[0]["scopes"] == ["access:servers!server=ada/engine"]
    assert service.hub.tokens[last["token"]]["name"] == "ada"
    record = service.store.records.kept[0]
    assert (record.provider, record.spec, record.status) == (
        "GitHub",
        "ada/engine/main",
        "success",
    )


async def test_a_program_says_what_a_server_is_called_when_it_ends_and_asks_in_vain(
    browse, service
):
    token = f"Bearer {service.hub.token_of('ada')}"
    first = f"{SPEC}?title=Ma+th%C3%A8se&lifetime=8h&idle=never&gpus=2&credentials=yes"
    answer = await ask(browse(), first, Authorization=token)
    told = parse_stream(answer.text)
    assert told[-1][2]["url"] == "http://atoll.example.org/user/ada/ma-these/"
    said = " ".join(data["message"] for _, _, data in told)
    assert "It asks for 2 GPUs; a server here can have none." in said
    assert "no server here is passed any" in said
    again = f"{SPEC}?name=ma-these&title=Fertig&idle=1h"  # as it runs
    assert phases(await ask(browse(), again, Authorization=token))[-1] == "ready"
    plan = await service.store.plans.newest("ada", "ma-these")
    assert (plan.title, plan.ends) == ("Fertig", Ends(8 * 3600, 3600))
    assert len(service.hub.started) == 1
    wrong = await ask(browse(), f"{SPEC}?lifetime=1m", Authorization=token)
    assert "10m at least" in wrong.text


async def test_a_program_is_told_how_a_server_differs_and_says_what_becomes_of_it(browse, service):
    token = f"Bearer {service.hub.token_of('ada')}"
    await ask(browse(), Authorization=token)
    service.source.repositories[REPO] = {"requirements.txt": b"six==1.17.0\n"}
    more = f"{SPEC}?memory=1G"
    told = [
        data for _, _, data in parse_stream((await ask(browse(), more, Authorization=token)).text)
    ]
    said = " ".join(one["message"] for one in told)
    assert "Your server engine is there already, and is opened as it is" in said
    assert "Memory 2G → 1G" in said
    assert told[-1]["phase"] == "ready"
    assert "existing=update" in said[: said.index("server running at")]
    assert len(service.hub.started) == 1

    asked = await ask(browse(), f"{more}&existing=ask", Authorization=token)
    last = parse_stream(asked.text)[-1][2]
    assert last["phase"] == "failed"
    assert "Memory 2G → 1G" in last["message"]

    updated = await ask(browse(), f"{more}&existing=update", Authorization=token)
    assert phases(updated)[-1] == "ready"
    assert (await service.store.plans.newest("ada", "engine")).limits.memory == 1024**3
    assert len(service.hub.started) == 2
    new = parse_stream((await ask(browse(), f"{SPEC}?existing=new", Authorization=token)).text)
    assert new[-1][2]["url"].endswith("/user/ada/engine-2/")
    wrong = await ask(browse(), f"{SPEC}?existing=destroy", Authorization=token)
    assert wrong.status_code == 400


async def test_the_token_is_nowhere_but_in_the_answer(browse, service):
    answer = await ask(browse(), Authorization=f"token {service.hub.token_of('ada')}")
    token = parse_stream(answer.text)[-1][2]["token"]
    launch = next(iter(service.store.launches.kept.values()))
    assert token not in repr(service.site.desk.story(launch).events)
    assert token not in repr(launch)
    assert token not in repr(service.store.records.kept)


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json", ""])
async def test_without_the_accept_header_nothing_is_launched(browse, service, accept):
    token = service.hub.token_of("ada")
    answer = await ask(browse(), Accept=accept, Authorization=f"token {token}")
    assert answer.status_code == 400
    assert parse_stream(answer.text)[0][2] == {
        "phase": "failed",
        "message": "Missing Accept header: text/event-stream\n",
        "status_code": 400,
    }
    assert not service.store.launches.kept


async def test_building_without_launching_is_not_offered(browse, service):
    token = service.hub.token_of("ada")
    path = f"{SPEC}?build_only=true"
    answer = await ask(browse(), path, Authorization=f"token {token}")
    assert answer.status_code == 400


async def test_nobody_launches_without_a_token_or_with_a_wrong_one(browse, service):
    other = service.hub.token_of("ada", "read:users")
    robot = service.hub.token_of("robot", kind="service")
    for headers in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {other}"},
        {"Authorization": f"Bearer {robot}"},
        {"Authorization": "Basic YTpi"},
    ):
        answer = await ask(browse(), **headers)
        assert answer.status_code == 403
        assert phases(answer) == ["failed"]
    assert not service.store.launches.kept


async def test_a_cookie_is_no_token_here(browse, service):
    ada = browse()
    await ada.get("")
    assert (await ask(ada)).status_code == 403


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/build/zenodo/3242074", "is not a DOI"),
        ("/build/gh/ada", "not complete"),
        ("/build/git/ext%3A%3Ash%20-c%20x/HEAD", "run programs"),
        ("/build/nothing/a/b", "no provider"),
    ],
)
async def test_a_wrong_spec_is_a_failed_event(browse, service, path, said):
    answer = await ask(browse(), path, Authorization=f"token {service.hub.token_of('ada')}")
    last = parse_stream(answer.text)[-1][2]
    assert last["phase"] == "failed"
    assert said in last["message"]


async def test_a_quoted_url_keeps_its_slashes(browse, service):
    path = "/build/git/https%3A%2F%2Fgithub.com%2Fada%2Fengine/main"
    answer = await ask(browse(), path, Authorization=f"token {service.hub.token_of('ada')}")
    last = parse_stream(answer.text)[-1][2]
    assert last["repo_url"] == REPO
    assert last["binder_request"] == "v2/git/https%3A%2F%2Fgithub.com%2Fada%2Fengine/main"


async def test_a_build_that_fails_ends_the_stream_with_its_reason(browse, service):
    service.engine.builder.error = BuildFailed("No such package.", hint="Look again.")
    answer = await ask(browse(), Authorization=f"token {service.hub.token_of('ada')}")
    assert answer.status_code == 200
    last = parse_stream(answer.text)[-1][2]
    assert last == {"phase": "failed", "message": "No such package. Look again.\n"}


async def test_a_broken_stream_is_taken_up_and_starts_no_second_server(browse, service):
    token = service.hub.token_of("ada")
    ada = browse()
    whole = parse_stream((await ask(ada, Authorization=f"token {token}")).text)
    rest = await ask(ada, Authorization=f"token {token}", Last_Event_ID=whole[2][0])
    found = parse_stream(rest.text)
    assert [one[0] for one in found] == [one[0] for one in whole[3:]]
    assert len(service.store.launches.kept) == 1


async def test_nobody_takes_up_somebody_elses_launch(browse, service):
    token = service.hub.token_of("ada")
    whole = parse_stream((await ask(browse(), Authorization=f"token {token}")).text)
    other = service.hub.token_of("bob")
    answer = await ask(browse(), Authorization=f"token {other}", Last_Event_ID=whole[2][0])
    assert parse_stream(answer.text)[-1][2]["url"].startswith("http://atoll.example.org/user/bob/")
    assert [one["scopes"] for one in service.hub.minted] == [
        ["access:servers!server=ada/engine"],
        ["access:servers!server=bob/engine"],
    ]


async def test_a_visitor_takes_up_their_own_stream_and_no_persons(public):
    service, browse = public
    token = service.hub.token_of("ada")
    whole = parse_stream((await ask(browse(), Authorization=f"token {token}")).text)
    visitors = parse_stream((await ask(browse(), Last_Event_ID=whole[2][0])).text)
    assert "/user/visitor-" in visitors[-1][2]["url"]
    rest = parse_stream((await ask(browse(), Last_Event_ID=visitors[2][0])).text)
    assert [one[0] for one in rest] == [one[0] for one in visitors[3:]]
    assert len(service.store.launches.kept) == 2


async def test_the_address_of_a_launchs_page_is_no_key_to_its_server(public):
    service, browse = public
    launch_id = await browse().launch(REPO)
    kept = service.store.launches.kept[launch_id]
    path = f"/build/{kept.facts['prefix']}/{kept.facts['spec']}"
    answer = await ask(browse(), path, Last_Event_ID=f"{launch_id}.0")
    last = parse_stream(answer.text)[-1][2]
    assert last["phase"] == "ready"
    assert kept.request.person.name not in last["url"]


async def test_visitors_are_let_in_and_their_servers_are_temporary(public):
    service, browse = public
    answer = await ask(browse(), Origin=BOOK)
    assert answer.headers["access-control-allow-origin"] == BOOK
    assert phases(answer)[-1] == "ready"
    owner, name, options = service.hub.started[0]
    assert owner.startswith("visitor-")
    plan = await service.store.plans.get(options["plan"], owner)
    assert plan.content.temporary
    assert service.hub.minted[0]["scopes"] == [f"access:servers!server={owner}/{name}"]


async def test_no_more_visitors_than_the_operator_wants(public):
    service, browse = public
    near, far, third = browse(address="192.0.2.1"), browse(address="192.0.2.2"), browse()
    for browser in (near, near, far):
        assert phases(await ask(browser))[-1] == "ready"
    full = parse_stream((await ask(near)).text)[-1][2]
    assert full["status_code"] == 429
    assert "2 anonymous servers are running from your address" in full["message"]
    none = parse_stream((await ask(third)).text)[-1][2]
    assert "All anonymous servers are in use" in none["message"]
    assert len(service.hub.started) == 3


async def test_a_visitor_cannot_pretend_to_come_from_elsewhere(public):
    service, browse = public
    eve = browse()
    answers = [await ask(eve, X_Forwarded_For=f"198.51.100.{n}, 203.0.113.9") for n in range(3)]
    assert phases(answers[-1]) == ["failed"]
    assert len(service.hub.started) == 2


async def test_many_at_once_do_not_slip_through_the_door(public):
    service, browse = public
    answers = await asyncio.gather(*(ask(browse()) for _ in range(6)))
    assert sum(phases(answer)[-1] == "ready" for answer in answers) == 2
    assert len(service.hub.started) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
async def test_a_site_that_is_not_listed_launches_nothing(public, headers):
    service, browse = public
    answer = await ask(browse(), **headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert not service.store.launches.kept


async def test_a_listed_site_may_send_a_token_and_another_may_not(public):
    _, browse = public
    preflight = {"Access-Control-Request-Method": "GET", "Origin": BOOK}
    answer = await browse().http.request("OPTIONS", SPEC, headers=preflight)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == BOOK
    assert "authorization" in answer.headers["access-control-allow-headers"]
    answer = await browse().http.request(
        "OPTIONS", SPEC, headers={**preflight, "Origin": "https://evil.example"}
    )
    assert "access-control-allow-origin" not in answer.headers


async def test_all_sites_are_let_in_when_the_operator_says_so(tmp_path):
    service = make_service(tmp_path, access={"anonymous": True, "origins": ["*"]})
    async with running(service) as browse:
        answer = await ask(browse(), Origin="https://any.example")
        assert answer.headers["access-control-allow-origin"] == "https://any.example"
        assert phases(answer)[-1] == "ready"


async def test_when_the_last_listener_goes_the_launch_is_cancelled(public):
    service, browse = public
    service.engine.builder.pause = 60
    listening = asyncio.create_task(ask(browse()))
    launch = await until(lambda: next(iter(service.store.launches.kept.values()), None))
    await until(lambda: len(service.site.desk.story(launch).events) >= 4)
    listening.cancel()
    await until(lambda: service.store.launches.kept[launch.id].state is State.CANCELLED)


async def test_who_waits_in_line_hears_it_as_binder_says_it(public):
    service, browse = public
    service.hub.line = ["You are next in line."]
    answer = await ask(browse())
    told = [message for _, _, message in parse_stream(answer.text)]
    (waiting,) = [one for one in told if "in line" in one["message"]]
    assert waiting == {"phase": "waiting", "message": "You are next in line.\n"}
    assert told.index(waiting) > [one["phase"] for one in told].index("built")
    assert told[-1]["phase"] == "ready"


async def test_a_listener_who_goes_while_waiting_in_line_gives_up_the_place(public):
    service, browse = public
    service.hub.line, service.hub.step = ["You are next in line."], 60
    listening = asyncio.create_task(ask(browse()))
    await until(lambda: service.hub.started)
    ((owner, name, _),) = service.hub.started
    listening.cancel()
    await until(lambda: service.hub.users[owner]["servers"][name]["stopped"])
    launch = next(iter(service.store.launches.kept.values()))
    await until(lambda: service.store.launches.kept[launch.id].state is State.CANCELLED)


async def test_after_a_restart_a_launch_goes_on_only_if_its_listener_comes_back(public):
    service, browse = public
    service.engine.builder.pause = 60
    listening = asyncio.create_task(ask(browse()))
    launch = await until(lambda: next(iter(service.store.launches.kept.values()), None))
    await service.site.desk.close()
    listening.cancel()
    async with running(service):  # the next service, on the same store
        await until(lambda: service.store.launches.kept[launch.id].state is State.CANCELLED)
