"""Reads a lock of conda packages. Runs in a box without a network, with py-rattler.

It reads its task, a JSON file (see `engines/local/conda_locks.py`), and writes its answer beside it:
the packages that the lock has for this machine, or in half a sentence why there are none.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import rattler
import yaml
from rattler.exceptions import (
    InvalidMatchSpecError,
    InvalidPackageNameError,
    InvalidUrlError,
    InvalidVersionError,
    ParseCondaLockError,
)
from rattler.lock import CondaLockedBinaryPackage, Environment, LockPlatform, PypiLockedPackage

UNREADABLE = (InvalidPackageNameError, InvalidUrlError, InvalidVersionError)
CONDAS_OWN = str(rattler.Channel("x").base_url).removesuffix("x/")  # below it, they have names
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
Task = dict[str, Any]
LONGEST = 300  # characters of a sentence
INSTALLED = ("main", "dev")  # the parts of a conda-lock.yml that “conda-lock install” takes


class Failure(Exception):
    """Why the lock cannot be followed, after its name."""


def read(path: str, specs: list[str]) -> Task:
    """Return what the lock at *path* has for this machine, which is to meet *specs*."""
    conda, pypi = read_pixi(path) if path.endswith("pixi.lock") else read_conda_lock(path)
    check(conda, specs)
    return {"conda": [told(one) for one in conda], "pypi": pypi}


def read_pixi(path: str) -> tuple[list[rattler.RepoDataRecord], list[Task]]:
    """Return the packages of a pixi.lock: conda's, and those of the Python index."""
    try:
        lock = rattler.LockFile.from_path(Path(path))
    except ParseCondaLockError as error:
        raise Failure(f"cannot be read: {error}") from error
    environment = dict(lock.environments()).get("default")
    if environment is None:
        raise Failure("has no default environment")
    conda, pypi = [], []
    for package in environment.packages(platform_in(environment)) or ():
        if isinstance(package, CondaLockedBinaryPackage):
            conda.append(package.repo_data_record())
        elif isinstance(package, PypiLockedPackage):
            pypi.append(told_of_pypi(package))
        else:
            raise Failure(f"has {package.name} built from source, as a conda package")
    return conda, pypi


def platform_in(environment: Environment) -> LockPlatform:
    """Return what *environment* calls this machine's platform."""
    here = str(rattler.Subdir.current())
    found = {one.name: one for one in environment.platforms() if str(one.subdir) == here}
    if not found:
        raise Failure(f"has nothing for {here}")
    return found.get(here) or next(iter(found.values()))


def read_conda_lock(path: str) -> tuple[list[rattler.RepoDataRecord], list[Task]]:
    """Return the same of a conda-lock.yml.

    rattler reads these, too, but none in which a package of the Python index needs “*” of another.
    All values are texts here.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lock = yaml.load(file, LOADER)  # noqa: S506 - the safest: it knows no types
        if lock["version"] != "1":
            raise Failure(f"is of the format {lock['version']}, and not of the format 1")
        here = str(rattler.Subdir.current())
        entries = [one for one in lock["package"] if one["platform"] == here]
        if not entries:
            raise Failure(f"has nothing for {here}")
        entries = [one for one in entries if one.get("category", "main") in INSTALLED]
        by_address = {one["url"]: one for one in entries}.values()  # there may be one for each part
        conda = [record_of(one) for one in by_address if one["manager"] == "conda"]
        pypi = [
            {"name": one["name"], "version": one["version"], "location": one["url"],
             "sha256": one["hash"].get("sha256", "")}
            for one in by_address if one["manager"] != "conda"
        ]  # fmt: skip
    except yaml.YAMLError as error:
        raise Failure(f"is not YAML: {error}") from error
    except (TypeError, KeyError, AttributeError, ValueError, *UNREADABLE) as error:
        raise Failure("is not what conda-lock writes") from error
    return conda, pypi


def record_of(entry: Task) -> rattler.RepoDataRecord:
    """Return a conda package of a conda-lock.yml; its build is a part of its address only."""
    name, version, file = entry["name"], entry["version"], entry["url"].rsplit("/", 1)[-1]
    build = re.sub(r"\.conda$|\.tar\.bz2$", "", file.removeprefix(f"{name}-{version}-"))
    channel, subdir, _ = entry["url"].rsplit("/", 2)
    hashes = {kind: bytes.fromhex(text) for kind, text in entry["hash"].items()}
    package = rattler.PackageRecord(
        name, version, rattler.BuildString(build), 0, subdir,
        sha256=hashes.get("sha256"), md5=hashes.get("md5"),
        depends=[f"{one} {which}".strip() for one, which in entry["dependencies"].items()],
    )  # fmt: skip
    return rattler.RepoDataRecord(package, file, entry["url"], channel)


def check(records: list[rattler.RepoDataRecord], specs: list[str]) -> None:
    """Raise `Failure` if any of *specs* is not met."""
    if "python" not in {one.name.normalized for one in records}:
        raise Failure("has no Python, which notebooks need")
    for text in specs:
        try:
            spec = rattler.MatchSpec(text)
        except InvalidMatchSpecError as error:
            raise Failure(f"cannot be compared with “{text}”: {error}") from error
        if not any(one.matches(spec) for one in records):
            raise Failure(f"is not in step with what is asked for: it has no {text}")


def told(record: rattler.RepoDataRecord) -> Task:
    """Return what is needed to fetch and link *record*."""
    *channel, _, file = str(record.url).rsplit("/", 2)
    return {
        "channel": "".join(channel).removeprefix(CONDAS_OWN),
        "subdir": record.subdir,
        "file": file,
        "name": record.name.normalized,
        "version": str(record.version),
        "build": str(record.build),
        "sha256": (record.sha256 or b"").hex(),
        "md5": (record.md5 or b"").hex(),
        "size": record.size or 0,
        "depends": record.depends,
    }


def told_of_pypi(package: PypiLockedPackage) -> Task:
    """Return what is needed to have uv install *package*."""
    try:
        sha256 = package.hashes.sha256 or b""  # type: ignore[union-attr]
    except AttributeError:  # py-rattler, where there are none at all
        sha256 = b""
    return {
        "name": package.name,
        "version": package.version,
        "location": package.location,
        "sha256": sha256.hex(),
    }


def main() -> None:
    """Do the task in the file that is named first; write the answer into the second."""
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    try:
        answer = read(task["lock"], task["specs"])
    except Failure as error:
        answer = {"why": re.sub(r"\s+", " ", str(error)).strip().rstrip(".")[:LONGEST]}
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main()
