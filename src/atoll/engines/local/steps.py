"""Steps: the boxes of one build, at two levels of trust.

*Resolving*, *building from source* and *postBuild* may run a repository's code. Their boxes see
the specification (and a copy of the content where that goes in), the environment being made, and
the package cache through an overlay that is thrown away: they read what is cached and can write
none of it. They have the network of any server and none of the operator's passwords.

*Installing wheels* runs no code but uv's. Its box has the host's network, the operator's index and
the real cache; all it is told are names and versions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from atoll.engines.local.corrections import ALLOWED, cutoffs, metadata
from atoll.engines.local.explanations import Explanation, Kind, explain, last_words
from atoll.engines.local.locks import Lock, Pin, lines, read_lock
from atoll.engines.local.pythons import Python
from atoll.engines.local.remedies import Remedies
from atoll.engines.local.sandbox import HOME, Bind, Box, run
from atoll.engines.local.scripts import (
    BUILD,
    HOME_PACKAGES,
    INSTALL,
    KERNELSPEC,
    POST_BUILD,
    RESOLVE,
)
from atoll.engines.local.searches import TOLD, Searches
from atoll.engines.local.uv import CONFIG, CONFIG_HOME, PROGRAM, Index, uv
from atoll.engines.local.workshop import Workshop, read_written
from atoll.environments import EnvSpec, Say
from atoll.environments.additions import ADDED
from atoll.environments.conda import ESSENCE, PIP
from atoll.environments.locks import LOCKED
from atoll.environments.reading import PACKAGE
from atoll.environments.requirements import replaces_index
from atoll.errors import BuildFailed
from atoll.servers import Limits, Network

ENV, CACHE, SPEC, OUT = "/srv/env", "/srv/cache", "/srv/spec", "/srv/out"
KERNEL = "share/atoll-kernel"  # in the environment: a kernel that its own packages do not allow
LAST_LINES = 2000  # of what a box prints, so many at least explain why it failed
KILLED = (137, -9)  # the status of what was killed, and of a box that was
ENDED = (143, -15)  # the same, of what was asked to end

COMPILE = (
    "nice", "-n", "19", "{python}", "-I", "-S", "-m", "compileall", "-q", "-j", "0", f"{ENV}/lib"
)  # fmt: skip


@dataclass(slots=True)
class Steps:
    """One build's steps; the folders, the Python and the limits stay the same for all of them.

    ``own_indexes`` says that the specification names package indexes, ``elsewhere`` that it names
    addresses of any kind. ``sealed`` says that code that is not ours gets no network here: then
    nothing is built from source, and resolving is done with the host's network, which no code but
    uv's can use. ``layer`` are the specification's Debian packages: only code that is not ours sees
    them.
    """

    spec: EnvSpec
    workshop: Workshop
    python: Python
    cache: Path
    index: Index
    memory: int
    timeout: float
    network: Network
    owner: int | None
    say: Say
    own_indexes: bool
    elsewhere: bool
    sealed: bool
    binds: tuple[Bind, ...] = ()
    layer: Path | None = None
    remedies: Remedies = field(default_factory=Remedies)
    began: float = field(default_factory=time.monotonic)

    async def resolve(
        self,
        extras: tuple[str, ...],
        *,
        alone: bool = False,
        quick: Searches | None = None,
        more: tuple[str, ...] = (),
    ) -> Lock | Explanation:
        """Have uv choose versions for the specification and *extras* together.

        With *alone*, only for *extras*. *more* are further options of uv's. With *quick*, which
        then hears of it in place of the log, nothing is built, so that nothing need be walled in:
        what only comes as source is passed over. Raises `BuildFailed` when uv could not run.
        """
        sealed = quick is not None or self.sealed
        file = self.workshop.spec / "extras.in"
        file.write_text("".join(f"{extra}\n" for extra in extras))
        inputs = [] if alone else self.inputs()
        words = [*cutoffs(self.spec.as_of), *self.remedies.options(), *more]
        words += [f"{SPEC}/extras.in", *inputs]
        if sealed:
            words = ["--no-build", *words]
        environ = {"EXPORT": "yes"} if "/tmp/exported.in" in inputs else {}  # noqa: S108 - the box's
        box = self._box_to_resolve(environ, sealed=sealed)
        if quick:  # meanwhile, the environment is begun
            environ = {**box.environ, "RUST_LOG": TOLD, "NEW": ENV}
            begun = Bind(self.workshop.env, ENV, writable=True)
            box = replace(box, environ=environ, binds=(*box.binds, begun))
        told: list[str] = []
        status = await self.run(
            ("/bin/sh", "-c", RESOLVE, "resolve", *words),
            box,
            told,
            say=quick.hear if quick else None,  # it is only a first try: no failure of a build's
        )
        if status:
            return self.explained(told, status)
        folder = self.workshop.quick if sealed else self.workshop.out
        return read_lock(read_written(folder, "pylock.toml"))

    async def install(
        self,
        pins: tuple[Pin, ...],
        hashes: Mapping[str, tuple[str, ...]],
        *,
        kernel: tuple[Pin, ...] = (),
        shared: bool,
    ) -> Explanation | None:
        """Make the environment and install *pins*, wheels from the operator's index, into it.

        *kernel* goes into a folder of its own. With *shared*, files are hard links into the
        cache: right only when nothing that may run a repository's code will write to this
        environment. Returns why it failed, or ``None``.
        """
        # "copy" although it is slow: "clone" falls back to hard links where there are no reflinks
        root = self.workshop.root
        (root / "pins.txt").write_text(lines(pins, hashes))
        (root / "kernel.txt").write_text(lines(kernel, {}))
        place = f"{CACHE}/making/{root.name}"
        mode = "hardlink" if shared else "copy"
        words = (f"{place}/result/env", f"{place}/pins.txt", f"{place}/kernel.txt", mode)
        script = INSTALL + KERNELSPEC
        told: list[str] = []
        box = Box(
            (),
            binds=(*self.always(self.index), Bind(self.cache, CACHE, writable=True)),
            environ={**self.environ(self.index), "HOME_PACKAGES": HOME_PACKAGES},
            workdir="/tmp",  # noqa: S108 - the box's own
            owner=self.owner,
            limits=self.limits(),
            host_network=True,
        )
        status = await self.run(("/bin/sh", "-c", script, "install", *words), box, told)
        return self.explained(told, status) if status else None

    async def build(self, lock: Lock) -> Explanation | None:
        """Install what of *lock* must be built or fetched from elsewhere; return why it failed."""
        told: list[str] = []
        (self.workshop.spec / "pylock.toml").write_bytes(lock.body)  # paths in it fit there, too
        dates = (*cutoffs(self.spec.as_of), *self.remedies.options())
        words = ("/bin/sh", "-c", BUILD, "build", *dates)
        status = await self.run(words, self.open_box({}, env=True), told)
        if status:
            return self.explained(told, status)
        await self.run(("/bin/sh", "-c", KERNELSPEC, "x", ENV), self.open_box({}, env=True), told)
        return None

    async def post_build(
        self, path: str, variables: Mapping[str, str] | None = None
    ) -> Explanation | None:
        """Run the author's postBuild, *path* in the content; return why it failed, or ``None``."""
        environ = {
            **(variables or {}),
            "HOME": HOME,
            "PATH": f"{HOME}/.local/bin:{ENV}/bin:/usr/local/bin:/usr/bin:/bin",
            "VIRTUAL_ENV": ENV,
            "NPM_CONFIG_PREFIX": f"{HOME}/.local",  # on the PATH, and can be written
        }
        box = replace(self.open_box(environ, env=True), workdir=HOME)
        told: list[str] = []
        status = await self.run(("/bin/bash", "-c", POST_BUILD, "postBuild", path), box, told)
        if not status:
            return None
        if killed := self.killed(status):
            return killed
        said = last_words(told)
        message = f"{path} ended with status {status}{f': {said}' if said else '.'}"
        return Explanation(Kind.BUILD, message, "Its last lines in the log say why.")

    def inputs(self) -> list[str]:
        """Return what uv is to resolve, seen from the folder in which it runs."""
        names = [name for name, _ in self.spec.files]
        if ESSENCE in names:
            return [f"{SPEC}/files/here/{PIP}"] if PIP in names else []
        folder = self.spec.folder if self.spec.tree and self.spec.folder else "."
        inputs = [f"{folder}/requirements.txt"] if "requirements.txt" in names else []
        if LOCKED in names:  # no file of the content
            inputs = [f"{SPEC}/files/here/{LOCKED}"]
        if "uv.lock" in names:
            inputs.append("/tmp/exported.in")  # noqa: S108 - the box's own
        elif "pyproject.toml" in names:
            inputs.append("pyproject.toml")
        if self.spec.kind == PACKAGE:
            package = self.workshop.spec / "package.in"
            package.write_text(f"{HOME}\n")
            inputs.append(f"{SPEC}/package.in")
        if ADDED in names:
            inputs.append(f"{SPEC}/files/here/{ADDED}")
        return inputs

    def _workdir(self) -> str:
        if self.spec.tree and self.spec.folder and ESSENCE in dict(self.spec.files):
            return f"{HOME}/{self.spec.folder}"  # as conda does
        return HOME if self.spec.tree else f"{SPEC}/files/here"

    def _box_to_resolve(self, environ: Mapping[str, str], *, sealed: bool) -> Box:
        own = self.python.prefix == Path(ENV)  # the Python to choose for is the environment's own
        return self._sealed_box(environ) if sealed else self.open_box(environ, env=own)

    def open_box(self, environ: Mapping[str, str], *, env: bool = False) -> Box:
        """Return a box in which a repository's code may run."""
        scratch = self.workshop.scratch
        binds = [
            *self.always(self.index.open()),
            Bind(self.cache / "uv", f"{CACHE}/uv", scratch=scratch),
            Bind(self.workshop.spec, SPEC),
            Bind(self.workshop.out, OUT, writable=True),
        ]
        if env:
            binds.append(Bind(self.workshop.env, ENV, writable=True))
        if self.spec.tree:
            binds.append(Bind(self.workshop.home, HOME, writable=True))
        return Box(
            (),
            binds=tuple(binds),
            environ={**self.environ(self.index.open()), **environ},
            workdir=self._workdir(),
            network=self.network,
            owner=self.owner,
            limits=self.limits(),
            layer=self.layer,
        )

    def _sealed_box(self, environ: Mapping[str, str]) -> Box:
        """Return a box with the host's network, in which uv reads but builds nothing."""
        binds = [
            *self.always(self.index),
            Bind(self.cache / "uv", f"{CACHE}/uv", writable=True),
            Bind(self.workshop.spec, SPEC),
            Bind(self.workshop.quick, OUT, writable=True),
        ]
        if self.spec.tree:
            binds.append(Bind(self.workshop.home, HOME))
        return Box(
            (),
            binds=tuple(binds),
            environ={**self.environ(self.index), **environ},
            workdir=self._workdir(),
            owner=self.owner,
            limits=self.limits(),
            host_network=True,
        )

    def always(self, index: Index) -> tuple[Bind, ...]:
        """Return the binds of every box in which uv runs."""
        always = (Bind(Path(uv()), PROGRAM), *self.binds, *index.binds)
        if any(bind.target == CONFIG for bind in index.binds):  # the operator's own uv.toml
            return always
        config = self.workshop.root / ("uv.toml" if index is self.index else "uv-open.toml")
        config.write_text(index.config + metadata() + self.remedies.config())
        return (*always, Bind(config, CONFIG))

    def environ(self, index: Index) -> dict[str, str]:
        """Return the variables of every box in which uv may run."""
        environ = {
            **index.environ,
            **ALLOWED,
            "HOME": "/tmp",  # noqa: S108 - the box's own: nothing is left in the content
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "UV": PROGRAM,
            "UV_CACHE_DIR": f"{CACHE}/uv",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "PYTHON": str(self.python.program),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NB_USER": "jovyan",
            "NB_PYTHON_PREFIX": ENV,
            "REPO_DIR": HOME,
        }
        if "pyproject.toml" in dict(self.spec.files):
            # Its own [tool.uv] is part of what is asked; the operator's settings stand behind it.
            return {**environ, "XDG_CONFIG_HOME": CONFIG_HOME}
        if self.own_indexes:  # written for pip, which takes the best version of all indexes
            environ["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if replaces_index(dict(self.spec.files)):
            return {**environ, "UV_NO_CONFIG": "1"}
        return {**environ, "UV_CONFIG_FILE": CONFIG}

    def limits(self) -> Limits:
        """Return what a box of a build may use."""
        return Limits(cpus=64, memory=self.memory, processes=2048)

    def explained(self, told: list[str], status: int) -> Explanation:
        """Say why a box ended with *status*, from what it has *told*."""
        if killed := self.killed(status):
            return killed
        if told:
            return explain(told, as_of=self.spec.as_of)
        return Explanation(Kind.OTHER, f"uv ended with status {status} and said nothing.")

    def killed(self, status: int) -> Explanation | None:
        """Explain what is no fault of the specification's, as far as we can tell."""
        if status in KILLED:
            size = f"{self.memory / 1024**3:.1f} GB"
            message = f"The build was killed, most likely for using more than {size} of memory."
            return Explanation(Kind.MACHINE, message, "The operator can raise [builds] memory.")
        if status in ENDED:
            return Explanation(Kind.MACHINE, "Somebody stopped the build.", "Launch it again.")
        return None

    async def run(
        self, command: tuple[str, ...], box: Box, told: list[str], *, say: Say | None = None
    ) -> int:
        """Run *command* in *box*, its lines going to *told* and to *say*, or else to the log."""

        def hear(line: str) -> None:
            told.append(line)
            if len(told) > LAST_LINES * 2:
                del told[:LAST_LINES]
            if say:
                say(line)
            elif not line.startswith("Using Python "):  # where in a box: no news
                self.say(line)

        left = self.timeout - (time.monotonic() - self.began)
        if left <= 0:
            raise BuildFailed(
                f"The build took longer than {self.timeout:.0f} seconds and was stopped.",
                hint="The operator can raise [builds] timeout.",
            )
        return await run(replace(box, command=command), hear, timeout=left)


def compiling(env: Path, python: Python, binds: tuple[Bind, ...], owner: int | None) -> Box:
    """Return a box that compiles *env*'s modules, which servers, seeing it read-only, cannot."""
    return Box(
        tuple(word.format(python=python.program) for word in COMPILE),
        binds=(*binds, Bind(env, ENV, writable=True)),
        environ={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        workdir="/tmp",  # noqa: S108 - the box's own
        owner=owner,
    )
