"""Deposit: one published version, as every kind of repository tells it: its files, and its date."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

from atoll.errors import Refused, TooLarge

MOST_FILES = 20_000  # of one deposit, each of which is asked for by itself
LONGEST_PART = 255  # bytes of a file's name: what Linux takes
LONGEST_PATH = 1024  # bytes; a home's path comes before it, and the kernel takes 4096
CHECKSUMS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}  # by hexadecimal digits
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class DepositFile:
    """One file: where it belongs, where it is, its size in bytes and its checksum, as far as known.

    ``checksum`` is such as "md5:…", or "". What is ``elsewhere`` is only linked to, by people who
    do not answer for it: where it cannot be had, the rest still can.
    """

    path: str
    url: str
    size: int | None = None
    checksum: str = ""
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Deposit:
    """One version that does not change any more.

    ``version`` can be typed back; ``date`` (UTC) is when it was published, None where nobody knows.
    ``newest`` says that it was taken as the newest of several. ``git_tree`` is the name that git
    gives its content, where that is known. ``warnings`` are sentences for the person.
    """

    title: str
    version: str
    date: datetime | None
    files: tuple[DepositFile, ...]
    newest: bool = False
    git_tree: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def tree(self) -> str:
        """Name the content: the same files have the same name, wherever they were deposited."""
        return self.git_tree or digest_of(self.files)


def digest_of(files: Iterable[DepositFile]) -> str:
    """Return a digest of paths, sizes and checksums; of what has no checksum, its address, too."""
    lines = [
        f"{file.path}\0{file.size}\0{file.checksum or file.url}\n"
        for file in sorted(files, key=lambda file: file.path)
    ]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def clean_path(path: str) -> str | None:
    """Return *path* without empty parts, None for one that no file here can have.

    Raises `Refused` where it leads upwards: that is no mistake that anybody makes.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise Refused(f"It holds a file that would land outside of its folder: {shown(path)}.")
    clean = "/".join(parts)
    raw = clean.encode("utf-8", "surrogateescape")
    long = len(raw) > LONGEST_PATH or any(
        len(part.encode("utf-8", "surrogateescape")) > LONGEST_PART for part in parts
    )
    return None if not parts or long or CONTROL.search(clean) else clean


def checked(deposit: Deposit) -> Deposit:
    """Return *deposit* with paths that can be written, all different.

    Raises `Refused`, and `TooLarge` for too many files.
    """
    if len(deposit.files) > MOST_FILES:
        raise TooLarge(f"It has {len(deposit.files)} files; {MOST_FILES} are the limit here.")
    files: dict[str, DepositFile] = {}
    warnings = list(deposit.warnings)
    for file in deposit.files:
        path = clean_path(file.path)
        if path is None or path in files:
            warnings.append(f"{shown(file.path)} was left out: its name cannot be used.")
            continue
        files[path] = replace(file, path=path)
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    for path in folders & files.keys():
        warnings.append(f"{shown(path)} was left out: there is a folder of that name.")
        del files[path]
    return replace(deposit, files=tuple(files.values()), warnings=tuple(warnings))


def checksum_of(digits: object, algorithm: str = "") -> str:
    """Return ``ALGORITHM:DIGITS``, or "" for what is no checksum that we can compute."""
    found = str(digits or "").strip().lower()
    kind = algorithm.lower().replace("-", "") or CHECKSUMS.get(len(found), "")
    good = kind in CHECKSUMS.values() and CHECKSUMS.get(len(found)) == kind
    return f"{kind}:{found}" if good and re.fullmatch("[0-9a-f]+", found) else ""


def size_in(value: object) -> int | None:
    """Return the size in bytes that an answer gives as *value*, None if it gives none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def date_in(value: object) -> datetime | None:
    """Return the moment that an answer writes as *value* (ISO 8601, or a day), in UTC."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    try:
        return min(found.astimezone(UTC), datetime.now(UTC))
    except OverflowError:
        return None


def shown(text: object, longest: int = 80) -> str:
    """Return *text*, which a stranger wrote, as one short line."""
    line = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def warn_of(names: Sequence[str], why: str) -> tuple[str, ...]:
    """Return the one warning that says of all *names* why they were left out."""
    if not names:
        return ()
    some = ", ".join(shown(name) for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - as above
    return (f"{some}{more} {'were' if len(names) > 1 else 'was'} left out: {why}.",)
