"""JupyterHub's idle culler beside a real hub: what nobody uses is stopped, and people told why."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import jupyterhub_idle_culler
import pytest

from atoll.acts import ATOLL, Way
from atoll.allowances import Allowances
from atoll.errors import Unreachable
from atoll.people import Person
from atoll.servers import Ends, Why
from atoll.settings import Settings, settings_from
from atoll.stores.sql import open_store
from atoll.testing.oversight import MemoryActs, MemoryRulings
from atoll.testing.stores import MemoryPlans, MemoryStops
from atoll.web.culler import NEVER, Arbiter, Culler
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


def test_a_server_ends_as_its_person_asked_whatever_is_usual_and_used_or_not(quick):
    token = quick.person("emil")
    plan = replace(a_plan("emil", "short"), ends=Ends(lifetime=SECONDS))
    quick.put(plan)
    quick.run(plan, token)

    def used_and_stopped():
        quick.visit("user/emil/short/")
        return quick.server("emil", "short").get("stopped")

    eventually(used_and_stopped, seconds=60)
    assert stops(quick, "emil")["short"].why is Why.AGE


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


RULES = settings_from({"servers": {"idle": 60, "max_age": "2d"}})


def culler(settings, plans=None):
    may = Allowances(settings, MemoryRulings())
    where = ("http://127.0.0.1:1/under/", "token")
    return Culler(*where, nobody, may, plans or MemoryPlans(), STOPS)


async def nobody():
    return {}


STOPS = MemoryStops()


async def test_whatever_breaks_it_it_looks_again_and_nobody_is_disturbed(monkeypatch, caplog):
    looks = []

    async def broken(**options):
        looks.append(options)
        raise [ConnectionRefusedError("no hub"), KeyError("servers")][len(looks) % 2]

    monkeypatch.setattr(jupyterhub_idle_culler, "cull_idle", broken)
    monkeypatch.setattr(Settings, "pause", 0)
    async with culler(RULES).culling():
        while len(looks) < 4:
            await asyncio.sleep(0)
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert looks[0]["url"] == "http://127.0.0.1:1/under/hub/api"


async def test_it_does_not_even_look_where_nobody_has_said_when_a_server_ends(monkeypatch):
    looks = []

    async def note(**options):
        looks.append(options)

    monkeypatch.setattr(jupyterhub_idle_culler, "cull_idle", note)
    plans = MemoryPlans()
    await plans.put(a_plan("ada", "x"))
    await culler(Settings(), plans).look()
    assert looks == []
    await plans.put(replace(a_plan("ada", "x"), ends=Ends(idle=900)))
    await culler(Settings(), plans).look()
    assert len(looks) == 1


GROUPS = {"night": {"max_age": "12h", "idle": 0, "max_idle": 0}}
BOUNDED = {"idle": "1h", "max_idle": "4h", "max_age": "8h", "lifetime": "6h"}
SOMEBODY, OF_THE_NIGHT = Person("ada"), Person("ada", frozenset({"night"}))


@pytest.mark.parametrize(
    ("owner", "own", "hours"),
    [
        (SOMEBODY, Ends(), (6, 1)),  # as is usual
        (SOMEBODY, Ends(7 * 3600, 2 * 3600), (7, 2)),  # as was asked
        (SOMEBODY, Ends(3600), (1, 1)),
        (SOMEBODY, Ends(0, 0), (8, 4)),  # by now they may not have as much
        (SOMEBODY, Ends(9 * 3600, 5 * 3600), (8, 4)),
        (OF_THE_NIGHT, Ends(), (6, 0)),
        (OF_THE_NIGHT, Ends(0, 3600), (12, 1)),
    ],
)
async def test_each_server_ends_as_its_person_asked_within_what_they_may(owner, own, hours):
    plans = MemoryPlans()
    before = SOMEBODY if owner.groups else OF_THE_NIGHT  # groups change, and plans do not
    await plans.put(replace(a_plan("ada", "x"), owner=before, ends=own))
    one = culler(settings_from({"servers": BOUNDED, "groups": GROUPS}), plans)
    assert await one.ends({"ada": owner}, "ada", "x") == tuple(3600 * hour for hour in hours)
    assert await one.ends({}, "ada", "unheard-of") == (6 * 3600, 3600)


async def test_a_new_word_counts_for_a_server_that_runs():
    plans = MemoryPlans()
    await plans.put(a_plan("ada", "x"))
    await plans.put(replace(a_plan("ada", "x"), id="later", ends=Ends(600, 0)))
    assert await culler(Settings(), plans).ends({}, "ada", "x") == (600, 0)


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

    async def ends(owner, name):
        assert (owner, name) == ("a/da", "x")
        return max_age, limit

    stops = MemoryStops() if stops is None else stops
    arbiter = Arbiter(ask, stops, ends, acts)
    unused = None if inactive is None else timedelta(seconds=inactive)
    return await arbiter(inactive=unused, inactive_limit=NEVER, server=server), stops, asked


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


@pytest.mark.parametrize(("inactive", "limit"), [(None, 30), (29.9, 30), (10**8, 0)])
async def test_one_that_was_used_or_may_rest_for_ever_is_not_even_asked(inactive, limit):
    stopped, _, asked = await decide([], inactive=inactive, limit=limit)
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
