"""Entries: what lock files of all tools come down to, checked, and written as pip's lines.

A lock file is a stranger's. So every name, version, marker, hash and address is taken apart by
the rules of its own format before it becomes a part of a line, where it could mean something else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version

from atoll.environments.tables import Table
from atoll.errors import BadSpecification

MOST = 5000  # packages of one lock; the largest of public repositories have a tenth of it
ANEW = "Have the tool that wrote the file write it anew."

_HASH = re.compile(r"(?:md5|sha256|sha384|sha512|blake2b):[0-9a-f]{32,128}")  # that uv can verify
_ANY_HASH = re.compile(r"\w+:[0-9A-Fa-f]+")
_ADDRESS = re.compile(r"https?://[^\s\"'\\;]+")
_PATH = re.compile(r"[\w./+-]+")
# The public index under its names of today and of old: for us, that is the operator's.
_PUBLIC = re.compile(r"https?://pypi(\.python)?\.org(?:/|$)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One package of a lock file.

    ``version`` is a specifier ("==1.2", ">=1") or "". ``url`` is where the package is, if in no
    index: an address that pip knows, or "./" and a path from the top of the repository; then
    ``editable`` may be true.
    """

    name: str
    version: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""
    hashes: tuple[str, ...] = ()
    url: str = ""
    editable: bool = False

    @property
    def line(self) -> str:
        """The line that asks for it."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        if self.url.startswith("./"):
            what = f"{'-e ' * self.editable}{self.url}{extras}"
        else:
            what = f"{self.name}{extras}{f' @ {self.url}' if self.url else self.version}"
        return what + self._ends

    @property
    def constraint(self) -> str:
        """The line that says which one it is if something asks for it."""
        if not self.url:
            return f"{self.name}{self.version}{self._ends}"
        prefix = "file:" if self.url.startswith("./") else ""
        return f"{self.name} @ {prefix}{self.url}{self._ends}"

    @property
    def _ends(self) -> str:
        marker = f" ; {self.marker}" if self.marker else ""
        return marker + "".join(f" --hash={one}" for one in self.hashes)


def make(
    path: str,
    name: str,
    version: str = "",
    *,
    extras: Iterable[str] = (),
    marker: str = "",
    hashes: Iterable[str] = (),
    url: str = "",
    editable: bool = False,
) -> Entry:
    """Return the entry of the file *path*, or raise `BadSpecification` for what cannot be one."""
    return Entry(
        name=_name(path, name),
        version=_specifier(path, name, version),
        extras=tuple(sorted({_name(path, one) for one in extras})),
        marker=checked_marker(path, marker),
        hashes=tuple(dict.fromkeys(filter(None, (_hash(path, name, one) for one in hashes)))),
        url=url,
        editable=editable,
    )


def exact(path: str, name: str, version: str) -> str:
    """Return “==” and *version*, or raise `BadSpecification`."""
    try:
        return f"=={Version(version)}"
    except ValueError:  # `InvalidVersion`, or a number with thousands of digits
        message = f"{path}: “{version[:40]}” of {name[:40]} is not a version."
        raise BadSpecification(message, hint=ANEW) from None


def checked_marker(path: str, text: str) -> str:
    """Return *text* as an environment marker, or raise `BadSpecification`."""
    try:
        return str(Marker(text)) if text.strip() else ""
    except (InvalidMarker, RecursionError):
        message = f"{path}: “{text[:60]}” is not an environment marker."
        raise BadSpecification(message, hint=ANEW) from None


def either(markers: Iterable[str]) -> str:
    """Return the marker that holds where one of *markers* does; "" holds everywhere."""
    several = list(dict.fromkeys(markers))
    if not several or "" in several:
        return ""
    return several[0] if len(several) == 1 else " or ".join(f"({one})" for one in several)


def every(markers: Iterable[str]) -> str:
    """Return the marker that holds where all of *markers* do; "" holds everywhere."""
    several = list(dict.fromkeys(filter(None, markers)))
    return several[0] if len(several) == 1 else " and ".join(f"({one})" for one in several)


def address(path: str, name: str, text: str) -> str:
    """Return *text* if it is an address that can be fetched, or raise `BadSpecification`."""
    if "$" in text:
        message = f"{path}: the address for {name[:40]} has a variable, which nobody sets here."
        raise BadSpecification(message, hint="Write an address that anybody can fetch.")
    if not _ADDRESS.fullmatch(text):
        message = f"{path} asks for {name[:40]} at “{text[:80]}”; Atoll fetches by https only."
        raise BadSpecification(message, hint="Write the address with https://.")
    return text


def revision(path: str, name: str, kind: str, where: str, *, at: str = "", within: str = "") -> str:
    """Return where pip finds a version *at* of the *kind* ("git") repository at *where*.

    *within* is the package's folder in it.
    """
    if kind != "git":
        message = f"{path} asks for {name[:40]} by {kind}, which Atoll cannot build yet."
        raise BadSpecification(message, hint="It fetches packages by git and https.")
    bare, _, rest = where.removeprefix("git+").partition("#")
    if rest or not re.fullmatch(r"[\w./+-]*", at) or at.startswith("-"):
        message = f"{path} asks for an odd version of {name[:40]}: “{(at or rest)[:40]}”."
        raise BadSpecification(message, hint="Name a commit, a tag or a branch.")
    subdirectory = f"#subdirectory={_inner(path, within)}" if within else ""
    return f"git+{address(path, name, bare)}{f'@{at}' if at else ''}{subdirectory}"


def place(path: str, where: str) -> str:
    """Return *where*, which is relative to the file *path*, as "./" and a path from the top.

    Raises `BadSpecification` for what is outside the repository.
    """
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), where.replace("\\", "/")))
    return f"./{_inner(path, inside)}"


def index_lines(path: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the lines that name the package indexes at *addresses*, but for the public one."""
    named = dict.fromkeys(address(path, "packages", one) for one in addresses if one)
    return tuple(f"--extra-index-url {one}" for one in named if not is_public(one))


