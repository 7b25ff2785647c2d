"""Conda locks: the very packages that a pixi.lock or conda-lock.yml names, for an environment.

    take apart (rattler, in a box of its own) -> check -> the records to install, and lines for pip

A lock is a stranger's, and rattler's reader may be slow with it, or crash. So that runs without a
network, and nothing of its answer is believed: of an address only the channel is taken, located as
the operator says, and what is fetched there is named and hashed as the lock says, or not installed.
A lock that cannot be followed is passed over and a note says why, unless it is all that there is.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from atoll.engines.local.adding import our_binds
from atoll.engines.local.commands import INSIDE
from atoll.engines.local.conda_channels import leads_away, located
from atoll.engines.local.sandbox import Bind, Box, run
from atoll.engines.local.solving import failed
from atoll.engines.local.steps import OUT, SPEC, Steps
from atoll.engines.local.workshop import read_written
from atoll.environments.conda import PIP, CondaFile, essence_of, is_address, parts
from atoll.environments.conda_locks import lock_in
from atoll.environments.locks.entries import ANEW, counted, exact, make, revision
from atoll.environments.requirements import names_places
from atoll.errors import BadSpecification, BuildFailed
from atoll.servers import Network
from atoll.settings.sections import BuildSettings

PROGRAM = "/srv/bin/conda_lock.py"  # in a box
TASK, ANSWER = "lock-task.json", "lock.json"
PATIENCE = 60.0  # seconds; the largest of public repositories take one
MEMORY = 2 * 1024**3  # bytes

_CHANNEL = re.compile(
    r"(?:https?://[\w.-]+(?::\d+)?/)?[A-Za-z0-9][\w.+~-]*(?:/[A-Za-z0-9][\w.+~-]*)*", re.ASCII
)
_SUBDIR = re.compile(r"noarch|linux-[a-z0-9]+")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_VERSION = re.compile(r"[A-Za-z0-9_.!+]+")  # and a build
_KIND = re.compile(r"\.conda|\.tar\.bz2")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_COMMIT = re.compile(r"(git\+https://[^?#]+)(?:\?([^#]*))?#([0-9a-f]{40})")


@dataclass(frozen=True, slots=True)
class Followed:
    """What a lock comes to: *steps* whose lines for pip are the lock's, and conda's records.

    ``away`` says that a channel is at an address that the operator has not named.
    """

    steps: Steps
    records: tuple[Mapping[str, Any], ...]
    away: bool

    @property
    def channels(self) -> list[str]:
        """Where the packages are."""
        return list(dict.fromkeys(one["channel"] for one in self.records))


async def follow(steps: Steps, builds: BuildSettings, notes: list[str]) -> Followed | None:
    """Return what the lock of *steps*' specification comes to, if there is one to be followed.

    Raises `BadSpecification` where it cannot be, and nothing else says what to install.
    """
    files = dict(steps.spec.files)
    name = lock_in(files)
    if not name:
        return None
    asked = essence_of(files)
    try:
        followed = _checked(steps, name, await _take_apart(steps, name, asked), builds)
    except BadSpecification as error:
        if asked == CondaFile() and PIP not in files:
            raise
        instead = f"packages are those of {steps.spec.as_of} that fit what is asked for."
        notes.append(f"{error} It was passed over: {instead}")
        steps.say(notes[-1])
        return None
    steps.say(f"Taking the {len(followed.records)} conda packages that {name} lists")
    return followed


async def _take_apart(steps: Steps, name: str, asked: CondaFile) -> dict[str, Any]:
    """Return what the program in the box says, unless that is why there is nothing."""
    workshop = steps.workshop
    named = [parts(one) for one in asked.dependencies if not is_address(one)]
    task = {
        "lock": f"{SPEC}/files/here/{name}",
        "specs": [f"{package} {rest}".strip() for _, package, rest in named],
    }
    (workshop.spec / TASK).write_text(json.dumps(task))
    box = Box(
        (sys.executable, "-I", PROGRAM, f"{SPEC}/{TASK}", f"{OUT}/{ANSWER}"),
        binds=(
            *our_binds(),
            Bind(INSIDE / "conda_lock.py", PROGRAM),
            Bind(workshop.spec, SPEC),
            Bind(workshop.out, OUT, writable=True),
        ),
        environ={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        workdir="/tmp",  # noqa: S108 - the box's own
        network=Network.NONE,
        owner=steps.owner,
        limits=replace(steps.limits(), memory=min(MEMORY, steps.memory)),
    )
    try:
        status = await run(box, lambda _: None, timeout=PATIENCE)
    except BuildFailed:  # not passed over: another day, the machine may be less busy
        message = f"Reading {name} took longer than {PATIENCE:.0f} seconds and was stopped."
        raise BuildFailed(message, hint=ANEW) from None
    if killed := steps.killed(status):
        raise failed(killed)
    told = _answer(workshop.out) if not status else {}
    if not told:
        raise BadSpecification(f"{name} cannot be read.", hint=ANEW)
    if why := told.get("why"):
        raise BadSpecification(f"{name} {why}.", hint=ANEW)
    return told


def _answer(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads(read_written(folder, ANSWER))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _checked(steps: Steps, name: str, told: dict[str, Any], builds: BuildSettings) -> Followed:
    """Return what *told* comes to, or raise `BadSpecification`."""
    try:
        counted(name, len(told["conda"]) + len(told["pypi"]))
        if len({one["name"] for one in told["conda"]}) < len(told["conda"]):
            raise BadSpecification(f"{name} has two versions of one package.", hint=ANEW)
        named = [_channel(name, one["channel"], builds) for one in told["conda"]]
        records = tuple(
            {**_record(name, one), "channel": located(channel, builds)[0]}
            for one, channel in zip(told["conda"], named, strict=True)
        )
        lines = list(lines_for_pip(name, told["pypi"], _listed(steps)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadSpecification(f"{name} cannot be read.", hint=ANEW) from error
    away = leads_away(CondaFile(tuple(named)), builds)
    if away and steps.sealed:
        raise BadSpecification(f"{name} has channels that builds here cannot reach.")
    files = dict(steps.spec.files)
    if lines:
        files[PIP] = "".join(f"{line}\n" for line in lines).encode()
        (steps.workshop.spec / "files" / "here" / PIP).write_bytes(files[PIP])
    spec = replace(steps.spec, files=tuple(sorted(files.items())))
    return Followed(replace(steps, spec=spec), records, away)


def _channel(path: str, where: str, builds: BuildSettings) -> str:
    """Return the channel at *where*: its name, if it is below the operator's alias, or address."""
    alias = f"{builds.conda_alias.rstrip('/')}/"
    channel = where.removeprefix(alias) if builds.conda_alias else where
    if not _CHANNEL.fullmatch(channel):
        message = f"{path} has packages of “{channel[:80]}”, where Atoll fetches no channel."
        raise BadSpecification(message, hint=ANEW)
    return channel


