"""Names: slugs that JupyterHub accepts as server names, titles, and ids that nobody guesses."""

from __future__ import annotations

import re
import secrets
import unicodedata

from atoll.errors import BadRequest

LONGEST = 30  # characters of a JupyterHub 6 server name
LONGEST_TITLE = 100  # characters
_UNSEEN = {"Cc", "Cs", "Cn", "Zl", "Zp"}  # controls, halves of characters, ends of lines
_BLANK = {"Cf", "Zs", "Mn", "Me"}
_EMPTY = {*"\u115f\u1160\u2800\u3164\uffa0"}  # letters and signs that look like nothing
# What takes no room at all. What joins letters does neither, but one sees that they are joined.
_HIDDEN = {*"\u00ad\u180e\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\ufff9\ufffa\ufffb"}
# What turns the text around it, so that it reads otherwise than it is.
_TURNING = {*"\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


def new_id() -> str:
    """Return a fresh name that cannot be guessed (96 bits), fit for URLs and file names."""
    return secrets.token_hex(12)


def is_slug(text: str) -> bool:
    """Say whether *text* is a server name that JupyterHub 6 accepts."""
    return bool(re.fullmatch(r"[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?", text)) and "--" not in text


def slug(text: str, fallback: str = "server") -> str:
    """Make a server name from *text*: lower case, ``[a-z0-9-]``, at most 30 characters."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    name = "-".join(words).lstrip("0123456789-")[:LONGEST].strip("-")
    return name or fallback


def default_name(locator: str) -> str:
    """Make a server name from where a repository is: the last part of its path.

    An archive's ending, or a notebook's, says nothing, nor does a number alone.
    """
    if locator.startswith("swh:"):
        _, _, kind, digits = locator.split(";", maxsplit=1)[0].split(":")
        return slug(f"swh-{kind}-{digits[:10]}")
    path = re.sub(r"\.(?:zip|ipynb|tar|tgz|tbz2?|txz|tar\.\w+)(?:\?.*)?$", "", locator.rstrip("/"))
    above, _, last = path.rpartition("/")
    last = last.rsplit(":", 1)[-1].removesuffix(".git")
    return slug(last, fallback="") or slug(f"{above.rpartition('/')[2]}-{last}")


def title_of(text: str) -> str:
    """Return *text*, which people call a server by, as it is kept: trimmed, with single spaces.

    Any script will do. Raises `BadRequest` for what is too long, or has what nobody sees.
    """
    kinds = [unicodedata.category(one) for one in text]
    if not _UNSEEN.isdisjoint(kinds) or not (_TURNING | _HIDDEN).isdisjoint(text):
        raise BadRequest("A title cannot hold characters that nobody sees.", hint="Type it anew.")
    seen = [kind for one, kind in zip(text, kinds, strict=True) if one not in _EMPTY]
    if text.strip() and _BLANK.issuperset(seen):
        raise BadRequest("A title needs something that can be seen.", hint="Use a letter or two.")
    title = " ".join(unicodedata.normalize("NFC", text).split())
    if len(title) > LONGEST_TITLE:
        raise BadRequest(
            f"A title has at most {LONGEST_TITLE} characters; this one has {len(title)}.",
            hint="Say it in fewer words.",
        )
    return title


def title_slug(title: str) -> str:
    """Make a server name from *title*, letters without their accents; "" if nothing is left."""
    apart = unicodedata.normalize("NFKD", title)
    return slug("".join(one for one in apart if not unicodedata.combining(one)), fallback="")
