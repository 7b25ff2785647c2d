"""Walking: somebody's belongings in the web service, and people who try every address there is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import quote

import httpx2

from atoll.access import (
    DOORS,
    HUB,
    VOLUMES,
    By,
    Deed,
    Door,
    Kind,
    Level,
    Party,
    Role,
    Share,
    alone,
    roles,
    roles_in,
)
from atoll.launching.copies import new_link
from atoll.messages import message_from
from atoll.people import Person
from atoll.sources import RepoRef
from atoll.testing.sources import FakeSource
from atoll.volumes import Volume
from support.browsing import HOME, NAVIGATION, PREFIX, Browser, running
from support.hub_shares_stand_in import MADE
from support.hub_stand_in import ACCESS
from support.web_service import REPO, Service, make_service

MARKS = ("words-of-ada", "log-of-ada", "proposal-of-ada")
LINK = f"git/{quote('https://github.com/ada/engine', safe='')}/HEAD"
KEY = "key-of-the-copies-of-ada"
DEEDS = {
    "make": None,  # of one's own
    "change": Deed.CHANGE,
    "share": Deed.SHARE,
    "unshare": Deed.SHARE,
    "snapshot": Deed.SNAPSHOT,
    "delete": Deed.DELETE,
    "restore": Deed.RESTORE,
    "hand-over": Deed.HAND_OVER,
}
PEOPLE_DEEDS = ("give", "take", "link", "unlink", "show", "hide")
OWNERS_DEEDS = {"show", "hide"}  # with people, of whom a manager may do the others
DEEDS_OF = {
    row: PEOPLE_DEEDS if "people" in row else DEEDS for row in DOORS if row.endswith("{deed}")
}
GUESTS = {"viewer": Level.VIEW, "runner": Level.RUN, "manager": Level.MANAGE}
WALKERS = {
    "nobody": None,
    "visitor": None,
    "visiting owner": None,
    "monitor": None,
    "stranger": Person("carl"),
    "reader": Person("grace"),
    "writer": Person("wren"),
    "owner": Person("ada"),
    "mate": Person("mate", frozenset({"maths"})),
    "operator": Person("boss", admin=True),
    "viewer": Person("vi"),
    "runner": Person("ru"),
    "manager": Person("mo"),
}
VISITING = {"visitor", "visiting owner"}
MATHS = Party(Kind.GROUP, "maths")


class TakingSource(FakeSource):
    """One that takes uploads, too, and keeps nothing of them."""

    async def receive(self, name, parts):
        async for _ in parts:
            pass
        return RepoRef("upload", name)


@dataclass
class Walker:
    """One of `WALKERS`, in a service that knows ada, who has a server, launches and volumes."""

    who: str
    service: Service
    browser: Browser
    launch: str = ""
    failed: str = ""
    token: str = ""
    person: Person | None = None
    volumes: dict[str, Volume] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """Whose the launches and the server are."""
        return self.person.name if self.who == "visiting owner" else "ada"

    def expected(self, row: str, deed: str = "") -> bool:
        """Whether the table opens that door to this walker."""
        door = DOORS[row]
        if door.to.isdisjoint(self._to_the_service()):
            return False
        if deed in OWNERS_DEEDS and Role.OWNER not in roles_in(self.person, "ada", None):
            return False
        if "{owner}" in row:
            return not door.whose.isdisjoint(roles_in(self.person, "ada", GUESTS.get(self.who)))
        if door.whose:
            return not door.whose.isdisjoint(alone(self.person, self.owner))
        if deed and DEEDS[deed]:
            volume = self._volume(row)
            who = roles(self.person, volume.owner, volume.shares)
            return not VOLUMES[DEEDS[deed]].isdisjoint(who)
        return True

    def _to_the_service(self):
        if self.who in VISITING:
            return {Role.VISITOR}
        if self.who == "monitor":
            return {Role.MONITOR, Role.NOBODY}
        return roles(self.person, HUB)

    def _volume(self, row: str) -> Volume:
        kind = "api" if "api/" in row else "page"
        return self.volumes[f"{kind} of maths" if self.who == "mate" else kind]

    async def come(self, row: str, deed: str = "", **headers: str) -> httpx2.Response:
        """Ask for the address of *row*, about what is ada's, as a page of ours would."""
        method, _, path = row.partition(" ")
        door, body = DOORS[row], self._body(row, deed)
        if row == "GET oauth_callback":
            return await self._signing_in()
        url = path if path.startswith("/") else PREFIX + path
        url = url.replace("{rest:path}", LINK).replace("{path:path}", "atoll.css")
        url = url.replace("{owner}", "ada").replace("{deed}", deed).replace("{name}", "x.zip")
        url = url.replace("{view}", "people").replace("{key}", KEY)
        url = url.replace("{server}", self.service.store.launches.kept[self.launch].name)
        url = url.replace(
            "{launch}", self.failed if path.endswith(("log", "retry")) else self.launch
        )
        sent = NAVIGATION | self._shown(door) | headers
        if "build" in path or path.endswith("events"):
            sent |= {"Accept": "text/event-stream"}
        how = {"json": body} if door.by is By.TOKEN and method == "POST" else {}
        if method == "POST" and not how:
            how = {"data": {"form_token": self.browser.form_token, **body}}
        if method == "PUT":
            how = {"content": b"x"}
        return await self.browser.http.request(
            method, url, headers=sent, follow_redirects=False, **how
        )

    def _shown(self, door: Door) -> dict[str, str]:
        if door.by is By.TOKEN and self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if door.by is By.FORM:
            return {"Origin": HOME, "X-Form-Token": self.browser.form_token}
        return {}

    def _body(self, row: str, deed: str) -> dict[str, str]:
        if "people" in row:
            link = row.split()[1].split("/", maxsplit=1)[0]
            return {"whom": "grace", "level": "run", "days": "1", "link": link}
        if "admin" in row:
            told = {"text": "words", "number": "2" if "api" in row else "1"}
            return {
                "server": "ada",
                "whom": "zoe",
                "person": "carl",
                "memory": "1G",
            } | told  # all of hers
        if row == "POST messages/dismiss":
            return {"number": "3"}
        if not deed:
            return {"repository": REPO, "how": "new", "what": "x", "title": "other"}
        if deed == "make":
            return {"volume": "mine" if "api/" in row else "own"}
        whom = {"share": "yan", "unshare": "zoe", "hand-over": "zed"}.get(deed, "")
        return {"volume": str(self._volume(row)), "whom": whom, "quota": "1M"}

    async def _signing_in(self) -> httpx2.Response:
        http = self.browser.http
        begun = await http.get(f"{PREFIX}sign-in", headers=NAVIGATION)
        there = await http.get(begun.headers["location"], headers=NAVIGATION)
        answer = await http.get(there.headers["location"], headers=NAVIGATION)
        await self.browser.get("")  # the forms of this session have a token of their own
        return answer

    async def rest(self) -> None:
        """Wait until no launch goes on that a door has opened."""
        going = [one for one in asyncio.all_tasks() if one.get_name().startswith("launch ")]
        await asyncio.gather(*going, return_exceptions=True)

    def state(self) -> str:
        """Return all that could have changed, to be compared."""
        store, hub = self.service.store, self.service.hub
        kept = (store.launches.kept, store.plans.made, store.volumes.kept, store.trusts.kept)
        kept += (store.copies.kept,)
        kept += (hub.sharing.shares, hub.sharing.codes)
        kept += (store.rulings.kept, store.messages.kept, store.messages.away)
        return repr((*kept, hub.users, hub.started, self.service.engine.runner.removed))


