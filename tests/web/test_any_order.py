"""People in several tabs, launches, volumes and restarts, in any order: what always holds.

A machine of hypothesis's presses the buttons of the real service, on a real database and a
stand-in hub, often two at the same moment. No update is lost, nothing is left over, no server is
there twice or of two repositories, and nobody sees what is another's.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from atoll.settings import settings_from
from atoll.stores.sql import open_store
from support.browsing import PREFIX, running
from support.web_service import REPO, make_service

OTHER = "https://github.com/bob/engine"  # whose server would be called “engine”, too
PEOPLE = st.sampled_from(["ada", "bob"])
REPOS = st.sampled_from([REPO, OTHER])
NAMES = st.sampled_from(["engine", "engine-2", "mine"])
GIVEN = st.sampled_from(["", "", "mine"])
SETTINGS = settings(
    max_examples=12,
    stateful_step_count=15,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
_empty: list[bytes] = []  # a database with its tables, made once


class People(RuleBasedStateMachine):
    volumes = Bundle("volumes")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="atoll-any-order-"))
        self.service = None
        self.launches: dict[str, str] = {}  # whose each is
        self.deleted: dict[tuple[str, str], int] = {}  # how much had been started by then
        self.model: dict[str, dict] = {}  # what each volume is to be
        self.run(self._open())

    def run(self, story):
        return self.runner.run(story)

    async def _open(self) -> None:
        if not self.service:
            await self._database()
        before = self.service
        self.service = make_service(
            self.folder, before=before, stored=True, access={"launches": 100}, volumes={"each": 100}
        )
        self.service.source.repositories[OTHER] = {"requirements.txt": b"six==1.17.0\n"}
        self.service.hub.users["ada"]["admin"] = False
        self.service.hub.step = 0.0
        self.stack = contextlib.AsyncExitStack()
        browse = await self.stack.enter_async_context(running(self.service))
        self.tabs = {}
        for name in ("ada", "bob"):
            self.service.hub.signed_in = name
            self.tabs[name] = browse()
            await self.tabs[name].get("")

    async def _database(self) -> None:
        file = self.folder / "atoll.sqlite"
        if not _empty:
            store = open_store(settings_from({"data": str(self.folder)}))
            await store.open()
            await store.close()
            _empty.append(file.read_bytes())
        file.write_bytes(_empty[0])

    def teardown(self) -> None:
        self.run(self._settle())
        self.run(self._check())
        self.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)

    # What people do.

    async def _launch(self, who: str, repo: str, name: str) -> None:
        answer = await self.tabs[who].http.post(
            f"{PREFIX}launches",
            data={"form_token": self.tabs[who].form_token, "repository": repo, "name": name},
        )
        if answer.status_code == 303:
            launch = answer.headers["location"].rpartition("/")[2].partition("#")[0]
            self.launches[launch] = who
        else:
            assert answer.status_code == 400, answer.text  # the name is another repository's

    async def _press(self, who: str, name: str, deed: str) -> int:
        answer = await self.tabs[who].http.post(
            f"{PREFIX}servers/{name}/{deed}", data={"form_token": self.tabs[who].form_token}
        )
        assert answer.status_code in {303, 400, 404, 429}, answer.text
        return answer.status_code

    async def _deed(self, who: str, deed: str, **sent) -> dict | None:
        token = self.service.hub.token_of(who)
        answer = await self.tabs[who].http.post(
            f"{PREFIX}api/volumes/{deed}", json=sent, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code in {200, 400, 403, 404, 429}, answer.text
        return answer.json() if answer.status_code == 200 else None

    @rule(who=PEOPLE, repo=REPOS, name=GIVEN)
    def launch(self, who, repo, name):
        self.run(self._launch(who, repo, name))

    @rule(who=PEOPLE, repos=st.tuples(REPOS, REPOS), names=st.tuples(GIVEN, GIVEN))
    def launch_in_two_tabs(self, who, repos, names):
        async def both():
            await asyncio.gather(
                *(self._launch(who, *one) for one in zip(repos, names, strict=True))
            )

        self.run(both())

    @rule(who=PEOPLE, name=NAMES, deeds=st.tuples(*[st.sampled_from(["start", "stop"])] * 2))
    def press_in_two_tabs(self, who, name, deeds):
        async def both():
            await asyncio.gather(*(self._press(who, name, deed) for deed in deeds))

        self.run(both())

    @rule(who=PEOPLE, name=NAMES)
    def delete(self, who, name):
        async def go():
            await self._settle()
            await self._press(who, name, "stop")
            if await self._press(who, name, "delete") == 303:
                assert name not in self.service.hub.users[who]["servers"]
                assert name not in await self.service.site.atoll.store.plans.latest(who)
                self.deleted[who, name] = len(self.service.hub.started)

        self.run(go())

    @rule(who=PEOPLE, repo=REPOS, name=NAMES)
    def delete_in_one_tab_and_launch_in_another(self, who, repo, name):
        async def both():
            await self._settle()
            await self._press(who, name, "stop")
            gone, _ = await asyncio.gather(
                self._press(who, name, "delete"), self._launch(who, repo, name)
            )
            await self._settle()
            if gone == 303:
                self.deleted[who, name] = len(self.service.hub.started)

        self.run(both())

    @rule()
    def cancel(self):
        async def go():
            for launch, who in list(self.launches.items())[-2:]:
                await self.tabs[who].http.post(
                    f"{PREFIX}launches/{launch}/cancel",
                    data={"form_token": self.tabs[who].form_token},
                )

        self.run(go())

    @rule()
    def restart(self):
        self.run(self.stack.aclose())
        self.run(self._open())

    @rule(target=volumes, who=PEOPLE, name=st.sampled_from(["x", "y"]))
    def make(self, who, name):
        made = self.run(self._deed(who, "make", volume=name))
        if made:
            self.model[f"{who}/{name}"] = {"description": "", "quota": made["quota"], "shares": {}}
        return f"{who}/{name}"

    @rule(who=PEOPLE, volume=volumes, words=st.sampled_from("abc"), quota=st.integers(1, 9))
    def change_in_two_tabs(self, who, volume, words, quota):
        async def both():
            return await asyncio.gather(
                self._deed(who, "change", volume=volume, description=words),
                self._deed(who, "change", volume=volume, quota=quota),
            )

        described, limited = self.run(both())
        if described:
            self.model[volume]["description"] = words
        if limited:
            self.model[volume]["quota"] = quota

    @rule(who=PEOPLE, volume=volumes, write=st.booleans())
    def share_and_take_back(self, who, volume, write):
        whom = "ada" if volume.startswith("bob") else "bob"

        async def go():
            before, after = await asyncio.gather(
                self._deed(who, "share", volume=volume, whom=whom, write=write),
                self._deed(who, "share", volume=volume, whom="zoe"),
            )
            return before, after, await self._deed(who, "unshare", volume=volume, whom="zoe")

        shared, zoe, back = self.run(go())
        if shared:
            self.model[volume]["shares"][whom] = write
        assert bool(zoe) == bool(back)

    @rule(who=PEOPLE, volume=volumes)
    def unshare(self, who, volume):
        whom = "ada" if volume.startswith("bob") else "bob"
        if self.run(self._deed(who, "unshare", volume=volume, whom=whom)):
            self.model[volume]["shares"].pop(whom, None)

    @rule(who=PEOPLE, volume=volumes)
    def delete_for_good_in_two_tabs(self, who, volume):
        async def both():
            return await asyncio.gather(
                self._deed(who, "delete", volume=volume, now=True),
                self._deed(who, "change", volume=volume, quota=1),
            )

        gone, limited = self.run(both())
        if gone:
            self.model.pop(volume, None)
        elif limited:
            self.model[volume]["quota"] = 1

    # What always holds.

    @invariant()
    def nobody_sees_what_is_anothers(self):
        self.run(self._look())

    async def _look(self) -> None:
        for who, tab in self.tabs.items():
            token = self.service.hub.token_of(who)
            headers = {"Authorization": f"Bearer {token}"}
            rows = (await tab.http.get(f"{PREFIX}api/volumes", headers=headers)).json()
            told = {
                row["volume"] if "/" in row["volume"] else f"{who}/{row['volume']}": row
                for row in rows
            }
            mine = {
                name: one
                for name, one in self.model.items()
                if name.startswith(f"{who}/") or who in one["shares"]
            }
            assert told.keys() == mine.keys()
            for name, one in mine.items():
                assert (told[name]["description"], told[name]["quota"]) == (
                    one["description"],
                    one["quota"],
                )
                if name.startswith(f"{who}/"):
                    assert {s["whom"]: s["write"] for s in told[name]["shares"]} == one["shares"]
            for launch, whose in self.launches.items():
                seen = await tab.http.get(f"{PREFIX}launches/{launch}")
                assert seen.status_code == (200 if whose == who else 404)

    @rule()
    def settle(self):
        self.run(self._settle())
        self.run(self._check())

    async def _settle(self) -> None:
        while tasks := list(self.service.site.desk._tasks.values()):
            await asyncio.wait(tasks)

    async def _check(self) -> None:
        store, hub = self.service.site.atoll.store, self.service.hub
        assert await store.launches.unfinished() == []
        recorded = [one.id for one in await store.volumes.all()]
        assert sorted(recorded) == sorted(self.service.engine.files.kept)
        held: dict[tuple[str, str], set[str]] = {}
        for number, (owner, name, options) in enumerate(hub.started):
            if number >= self.deleted.get((owner, name), 0):
                plan = await store.plans.get(options["plan"], owner)
                assert (plan.owner.name, plan.name) == (owner, name)
                held.setdefault((owner, name), set()).add(plan.ref.repo.locator)
        assert [one for one in held.items() if len(one[1]) > 1] == []
        for owner in ("ada", "bob"):
            plans = await store.plans.latest(owner)
            assert hub.users[owner]["servers"].keys() <= plans.keys()


TestPeople = People.TestCase
TestPeople.settings = SETTINGS
