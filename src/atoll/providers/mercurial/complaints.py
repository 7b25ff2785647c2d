"""Complaints: what hg and ssh say when a remote cannot be fetched, as errors of ours."""

from __future__ import annotations

from atoll.errors import AtollError, NotFound, Refused, Unreachable
from atoll.providers.addresses import no_host
from atoll.providers.mercurial.commands import HgFailed
from atoll.sources.locators import host_of

ELSEWHERE = "Ask for a copy that holds its files, or open an archive of it."


def is_unknown(error: HgFailed) -> bool:
    """Say whether the server answered that it has no version of that name."""
    signs = ("unknown revision", "unknown branch", "filtered revision", "hidden revision")
    return any(sign in error.text for sign in signs)


def translated(error: HgFailed, url: str) -> AtollError:
    """Return what hg said about the remote *url* as one of our errors."""
    text = error.text.replace(url.lower(), "")  # names, too, may say “not found”
    if "largefiles extension" in text or "missing processor for flag" in text:
        return Refused(
            f"{url} keeps large files apart (largefiles, lfs), which are not fetched.",
            hint=ELSEWHERE,
        )
    if "name or service not known" in text or "name resolution" in text:
        return no_host(host_of(url))
    if "host key verification failed" in text:
        return Refused(
            f"Nobody here has said yet that {host_of(url)} is who it says it is.",
            hint="Connect once by ssh, compare its key and say yes.",
        )
    missing = ("http error 404", "http error 410", "does not appear to be an hg repository")
    closed = ("http error 401", "http error 403", "authorization", "permission denied")
    if any(sign in text for sign in (*missing, *closed, "not found!", "no suitable response")):
        return not_found(url)
    return Unreachable(f"{url} could not be fetched: {error.sentence}.")


def not_found(url: str) -> NotFound:
    """Make the error for a repository that is not there, or private, which look alike."""
    return NotFound(
        f"There is no Mercurial repository at {url}, or it is private.",
        hint="Check how it is spelt; a git repository's address has no “hg+” before it.",
    )


def no_version(url: str, version: str) -> NotFound:
    """Make the error for a version that the server does not know."""
    return NotFound(
        f"There is no version “{version}” of {url}.",
        hint="A version is a branch, a bookmark, a tag or a changeset's id.",
    )
