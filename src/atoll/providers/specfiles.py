"""Specfiles: read what may specify an environment, out of a work tree that nobody vouches for.

A repository can hold symbolic links to anywhere, and files of any size. Each name is opened
from the work tree's folder downwards, one part at a time, following no link but by our own
reading of it, so that nothing outside is ever touched.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from atoll.environments import conda_locks
from atoll.errors import BadSpecification

FOLDERS = ("", "binder", ".binder")
NAMES = (
    "requirements.txt",
    "requirements3.txt",
    "pyproject.toml",
    "uv.lock",
    "pylock.toml",
    "poetry.lock",
    "pdm.lock",
    "setup.py",
    "setup.cfg",
    "runtime.txt",
    ".python-version",
    "Pipfile",
    "Pipfile.lock",
    "environment.yml",
    "environment.yaml",
    "conda-lock.yml",
    "pixi.toml",
    "pixi.lock",
    "apt.txt",
    "postBuild",
    "start",
    "install.R",
    "DESCRIPTION",
    "renv.lock",
    "Project.toml",
    "JuliaProject.toml",
    "Manifest.toml",
    "REQUIRE",
    "default.nix",
    "Dockerfile",
    ".devcontainer/devcontainer.json",
)
LARGEST = 1024**2  # bytes; the largest lock files of public repositories have half of it
LARGEST_CONDA_LOCK = 16 * 1024**2  # these list the packages of every platform, in YAML
MOST_INCLUDED = 100
MOST_LINKS = 20
INCLUDE = re.compile(r"\s*(?:-r|-c|--requirement|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(\S[^#]*)")

CONDA = (".yml", ".yaml")  # of an environment.yml, whose lines for pip include files, too
IN_YAML = re.compile(
    r"(?:^|[\s\[,\"'])((?:-r|-c|--requirement|--constraint)[\s=]+[^\s\"',\]#]+)", re.MULTILINE
)


def read_files(tree: Path) -> dict[str, bytes]:
    """Return the bytes of the specification files in *tree*, by their path in it.

    What requirements files include (``-r``, ``-c``) is among them. Raises `BadSpecification`,
    which names the file, for one that leads out of *tree*, is no regular file or is larger than
    a mebibyte.
    """
    root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        files: dict[str, bytes] = {}
        for folder in FOLDERS:
            for name in NAMES:
                path = f"{folder}/{name}" if folder else name
                if (body := _read(root, path)) is not None:
                    files[path] = body
        ends = ("ments.txt", "ments3.txt", *(f"environment{end}" for end in CONDA))
        pending = deque(path for path in files if path.endswith(ends))
        while pending:
            at = pending.popleft()
            for path in included(at, files[at]):
                if path in files or (body := _read(root, path)) is None:
                    continue
                files[path] = body
                pending.append(path)
                if len(files) > MOST_INCLUDED:
                    raise BadSpecification(f"{at} includes too many files.")
        return files
    finally:
        os.close(root)


def included(name: str, body: bytes) -> Iterator[str]:
    """Yield the paths of the files that the requirements file or environment.yml *name* includes.

    The format is pip's: ``-r FILE`` or ``-c FILE``, relative to the file that says so. URLs are
    passed over. Raises `BadSpecification` for a path that leads out of the repository.
    """
    text = body.decode("utf-8", "surrogateescape").replace("\\\n", "")
    for line in IN_YAML.findall(text) if name.endswith(CONDA) else text.splitlines():
        found = INCLUDE.match(line)
        if not found or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", found[1]):
            continue
        wanted = found[1].strip().strip("'\"")
        path = os.path.normpath(PurePosixPath(name).parent / wanted)
        if path.startswith(("/", "../")) or path == ".." or "\0" in path:
            raise BadSpecification(
                f"{name} includes {wanted}, which is outside the repository.",
                hint="Put what it needs into the repository.",
            )
        yield path


def _read(root: int, path: str) -> bytes | None:
    """Return the bytes of *path* below *root*, None where there is no such file."""
    try:
        handle = _open(root, path)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return None
        raise BadSpecification(f"{path} cannot be read: {error.strerror}.") from error
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            return None
        if not stat.S_ISREG(found.st_mode):
            raise BadSpecification(f"{path} is not a regular file.")
        largest = LARGEST_CONDA_LOCK if path.endswith(conda_locks.NAMES) else LARGEST
        if found.st_size > largest:
            raise BadSpecification(
                f"{path} is larger than {largest // 1024**2} MB.", hint="Is it what it says?"
            )
        with os.fdopen(os.dup(handle), "rb") as stream:
            return stream.read(largest)
    finally:
        os.close(handle)


def _open(root: int, path: str) -> int:
    """Open *path* below *root*; links are followed as long as they stay below *root*."""
    trail = [os.dup(root)]
    pending = deque(path.split("/"))
    links = 0
    try:
        while pending:
            part = pending.popleft()
            if part in {"", "."}:
                continue
            if part == "..":
                if len(trail) == 1:
                    raise _outside(path)
                os.close(trail.pop())
                continue
            target = _link(part, trail[-1])
            if target is None:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
                trail.append(os.open(part, flags, dir_fd=trail[-1]))
                continue
            links += 1
            if target.startswith("/") or links > MOST_LINKS:
                raise _outside(path)
            pending.extendleft(reversed(target.split("/")))
        return trail.pop()
    finally:
        for handle in trail:
            os.close(handle)


def _link(part: str, folder: int) -> str | None:
    """Return where *part* of *folder* points, None if it is no symbolic link."""
    try:
        return os.readlink(part, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def _outside(path: str) -> BadSpecification:
    return BadSpecification(
        f"{path} is a symbolic link that leads out of the repository.",
        hint="Put the file itself there.",
    )
