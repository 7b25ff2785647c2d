"""Requirements: what the lines of a ``requirements.txt`` mean for who may see what.

Source of the format: pip's documentation, "Requirements File Format". Nothing here resolves
anything; it tells lines that name packages from lines that reach into the repository or out to
other places, and refuses the ones that reach where nobody may.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from atoll.environments import conda_locks
from atoll.errors import BadSpecification, CannotBuildYet

LONGEST = 10_000  # lines of all files together
_INCLUDE = {"-r", "--requirement", "-c", "--constraint"}
_EDITABLE = {"-e", "--editable"}
_INDEX = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index"}
_INSTEAD = {"-i", "--index-url", "--no-index"}
_IGNORED = {"--trusted-host"}  # an insecure connection is nothing that a repository may ask for
_ARCHIVE = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")
_HASH = re.compile(r"\s--hash[=\s]\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Requirements:
    """A requirements file and all that it includes.

    ``files`` has their normalised text (no comments, blank lines or trailing spaces; the order is
    kept) by path from the folder of the first. ``local`` is true when a line names something in
    the repository, ``indexes`` when a line names another package index, ``pinned`` when every
    line has a hash. ``hashes`` are those lines' hashes by canonical package name.
    """

    files: Mapping[str, bytes]
    local: bool
    indexes: bool
    pinned: bool
    hashes: Mapping[str, tuple[str, ...]]


@dataclass(slots=True)
class _Reader:
    files: Mapping[str, bytes]
    root: str
    within: str
    seen: dict[str, bytes]
    hashes: dict[str, tuple[str, ...]]
    local: bool = False
    indexes: bool = False
    unpinned: bool = False
    count: int = 0


def read_requirements(files: Mapping[str, bytes], path: str, *, within: str = "") -> Requirements:
    """Read *path* and what it includes from *files*, a repository's files by their path.

    *within* is the folder in which it will be installed: paths in its lines begin there. Raises
    `BadSpecification` for what is unreadable, missing or outside the repository, and
    `CannotBuildYet` for an include from the web.
    """
    reader = _Reader(files, posixpath.dirname(path), within, {}, {})
    _read_file(reader, path)
    pinned = bool(reader.hashes) and not reader.unpinned
    return Requirements(reader.seen, reader.local, reader.indexes, pinned, reader.hashes)


def decode(name: str, body: bytes) -> str:
    """Return *body* as text, or raise `BadSpecification` that says where it is not UTF-8."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        odd = body[error.start]
        message = f"{name} is not UTF-8: byte {error.start + 1} (line {line}) is 0x{odd:02x}."
        utf16 = body.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "It looks like UTF-16, as PowerShell's “>” writes. " if utf16 else ""
        raise BadSpecification(message, hint=f"{hint}Save the file as UTF-8.") from error
    if "\0" in text:
        raise BadSpecification(
            f"{name} is not text: it has a NUL character.", hint="Is it what it says?"
        )
    return text


def logical_lines(text: str) -> list[str]:
    """Return the lines of a requirements file without comments, continuation lines joined."""
    joined = re.sub(r"\\\r?\n", " ", text)
    bare = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [re.sub(r"\s+", " ", line) for line in bare if line]


def _read_file(reader: _Reader, path: str) -> None:
    name = posixpath.relpath(f"/{path}", f"/{reader.root}")
    if name in reader.seen:
        return
    lines = logical_lines(decode(path, reader.files[path]))
    reader.count += len(lines)
    if reader.count > LONGEST:
        raise BadSpecification(f"{path} has more than {LONGEST} lines with what it includes.")
    kept = [line for line in lines if _option(line)[0] not in _IGNORED]
    reader.seen[name] = "".join(f"{line}\n" for line in kept).encode()
    for line in kept:
        _read_line(reader, path, line)


def _read_line(reader: _Reader, path: str, line: str) -> None:
    option, value = _option(line)
    if option in _INCLUDE:
        _include(reader, path, value)
    elif option in _EDITABLE:
        reader.unpinned = True
        _place(reader, path, value, always=True)
    elif option in _INDEX:
        reader.indexes = True
        _place(reader, path, value, always=False)
    elif not option:
        _requirement(reader, path, line)


def _option(line: str) -> tuple[str, str]:
    """Split ``-rfile``, ``-r file``, ``--requirement=file`` into option and value."""
    if not line.startswith("-"):
        return "", line
    if line.startswith("--"):
        found = re.match(r"(--[\w-]+)(?:[=\s]\s*(.*))?$", line)
        return (found[1], found[2] or "") if found else (line, "")
    return line[:2], line[2:].strip().lstrip("=").strip()


def _include(reader: _Reader, path: str, value: str) -> None:
    if "://" in value and not value.startswith("file:"):
        message = f"{path} includes {value}: Atoll cannot follow lists from the web yet."
        raise CannotBuildYet(message, hint="Copy that list into the repository.")
    target = _inside(path, value, posixpath.dirname(path))
    if target not in reader.files:
        message = f"{path} includes “{value}”, which is not a readable file of the repository."
        raise BadSpecification(message, hint="Paths are relative to the file they stand in.")
    _read_file(reader, target)


