"""Launching: the one story everything else serves, told once, top to bottom.

    RepoRef -> ResolvedRef -> Checkout -> EnvSpec -> Environment -> ServerPlan -> Server

Every way in (web, command line, Binder's API) calls `Launcher.prepare`, which may take an
hour, and then has the plan started, which takes a moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from atoll.environments import Environment, Environments, EnvKey, EnvSpec
from atoll.environments.conda import CONDA
from atoll.environments.imports import Proposal
from atoll.environments.reading import DEFAULT_TAKEN, index_day, read_spec, start_script
from atoll.errors import AtollError, BadRequest, ChannelsUnreachable, Refused
from atoll.events import Event, Phase, Tell
from atoll.launching import kernels, lacks, mounts, pairs, proposals
from atoll.launching.changes import Changed, Terms, Wanted, as_it_was, changes
from atoll.launching.company import NOBODY, Company, Invited, check, check_levels
from atoll.launching.copies import copy_of
from atoll.launching.renewal import Homes, bring, look
from atoll.launching.room import party
from atoll.names import LONGEST, default_name, is_slug, new_id, title_slug
from atoll.people import Person
from atoll.servers import DEFAULT_LIMITS, NO_ENDS, Ends, Limits, Network, Plans, ServerPlan
from atoll.sources import Checkout, RepoRef, ResolvedRef, Source
from atoll.sources.parsing import path_opening
from atoll.volumes import Content, Copied, Mount, Wish
from atoll.volumes.keeper import Keeper
from atoll.volumes.renewal import Renewal

AGAIN = 600.0  # seconds after which conda channels that did not answer are tried again


class Existing(StrEnum):
    """What happens to a server of that name and repository that is there and differs.

    It is left as it is for as long as it runs; or its person is asked; or it is started anew.
    """

    LEAVE = "leave"
    ASK = "ask"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """Who wants what, before anything is looked up.

    ``environment`` is the repository whose specification is built, where that is not ``repo``'s.
    ``opening`` is the URL path to land on, or "" for what the reference points at. ``name`` may
    be "": then it is made from ``title``, which people call it by, or the repository. ``at`` is ""
    (the date of the specification), "today" or an ISO date. ``retry`` asks to build again what
    failed before, ``rebuild`` also what did not. ``infer`` takes what the code imports where
    nothing says what to build. ``typed`` is what the person wrote, for records and pages.
    ``wished`` are the names of what is asked for by itself: all else stays as it was with a server
    that is there. ``existing`` says what happens to such a server if it differs. ``credentials``
    asks for its person's, which none gets yet. ``copied`` is another person's server of which it is
    a copy: then nothing is looked up or built. ``invited`` are to be let in.
    """

    person: Person
    repo: RepoRef
    opening: str = ""
    name: str = ""
    temporary: bool = False
    at: str = ""
    retry: bool = False
    limits: Limits = DEFAULT_LIMITS
    network: Network = Network.INTERNET
    typed: str = ""
    environment: RepoRef | None = None
    rebuild: bool = False
    infer: bool = False
    wished: frozenset[str] = frozenset({"memory", "cpus", "network"})
    existing: Existing = Existing.LEAVE
    mounts: tuple[Wish, ...] | None = None
    copied: Copied | None = None
    invited: Invited = NOBODY
    title: str = ""
    ends: Ends = NO_ENDS
    credentials: bool = False

    @property
    def wanted_name(self) -> str:
        """The server's name, if nothing is in its way."""
        made = title_slug(self.title) or default_name(self.repo.locator)
        return self.name or made


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan that can be started at once, and how it came about.

    ``proposal`` is a ``requirements.txt`` that could have been taken, where the repository has
    none, or "". Of a copy there is no ``spec``.
    """

    plan: ServerPlan
    spec: EnvSpec | None
    cached: bool
    seconds: dict[str, float]
    proposal: str = ""


@dataclass(frozen=True, slots=True)
class Building:
    """How to build: what `Environments.ensure` is told besides what."""

    retry: bool = False
    rebuild: bool = False
    whose: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """An environment and the specification that it was really made from."""

    spec: EnvSpec
    environment: Environment
    cached: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should hear of, each sentence once."""
        return tuple(dict.fromkeys((*self.spec.notes, *self.environment.notes)))


