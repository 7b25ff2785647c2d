"""The desk: launches that go on by themselves, whoever watches.

A launch is prepared and then started by a task of the service. Its page may be closed,
reloaded or opened twice; its row survives a restart of the service, which takes it up again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from atoll.access import WATCHED, Role, alone
from atoll.accounting import Records
from atoll.acts import Act, Acts, Way, note
from atoll.errors import AtollError, Busy, Cancelled, NotFound, Unreachable
from atoll.events import Event, Story, Tell
from atoll.launching import Clock, Existing, Launcher, LaunchRequest
from atoll.launching.changes import Changed
from atoll.launching.launches import Launch, Launches, State, ending, original, record, seconds
from atoll.launching.naming import beside
from atoll.names import new_id
from atoll.people import Person
from atoll.servers import ServerPlan, too_many
from atoll.sources import written

__all__ = ["Bounds", "Desk", "Launch", "Launches", "Starter", "State"]

log = logging.getLogger(__name__)


class Starter(Protocol):
    """Whoever turns a plan into a running server; here, JupyterHub."""

    async def start(self, plan: ServerPlan, tell: Tell) -> str:
        """Start *plan* for its owner and return the URL of its page, or raise `StartFailed`."""
        ...

    async def up(self, owner: str) -> Collection[str]:
        """Return the names of *owner*'s servers that are not stopped, or raise `Unreachable`."""
        ...

    async def halt(self, plan: ServerPlan) -> None:
        """Stop the server that *plan* is to start, unless it runs and differs only in its files.

        Raises `Unreachable`.
        """
        ...

    async def abandon(self, owner: str, name: str) -> None:
        """Start *owner*'s server *name* no more if it does not run yet, or raise `Unreachable`."""
        ...