def refused(answer: httpx2.Response) -> bool:
    """Whether an answer lets nobody in: a status that says so, or the way to sign in."""
    asks = answer.is_redirect and "sign-in?next=" in answer.headers["location"]
    return asks or answer.status_code in {401, 403, 404}


def rows_of(app) -> Iterator[str]:
    """Return the addresses that a running app has, as the table writes them."""
    for route in app.routes:
        inside = route.path.startswith(PREFIX)
        path = route.path.removeprefix(PREFIX) if inside else route.path
        methods = getattr(route, "methods", None)
        if methods is None:  # a folder of files
            yield f"GET {path}/{{path:path}}"
        for method in (methods or set()) - {"HEAD"}:
            yield f"{method} {path}"


@contextlib.asynccontextmanager
async def walking(folder, who: str):
    """Run a service in which ada has much, and give the `Walker` *who*."""
    source = TakingSource(folder / "checkouts", {REPO: {"requirements.txt": b"six==1.16.0\n"}})
    tables = {"access": {"anonymous": True}} if who in VISITING else {}
    tables |= {"operator": {"see_as": True}}
    service = make_service(folder, real=source, **tables)
    service.hub.users.clear()
    for person in filter(None, WALKERS.values()):
        service.hub.add(person.name, admin=person.admin)
        service.hub.users[person.name]["groups"] = sorted(person.groups)
    async with running(service) as open_browser:
        ada = open_browser()
        service.hub.signed_in = "ada"
        await _sign_in(ada)
        await _belongings(service, ada)
        walker = Walker(who, service, open_browser(), person=WALKERS[who])
        walker.launch, walker.failed = list(service.store.launches.kept)
        for _ in range(3):  # one for each row that takes one away
            await service.store.messages.add(message_from("@", "words to all", "boss"))
        _share_volumes(walker)
        link = new_link("ada", service.store.launches.kept[walker.launch].name, ())
        await service.store.copies.put(replace(link, key=KEY))
        _share_server(service.hub, service.store.launches.kept[walker.launch].name)
        await _arrive(walker)
        yield walker


