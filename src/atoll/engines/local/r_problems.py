"""R's problems: one sentence for a person out of what R printed when a package was not installed.

Tried on the messages of R 4.2; what is in no known form is told as R's last complaint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from atoll.engines.local.explanations import LONGEST, Explanation, Kind, last_words

LOG = "Its lines in the log say why."
# What comes after these is not the cause.
_COMPLAINT = re.compile(r"ERROR: (?!lazy loading|compilation|configuration)|Error: |(?=Error in )")
_SYSTEM = re.compile(r"^\s*\*\s*deb: (\S+)", re.MULTILINE)  # as R's own configure scripts say it
_HEADER = re.compile(r"fatal error: (\S+): No such file or directory")
_LIBRARY = re.compile(r"cannot find -l([\w.+-]+)")
_COMMAND = re.compile(r"(\S+): (?:command )?not found$", re.MULTILINE)


def absent(name: str, told: Sequence[str], version: str) -> str:
    """Return why the package *name* is not there, from the lines of R *version* that installed."""
    text = "\n".join(told)
    quoted = rf"[‘'“]{re.escape(name)}[’'”]"
    this = f"this is R {version}."
    if found := re.search(rf"{quoted} version .* in the repositories but depends on (.*)", text):
        return f"“{name}” needs {found[1]}; {this}"
    if re.search(rf"packages? [^\n]*{quoted}[^\n]* (?:is|are) not available", text):
        return (
            f"Neither Debian nor CRAN has a package “{name}” for R {version}: is it spelt so, or of"
            " another day? A runtime.txt with a date, such as r-2023-01-31, says of which."
        )
    if found := re.search(rf"(?:cy|cies) (.*) (?:is|are) not available for package {quoted}", text):
        return f"“{name}” needs {found[1]}, which could not be installed. {_hint(text)}".strip()
    if found := re.search(rf"package {quoted} requires (R .*)", text):
        return f"“{name}” needs {re.sub(' +', ' ', found[1])}; {this}"
    part = _part(name, text)
    said = _complaint(part) or _complaint(_naming(name, text))
    return f"“{name}” could not be installed{f': {said}' if said else ''}. {_hint(part) or LOG}"


def failure(told: Sequence[str], status: int, path: str, version: str) -> Explanation:
    """Explain why *path*, followed by R *version*, ended with *status*."""
    text = "\n".join(told)
    if found := re.search(r"there is no package called [‘'“]([\w.]+)[’'”]", text):
        message = f"{path} needs “{found[1]}”, which is not installed."
        if "ERROR" in text or "not available" in text:
            message = f"{message} {absent(found[1], told, version)}"
        return Explanation(Kind.BUILD, message[: LONGEST * 2], LOG)
    said = _complaint(text) or last_words(told)
    message = f"{path} ended with status {status}{f': {said}' if said else ''}."
    return Explanation(Kind.BUILD, message, _hint(text) or LOG)


def unreachable(told: Sequence[str], address: str) -> bool:
    """Say whether R could not read the CRAN at *address*; that it lacks a file is an answer."""
    place = re.escape(address)
    text = "\n".join(told)
    return bool(
        re.search(rf"unable to access index for repository {place}", text)
        or re.search(rf"URL '{place}[^']*':\s+(?:HTTP )?status was '(?!404)", text)
    )


def _part(name: str, text: str) -> str:
    """Return what R printed while it installed the package *name*, or ""."""
    begin = rf"^\* installing \*source\* package [‘'“]{re.escape(name)}[’'”]"
    end = r"(?=^\* (?:installing|removing|DONE)|\Z)"
    whole = re.search(rf"{begin}.*?{end}", text, re.DOTALL | re.MULTILINE)
    return whole[0] if whole else ""


def _naming(name: str, text: str) -> str:
    return "\n".join(re.findall(rf"^.*\b{re.escape(name)}\b.*$", text, re.MULTILINE))


def _complaint(text: str) -> str:
    """Return R's last complaint, on one line, or ""."""
    told = text.splitlines()
    for index in range(len(told) - 1, -1, -1):
        if found := _COMPLAINT.match(told[index]):
            more = told[index + 1 : index + 2] if told[index].rstrip().endswith(":") else []
            words = " ".join([told[index][found.end() :], *more])
            return re.sub(r"\s+", " ", words).strip(" .")[:LONGEST]
    return ""


def _hint(text: str) -> str:
    """Return what of the system is missing, and where to name it, or ""."""
    if found := _SYSTEM.search(text):
        return f"A library is missing: write {found[1].rstrip(',')} into apt.txt."
    if found := _HEADER.search(text):
        return f"The file {found[1]} is missing: write the -dev package that has it into apt.txt."
    if found := _LIBRARY.search(text):
        return f"The library {found[1]} is missing: write its -dev package into apt.txt."
    if found := _COMMAND.search(text):
        return f"The program {found[1]} is missing: write the package that has it into apt.txt."
    return ""
