"""Makes an environment of conda packages: solves, fetches, links. Runs in a box, with py-rattler.

It reads its task, a JSON file (see `engines/local/conda.py`), and writes its answer beside it:
what was chosen, or in one sentence why nothing was. What it prints is for the log. No code of any
package runs here: rattler unpacks, puts the prefix in place and writes entry points itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import rattler
from rattler.exceptions import (
    GatewayError,
    InstallerError,
    InvalidChannelError,
    InvalidMatchSpecError,
    InvalidUrlError,
    LinkError,
    SolverError,
)
from rattler.install.installer import InstallerReporter

Task = dict[str, Any]
Parts = tuple[str, ...]
PATIENCE = 5.0  # seconds that a channel may take to answer at all
PAUSE = 3.0  # seconds between two lines about the same
MOST_PLACES = 10_000  # that are looked at for one folder of a package
LONGEST = 300  # characters of a sentence


class Failure(Exception):
    """Why there is no environment; ``kind`` decides which error it becomes."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.hint = hint


def say(line: str) -> None:
    """Add a line to the log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def make(task: Task) -> Task:
    """Make the environment; return what it has."""
    channels = [_channel(text, task["alias"]) for text in task["channels"]]
    if not any_answers([one.base_url for one in channels]):
        raise Failure(
            "unreachable", f"None of the conda channels can be reached: {_named(channels)}."
        )
    config = rattler.Config.from_toml(_config(task))
    keep_passwords(task["channels"] + [task["alias"]])
    client = rattler.Client.default_client(max_retries=2, timeout=120)
    if task["records"]:
        records = [locked(one, task["alias"]) for one in task["records"]]
    else:
        say(f"Reading what {_named(channels)} have")
        gateway = rattler.Gateway(Path(task["cache"], "repodata"), client=client)
        records = await choose(task, channels, gateway)
    if not all(one.sha256 for one in records):  # rattler would give them to others by name alone
        task["cache"] = task["apart"]
    await install(task, records, client, config)
    adds = task["adds"] or not {*task["needed"]} <= {*map(_name, records)}  # uv, what pip would
    return {
        "packages": [_told(record) for record in sorted(records, key=_name)],
        "scripts": sorted(one.name for one in Path(task["prefix"], "bin").glob(".*-post-link.sh")),
        "activates": any(Path(task["prefix"], "etc/conda/activate.d").glob("*.sh")),
        "provided": provide(Path(task["prefix"]), Path(task["provided"])) if adds else [],
    }


def any_answers(addresses: list[str]) -> bool:
    """Say whether any of the hosts answers, whatever it says; a refusal of TLS is an answer, too."""
    heard: list[str] = []
    asking = []
    for address in {urlsplit(one).netloc: one for one in addresses}.values():
        thread = threading.Thread(target=_ask, args=(address, heard), daemon=True)
        thread.start()
        asking.append(thread)
    until = time.monotonic() + PATIENCE + 1  # a name server, too, may not answer
    while not heard and any(one.is_alive() for one in asking) and time.monotonic() < until:
        time.sleep(0.02)
    return bool(heard)


def _ask(address: str, heard: list[str]) -> None:
    place = f"{address}noarch/repodata.json"
    request = urllib.request.Request(place, method="HEAD")  # noqa: S310 - reading let only https in
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
            heard.append(address)
    except urllib.error.HTTPError:
        heard.append(address)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            heard.append(address)
    except OSError:
        pass


def keep_passwords(addresses: list[str]) -> None:
    """Give rattler the passwords in *addresses* by their host, so that it keeps them to itself."""
    known = {}
    for one in map(urlsplit, addresses):
        if one.username:
            pair = {"username": unquote(one.username), "password": unquote(one.password or "")}
            known[str(one.hostname)] = {"BasicHTTP": pair}
    file = Path("/tmp/passwords.json")  # noqa: S108 - the box's own
    file.touch(0o600)
    file.write_text(json.dumps(known))
    os.environ["RATTLER_AUTH_FILE"] = str(file)


def locked(one: Task, alias: str) -> rattler.RepoDataRecord:
    """Return a package of a lock file (see `engines/local/conda_locks.py`)."""
    channel = _channel(one["channel"], alias).base_url
    file = f"{one['name']}-{one['version']}-{one['build']}{one['kind']}"
    package = rattler.PackageRecord(
        one["name"], one["version"], rattler.BuildString(one["build"]), 0, one["subdir"],
        sha256=bytes.fromhex(one["sha256"]) or None, md5=bytes.fromhex(one["md5"]) or None,
        depends=one["depends"], size=one["size"] or None,
    )  # fmt: skip
    return rattler.RepoDataRecord(package, file, f"{channel}{one['subdir']}/{file}", str(channel))


async def choose(
    task: Task, channels: list[rattler.Channel], gateway: rattler.Gateway
) -> list[rattler.RepoDataRecord]:
    """Solve for what is asked with as much of what a notebook needs as there can be."""
    virtual = rattler.VirtualPackage.detect()
    cutoff = task["cutoff"] and dt.datetime.fromisoformat(task["cutoff"])
    cutoff = cutoff or None

    async def solve(specs: list[str]) -> list[rattler.RepoDataRecord]:
        error: SolverError | None = None
        for priority in (rattler.ChannelPriority.Strict, rattler.ChannelPriority.Disabled):
            try:
                return await rattler.solve(
                    channels,
                    [_spec(one, task["alias"]) for one in specs],
                    gateway=gateway,
                    virtual_packages=virtual,
                    channel_priority=priority,
                    exclude_newer=cutoff,
                    timestamp_policy="allow-missing",  # those without are older than timestamps
                )
            except SolverError as found:
                error = error or found
            if len(channels) == 1:
                break
        raise error or Failure("unsolvable", "There is no channel.")

    first: SolverError | None = None
    for number, more in enumerate(task["attempts"]):
        say("That cannot be had together; trying with less" if number else "Solving")
        try:
            records = await solve([*task["specs"], *more])
        except SolverError as error:
            first = first or error
            continue
        names = {_name(one) for one in records}
        if names & set(task["labs"]) and "jupyterlab" not in names:
            say("The repository brings its own Jupyter server; adding JupyterLab to it")
            try:
                records = await solve([*task["specs"], *more, "jupyterlab"])
            except SolverError:
                say("JupyterLab does not fit; it is left out")
        return records
    raise unsolvable(str(first), task, channels)


def unsolvable(text: str, task: Task, channels: list[rattler.Channel]) -> Failure:
    """Say in a sentence why nothing fits."""
    say(text)
    missing = re.search(r"No candidates were found for (\S+)", text)
    if missing:
        name = missing[1].rstrip(".*")
        return Failure("unsolvable", f"There is no package “{name}” in {_named(channels)}.",
                       "Check how it is written, and whether another channel has it.")  # fmt: skip
    lines = [re.sub(r"^[\s│├└─]+", "", line) for line in text.splitlines()]
    lines = [
        line for line in lines if line and not line.startswith(("Cannot solve", "The following"))
    ]
    story = "; ".join(lines)
    if len(story) > LONGEST:
        story = story[: LONGEST - 2].rsplit(" ", 1)[0] + " …"
    hint = "Loosen one of these requirements."
    if task["cutoff"] and "exclude" in text:
        hint += " `--at today`, or a later date, sees newer packages."
    return Failure(
        "unsolvable", f"The conda packages do not fit together: {story.rstrip('.')}.", hint
    )


async def install(
    task: Task,
    records: list[rattler.RepoDataRecord],
    client: rattler.Client,
    config: rattler.Config,
) -> None:
    """Fetch and link *records*."""
    fetched = Path(task["cache"], "pkgs")
    there = {one.name for one in fetched.iterdir()} if fetched.exists() else set()
    new = [one for one in records if _stem(one) not in there]
    size = sum(one.size or 0 for one in new)
    told = (
        f"; {len(new)} of them to be fetched, {_megabytes(size)}" if new else ", all fetched before"
    )
    say(f"Installing {len(records)} packages{told}")
    await rattler.install(
        records,
        task["prefix"],
        package_cache=rattler.PackageCache(fetched),
        execute_link_scripts=False,
        reporter=_Reporter(len(new), Walls(task, records)),  # type: ignore[abstract]  # none is
        alternative_target_prefix=task["seen_at"],
        client=client,
        config=config,
    )


class Walls:
    """Sees to it that no package is put anywhere through a symbolic link that leads out.

    rattler follows the links of one package when it puts another's files in place: into whatever
    this box can write to, which is the shared cache. So before a package is linked, it is looked
    through, with all that were before it, in every order in which their files may come.
    """

    def __init__(self, task: Task, records: list[rattler.RepoDataRecord]) -> None:
        self.task = task
        self.records = {_name(one): one for one in records}
        python = self.records.get("python")
        minor = ".".join(str(python.version).split(".")[:2]) if python else "3"
        self.site = ("lib", f"python{minor}", "site-packages")
        self.folders: set[Parts] = set()  # with all that they are in
        self.links: dict[Parts, set[str]] = {}
        self.lock = threading.Lock()

    def admit(self, name: str) -> None:
        """Take in the package *name*; what would lead out ends this process at once."""
        with self.lock:
            try:
                folders, links = self._look(self.records[name])
                self.folders |= folders
                for place, target in links:
                    self.links.setdefault(place, set()).add(target)
                if self.links.keys() & folders or {place for place, _ in links} & self.folders:
                    self._check()
            except Failure as error:
                finish({"error": error.kind, "message": f"{name}: {error}", "hint": error.hint})
            except BaseException as error:  # noqa: BLE001 - else rattler would go on
                finish({"error": "install", "message": f"{name}: {error!r}", "hint": ""})

    def _look(self, record: rattler.RepoDataRecord) -> tuple[set[Parts], list[tuple[Parts, str]]]:
        """Return the folders and the links that a package has, where they will be."""
        top = Path(self.task["cache"], "pkgs", _stem(record))
        if not top.is_dir():
            raise Failure("install", f"there is no {top.name} in the cache to be looked through.")
        folders: set[Parts] = {("conda-meta",)}
        links = []
        ahead: list[Parts] = [()]
        while ahead:
            parts = ahead.pop()
            place = self._placed(parts)
            folders |= {place[:end] for end in range(1, len(place) + 1)}
            with os.scandir(os.path.join(top, *parts)) as found:
                for one in found:
                    if one.is_symlink():
                        links.append(((*place, one.name), os.readlink(one.path)))
                    elif one.is_dir(follow_symlinks=False):
                        ahead.append((*parts, one.name))
        return folders, links

    def _placed(self, parts: Parts) -> Parts:
        if parts[:1] == ("site-packages",):
            return (*self.site, *parts[1:])
        return ("bin", *parts[1:]) if parts[:1] == ("python-scripts",) else parts

    def _check(self) -> None:
        """Raise `Failure` if any folder may be outside, however links and folders come about."""
        known = -1
        while known != (known := sum(map(len, self.links.values()))):
            for place, targets in list(self.links.items()):  # a link, too, may be behind another
                for real in self._places(place[:-1]):
                    self.links.setdefault((*real, place[-1]), set()).update(targets)
        for folder in self.folders:
            self._places(folder)

    def _places(self, folder: Parts) -> set[Parts]:
        """Return all places that *folder* may turn out to be."""
        ahead: list[tuple[Parts, Parts]] = [((), folder)]
        seen = set(ahead)
        found = set()
        while ahead:
            done, rest = ahead.pop()
            if not rest:
                found.add(done)
                continue
            part, *more = rest
            if part == ".." and not done:
                raise Failure("install", f"“{'/'.join(folder)}” would be outside the environment.")
            steps = [(done[:-1] if part == ".." else (*done, part), tuple(more))]
            for target in self.links.get((*done, part), ()):
                if target.startswith("/"):
                    raise Failure("install", f"“{'/'.join(folder)}” would be in {target}.")
                parts = tuple(one for one in target.split("/") if one not in {"", "."})
                steps.append((done, (*parts, *more)))
            ahead += [step for step in steps if step not in seen]
            seen.update(steps)
            if len(seen) > MOST_PLACES:
                raise Failure("install", "its links lead through too many others.")
        return found


class _Reporter(InstallerReporter):
    """Tells now and then how far it is."""

    def __init__(self, number: int, walls: Walls) -> None:
        self.number = number
        self.walls = walls
        self.done = 0
        self.bytes: dict[int, int] = {}
        self.said = time.monotonic()

    def on_download_start(self, cache_entry: int) -> int:
        self.bytes[cache_entry] = 0
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        self.bytes[download_idx] = progress
        self._tell()

    def on_download_completed(self, download_idx: int) -> None:
        self.done += 1
        self._tell()

    def on_link_start(self, operation: int, package_name: str) -> int:
        self.walls.admit(package_name)
        return operation

    def _tell(self) -> None:
        if time.monotonic() - self.said > PAUSE:
            self.said = time.monotonic()
            size = _megabytes(sum(self.bytes.values()))
            say(f"Fetched {self.done} of {self.number} packages, {size}")


def provide(prefix: Path, folder: Path) -> list[list[str]]:
    """Make a wheel without content of each Python package in *prefix*, for uv to know it by.

    So what pip is to add is chosen to fit it. Returns the names and versions.
    """
    folder.mkdir(exist_ok=True)
    found = []
    sites = prefix.glob("lib/python*/site-packages")
    kinds = ("*.dist-info/METADATA", "*.egg-info/PKG-INFO", "*.egg-info")
    infos = (one for site in sites for kind in kinds for one in site.glob(kind))
    for path in filter(Path.is_file, infos):
        text = path.read_text("utf-8", "replace")
        head = HeaderParser().parsestr(text)
        name, version = str(head["Name"] or ""), str(head["Version"] or "")
        if not re.fullmatch(r"[\w.-]+", name) or not re.fullmatch(r"[\w.!+]+", version):
            continue
        stem = f"{re.sub(r'[-_.]+', '_', name)}-{version}"
        info = f"{stem}.dist-info"
        with zipfile.ZipFile(folder / f"{stem}-py2.py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", text)
            tags = "Tag: py2-none-any\nTag: py3-none-any\n"
            wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n{tags}")
            names = "".join(f"{info}/{one},,\n" for one in ("METADATA", "WHEEL", "RECORD"))
            wheel.writestr(f"{info}/RECORD", names)
        found.append([name, version])
    return sorted(found)


def _config(task: Task) -> str:
    return f"allow-hard-links = {json.dumps(task['shared'])}"


def _channel(text: str, alias: str) -> rattler.Channel:
    settings = rattler.ChannelConfig(_bare(alias)) if alias else rattler.ChannelConfig()
    return rattler.Channel(_bare(text), settings)


def _spec(text: str, alias: str) -> rattler.MatchSpec:
    """Return a match specification whose channel is named as the operator's alias has it."""
    channel, mark, rest = text.rpartition("::")
    if mark:
        text = f"{str(_channel(channel, alias).base_url).rstrip('/')}::{rest}"
    return rattler.MatchSpec(text)


