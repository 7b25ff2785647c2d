"""People and operators in several tabs, and a service that dies at any step: what always holds.

A machine of hypothesis's presses the buttons of the real service, up to three at one moment, over a
real database and a stand-in hub. The service is killed -9 in the middle, or told to end, and begun
again. Whatever was confirmed is true, no update is lost, nothing is left over, no server is there
twice or of two repositories, and nobody sees what is another's.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from atoll.acts import Search
from atoll.disk import entries
from atoll.engines.local.mounting import PLACE
from atoll.engines.local.named_volumes import LocalFiles
from atoll.engines.local.records import Records
from atoll.engines.local.volumes import kept_home
from atoll.launching.desk import State
from atoll.settings import settings_from
from atoll.stores.sql import open_store
from support.browsing import PREFIX, Browser
from support.deeds import (
    Deed,
    Vol,
    change,
    delete,
    limit,
    make,
    possible,
    restore,
    share,
    unshare,
)
from support.hub_stand_in import HubStandIn
from support.mortal import Life, Mortals, Ways
from support.one_host import serving
from support.postgres import fresh_database
from support.web_service import REPO

OTHER = "https://github.com/bob/engine"  # whose server would be called “engine”, too
REPOSITORIES = {
    REPO: {"requirements.txt": "six==1.16.0\n"},
    OTHER: {"requirements.txt": "six==1.17.0\n"},
}
TABLES = {"access": {"launches": 100}, "volumes": {"each": 100}, "operator": {"sample": 0}}
PEOPLE, OPERATORS = ("ada", "bob"), ("olga", "otto")
PATIENCE = 30  # seconds; the machine may be busy
HOW = settings(
    max_examples=5,
    stateful_step_count=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


VOLUMES = st.sampled_from([f"{who}/{name}" for who in PEOPLE for name in "xy"])
WHO = st.sampled_from(PEOPLE)
DEEDS = st.one_of(
    VOLUMES.map(lambda volume: make(volume.partition("/")[0], volume)),
    st.builds(change, WHO, VOLUMES, description=st.sampled_from("abc")),
    st.builds(change, WHO, VOLUMES, quota=st.integers(1, 9)),
    st.builds(share, WHO, VOLUMES, st.sampled_from([*PEOPLE, "zoe"]), st.booleans()),
    st.builds(unshare, WHO, VOLUMES, st.sampled_from([*PEOPLE, "zoe"])),
    st.builds(delete, WHO, VOLUMES, st.booleans()),
    st.builds(restore, WHO, VOLUMES),
    st.builds(
        limit,
        st.sampled_from([*OPERATORS, "ada"]),  # who may not
        st.sampled_from(["ada", "@maths"]),
        st.sampled_from(["per_person", "max_cpus"]),
        st.integers(5, 9),
    ),
)
NAMES = st.sampled_from(["engine", "engine-2", "mine"])
PRESSES = st.one_of(
    st.tuples(
        st.just("launch"), WHO, st.sampled_from([REPO, OTHER]), st.sampled_from(["", "mine"])
    ),
    st.tuples(st.sampled_from(["start", "stop", "delete", "see off"]), WHO, NAMES),
    st.tuples(st.just("cancel"), WHO),
)
STEPS = st.one_of(st.none(), st.none(), st.integers(1, 12), st.just(1000))  # until it dies


class People(RuleBasedStateMachine):
    """All of them; *life* begins services in the folder of *table*, which has a database."""

    def __init__(self, life: Callable, empty: Callable) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.ends = contextlib.ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="atoll-any-order-"))
        self.ends.callback(shutil.rmtree, self.folder)
        tables = {**TABLES, **self.ends.enter_context(empty(self.folder))}
        self.settings = settings_from({"data": str(self.folder), **tables})
        self.hub = HubStandIn(step=0.0)
        for name in (*PEOPLE, *OPERATORS):
            self.hub.add(name, admin=name in OPERATORS)
        address = self.ends.enter_context(serving(self.hub.app()))
        self.life = life(self.folder, REPOSITORIES, address, tables)
        self.launches: dict[str, str] = {}  # whose each is
        self.deleted: dict[tuple[str, str], int] = {}  # how much had been started by then
        self.world: dict = {}
        self.limited = 0  # how often that was confirmed
        self.store = open_store(self.settings)
        self.files = LocalFiles(self.settings, Records(self.settings))
        self.life.begin()
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.tabs, self.tokens = {}, {}
        for name in (*PEOPLE, *OPERATORS):
            self.hub.signed_in = name
            self.tabs[name] = Browser(Ways(self.life.socket, self.hub))
            self.tokens[name] = self.hub.token_of(name)
            assert (await self.tabs[name].get("")).status_code == 200

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.life.end()
            self.runner.run(self._close())
            self.runner.close()
            self.ends.close()

    async def _close(self) -> None:
        for tab in self.tabs.values():
            await tab.http.aclose()
        await self.store.close()

    # What people do.

    async def _post(self, who: str, path: str, **how) -> httpx2.Response | None:
        """Return the answer, or nothing where the service has died before it gave one."""
        try:
            answer = await self.tabs[who].http.post(PREFIX + path, **how)
        except httpx2.TransportError:
            assert not self.life.alive(PATIENCE)
            return None
        assert answer.status_code in {200, 303, 400, 403, 404, 429}, (path, answer.text)
        return answer

    async def _do(self, deed: Deed) -> tuple[Deed, bool | None]:
        token = {"Authorization": f"Bearer {self.tokens[deed.who]}"}
        answer = await self._post(deed.who, deed.path, json=deed.sent, headers=token)
        done = None if answer is None else answer.status_code == 200
        self.limited += bool(done and deed.path == "api/admin/limits")
        return deed, done

    async def _form(self, who: str, path: str, **fields: str) -> httpx2.Response | None:
        fields["form_token"] = self.tabs[who].form_token
        return await self._post(who, path, data=fields)

    async def _press(self, press: tuple[str, ...]) -> None:
        what, who, *rest = press
        if what == "launch":
            repository, name = rest
            answer = await self._form(who, "launches", repository=repository, name=name)
            if answer is not None and answer.status_code == 303:
                launch = re.search(r"launches/(\w+)", answer.headers["location"])[1]
                self.launches[launch] = who
        elif what == "cancel":
            for launch in [one for one, whose in self.launches.items() if whose == who][-2:]:
                await self._form(who, f"launches/{launch}/cancel")
        elif what == "see off":
            token = {"Authorization": f"Bearer {self.tokens[OPERATORS[0]]}"}
            sent = {"server": f"{who}/{rest[0]}"}
            await self._post(OPERATORS[0], "api/admin/stop", json=sent, headers=token)
        elif what == "delete":
            await self._form(who, f"servers/{rest[0]}/stop")
            answer = await self._form(who, f"servers/{rest[0]}/delete")
            if answer is None or answer.status_code == 303:
                self.deleted[who, rest[0]] = 10**9  # until all has settled, and it is known
        else:
            await self._form(who, f"servers/{rest[0]}/{what}")

    @rule(
        deeds=st.lists(DEEDS, min_size=1, max_size=3),
        presses=st.lists(PRESSES, max_size=3),
        steps=STEPS,
    )
    def all_at_once(self, deeds, presses, steps):
        if steps:
            self.life.burn(steps)

        async def go():
            return await asyncio.gather(*map(self._do, deeds), *map(self._press, presses))

        said = [one for one in self.runner.run(go()) if one]
        if steps:
            self._again(signal.SIGKILL)
        self._look([one for one, done in said if done], [one for one, done in said if done is None])

    @rule()
    def restart(self):
        self._again(signal.SIGTERM)
        self._look([], [])

    @rule()
    def the_hub_dies_while_the_next_server_starts(self):
        self.hub.breaks = 1

    def _again(self, number: int) -> None:
        self.life.end(number)
        self.life.begin()

    # What always holds.

    def _look(self, done: list[Deed], perhaps: list[Deed]) -> None:
        there = self.runner.run(self._there())
        assert there in possible(self.world, done, perhaps), (self.world, done, perhaps)
        self.world = there

    async def _there(self) -> dict:
        volumes = {
            ("volume", str(one)): Vol(
                one.quota,
                one.description,
                frozenset((str(share.whom), share.writable) for share in one.shares),
                bool(one.deleted),
            )
            for one in await self.store.volumes.all()
        }
        rulings = await self.store.rulings.all()
        return volumes | {("limit", str(one.whom), one.name): one.value for one in rulings}

    @rule()
    def settle(self):
        assert self.life.alive()
        self.runner.run(self._settle())
        self._look([], [])

    async def _settle(self) -> None:
        late = time.monotonic() + PATIENCE
        while await self.store.launches.unfinished():
            assert time.monotonic() < late
            await asyncio.sleep(0.01)
        for key, number in self.deleted.items():
            self.deleted[key] = min(number, len(self.hub.started))
        await self._check_volumes()
        await self._check_servers()
        await self._check_launches()
        for who in PEOPLE:
            await self._check_sight(who)

    async def _check_volumes(self) -> None:
        known = await self.store.volumes.all()
        await self.files.sweep(datetime.now(UTC))
        kept = {one.name: one for one in (self.folder / PLACE).glob("*")}
        assert {one.id for one in known if not one.deleted} <= kept.keys()
        left = kept.keys() - {one.id for one in known}
        assert not any(list(entries(kept[one])) for one in left)  # there is nothing in them
        acts = await self.store.acts.find(Search(what="set limits", limit=1000))
        assert len(acts) >= self.limited

    async def _check_servers(self) -> None:
        held: dict[tuple[str, str], set[str]] = {}
        for number, (owner, name, options) in enumerate(self.hub.started):
            if number >= self.deleted.get((owner, name), 0):
                plan = await self.store.plans.get(options["plan"], owner)
                assert (plan.owner.name, plan.name) == (owner, name)
                held.setdefault((owner, name), set()).add(plan.ref.repo.locator)
        assert [one for one in held.items() if len(one[1]) > 1] == []
        for owner in PEOPLE:
            plans = await self.store.plans.latest(owner)
            servers = self.hub.users[owner]["servers"]
            assert servers.keys() <= plans.keys()
            numbered = [
                plan.ref.repo.locator for name, (plan, _) in plans.items() if name != "mine"
            ]
            assert len(numbered) == len(set(numbered))  # each has one, launched however often
            folders = {
                one.name for one in kept_home(self.settings, owner, "x").parents[1].glob("*")
            }
            assert folders <= plans.keys()
            for name in servers:  # as a server that runs has
                kept_home(self.settings, owner, name).mkdir(parents=True, exist_ok=True)

    async def _check_launches(self) -> None:
        recorded = [one.id for one in await self.store.records.newest(limit=1000)]
        for launch in self.launches:
            state = (await self.store.launches.get(launch)).state
            assert recorded.count(launch) == (state is not State.ASKING)

    async def _check_sight(self, who: str) -> None:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        http = self.tabs[who].http
        rows = (await http.get(f"{PREFIX}api/volumes", headers=headers)).json()
        told = [row["volume"] if "/" in row["volume"] else f"{who}/{row['volume']}" for row in rows]
        mine = [
            key[1]
            for key, one in self.world.items()
            if key[0] == "volume"
            and (key[1].startswith(f"{who}/") or {(who, True), (who, False)} & one.shares)
            and not (one.deleted and not key[1].startswith(f"{who}/"))
        ]
        assert sorted(told) == sorted(mine)
        for launch in list(self.launches)[-3:]:
            seen = await http.get(f"{PREFIX}launches/{launch}")
            assert seen.status_code == (200 if self.launches[launch] == who else 404)


@pytest.fixture(scope="module")
def mortals():
    with Mortals() as one:
        yield one


def with_tables(table):
    """Make the tables of the database that *table* of ``atoll.toml`` names."""

    async def go():
        store = open_store(settings_from(table))
        await store.open()
        await store.close()

    asyncio.run(go())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty(request, tmp_path_factory):
    """Return what makes a database with empty tables for a folder, and says what to write of it."""
    folder = tmp_path_factory.mktemp("empty")
    if request.param == "sqlite":
        with_tables({"data": str(folder)})

        @contextlib.contextmanager
        def fresh(data):
            shutil.copy(folder / "atoll.sqlite", data)
            yield {}

        yield fresh
        return
    server = request.getfixturevalue("postgres_server")
    with fresh_database(server) as url:
        with_tables({"data": str(folder), "database": {"url": url}})

        @contextlib.contextmanager
        def fresh(data):
            with fresh_database(server, url.partition("?")[0].rpartition("/")[2]) as one:
                yield {"database": {"url": one}}

        yield fresh


def test_whatever_is_done_in_any_order_and_dies_at_any_step_what_was_said_is_true(mortals, empty):
    def life(*parts):
        return Life(mortals, *parts)

    run_state_machine_as_test(lambda: People(life, empty), settings=HOW)
