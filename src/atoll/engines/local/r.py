"""R: installs the R packages that a repository asks for into its environment.

    (Debian's R and packages of it lie over the system) -> install.R -> renv.lock -> DESCRIPTION

All of it may run a repository's code, and so in boxes that see the environment read-only but for
the library of R. That is found by R wherever it runs, since the environment has a profile for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from atoll.engines.local.apt import System
from atoll.engines.local.debian import Layer
from atoll.engines.local.r_problems import absent, failure, unreachable
from atoll.engines.local.sandbox import HOME, Bind
from atoll.engines.local.solving import failed
from atoll.engines.local.steps import ENV, OUT, SPEC, Steps
from atoll.engines.local.system import is_folder
from atoll.engines.local.workshop import read_written
from atoll.environments import EnvSpec
from atoll.environments.r import RSpec, essence_of, upstream
from atoll.environments.r_scripts import NAME
from atoll.errors import BuildFailed, Unreachable
from atoll.servers import Network

PLACE = "lib/R"  # in an environment: its library, and what R reads first
LIBRARY, PROFILE = f"{ENV}/{PLACE}/library", f"{ENV}/{PLACE}/Rprofile.site"
OF_PEOPLE = f"{HOME}/.local/lib/R/library"
PROGRAM = "/srv/bin/r_packages.R"  # in a box
INSIDE = Path(__file__).parent / "inside" / "r_packages.R"
RSCRIPT = ("Rscript", "--no-save", "--no-restore", "--no-init-file", "--no-environ", PROGRAM)
FIRST = date(2017, 10, 10)  # the first day of which the mirror of the default settings has a CRAN
RIPE = timedelta(days=2)  # after which a snapshot is there, whatever the time zone
VARIABLES = {"R_LIBS": LIBRARY, "R_PROFILE": PROFILE}
# Where the library cannot be written, as in servers, what people install goes to their home.
RPROFILE = """\
if (file.exists("/etc/R/Rprofile.site")) sys.source("/etc/R/Rprofile.site", globalenv())
local({
  options(repos = c(CRAN = %s))
  mine <- Sys.getenv("R_LIBS_USER")
  if (file.access(.libPaths()[1], 2) != 0 && dir.create(mine, FALSE, TRUE) | dir.exists(mine))
    .libPaths(c(mine, .libPaths()))
})
"""


@dataclass(frozen=True, slots=True)
class MadeR:
    """The R of an environment: its version, the CRAN it takes packages from, and those it took.

    ``restored`` says that they are those of an ``renv.lock``.
    """

    version: str = ""
    cran: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    restored: bool = False

    @property
    def variables(self) -> dict[str, str]:
        """The variables that R needs."""
        return VARIABLES if self.version else {}

    @property
    def told(self) -> dict[str, object]:
        """What the metadata of an environment say of it, with the variables of its servers."""
        if not self.version:
            return {}
        known = {"version": self.version, "cran": self.cran, "packages": dict(self.packages)}
        renv = {"RENV_CONFIG_AUTOLOADER_ENABLED": "FALSE"} if self.restored else {}
        return {"r": known, "environ": {**VARIABLES, "R_LIBS_USER": OF_PEOPLE, **renv}}

    @property
    def lines(self) -> str:
        """Its packages as comments for a lock file."""
        return "".join(f"# r: {name}=={one}\n" for name, one in sorted(self.packages.items()))


def runs_script(spec: EnvSpec) -> bool:
    """Say whether an ``install.R`` runs for *spec*, which may write to the content."""
    asked = essence_of(dict(spec.files))
    return bool(asked and asked.script)


async def install(
    steps: Steps, system: System, layer: Layer | None, cran: str, notes: list[str]
) -> MadeR:
    """Install what *steps*' specification asks of R beyond what is in *layer*.

    *cran* is the pattern of the settings. Sentences about what is not as asked go to *notes*.
    """
    asked = essence_of(dict(steps.spec.files))
    if not (asked and layer):
        return MadeR()
    version = ".".join(upstream(layer.packages["r-base"]).split(".")[:3])
    steps.say(f"R {version}")
    if asked.version and version.split(".")[:2] != asked.version.split(".")[:2]:
        notes.append(f"No R {asked.version} here; {version} was taken instead.")
    r = _R(steps, asked, _address(cran, asked.day, system, notes), version)
    await r.prepare()
    if asked.script:
        notes += await r.run_script()
    await r.restore()
    await r.install_described()
    return MadeR(version, r.cran, await r.installed(), bool(asked.locked or asked.elsewhere))


@dataclass(frozen=True, slots=True)
class _R:
    """The boxes in which R installs packages."""

    steps: Steps
    asked: RSpec
    cran: str
    version: str

    async def prepare(self) -> None:
        """Make the library and its profile; what follows can write to nothing else there."""
        workshop = self.steps.workshop
        words = ("/bin/sh", "-c", f"mkdir -p {LIBRARY} && touch {OUT}/r-absent")
        box = replace(self.steps.open_box({}, env=True), network=Network.NONE)
        made = await self.steps.run(words, box, [])
        place = workshop.env / PLACE
        folders = (*reversed(place.parents[:2]), place, place / "library")
        if made or not all(map(is_folder, folders)):
            raise BuildFailed("There is something else where the library of R would be.")
        profile = place / "Rprofile.site"
        profile.unlink(missing_ok=True)
        profile.write_text(RPROFILE % json.dumps(self.cran))
        (workshop.spec / "install.R").write_text(self.asked.script)
        (workshop.spec / "renv.lock").write_text(self.asked.lock)

    async def run_script(self) -> list[str]:
        """Run ``install.R``; return sentences about the packages that it could not install."""
        self.steps.say("Running install.R")
        status, told = await self._run("script", f"{SPEC}/install.R")
        if status:
            raise failed(failure(told, status, "install.R", self.version))
        if lacking := self._absent():
            self._check_reached(lacking, told)
        return [absent(name, told, self.version) for name in lacking]

    async def restore(self) -> None:
        """Install what ``renv.lock`` lists, unless Debian's version is the same."""
        wanted = [f"{name}={version}" for name, version in self.asked.locked.items()]
        if wanted:
            self.steps.say("Restoring renv.lock")
            await self._install("locked", wanted, "renv.lock")
        if self.asked.elsewhere:
            await self._install("restore", list(self.asked.elsewhere), "renv.lock")

    async def install_described(self) -> None:
        """Install what ``DESCRIPTION`` needs, then what it describes."""
        needs = [
            f"{name} {one}".strip()
            for name, constraints in self.asked.needs.items()
            for one in constraints or ("",)
        ]
        if self.asked.remotes:
            await self._install("remotes", [], "DESCRIPTION")
        if needs:
            await self._install("needs", needs, "DESCRIPTION")
        if self.asked.package:
            self.steps.say("Installing the package of DESCRIPTION")
            await self._install("package", [], "DESCRIPTION")

    async def installed(self) -> dict[str, str]:
        """Return the versions of what is in the environment's library, by name."""
        await self._run("list")
        told = read_written(self.steps.workshop.out, "r-installed").decode(errors="replace")
        return dict(line.split(" ", 1) for line in told.splitlines() if " " in line)

    async def _install(self, way: str, words: list[str], path: str) -> None:
        status, told = await self._run(way, *words)
        if not status:
            return
        lacking = self._absent()
        self._check_reached(lacking, told)
        if lacking:
            raise BuildFailed(absent(lacking[0], told, self.version))
        raise failed(failure(told, status, path, self.version))

    async def _run(self, *words: str) -> tuple[int, list[str]]:
        """Run our program in a box that can write to the library; return its status and lines."""
        steps, place = self.steps, self.steps.workshop.env
        path = f"{ENV}/bin:/usr/local/bin:/usr/bin:/bin"
        box = steps.open_box({**VARIABLES, "PATH": path, "R_LIBS_USER": LIBRARY})
        binds = (
            *box.binds,
            Bind(place, ENV),
            Bind(place / PLACE / "library", LIBRARY, writable=True),
            Bind(INSIDE, PROGRAM),
        )
        workdir = HOME if steps.spec.tree else "/tmp"  # noqa: S108 - the box's own
        told: list[str] = []
        status = await steps.run(
            (*RSCRIPT, *words), replace(box, binds=binds, workdir=workdir), told
        )
        if status and (killed := steps.killed(status)):
            raise failed(killed)
        return status, told

    def _absent(self) -> list[str]:
        """Return the names of the packages that could not be installed, as our program says."""
        told = read_written(self.steps.workshop.out, "r-absent").decode(errors="replace")
        return sorted({one for one in told.splitlines() if NAME.fullmatch(one)})

    def _check_reached(self, lacking: list[str], told: list[str]) -> None:
        """Raise `Unreachable` where R could not read the CRAN that we named: that may pass."""
        if unreachable(told, self.cran):
            names = ", ".join(lacking) or "A package"
            raise Unreachable(
                f"{names} could not be installed: {self.cran} did not answer.",
                hint="Try again later; the operator can name another CRAN: [builds] cran.",
            )


def _address(pattern: str, day: str, system: System, notes: list[str]) -> str:
    """Return the address of the CRAN of *day*, or of the nearest day that has one."""
    newest = datetime.now(UTC).date() - RIPE
    taken = min(max(date.fromisoformat(day), FIRST), newest)
    if "{day}" in pattern and taken > date.fromisoformat(day):
        notes.append(f"There is no CRAN of {day}: R packages are those of {taken}.")
    return pattern.replace("{day}", taken.isoformat()).replace("{release}", system.codename)
