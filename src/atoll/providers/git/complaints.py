"""Complaints: what git and ssh say when a remote cannot be fetched, as errors of ours."""

from __future__ import annotations

from urllib.parse import urlsplit

from atoll.errors import AtollError, NotFound, Refused, Unreachable
from atoll.providers.addresses import no_host
from atoll.providers.git.commands import GitFailed
from atoll.sources.locators import host_of

# Mercurial's own web server answers 400 where git asks for a repository.
MERCURIAL = "If it is a Mercurial repository, write hg+ before its address."


def translated(error: GitFailed, locator: str) -> AtollError:
    """Return what git said about the remote *locator* as one of our errors."""
    said = error.sentence
    text = error.text.replace(locator.lower(), "")  # names, too, may say "not found" or 403
    if "dubious ownership" in text:
        return Refused(
            f"{locator} belongs to somebody else.",
            hint="Copy it, or let git trust it: git config --global --add safe.directory FOLDER",
        )
    if "not allowed" in text:
        return Refused(f"git may not fetch {locator}: {said}.")
    if found := _of_ssh(text, locator):
        return found
    if "could not resolve host" in text:
        return no_host(host_of(locator))
    missing = ("not found", "does not exist", "does not appear to be a git", "no such file")
    closed = ("could not read username", "permission denied", "authentication", "publickey")
    if any(sign in text for sign in (*missing, *closed, ": 403")):
        return not_found(locator)
    hint = MERCURIAL if text.endswith(": 400") else ""
    return Unreachable(f"{locator} could not be fetched: {said}.", hint=hint)


def not_found(locator: str) -> NotFound:
    """Make the error for a repository that is not there, or private, which look alike."""
    return NotFound(
        f"There is no repository at {locator}, or it is private.",
        hint="Check how it is spelt; a private one needs credentials.",
    )


def _of_ssh(text: str, locator: str) -> AtollError | None:
    """Return the error if it is about who the host is, or about who we are."""
    host = host_of(locator)
    if "host identification has changed" in text:
        return Refused(
            f"{host} does not have the key that it had before: another machine may pose as it.",
            hint="Ask whoever runs it; if it has a new key, remove the old one: ssh-keygen -R HOST",
        )
    if "host key verification failed" in text:
        return Refused(
            f"Nobody here has said yet that {host} is who it says it is: its key is not known.",
            hint=f"Connect once by hand, compare the key and say yes: {_by_hand(locator)}",
        )
    if "permission denied (" in text or "too many authentication failures" in text:
        return Refused(
            f"{host} accepts none of the ssh keys that are here.",
            hint="`ssh-add -l` lists those that are used; "
            "a public repository's https address needs none.",
        )
    return None


def _by_hand(locator: str) -> str:
    """Return the command that connects to *locator*'s host."""
    if "://" not in locator:
        return f"ssh {locator.partition(':')[0]}"
    url = urlsplit(locator)
    user = f"{url.username}@" if url.username else ""
    return f"ssh {f'-p {url.port} ' * bool(url.port)}{user}{url.hostname}"
