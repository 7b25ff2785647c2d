"""Names: slugs that JupyterHub accepts as server names, and ids that nobody guesses."""

from __future__ import annotations

import re
import secrets

LONGEST = 30  # characters of a JupyterHub 6 server name


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