async def _ten(_: Person) -> int:
    return 10


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one person who has signed in may have at once; visitors are counted elsewhere."""

    launches: int = 5
    servers: Callable[[Person], Awaitable[int]] = _ten


@dataclass(slots=True)
class Desk:
    """Runs launches and remembers them. ``starter`` starts what has been prepared."""

    launcher: Launcher
    launches: Launches
    records: Records
    starter: Starter
    bounds: Bounds = Bounds()
    acts: Acts | None = None
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _stories: dict[str, Story] = field(default_factory=dict)
    _going: dict[str, Launch] = field(default_factory=dict)  # as they were when they began

    async def open(self, request: LaunchRequest, facts: Mapping[str, str] | None = None) -> Launch:
        """Begin a launch and return it at once.

        Raises `Busy` when the person has as many launches or servers as one may have, and
        `BadRequest` for a name that cannot be the server's.
        """
        if request.existing is Existing.NEW:
            request = await beside(self.launcher.plans, request)
        name = await self.launcher.name_for(request)
        name = name if request.name or not request.temporary else ""  # it is made up only later
        launch = Launch(new_id(), request, datetime.now(UTC), name=name, facts=facts or {})
        who = request.person.name
        earlier = [one for one in self._going.values() if one.request.person.name == who]
        self._going[launch.id] = launch  # before we wait for anything: the next one counts it
        try:
            if not request.person.visitor:
                await self._check_bounds(launch, earlier)
            await self.launches.put(launch)
        except BaseException:
            del self._going[launch.id]
            raise
        await self._note(launch, "launch")
        self._begin(launch)
        return launch

    async def _note(self, launch: Launch, deed: str, **detail: str) -> None:
        if self.acts is None:
            return
        who, facts = launch.request.person.name, launch.facts
        act = Act(
            who,
            deed,
            "launch",
            written(launch.request.repo, launch.request.environment),
            server=f"{who}/{launch.name}" if launch.name else "",
            way=Way(facts.get("way", Way.PAGE)),
            address=facts.get("address", ""),
            detail={"launch": launch.id, **original(launch), **detail},
        )
        await note(self.acts, act)

    async def _check_bounds(self, launch: Launch, earlier: list[Launch]) -> None:
        """Raise `Busy` before anything is fetched or built for nothing.

        The spawner has the last word about servers: people start them past this desk as well.
        """
        if len(earlier) >= self.bounds.launches:
            raise Busy(
                f"You have {len(earlier)} launch{'es' * (len(earlier) > 1)} in progress, "
                "as many as one person may have at once.",
                hint="Wait until one is ready, or cancel one.",
            )
        try:
            up = set(await self.starter.up(launch.request.person.name))
        except Unreachable:  # it may be back when the server is to be started
            return
        taken = up | {one.name or one.id for one in earlier}
        most = await self.bounds.servers(launch.request.person)
        if launch.name not in taken and len(taken) >= most:
            latest = await self.launcher.plans.latest(launch.request.person.name)
            raise too_many(most, [latest[one][0].called if one in latest else one for one in up])

    async def resume(self) -> list[Launch]:
        """Take up again whatever a restart interrupted; return those launches."""
        waiting = [one for one in await self.launches.unfinished() if one.id not in self._tasks]
        for launch in waiting:
            # Under its name, even if that was made up: its server may be in line already. What was
            # to be made anew has been, where the key is known, and nobody is asked any more. An
            # update is done again, as it may have come half-way: what is done of it stays done.
            asked = launch.request
            rebuild = asked.rebuild and not launch.key
            over = launch.key and asked.existing is Existing.ASK
            existing = Existing.LEAVE if over else asked.existing
            name = launch.name or asked.name
            request = replace(asked, name=name, rebuild=rebuild, existing=existing)
            self._begin(replace(launch, request=request, state=State.PREPARING))
        return waiting

    def going(self) -> list[tuple[Launch, str]]:
        """Return the launches in progress, as they began, each with what was last said of it."""
        found = []
        for launch in self._going.values():
            events = self._stories[launch.id].events if launch.id in self._stories else []
            found.append((launch, events[-1].message if events else ""))
        return found

    def people(self) -> set[str]:
        """Return the names of all whose launches are in progress."""
        return {launch.request.person.name for launch in self._going.values()}

    async def get(self, launch_id: str, person: Person, whose: frozenset[Role] = WATCHED) -> Launch:
        """Return the launch to which *person* is one of *whose*, or raise `NotFound`.

        Others' are not there for them.
        """
        launch = await self.launches.get(launch_id)
        if launch is None or whose.isdisjoint(alone(person, launch.request.person.name)):
            raise NotFound("There is no such launch.", hint="Launch the repository again.")
        return launch

    def story(self, launch: Launch) -> Story:
        """Return what has happened and happens; of a launch from before a restart, its end."""
        if launch.id not in self._stories:
            story = Story()
            story.tell(ending(launch))
            story.end()
            return story
        return self._stories[launch.id]

    async def cancel(self, launch: Launch) -> None:
        """Stop it; a build that others wait for goes on."""
        await asyncio.sleep(0)  # a task cancelled before its first step would never tell its end
        if task := self._tasks.get(launch.id):
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Stop all tasks but leave their rows unfinished, for `resume` after a restart."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel("closing")
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, launch: Launch) -> None:
        self._going[launch.id] = launch
        story = self._stories[launch.id] = Story()
        task = asyncio.create_task(self._run(launch, story), name=f"launch {launch.id}")
        self._tasks[launch.id] = task

        def done(_: object) -> None:
            self._tasks.pop(launch.id, None)
            self._going.pop(launch.id, None)

        task.add_done_callback(done)

    async def _run(self, launch: Launch, story: Story) -> None:
        clock = Clock()
        try:
            launch = await self._go(launch, story, clock)
        except asyncio.CancelledError as stop:
            if stop.args == ("closing",):
                story.end()
                raise
            await self._abandon(launch)
            launch = replace(launch, state=State.CANCELLED, error="Cancelled.")
        except Changed as error:
            plan = error.plan
            launch = replace(launch, state=State.ASKING, name=plan.name, error=str(error))
            launch = replace(launch, title=plan.called)
            await self.launches.put(replace(launch, changes=error.changes, renewal=error.renewal))
            story.end()
            self._forget_later(launch.id)
            return
        except Cancelled as error:
            launch = replace(launch, state=State.CANCELLED, error=str(error), hint=error.hint)
        except AtollError as error:
            launch = replace(
                launch,
                state=State.FAILED,
                error=str(error),
                error_name=type(error).__name__,
                hint=error.hint,
                log=error.log,
            )
        except Exception:
            log.exception("launch %s broke", launch.id)
            launch = replace(
                launch,
                state=State.FAILED,
                error="Something went wrong in Atoll itself.",
                error_name="InternalError",
                hint="Try again; if it stays so, tell the operator and name this launch's id.",
            )
        ending = asyncio.create_task(self._conclude(launch, story, clock))
        while not ending.done():
            with suppress(asyncio.CancelledError):  # it is over, whoever cancels it now
                await asyncio.wait([ending])
        ending.result()

    async def _conclude(self, launch: Launch, story: Story, clock: Clock) -> None:
        # Its record comes first: after a kill, a launch that is over is not taken up again.
        await self.records.add(record(launch, seconds(clock, story.events)))
        await self.launches.put(launch)
        detail = {"error": launch.error} if launch.error else {}
        await self._note(launch, f"launch {launch.state.value}", **detail)
        story.tell(ending(launch))
        story.end()
        self._forget_later(launch.id)

    async def _go(self, launch: Launch, story: Story, clock: Clock) -> Launch:
        prepared = await self.launcher.prepare(launch.request, story.tell, clock)
        plan = prepared.plan
        launch = replace(
            launch,
            state=State.STARTING,
            plan=plan.id,
            name=plan.name,
            ref=plan.ref.version,
            environment_ref=plan.environment_ref.version if plan.environment_ref else "",
            key=plan.environment.key,
            proposal=prepared.proposal,
            title=plan.title,
            cached=prepared.cached,
        )
        await self.launches.put(launch)
        with clock.phase("start"):
            story.tell(Event("start", f"Starting server {plan.called}"))
            if launch.request.existing is Existing.UPDATE:
                await self.starter.halt(plan)
                await self.launcher.renew(plan, story.tell)
            url = await self.starter.start(plan, story.tell)
            if company := self.launcher.company:
                async for deed, done in company.welcome(launch.request.invited, plan, story.tell):
                    await self._note(launch, deed, **done)
        return replace(launch, state=State.READY, url=url)

    async def _abandon(self, launch: Launch) -> None:
        """Give up the place in line, or what there is of a server, if no other launch needs it."""
        known = await self.launches.get(launch.id)
        if known is None or known.state is not State.STARTING:
            return
        server = (known.request.person.name, known.name)
        others = (one for one in self._going.values() if one.id != launch.id)
        if server not in {(one.request.person.name, one.name) for one in others}:
            try:
                await self.starter.abandon(*server)
            except AtollError as error:
                log.warning("server %s could not be abandoned: %s", known.name, error)

    def _forget_later(self, launch_id: str, seconds: float = 3600) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self._stories.pop, launch_id, None)
