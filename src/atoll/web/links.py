"""Links: the addresses and badges that others can put on their pages. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode

from atoll.launching.wishes import Wishes
from atoll.sources import RepoRef, Target
from atoll.sources.parsing import binder_spec

LAB_FILE = "lab/tree/"
NOTHING = Wishes()


@dataclass(frozen=True, slots=True)
class Links:
    """One launch, to copy: the plain link, and its badge in three languages.

    ``path`` is what follows any hub's address, with a slash at the end of that.
    """

    path: str
    url: str
    markdown: str
    rst: str
    html: str


def links_for(target: Target, home: str, wishes: Wishes = NOTHING) -> Links:
    """Return what to copy so that others launch it; *home* is our own address, with its "/".

    A public Binder passes over the *wishes*, which another Atoll and `atoll run` follow.
    """
    path = binder_path(target.repo, target.environment, target.opening, wishes)
    url = home + path
    badge = f"{home}badge_logo.svg"
    return Links(
        path=path,
        url=url,
        markdown=f"[![Launch]({badge})]({url})",
        rst=f".. image:: {badge}\n   :target: {url}\n   :alt: Launch",
        html=f'<a href="{url.replace("&", "&amp;")}"><img src="{badge}" alt="Launch"></a>',
    )


def binder_path(
    repo: RepoRef,
    environment: RepoRef | None = None,
    opening: str = "",
    wishes: Wishes = NOTHING,
) -> str:
    """Return Binder's path for *repo*, such as ``v2/gh/owner/repo/main?memory=4G``.

    Of a pair, the *environment* stands in the path, as Binder builds that; the content is ours, and
    so are *wishes*.
    """
    said = [f"content={quote('/'.join(binder_spec(repo)), safe='/')}"] if environment else []
    said += [where] if (where := _asked(opening)) else []
    said += [urlencode(asked)] if (asked := wishes.asked()) else []
    path = f"v2/{'/'.join(binder_spec(environment or repo))}"
    return f"{path}?{'&'.join(said)}" if said else path


def _asked(opening: str) -> str:
    for start, name in (("doc/tree/", "labpath"), ("tree/", "filepath")):
        if opening.startswith(start) and "?" not in opening:
            return f"{name}={quote(unquote(opening.removeprefix(start)), safe='/')}"
    return f"urlpath={quote(opening, safe='/')}" if opening and opening != "lab" else ""


def opening_from(typed: str) -> str:
    """Return the URL path inside a server that *typed*, the form's field, means; "" for nothing.

    A file is opened in the Lab; what begins with "/" is an address in the server itself.
    """
    typed = typed.strip()
    if typed.startswith("/"):
        return typed.lstrip("/")
    return f"{LAB_FILE}{quote(typed.rstrip('/'))}" if typed else ""


def shown(opening: str) -> str:
    """Return *opening* as a person thinks of it: the file's name where it is a file."""
    for start in (LAB_FILE, "doc/tree/", "tree/"):
        if opening.startswith(start):
            return unquote(opening.removeprefix(start))
    return "" if opening == "lab" else f"/{opening}" * bool(opening)


def field_from(opening: str) -> str:
    """Return what `opening_from` reads back as *opening*, for filling the form in again."""
    if opening.startswith(LAB_FILE):
        return unquote(opening.removeprefix(LAB_FILE))
    return f"/{opening}" if opening else ""
