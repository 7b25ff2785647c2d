"""Apt: asks this system's own apt for packages and for what they need beside what is here.

It runs in a box, as nobody in particular: it reads the system's sources, keys and package states,
writes into Atoll's cache, verifies signatures as it always does, and installs nothing.
"""

from __future__ import annotations

import difflib
import functools
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from filelock import AsyncFileLock

from atoll.engines.local import room
from atoll.engines.local.owners import give
from atoll.engines.local.sandbox import Bind, Box
from atoll.engines.local.steps import OUT, SPEC, Steps
from atoll.engines.local.workshop import read_written
from atoll.errors import AtollError, BadSpecification, BuildFailed, Lacking, Unreachable
from atoll.servers import Network

PLACE = "/srv/apt"  # in a box: where apt keeps its lists and archives
CACHE = "apt"  # the same, in the cache folder
SOURCES, DPKG = "/etc/apt", "/var/lib/dpkg"  # in a box, as on the host

# What the system has been told to do after an update or an installation is for the system.
CONF = f"""
Dir::State "{PLACE}/state";
Dir::State::status "{DPKG}/status";
Dir::Cache "{PLACE}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Log "/tmp";
#clear APT::Update;
#clear DPkg;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {{
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; flatMetaKey "Packages";
  ShortDescription "Packages"; Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
  Optional "no";
}};
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Cmd::Pattern-Only "true";
APT::Get::AllowUnauthenticated "false";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
APT::Sandbox::User "";
Debug::NoLocking "true";
"""
FETCH = """
set -e
apt() {
  program=$1; shift
  "$program" --config-file /srv/spec/apt.conf --quiet "$@" < /dev/null
}
mkdir -p /srv/apt/state/lists/partial /srv/apt/cache/archives/partial
apt apt-get update || echo "E: apt-get update ended with status $?"
if ! apt apt-get --assume-yes --no-remove --simulate install -- "$@" > /srv/out/chosen; then
  cat /srv/out/chosen
  apt apt-cache --option APT::Cache::AllNames=true pkgnames > /srv/out/names
  exit 100
fi
exec apt-get --config-file /srv/spec/apt.conf --quiet --assume-yes --no-remove \\
  --download-only install -- "$@" < /dev/null
"""
_CHOSEN = re.compile(r"(Inst|Conf) (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+) .*\[(\S+)\]\)")
_NOT_FETCHED = re.compile(r"Err:|[EW]: Failed to fetch|W: Some index files|E: The repository")
_UNKNOWN = re.compile(
    r"E: (?:Unable to locate package|Couldn't find any package by \w+) '?([^\s']+)"
)
_FIELD = re.compile(r"^(Package|Status|Version|Architecture): (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class System:
    """Where this system's apt and dpkg keep what they are told and what there is."""

    sources: Path = Path(SOURCES)
    dpkg: Path = Path(DPKG)
    told: Path = Path("/etc/os-release")

    @property
    def name(self) -> str:
        """What the system calls itself ("Debian GNU/Linux 12 (bookworm)")."""
        return self._says("PRETTY_NAME") or "this system"

    @property
    def release(self) -> str:
        """The release, within which packages fit one another ("debian 12")."""
        return f"{self._says('ID')} {self._says('VERSION_ID')}"

    @property
    def identity(self) -> tuple[str, ...]:
        """All that decides what apt adds to this system, but its archives."""
        there = (f"{name}={version}" for name, version in sorted(self.installed().items()))
        return (platform.machine(), self.release, *there)

    def _says(self, name: str) -> str:
        found = re.search(rf'^{name}="?([^"\n]*)', _text(self.told), re.MULTILINE)
        return found[1] if found else ""

    def installed(self) -> Mapping[str, str]:
        """Return the versions of the packages that are installed, by name."""
        file = self.dpkg / "status"
        try:
            found = file.stat()
        except OSError:
            return {}
        return _installed(file, found.st_mtime_ns, found.st_size)

    @property
    def lacking(self) -> str:
        """Why apt cannot be asked here, or ""."""
        if not (which("apt-get") and which("dpkg-deb") and self.installed()):
            return f"{self.name} has no apt"
        return "" if Path("/bin").is_symlink() else "/bin is not a part of /usr here"

    def check(self) -> None:
        """Raise `Lacking` where apt cannot be asked."""
        if why := self.lacking:
            raise Lacking(
                f"The repository asks for Debian packages (apt.txt), and {why}.",
                hint="Run Atoll on a present Debian or Ubuntu, or name what conda has in an "
                "environment.yml.",
            )


@dataclass(frozen=True, slots=True)
class Package:
    """A package that apt has chosen and fetched."""

    name: str
    version: str
    architecture: str

    @property
    def archive(self) -> str:
        """The name of its file in the folder of archives (apt's `QuoteString`)."""
        version = self.version.replace("%", "%25").replace(":", "%3a").replace("_", "%5f")
        return f"{self.name}_{version}_{self.architecture}.deb"


@dataclass(frozen=True, slots=True)
class Choice:
    """What apt has fetched: ``packages``, and their names in the order in which to set them up."""

    packages: tuple[Package, ...]
    order: tuple[str, ...]


async def fetch(steps: Steps, system: System, names: Sequence[str]) -> Choice:
    """Have apt choose and fetch what *names* need beside what is installed."""
    kept = steps.cache / CACHE
    if not kept.exists():
        kept.mkdir(parents=True)
        give(kept, steps.owner)
    (steps.workshop.spec / "apt.conf").write_text(CONF)
    binds = (
        Bind(system.sources, SOURCES),
        Bind(system.dpkg, DPKG),
        Bind(kept, PLACE, writable=True),
        Bind(steps.workshop.spec, SPEC),
        Bind(steps.workshop.out, OUT, writable=True),
    )
    proxies = {n: v for n, v in steps.index.environ.items() if n.lower().endswith("_proxy")}
    box = Box(
        (),
        binds=binds,
        environ={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **proxies},
        workdir="/tmp",  # noqa: S108 - the box's own
        network=Network.NONE,
        host_network=True,
        owner=steps.owner,
        limits=steps.limits(),
    )
    told: list[str] = []
    async with AsyncFileLock(steps.cache / f"{CACHE}.lock", poll_interval=0.1):
        status = await steps.run(("/bin/sh", "-c", FETCH, "fetch", *names), box, told)
    if status:
        raise _problem(steps, system, told)
    return read_choice(read_written(steps.workshop.out, "chosen").decode(errors="replace"))


def read_choice(text: str) -> Choice:
    """Read what ``apt-get --simulate`` prints."""
    found = [match.groups() for match in map(_CHOSEN.match, text.splitlines()) if match]
    return Choice(
        tuple(Package(*rest) for what, *rest in found if what == "Inst"),
        tuple(name for what, name, *_ in found if what == "Conf"),
    )


def _problem(steps: Steps, system: System, told: Sequence[str]) -> AtollError:
    """Return why apt has failed, as the error to raise."""
    text = "\n".join(told)
    said = [line.removeprefix("E: ").rstrip(".") for line in told if line.startswith("E: ")]
    words = "; ".join(dict.fromkeys(said))[:400] or "it ended and did not say why"
    if "No space left" in text or "enough free space" in text:
        return room.lacking()
    if _NOT_FETCHED.search(text):
        return Unreachable(
            f"The archives of {system.name} could not be read: {words}.",
            hint="The log says which; `apt-get update` on this machine should work.",
        )
    if unknown := list(dict.fromkeys(_UNKNOWN.findall(text))):
        named = ", ".join(f"“{one}”" for one in unknown)
        return BadSpecification(
            f"apt.txt names {named}, which the archives of {system.name} do not have "
            f"(apt: {words}).",
            hint=_similar(steps, unknown),
        )
    if "no installation candidate" in text:
        return BadSpecification(
            f"apt.txt names a package that cannot be installed by itself (apt: {words}).",
            hint="The log says which packages provide it; name one of those.",
        )
    if "remove is disabled" in text:
        return BuildFailed(
            "The packages of apt.txt exclude others that this system has.",
            hint="The log says which would have to be removed.",
        )
    return BuildFailed(f"apt could not do it: {words}.", hint="Its lines in the log say why.")


def _similar(steps: Steps, unknown: Sequence[str]) -> str:
    """Return what may have been meant instead of the *unknown* names."""
    names = read_written(steps.workshop.out, "names").decode(errors="replace").split()
    hints = []
    for one in unknown:
        alike = [name for name in names if name[0] == one[0]]  # of 60,000: this must be quick
        if near := difflib.get_close_matches(one, alike, n=3, cutoff=0.8):
            hints.append(f"Did you mean {' or '.join(near)}?")
    return " ".join(hints) or "Names differ from release to release: `apt-cache search` finds them."


@functools.lru_cache(4)
def _installed(status: Path, _time: int, _size: int) -> Mapping[str, str]:
    """Read dpkg's status file; `_time` and `_size` say which state of it."""
    found = {}
    for paragraph in _text(status).split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        if fields.get("Status", "").endswith(" ok installed"):
            found[fields["Package"]] = fields.get("Version", "")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""
