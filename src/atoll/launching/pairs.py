"""Pairs: what is particular where the environment is one repository's, and the files another's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from atoll.environments.reading import start_script
from atoll.errors import AtollError
from atoll.sources import Checkout

ENVIRONMENT, CONTENT = "environment", "content"
LONGEST = 100_000  # bytes of a start script: it becomes an argument, and Linux takes 131,072
SHELL = re.compile(rb"(?!#!)|#!.*sh\b")
IN_PLACE = re.compile(rb"^\s*(?:-e|--editable)\b|\beditable\s*=\s*(?:true|\")", re.MULTILINE)


@contextmanager
def blaming(part: str) -> Iterator[None]:
    """Have every error inside say which *part* of the pair it is about."""
    try:
        yield
    except AtollError as error:
        message = f"The {part}’s repository: {error}"
        raise type(error)(message, hint=error.hint, log=error.log) from error


def script(content: Checkout, environment: Checkout) -> str:
    """Return the text of a pair's start script, which is its environment's; "" for none."""
    return "" if content is environment else _script(environment).decode("utf-8", "replace")


def notes(content: Checkout, environment: Checkout) -> list[str]:
    """Return sentences for the person about what a pair leaves out."""
    if content is environment:
        return []
    said = []
    if passed_over := sorted(content.files):
        names = f"{', '.join(passed_over)} {'are' if passed_over[1:] else 'is'}"
        said.append(f"The environment is another repository’s; the content’s own {names} not read.")
    if any(path.rpartition("/")[2] == "postBuild" for path in environment.files):
        said.append("Files that the environment’s postBuild made beside it are not among yours.")
    if any(IN_PLACE.search(body) for body in environment.files.values()):
        said.append("What the environment’s repository installs in place (-e) is not found here.")
    if start_script(environment.files) and not _script(environment):
        said.append("The environment’s start script is not run: it is no shell script.")
    return said


def _script(environment: Checkout) -> bytes:
    body = environment.files.get(start_script(environment.files), b"")
    return body if len(body) < LONGEST and SHELL.match(body) and b"\0" not in body else b""