@dataclass(slots=True)
class Clock:
    """How long each phase took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Time what happens inside as *name*, even when it fails."""
        begun = time.monotonic()
        try:
            yield
        finally:
            taken = self.seconds.get(name, 0.0) + time.monotonic() - begun
            self.seconds[name] = round(taken, 3)


@dataclass(frozen=True, slots=True)
class Launcher:
    """The collaborators of a launch, chosen once in `atoll.app`.

    ``substitute`` makes another specification of one whose conda channels cannot be reached;
    without it, that is an error. ``keeper`` knows the volumes; without it, there are none.
    ``homes`` are where files are kept; without these, newer ones reach nobody. ``gpus`` is how many
    a server can have. ``company`` lets others in; without it, there are none.
    """

    source: Source
    environments: Environments
    plans: Plans
    platform: str
    substitute: Callable[[EnvSpec], EnvSpec] | None = None
    keeper: Keeper | None = None
    homes: Homes | None = None
    gpus: int = 0
    company: Company | None = None
    _unreachable: dict[EnvKey, float] = field(default_factory=dict)
    _naming: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def prepare(
        self, request: LaunchRequest, tell: Tell, clock: Clock | None = None
    ) -> Prepared:
        """Turn *request* into a stored plan, telling *tell* how it goes.

        Raises any `AtollError` that a provider, the reading of the specification or a builder
        raises; `BadRequest` for a name that JupyterHub would not take, or no date.
        """
        clock = clock or Clock()
        if request.copied:
            plan = await self._copy(request, request.copied)
            return Prepared(plan, None, cached=True, seconds=clock.seconds)
        # What is wrong with these is said before an hour's build.
        await check(self.company, request.invited, request.person, temporary=request.temporary)
        wanted = await self._mounts(request, await self.name_for(request))
        index_day(request.at)
        content, checkout = await self._check_out_both(request, tell, clock)
        with clock.phase("build"):
            spec, proposal = await self._specify(checkout, request)
            kept = await self._kept(request)
            for lack in lacks.lacks(request, self.gpus):
                tell(Event("build", lack, note=True))
            limits = lacks.granted(request.limits, self.gpus)
            asked = Terms(limits, request.network, request.title, request.ends)
            terms = as_it_was(kept, asked, request.wished)
            if kept and request.existing is Existing.ASK:
                key = await self._key(spec, checkout)
                now = Wanted(content.ref, key, terms, wanted)
                await self._ask(kept, content, now, request)
            tell(Event("build", f"Looking for environment {spec.key}"))
            how = Building(request.retry, request.rebuild, party(request.person.name))
            built = await self.build(spec, checkout, tell, how)
            check_levels(request.invited, own_lab=built.environment.own_lab)
            tell(Event("build", "The environment is there already" if built.cached else "Built"))
            proposed = (proposals.said(proposal),) if proposal else ()
            for note in (*built.notes, *pairs.notes(content, checkout), *proposed):
                tell(Event("build", note, note=True))
        async with self._naming:  # else two that begin at once, of two repositories, get one name
            name = await self.name_for(request)
            wanted = await self._mounts(request, name)
            if request.mounts is not None:
                mounts.check_hidden(content.path, wanted)
            plan = ServerPlan(
                id=new_id(),
                owner=request.person,
                name=name,
                ref=content.ref,
                environment=built.environment,
                environment_ref=None if content is checkout else checkout.ref,
                content=Content(str(content.path), temporary=request.temporary),
                opening=request.opening or opening_of(content),
                start=start_script(content.files) if content is checkout else "",
                script=pairs.script(content, checkout),
                limits=terms.limits,
                network=terms.network,
                mounts=wanted,
                title=terms.title,
                ends=terms.ends,
                shared=bool(request.invited.people),
            )
            await self.plans.put(plan)
        text = proposal.text if proposal else ""
        return Prepared(plan, built.spec, built.cached, clock.seconds, text)

    async def _copy(self, request: LaunchRequest, copied: Copied) -> ServerPlan:
        theirs, _ = (await self.plans.latest(copied.owner)).get(copied.server, (None, None))
        name, how = await self.name_for(request), (request.limits, request.network)
        plan = copy_of(theirs, copied, request.person, name, *how)
        await self.plans.put(plan)
        return plan

    async def _specify(
        self, checkout: Checkout, request: LaunchRequest
    ) -> tuple[EnvSpec, Proposal | None]:
        """Return what is to be built, and what is proposed in its place where nothing says it."""
        spec = await asyncio.to_thread(self.read, checkout, request.at)
        if DEFAULT_TAKEN not in spec.notes:
            return spec, None
        proposal = await asyncio.to_thread(proposals.propose_for, checkout)
        if proposal and request.infer:
            taken = proposals.accepted(checkout, proposal)
            return await asyncio.to_thread(self.read, taken, request.at), None
        return spec, proposal

    async def _kept(self, request: LaunchRequest) -> ServerPlan | None:
        """Return the plan of the server that *request* leads to, if there is one already."""
        latest = await self.plans.latest(request.person.name)
        kept, _ = latest.get(await self.name_for(request), (None, None))
        return None if request.temporary else kept

    async def _ask(
        self, kept: ServerPlan, content: Checkout, now: Wanted, request: LaunchRequest
    ) -> None:
        """Raise `Changed` if *kept*'s server is not as *now*: its person is to be asked first."""
        files, renewal = kept.ref.version, Renewal()
        whose = (kept.owner.name, kept.name)
        if self.homes:
            files = await self.homes.origin(*whose) or files
            renewal = await look(self.homes, self.source, whose, content.ref, content.path)
        found = changes(kept, files, now)
        if self.company:
            found += await self.company.changes(request.invited, request.person, kept.name, now)
        if found:
            raise Changed(kept, found, renewal)

    async def renew(self, plan: ServerPlan, tell: Tell) -> Renewal:
        """Bring the files of *plan*'s version into those of its server, telling *tell* of it."""
        if self.homes is None:
            return Renewal()
        whose, folder = (plan.owner.name, plan.name), Path(plan.content.checkout)
        return await bring(self.homes, self.source, whose, plan.ref, folder, tell)

    async def _key(self, spec: EnvSpec, checkout: Checkout) -> EnvKey:
        """Return the key of what *spec* is launched in, as far as that is known before a build."""
        known = await self.find(spec, checkout)
        return known.key if known else spec.key

    async def free_name(self, request: LaunchRequest) -> str:
        """Return a name for one more server of *request*'s repository: the next with a number."""
        taken = await self.plans.latest(request.person.name)
        base = request.wanted_name[: LONGEST - 4].rstrip("-")
        return next(name for n in range(2, 1000) if (name := f"{base}-{n}") not in taken)

    async def name_for(self, request: LaunchRequest) -> str:
        """Return the server's name: a kept server of one repository never gets another's files.

        Launching a repository again leads to the server that it has; a name that another
        repository's server has is numbered if we made it, and refused if the person did.
        """
        wanted = request.wanted_name
        if not is_slug(wanted):
            message = f"“{wanted}” cannot be a server's name."
            raise BadRequest(message, hint="Use up to 30 of a-z, 0-9 and single hyphens.")
        if request.temporary and not request.name:
            return f"{wanted[: LONGEST - 9].rstrip('-')}-{new_id()[:8]}"
        kept = {
            name: plan.ref.repo.locator
            for name, (plan, _) in (await self.plans.latest(request.person.name)).items()
            if not plan.content.temporary
        }
        locator = request.repo.locator
        if request.name and (kept.get(wanted, locator) != locator):
            message = f"Your server “{wanted}” is of another repository, {kept[wanted]}."
            raise BadRequest(message, hint="Choose another name, or remove that server first.")
        if request.temporary and wanted in kept:
            message = f"You have a server “{wanted}” whose files are kept."
            raise BadRequest(message, hint="Choose another name for a temporary one.")
        base = wanted[: LONGEST - 4].rstrip("-")
        names = [wanted, *(f"{base}-{n}" for n in range(2, 1000))]
        # Its own comes first: a name before it may have become free since.
        mine = (name for name in names if kept.get(name) == locator)
        return next(mine, "") or next(name for name in names if name not in kept)

    async def _mounts(self, request: LaunchRequest, name: str) -> tuple[Mount, ...]:
        """Return the mounts that are asked for, or else those that the server *name* has."""
        if request.mounts is None:
            plan, _ = (await self.plans.latest(request.person.name)).get(name, (None, None))
            return plan.mounts if plan else ()
        if request.mounts and self.keeper is None:
            raise Refused("There are no volumes here.")
        return await self.keeper.mounts(request.person, request.mounts) if self.keeper else ()

    async def check_out(self, repo: RepoRef, tell: Tell, clock: Clock) -> Checkout:
        """Resolve *repo* and fetch it: the first half of the story, which `atoll build` shares."""
        return await self._fetch(await self._resolve(repo, tell, clock), tell, clock)

    async def _check_out_both(
        self, request: LaunchRequest, tell: Tell, clock: Clock
    ) -> tuple[Checkout, Checkout]:
        """Return the content, and what the environment is read from: the same, but for pairs."""
        if request.environment is None:
            checkout = await self.check_out(request.repo, tell, clock)
            return checkout, checkout
        with pairs.blaming(pairs.ENVIRONMENT):
            theirs = await self._resolve(request.environment, tell, clock)
        with pairs.blaming(pairs.CONTENT):
            ref = await self._resolve(request.repo, tell, clock)
        with pairs.blaming(pairs.ENVIRONMENT):
            environment = await self._fetch(theirs, tell, clock)
        with pairs.blaming(pairs.CONTENT):
            return await self._fetch(ref, tell, clock), environment

    async def _resolve(self, repo: RepoRef, tell: Tell, clock: Clock) -> ResolvedRef:
        with clock.phase("resolve"):
            tell(Event("resolve", f"Looking up {repo}"))
            return await self.source.resolve(repo, tell)

    async def _fetch(self, ref: ResolvedRef, tell: Tell, clock: Clock) -> Checkout:
        with clock.phase("fetch"):
            tell(Event("fetch", f"Fetching version {ref.version[:10]} of {ref.date:%Y-%m-%d}"))
            checkout = await self.source.fetch(ref, tell)
            for warning in checkout.warnings:
                tell(Event("fetch", warning, note=True))
        return checkout

    async def build(
        self, spec: EnvSpec, checkout: Checkout, tell: Tell, how: Building = Building()
    ) -> Built:
        """Find or build what *spec* asks for, which `atoll build` shares, too.

        Where none of its conda channels can be reached, and only then, the same names are taken
        from the Python package index; the notes say so.
        """
        if not how.rebuild and (known := await self.environments.find(spec)):
            return Built(spec, known, cached=True)
        lately = time.monotonic() - self._unreachable.get(spec.key, -AGAIN) < AGAIN
        if self.substitute is None or how.retry or how.rebuild or not lately:
            try:
                made = await self.environments.ensure(spec, checkout.path, tell, **asdict(how))
                return Built(spec, made, cached=False)
            except ChannelsUnreachable as error:
                if self.substitute is None:
                    raise
                self._unreachable[spec.key] = time.monotonic()
                tell(Event("build", str(error), note=True))
        instead = await asyncio.to_thread(kernels.as_written, self.substitute(spec), checkout)
        return await self._build_substitute(instead, checkout, tell, how)

    async def _build_substitute(
        self, spec: EnvSpec, checkout: Checkout, tell: Tell, how: Building
    ) -> Built:
        tell(Event("build", f"Taking the Python package index instead: environment {spec.key}"))
        if not how.rebuild and (known := await self.environments.find(spec)):
            return Built(spec, known, cached=True)
        for note in spec.notes:
            tell(Event("build", note, detail=True))
        try:
            made = await self.environments.ensure(spec, checkout.path, tell, **asdict(how))
        except AtollError as error:
            hint = "It was tried with the Python package index: no conda channel can be reached."
            error.hint = f"{error.hint} {hint}".strip()
            raise
        return Built(spec, made, cached=False)

    async def find(self, spec: EnvSpec, checkout: Checkout) -> Environment | None:
        """Return the environment that *spec* is launched in, if it is there; never build."""
        if known := await self.environments.find(spec):
            return known
        if self.substitute is None or spec.kind != CONDA:
            return None
        return await self.environments.find(kernels.as_written(self.substitute(spec), checkout))

    def read(self, checkout: Checkout, at: str = "") -> EnvSpec:
        """Read what *checkout* asks for; *at* overrides the date of the package index."""
        spec = read_spec(checkout, platform=self.platform, at=at)
        return kernels.as_written(spec, checkout)


def opening_of(checkout: Checkout) -> str:
    """Return the URL path at which a person lands who asked for nothing but this checkout."""
    return path_opening(checkout.ref.path)