def _named(channels: list[rattler.Channel]) -> str:
    return ", ".join(dict.fromkeys(str(one.name or _bare(one.base_url)) for one in channels))


def _bare(address: object) -> str:
    """Return *address* without a password."""
    return re.sub(r"(?<=://)[^/@]+@", "", str(address))


def _name(record: rattler.RepoDataRecord) -> str:
    return record.name.normalized


def _stem(record: rattler.RepoDataRecord) -> str:
    return f"{_name(record)}-{record.version}-{record.build}"


def _told(record: rattler.RepoDataRecord) -> dict[str, str]:
    return {
        "name": _name(record),
        "version": str(record.version),
        "build": str(record.build),
        "url": _bare(record.url),
        "hash": (record.sha256 or record.md5 or b"").hex(),
    }


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def _sentence(error: object) -> str:
    text = re.sub(r"\s+", " ", _bare(error)).strip().rstrip(".")
    return f"{text[:LONGEST]}."


def main() -> None:
    """Do the task in the file that is named first; write the answer into the second."""
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    socket.setdefaulttimeout(PATIENCE)
    try:
        answer = asyncio.run(make(task))
    except Failure as error:
        answer = {"error": error.kind, "message": str(error), "hint": error.hint}
    except (InvalidMatchSpecError, InvalidChannelError, InvalidUrlError) as error:
        answer = {"error": "specification", "message": _sentence(error), "hint": ""}
    except GatewayError as error:
        missing = "404" in str(error) or "not found" in str(error).lower()
        kind = "specification" if missing else "gateway"
        hint = "Check the channel's name." if missing else "Try again later."
        answer = {"error": kind, "message": _sentence(error), "hint": hint}
    except (InstallerError, LinkError) as error:
        answer = {"error": "install", "message": _sentence(error), "hint": ""}
    finish(answer)


def finish(answer: Task) -> None:
    """Write the answer and end, whatever else is still going on."""
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(answer, file)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
