"""JupyterHub's idle culler beside a real hub: what nobody uses is stopped, and people told why."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from atoll.acts import ATOLL, Way
from atoll.errors import Unreachable
from atoll.servers import Why
from atoll.settings import ServerSettings
from atoll.stores.sql import open_store
from atoll.testing.stores import MemoryActs, MemoryStops
from atoll.web import culler
from atoll.web.culler import Arbiter, Culler
from support.hub import Installation, a_plan, eventually

SECONDS = 6


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    data = tmp_path_factory.mktemp("quick")
    one = Installation(data, service="atoll.web", servers={"idle": SECONDS})
    try:
        one.start()
        yield one
    finally:
        one.end()


def running(hub, owner, *names):
    token = hub.person(owner)
    made = [a_plan(owner, name) for name in names]
    hub.put(*made)
    for plan in made:
        hub.run(plan, token)
    return token


def stops(hub, owner):
    async def latest():
        store = open_store(hub.settings)
        found = await store.stops.latest(owner)
        await store.close()
        return found

    return asyncio.run(latest())


def test_what_nobody_uses_is_stopped_and_what_is_used_stays(quick):
    token = running(quick, "ada", "idle", "used")

    def used_and_idle_stopped():
        assert quick.visit("user/ada/used/").status_code == 200
        return quick.server("ada", "idle").get("stopped")

    eventually(used_and_idle_stopped, seconds=60)
    begun = time.monotonic()
    while time.monotonic() - begun < 2 * SECONDS:
        assert quick.visit("user/ada/used/").status_code == 200
        time.sleep(0.5)
    assert quick.server("ada", "used")["ready"]
    stop = stops(quick, "ada")["idle"]
    assert stop.why is Why.IDLE
    assert "used" not in stops(quick, "ada")
    # It stays the person's, and starts again with what it held.
    last = datetime.fromisoformat(quick.server("ada", "idle")["last_activity"])
    assert timedelta() <= last - stop.at < timedelta(minutes=1)
    answer = quick.api("POST", "users/ada/servers/idle", token)
    assert answer.status_code in {201, 202}, answer.text


def test_the_log_says_which_server_was_stopped_and_nothing_is_said_aloud(quick):
    running(quick, "bob", "lonely")
    eventually(lambda: quick.server("bob", "lonely").get("stopped"), seconds=60)
    said = [one["event"] for one in quick.log() if "Culling server bob/lonely" in one["event"]]
    assert said
    assert "exited with status" not in quick.output.read_text()
    assert "Traceback" not in quick.output.read_text()


def test_its_token_does_no_more_than_it_must(quick):
    token = quick.places.secret("idle_token")
    quick.person("cleo")
    assert quick.api("GET", "users", token).status_code == 200
    assert quick.api("DELETE", "users/cleo", token).status_code in {403, 404}
    assert quick.api("POST", "users/cleo/tokens", token, json={}).status_code in {403, 404}
    assert quick.api("POST", "users/cleo/servers/x", token, json={}).status_code in {403, 404}
    assert quick.api("POST", "shutdown", token, json={}).status_code == 403
    assert "auth_state" not in quick.api("GET", "users/cleo", token).text


def test_it_goes_on_after_hub_and_service_were_killed(quick):
    for part in ("hub", "service"):
        before = quick.pid(part)
        quick.kill(part)
        eventually(lambda: quick.pid(part) != before)  # noqa: B023
    eventually(lambda: quick.visit("versions").status_code == 200)
    running(quick, "dora", "lonely")
    eventually(lambda: quick.server("dora", "lonely").get("stopped"), seconds=60)


RULES = ServerSettings(idle=60, max_age="2d")


async def test_whatever_breaks_it_it_looks_again_and_nobody_is_disturbed(monkeypatch, caplog):
    looks = []

    async def broken(**options):
        looks.append(options)
        raise [ConnectionRefusedError("no hub"), KeyError("servers")][len(looks) % 2]

    monkeypatch.setattr(culler, "cull_idle", broken)
    monkeypatch.setattr(ServerSettings, "pause", 0)
    one = Culler("http://127.0.0.1:1/under/", "token", RULES, MemoryStops())
    async with one.culling():
        while len(looks) < 4:
            await asyncio.sleep(0)
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert looks[0]["url"] == "http://127.0.0.1:1/under/hub/api"
    assert (looks[0]["inactive_limit"], looks[0]["max_age"]) == (60, 172_800)


async def test_without_an_idle_time_only_age_stops_a_server(monkeypatch):
    asked = {}

    async def note(**options):
        asked.update(options)

    monkeypatch.setattr(culler, "cull_idle", note)
    await Culler("http://h/", "token", ServerSettings(max_age=5), MemoryStops()).look()
    assert (asked["inactive_limit"], asked["max_age"]) == (culler.NEVER, 5)


HOUR = timedelta(hours=1)


async def decide(kernels, *, inactive=60.0, limit=30, max_age=0.0, stops=None, age=HOUR, acts=None):
    asked = []
    server = {
        "full_name": "a/da/x",
        "url": "/hubs/user/a%2Fda/x/",
        "started": (datetime.now(UTC) - age).isoformat() if age else None,
    }

    async def ask(path):
        asked.append(path)
        if isinstance(kernels, Exception):
            raise kernels
        return kernels

    stops = MemoryStops() if stops is None else stops
    arbiter = Arbiter(ask, stops, max_age, acts)
    unused = None if inactive is None else timedelta(seconds=inactive)
    return await arbiter(inactive=unused, inactive_limit=limit, server=server), stops, asked


BUSY, FREE = {"execution_state": "busy"}, {"execution_state": "idle"}


async def test_a_server_whose_kernel_computes_is_in_use():
    stopped, stops, asked = await decide([FREE, BUSY])
    assert not stopped
    assert stops.kept == {}
    assert asked == ["/hubs/user/a%2Fda/x/api/kernels?no_track_activity=1"]


@pytest.mark.parametrize(
    "kernels",
    [[], [FREE], {}, None, [None, 1, "busy"], httpx2.ConnectError("gone"), ValueError("no JSON")],
)
async def test_one_whose_kernels_rest_or_that_says_nothing_sensible_is_not(kernels):
    stopped, stops, _ = await decide(kernels)
    assert stopped
    assert stops.kept["a/da", "x"].why is Why.IDLE


async def test_that_nobody_asked_for_it_is_written_down():
    acts = MemoryActs()
    await decide([FREE, BUSY], acts=acts)
    assert acts.kept == []
    await decide([FREE], acts=acts)
    [act] = acts.kept
    assert (act.who, act.deed, act.server, act.detail) == (ATOLL, "stop", "a/da/x", {"why": "idle"})
    assert act.way is Way.ITSELF


@pytest.mark.parametrize("inactive", [None, 29.9])
async def test_one_that_was_used_is_not_even_asked(inactive):
    stopped, _, asked = await decide([], inactive=inactive)
    assert not stopped
    assert asked == []


async def test_one_that_is_too_old_is_stopped_whatever_it_does():
    stopped, stops, _ = await decide([BUSY], inactive=0, max_age=3000)
    assert stopped
    assert stops.kept["a/da", "x"].why is Why.AGE
    assert not (await decide([BUSY], inactive=0, max_age=4000))[0]
    assert not (await decide([BUSY], inactive=0, max_age=10, age=None))[0]


async def test_a_database_that_is_away_keeps_no_server_running():
    class Away:
        async def put(self, stop):
            raise Unreachable("The database does not answer.")

    assert (await decide([], stops=Away()))[0]
