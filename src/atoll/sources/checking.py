"""Checking: what a version, an opening or any pasted text may never contain.

Everything here was typed by a stranger and ends in a URL or in an argument of git.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from atoll.errors import BadReference

LONGEST = 2000  # characters of a pasted text; browsers and proxies stop not far above
LONGEST_VERSION = 250  # characters; file systems, where git keeps names of branches, stop at 255
IN_URL_PATHS = "/:@!$&'()*+,;=~"  # what RFC 3986 lets stand unquoted
DEEPEST = 4  # how often a text may be URL-quoted over: nbgitpuller links inside links need two

# The last two ranges turn text round that is written after them: one would read another name.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
NOT_IN_VERSIONS = re.compile(r"[ ~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")


def check_text(text: str) -> str:
    """Return *text* without the white space around it, or raise `BadReference`."""
    text = text.strip()
    if len(text) > LONGEST:
        raise BadReference(f"This is longer than {LONGEST} characters.")
    if CONTROL.search(text):
        raise BadReference("This contains control characters.", hint="Paste it again, as one line.")
    return text


def check_version(version: str) -> str:
    """Return *version* if git could have a branch, tag or commit of that name.

    The rules are those of ``git check-ref-format``. Raises `BadReference`.
    """
    bad = (
        not version
        or version == "@"
        or version[0] in "-/."
        or version[-1] in "/."
        or len(version) > LONGEST_VERSION
        or CONTROL.search(version)
        or NOT_IN_VERSIONS.search(version)
    )
    if bad:
        raise BadReference(
            f"“{version[:80]}” cannot be a version.",
            hint="A version is a branch, a tag, a commit or HEAD.",
        )
    return version


def check_version_and_path(text: str) -> str:
    """Return *text*, a version with a path behind it, or raise `BadReference`.

    File names may hold nearly anything; where the version ends is known only later, and then
    `check_version` has its say.
    """
    parts = text.split("/")
    bad = CONTROL.search(text) or text.startswith("-") or any(p in {"", ".", ".."} for p in parts)
    if bad:
        raise BadReference(f"“{text[:80]}” is not a version and a path.")
    return text


def check_opening(text: str) -> str:
    """Return *text* as a URL path relative to a server, perhaps with a query and a fragment.

    A leading slash is dropped. Raises `BadReference` for whatever a browser could read as
    another site, another scheme or a folder above, quoted however often.
    """
    text = check_text(text)
    opening = text.removeprefix("/")
    seen = opening
    for _ in range(DEEPEST):
        _check_opening_as_read(seen)
        decoded = unquote(seen)
        if decoded == seen:
            return opening
        seen = decoded
    raise BadReference("What to open is URL-quoted too many times over.")


def path_opening(path: str) -> str:
    """Return the URL path at which JupyterLab shows the file or folder *path* of a repository."""
    return check_opening("lab/tree/" + quote(path, safe=IN_URL_PATHS)) if path else "lab"


def _check_opening_as_read(text: str) -> None:
    path = re.split(r"[?#]", text, maxsplit=1)[0]
    if CONTROL.search(text) or "\\" in text:
        problem = "contains characters that no address has"
    elif ".." in re.split(r"[/?&=#;]", text):
        problem = "leads out of the server through “..”"
    elif path.startswith("/") or ":" in path.split("/", 1)[0]:
        problem = "is an address of another site"
    else:
        return
    raise BadReference(
        f"What to open {problem}.",
        hint="Write a path inside the server, such as lab/tree/index.ipynb.",
    )