async def _sign_in(browser: Browser) -> None:
    assert (await browser.get("sign-in")).status_code == 200


async def _belongings(service: Service, browser: Browser) -> list[str]:
    """Give whoever has *browser* a server, and two launches, of which one has a log."""
    made = []
    for _ in range(2):
        launch = await browser.launch(REPO)
        await browser.events(launch)
        made.append(launch)
    kept = service.store.launches.kept
    logs = service.settings.data / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "of-ada.txt").write_text("log-of-ada\n")
    kept[made[0]] = replace(kept[made[0]], proposal="proposal-of-ada")
    kept[made[1]] = replace(kept[made[1]], log="of-ada")
    return made


def _share_volumes(walker: Walker) -> None:
    ada = Party(Kind.PERSON, "ada")
    shares = (
        Share(Party(Kind.PERSON, "grace")),
        Share(Party(Kind.PERSON, "wren"), writable=True),
        Share(Party(Kind.PERSON, "zoe")),
    )
    for kind in ("page", "api"):
        for key, owner in ((kind, ada), (f"{kind} of maths", MATHS)):
            name = key.replace(" ", "-")
            volume = Volume(
                f"id-{name}", owner, name, datetime.now(UTC), "words-of-ada", shares=shares
            )
            walker.volumes[key] = walker.service.store.volumes.kept[volume.id] = volume
            walker.service.engine.files.kept.append(volume.id)


def _share_server(hub, name: str) -> None:
    for who, level in GUESTS.items():
        marks = [f"custom:atoll:{one}" for one in level.whole if one is not Level.VIEW]
        scopes = {f"{one}!server=ada/{name}" for one in ("access:servers", *marks)}
        hub.sharing.shares["ada", name, "user", WALKERS[who].name] = scopes
    for link in ("servers", "shared", "api"):
        hub.sharing.codes[link] = {
            "of": ("ada", name),
            "scopes": [f"access:servers!server=ada/{name}"],
            "id": link,
            "created_at": MADE,
            "expires_at": MADE,
            "exchange_count": 0,
        }


async def _arrive(walker: Walker) -> None:
    hub = walker.service.hub
    if walker.who == "monitor":
        hub.add("prometheus")
        walker.token = hub.token_of("prometheus", "read:metrics")
    if walker.person:
        hub.signed_in = walker.person.name
        walker.token = hub.token_of(walker.person.name, ACCESS, "admin:servers")
        await _sign_in(walker.browser)
    if walker.who == "visiting owner":
        walker.launch, walker.failed = await _belongings(walker.service, walker.browser)
        name = walker.service.store.launches.kept[walker.launch].request.person.name
        walker.person = Person(name)
    if walker.who not in {"nobody", "monitor"}:
        await walker.browser.get("")
