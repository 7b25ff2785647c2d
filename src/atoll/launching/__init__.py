"""Launching: the one story everything else serves, told once, top to bottom.

    RepoRef -> ResolvedRef -> Checkout -> EnvSpec -> Environment -> ServerPlan -> Server

Every way in (web, command line, Binder's API) calls `Launcher.prepare`, which may take an
hour, and then has the plan started, which takes a moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from atoll.environments import Environment, Environments, EnvKey, EnvSpec
from atoll.environments.conda import CONDA
from atoll.environments.imports import Proposal
from atoll.environments.reading import DEFAULT_TAKEN, index_day, read_spec, start_script
from atoll.errors import AtollError, ChannelsUnreachable, NotFound, Refused
from atoll.events import Event, Tell
from atoll.launching import existing, kernels, lacks, mounts, naming, pairs, proposals
from atoll.launching.changes import (
    Change,
    Changed,
    Terms,
    Wanted,
    as_it_was,
    changes,
    inside,
    only_files,
)
from atoll.launching.company import Company, check, check_levels
from atoll.launching.copies import copy_of
from atoll.launching.renewal import Homes, bring, look, tree_of
from atoll.launching.requests import (
    USUAL,
    Building,
    Built,
    Clock,
    Existing,
    LaunchRequest,
    Prepared,
)
from atoll.launching.room import party
from atoll.names import new_id
from atoll.servers import Plans, ServerPlan
from atoll.sources import Checkout, RepoRef, ResolvedRef, Source
from atoll.sources.parsing import path_opening
from atoll.volumes import Content, Copied, Mount
from atoll.volumes.keeper import Keeper
from atoll.volumes.renewal import Renewal, Tree

__all__ = [
    "Building",
    "Built",
    "Clock",
    "Existing",
    "LaunchRequest",
    "Launcher",
    "Prepared",
]

AGAIN = 600.0  # seconds after which conda channels that did not answer are tried again


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
            return await self._copy(request, request.copied, tell, clock)
        # What is wrong with these is said before an hour's build.
        await check(self.company, request.invited, request.person, temporary=request.temporary)
        wanted = await self._mounts(request, await self.name_for(request))
        index_day(request.at)
        content, checkout = await self._check_out_both(request, tell, clock)
        with clock.phase("build"):
            spec, proposal = await self._specify(checkout, request)
            kept = await self._kept(request)
            if kept is None and request.existing is Existing.LOOK:
                raise NotFound("You have no such server.", hint="Launch it, and there is one.")
            terms = as_it_was(kept, self._asked(request, tell), request.wished)
            known = await self.find(spec, checkout) if kept else None
            now = Wanted(content.ref, known.key if known else spec.key, terms, wanted)
            found = await self._differences(kept, now, request) if kept else ()
        asks = request.existing is Existing.LOOK or (found and request.existing is Existing.ASK)
        if kept and asks:
            made = known if content is checkout else None
            would = await self._would(kept, content, made)
            more = content is checkout and not known and "postBuild" in dict(spec.files)
            raise Changed(kept, found, replace(would, more=more))
        leaves = request.existing is Existing.LEAVE and not request.rebuild
        if kept and leaves and inside(found):
            for sentence in existing.left(kept, inside(found)):
                tell(Event("build", sentence, note=True))
            return await self._as_it_is(kept, now, request, tell, clock)
        with clock.phase("build"):
            tell(Event("build", f"Looking for environment {spec.key}"))
            how = Building(request.retry, request.rebuild, party(request.person.name))
            built = await self.build(spec, checkout, tell, how)
            check_levels(request.invited, own_lab=built.environment.own_lab)
            tell(Event("build", "The environment is there already" if built.cached else "Built"))
            proposed = (proposals.said(proposal),) if proposal else ()
            for note in (*built.notes, *pairs.notes(content, checkout), *proposed):
                tell(Event("build", note, note=True))
        plan = await self._plan(request, content, checkout, built.environment, terms)
        text = proposal.text if proposal else ""
        lasting = kept is not None and only_files(kept, plan)
        return Prepared(plan, built.spec, built.cached, clock.seconds, text, lasting)

    async def _plan(
        self,
        request: LaunchRequest,
        content: Checkout,
        checkout: Checkout,
        environment: Environment,
        terms: Terms,
    ) -> ServerPlan:
        """Store, and return, the plan of a server with *content* in *environment*."""
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
                environment=environment,
                environment_ref=None if content is checkout else checkout.ref,
                content=Content(str(content.path), temporary=request.temporary),
                opening=request.opening or path_opening(content.ref.path),
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
        return plan

    async def _as_it_is(
        self, kept: ServerPlan, now: Wanted, request: LaunchRequest, tell: Tell, clock: Clock
    ) -> Prepared:
        """Prepare the start of *kept*'s server as it is, making its environment again if need be.

        But for what its person says of it that no file or kernel notices: that is as it is *now*.
        """
        if not await self.environments.builder.healthy(kept.environment.handle):
            return await self.prepare(existing.once_more(kept, request), tell, clock)
        check_levels(request.invited, own_lab=kept.environment.own_lab)
        opening = request.opening or path_opening(now.ref.path)
        shared = bool(request.invited.people)
        plan = existing.as_it_is(kept, opening, now.terms, shared=shared)
        await self.plans.put(plan)
        return Prepared(plan, None, cached=True, seconds=clock.seconds, only_files=True)

    async def _copy(
        self, request: LaunchRequest, copied: Copied, tell: Tell, clock: Clock
    ) -> Prepared:
        """Prepare a copy by its original's plan, of which the environment may have been pruned."""
        theirs = await self.plans.newest(copied.owner, copied.server)
        name, how = await self.name_for(request), (request.limits, request.network)
        plan = copy_of(theirs, copied, request.person, name, *how)
        cached = await self.environments.builder.healthy(plan.environment.handle)
        if not cached:
            plan = await self._made_again(plan, request, tell, clock)
        await self.plans.put(plan)
        return Prepared(plan, None, cached, clock.seconds)

    async def _made_again(
        self, plan: ServerPlan, request: LaunchRequest, tell: Tell, clock: Clock
    ) -> ServerPlan:
        """Return *plan* with an environment, and files of the repository, that are there."""
        content = checkout = await self._fetch(plan.ref, tell, clock)
        if plan.environment_ref:
            checkout = await self._fetch(plan.environment_ref, tell, clock)
        with clock.phase("build"):
            spec, _ = await self._specify(checkout, request)
            how = Building(request.retry, whose=party(request.person.name))
            built = await self.build(spec, checkout, tell, how)
            tell(Event("build", "The environment is there already" if built.cached else "Built"))
        if built.environment.key != plan.environment.key:
            message = "The original's environment is not here any more; this one is made anew"
            tell(Event("build", message, note=True))
        files = replace(plan.content, checkout=str(content.path))
        return replace(plan, environment=built.environment, content=files)

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

    def _asked(self, request: LaunchRequest, tell: Tell) -> Terms:
        """Return what *request* asks for beside files; what cannot be had is left out, and told."""
        for lack in lacks.lacks(request, self.gpus):
            tell(Event("build", lack, note=True))
        limits = lacks.granted(request.limits, self.gpus)
        return Terms(limits, request.network, request.title, request.ends)

    async def _kept(self, request: LaunchRequest) -> ServerPlan | None:
        """Return the plan of the server that *request* leads to, if there is one already."""
        if request.temporary:
            return None
        name = await self.name_for(request)
        return await existing.find(self.plans, self.homes, request.person.name, name)

    async def _differences(
        self, kept: ServerPlan, now: Wanted, request: LaunchRequest
    ) -> tuple[Change, ...]:
        """Return how *kept*'s server is not as it would be *now*.

        Its files may be of another version than it was launched with last. Where it is left as it
        is, that is nothing new.
        """
        files, leave = kept.ref.version, request.existing is Existing.LEAVE
        if self.homes and not (leave and files == now.ref.version):
            files = await self.homes.origin(kept.owner.name, kept.name) or files
        found = changes(kept, files, now)
        if self.company and not leave:
            found += await self.company.changes(request.invited, request.person, kept.name, now)
        return found

    async def _would(
        self, kept: ServerPlan, content: Checkout, environment: Environment | None
    ) -> Renewal:
        """Return what an update to *content* would do to the files of *kept*'s server.

        *environment* is what is built of it, if that is there.
        """
        if self.homes is None:
            return Renewal()
        new = Tree(content.ref.version, content.path, environment.handle if environment else "")
        whose = (kept.owner.name, kept.name)
        return await look(self.homes, self.source, whose, content.ref, new)

    async def renew(self, plan: ServerPlan, tell: Tell) -> Renewal:
        """Bring the files of *plan*'s version into those of its server, telling *tell* of it."""
        if self.homes is None:
            return Renewal()
        whose = (plan.owner.name, plan.name)
        return await bring(self.homes, self.source, whose, plan.ref, tree_of(plan), tell)

    async def name_for(self, request: LaunchRequest) -> str:
        """Return the name of the server that *request* leads to; raises `BadRequest`."""
        return await naming.name_for(self.plans, request)

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
        self, spec: EnvSpec, checkout: Checkout, tell: Tell, how: Building = USUAL
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