def _requirement(reader: _Reader, path: str, line: str) -> None:
    bare = re.split(r"\s--", line, maxsplit=1)[0].strip()
    try:
        is_file = bare.endswith(_ARCHIVE) and "@" not in bare
        requirement = Requirement("" if is_file else bare)
    except InvalidRequirement:
        reader.unpinned = True
        _place(reader, path, re.split(r"\s;", bare, maxsplit=1)[0], always=False)
        return
    hashes = tuple(_HASH.findall(line))
    if requirement.url:
        _place(reader, path, requirement.url, always=True)
    if hashes and not requirement.url:
        name = canonicalize_name(requirement.name)
        reader.hashes[name] = (*reader.hashes.get(name, ()), *hashes)
    else:
        reader.unpinned = True


def _place(reader: _Reader, path: str, value: str, *, always: bool) -> None:
    """Note where *value* leads; unless *always*, it may also be no place at all."""
    value = value.strip("\"'")
    if found := re.match(r"(?:(\w+)\+)?(\w[\w.-]*):", value):
        scheme = found[2].lower()
        if scheme in {"http", "https"}:
            return
        if scheme != "file":
            message = f"{path} asks for “{value}”; Atoll fetches by https only."
            raise BadSpecification(message, hint="Write the address with https://.")
        value = re.sub(r"^(?:\w+\+)?file:(?://(?:localhost)?)?", "", value)
        always = True
    path_like = value.startswith((".", "/", "~")) or "/" in value or value.endswith(_ARCHIVE)
    if always or path_like:
        _inside(path, re.sub(r"\[[^\]]*\]$|#.*$", "", value), reader.within)
        reader.local = True


def _inside(path: str, value: str, folder: str) -> str:
    """Return *value*, relative to *folder* of the repository, as a path from its top."""
    value = value.strip("\"'").removeprefix("file:")
    target = posixpath.normpath(posixpath.join(folder, value))
    if value.startswith(("/", "~")) or target == ".." or target.startswith("../") or "${" in value:
        message = f"{path} names “{value}”, which is outside the repository."
        raise BadSpecification(message, hint="Name only files that the repository has.")
    return target


def hashes_of(files: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
    """Return the hashes that normalised requirements *files* give, by canonical package name."""
    found: dict[str, tuple[str, ...]] = {}
    for line in _lines_of(files):
        if hashes := tuple(_HASH.findall(line)):
            name = canonicalize_name(re.split(r"[^\w.-]", line, maxsplit=1)[0])
            found[name] = (*found.get(name, ()), *hashes)
    return found


def names_of(files: Mapping[str, bytes]) -> set[str]:
    """Return the canonical names of the packages that normalised requirements *files* name."""
    found: set[str] = set()
    for line in _lines_of(files):
        if not _option(line)[0] and not _is_place(line):
            found.add(canonicalize_name(re.split(r"[^\w.-]", line, maxsplit=1)[0]))
    return found


def names_indexes(files: Mapping[str, bytes]) -> bool:
    """Say whether normalised requirements *files* name a package index of their own."""
    return any(_option(line)[0] in _INDEX for line in _lines_of(files))


def replaces_index(files: Mapping[str, bytes]) -> bool:
    """Say whether normalised requirements *files* want another index instead of the operator's."""
    return any(_option(line)[0] in _INSTEAD for line in _lines_of(files))


def names_addresses(files: Mapping[str, bytes]) -> bool:
    """Say whether normalised requirements *files* may lead anywhere but to the operator's index.

    What a hub's own network is used for hangs on this, so it looks for the sign of an address and
    not for its usual form: uv takes “http:host/x” for “http://host/x”, and fills in variables.
    """
    lines = (_HASH.sub("", line) for line in _lines_of(files))
    return names_indexes(files) or any(map(may_be_address, lines))


def names_places(files: Mapping[str, bytes]) -> bool:
    """Say whether normalised requirements *files* name anything that is not just a package."""
    return any(map(_is_place, _lines_of(files)))


def _is_place(line: str) -> bool:
    option, _ = _option(line)
    bare = re.split(r"\s--", line, maxsplit=1)[0].strip()
    if option or bare.endswith(_ARCHIVE):
        return option in _EDITABLE or not option
    try:
        Requirement(bare)
    except InvalidRequirement:
        return True
    return False


def may_be_address(text: str) -> bool:
    """Say whether an address could hide in *text*, part of a requirement or of a project."""
    return any(sign in re.sub(r":(?:all|none):", "", text) for sign in ":@$")


def _lines_of(files: Mapping[str, bytes]) -> list[str]:
    named = {"postBuild", "pyproject.toml", "uv.lock", "conda.json", "debian.json", "r.json"}
    named.update(conda_locks.NAMES)
    return [
        line
        for name, body in files.items()
        if name not in named
        for line in body.decode(errors="replace").splitlines()
    ]