def _record(path: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return one conda package: what its channel calls it, and how it is known to be that."""
    name, version, build = (str(told[key]) for key in ("name", "version", "build"))
    kind = str(told["file"]).removeprefix(f"{name}-{version}-{build}")
    rules = ((_NAME, name), (_VERSION, version), (_VERSION, build), (_KIND, kind),
             (_SUBDIR, told["subdir"]))  # fmt: skip
    if not all(rule.fullmatch(text) for rule, text in rules):
        message = f"{path} has {name[:40]} under a name that no channel gives it."
        raise BadSpecification(message, hint=ANEW)
    sha256, md5 = told["sha256"], told["md5"]
    if not (_SHA256.fullmatch(sha256) or (not sha256 and _MD5.fullmatch(md5))):
        message = f"{path} has no checksum of {name[:40]}, without which it is not trusted."
        raise BadSpecification(message, hint=ANEW)
    return {
        "subdir": told["subdir"],
        "name": name,
        "version": version,
        "build": build,
        "kind": kind,
        "sha256": sha256,
        "md5": "" if sha256 else md5,
        "size": int(told["size"]),
        "depends": [str(one) for one in told["depends"]],
    }


def _listed(steps: Steps) -> list[str]:
    """Return the lines for pip of the file that the lock was made from."""
    return dict(steps.spec.files).get(PIP, b"").decode().splitlines()


def lines_for_pip(path: str, told: Iterable[Mapping[str, str]], listed: list[str]) -> Iterator[str]:
    """Yield the lines for pip: what is *listed*, but for what the lock *told* knows better."""
    pins = {canonicalize_name(one["name"]): one for one in told}
    places = names_places({PIP: "".join(f"{line}\n" for line in listed).encode()})
    for line in listed:
        found = _requirement(line)
        pin = pins.get(canonicalize_name(found.name)) if found else None
        if not found or not pin:
            yield line
        elif found.url:
            del pins[canonicalize_name(found.name)]
            yield _at_commit(path, pin) or line
        elif not found.specifier.contains(pin["version"], prereleases=True):
            message = f"{path} is not in step with what is asked for: it has no {found}."
            raise BadSpecification(message, hint=ANEW)
    for pin in pins.values():
        if pin["location"].startswith("https://"):
            yield _pinned(path, pin)
        elif "://" in pin["location"] or not places:  # else it comes with a folder that is listed
            message = f"{path} has {pin['name'][:40]} from where nothing that is listed leads."
            raise BadSpecification(message, hint=ANEW)


def _requirement(line: str) -> Requirement | None:
    try:
        return Requirement(re.split(r"\s--", line, maxsplit=1)[0])
    except InvalidRequirement:
        return None


def _pinned(path: str, pin: Mapping[str, str]) -> str:
    """Return the line for a package of an index, by its hash wherever the operator's has it."""
    if not _SHA256.fullmatch(pin["sha256"]):
        message = f"{path} has no SHA-256 for {pin['name'][:40]}, without which it is not trusted."
        raise BadSpecification(message, hint=ANEW)
    version = exact(path, pin["name"], pin["version"])
    return make(path, pin["name"], version, hashes=[f"sha256:{pin['sha256']}"]).line


def _at_commit(path: str, pin: Mapping[str, str]) -> str:
    """Return the line for a package of a git repository at the commit that is locked, or ""."""
    found = _COMMIT.fullmatch(pin["location"])
    if not found:
        return ""
    within = re.search(r"(?:^|&)subdirectory=([^&]*)", found[2] or "")
    folder = within[1] if within else ""
    url = revision(path, pin["name"], "git", found[1], at=found[3], within=folder)
    return make(path, pin["name"], url=url).line