def is_public(index: str) -> bool:
    """Say whether *index* is the public package index, which the operator's stands for."""
    return bool(_PUBLIC.match(index))


def counted(path: str, number: int) -> None:
    """Raise `BadSpecification` if *number* is more packages than any environment has."""
    if number > MOST:
        raise BadSpecification(
            f"{path} lists more than {MOST} packages.", hint="Is it what it says?"
        )


def file_hashes(files: list[Table]) -> list[str]:
    """Return the hashes of a package's *files*, as Poetry and PDM write them."""
    return [one.text("hash") for one in files]


def _inner(path: str, inside: str) -> str:
    if inside.startswith(("/", "~", "../")) or inside == ".." or re.match(r"[A-Za-z]:", inside):
        message = f"{path} names “{inside[:80]}”, which is outside the repository."
        raise BadSpecification(message, hint="Name only files that the repository has.")
    if not _PATH.fullmatch(inside):
        message = f"{path} names “{inside[:80]}”, which cannot be the folder of a package here."
        raise BadSpecification(message, hint="Use letters, digits, “.”, “_”, “+”, “-” and “/”.")
    return inside


def _name(path: str, text: str) -> str:
    try:
        return canonicalize_name(text, validate=True)
    except InvalidName:
        message = f"{path}: “{text[:40]}” cannot be the name of a package."
        raise BadSpecification(message, hint=ANEW) from None


def _specifier(path: str, name: str, text: str) -> str:
    try:
        return str(SpecifierSet(text))
    except ValueError:
        message = f"{path}: “{text[:40]}” of {name[:40]} is not a version."
        raise BadSpecification(message, hint=ANEW) from None


def _hash(path: str, name: str, text: str) -> str:
    """Return *text* as uv has hashes; "" for one of a kind that uv does not know."""
    if not _ANY_HASH.fullmatch(text):
        message = f"{path}: “{text[:40]}” of {name[:40]} is not a hash."
        raise BadSpecification(message, hint=ANEW)
    return text.lower() if _HASH.fullmatch(text.lower()) else ""
