"""Explanations: one sentence for a person out of what uv printed when it failed.

Tried on the messages of uv 0.9 to 0.13; a message in no known form is cut to its first line, so
a newer uv makes explanations plainer, never wrong.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from atoll.engines.local import room

LONGEST = 300  # characters of a sentence
_COMMON = (
    *("altair", "astropy", "beautifulsoup4", "biopython", "bokeh", "bqplot", "cartopy", "dask"),
    *("fastapi", "flask", "folium", "geopandas", "gensim", "ipykernel", "ipympl", "ipyleaflet"),
    *("ipywidgets", "jax", "jupyterlab", "keras", "lxml", "matplotlib", "networkx", "nltk"),
    *("notebook", "numba", "numpy", "opencv-python", "openpyxl", "pandas", "pillow", "plotly"),
    *("polars", "psycopg2-binary", "pyarrow", "pydantic", "pymc", "python-dateutil", "pytorch"),
    *("pyyaml", "rasterio", "requests", "scikit-image", "scikit-learn", "scipy", "seaborn"),
    *("shapely", "spacy", "sqlalchemy", "statsmodels", "streamlit", "sympy", "tensorflow", "torch"),
    *("torchvision", "tqdm", "transformers", "vega-datasets", "voila", "xarray", "xgboost"),
)
_IMPORT_NAMES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "pil": "pillow",
    "pytorch": "torch",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
_COMPLAINT = re.compile(
    r"(?:[\w.]*(?:Error|Exception|Exit)\b|fatal:|error\b|npm ERR!|\S+: line \d+: syntax error )",
    re.IGNORECASE,
)
_NO_ANSWER = (
    r"\(Connect\)|timed? ?out|HTTP status|error sending request|connection (?:reset|closed|refused)"
)
_PASSING = ("401", "403", "407", "408", "429")  # of a gateway, or of a password that has expired
_COMPLAINT_ENDS = (": command not found", ": No such file or directory")


class Kind(Enum):
    """What sort of failure it was; a builder may try something else for some.

    ``UNREACHABLE`` and ``MACHINE`` are no fault of the specification (`solving.failed`).
    """

    UNSOLVABLE = "unsolvable"
    NEEDS_BUILD = "needs build"
    BUILD = "build"
    UNREACHABLE = "unreachable"
    MACHINE = "machine"
    SPECIFICATION = "specification"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What failed, in one sentence, and a hint or "". ``python``: another Python may do better.

    Of a package that cannot be built, ``package`` is the name and ``told`` what its build printed.
    """

    kind: Kind
    message: str
    hint: str = ""
    python: bool = False
    package: str = ""
    told: tuple[str, ...] = ()


def explain(lines: Sequence[str], *, as_of: date | None = None) -> Explanation:
    """Explain the output *lines* of a failed uv, which saw the package index of *as_of*."""
    errors = [index for index, line in enumerate(lines) if line.startswith("error: ")]
    told = [line.rstrip() for line in lines[errors[-1] :]] if errors else []
    text = "\n".join(told)
    for reader in (_machine, _unreachable, _git, _no_solution, _hash, _unparsable, _build):
        if found := reader(text, as_of):
            return _cut(found)
    first = told[0].removeprefix("error: ") if told else (lines[-1] if lines else "uv failed")
    causes = [line for line in told if line.strip().startswith("cause: ")]
    last = f": {causes[-1].strip().removeprefix('cause: ')}" if causes else ""
    return _cut(Explanation(Kind.OTHER, _sentence(first + last)))


def _machine(text: str, _: date | None) -> Explanation | None:
    if room.told(text):
        return Explanation(Kind.MACHINE, room.NO_ROOM, room.MAKE_ROOM)
    if re.search(r"No interpreter found|Failed to (?:query|inspect) Python interpreter", text):
        message = _sentence(text.partition("\n")[0].removeprefix("error: "))
        return Explanation(Kind.MACHINE, message, "`atoll doctor` says which Pythons can be used.")
    return None


def _unreachable(text: str, _: date | None) -> Explanation | None:
    found = re.search(r"Failed to fetch: `?(\S+?)`?$", text, re.MULTILINE) or re.search(
        r"error sending request for url \((\S+?)\)", text
    )
    if not found or not re.search(_NO_ANSWER, text, re.IGNORECASE):
        return None
    status = re.search(r"HTTP status (?:client|server) error \(([^)]*)\)", text)
    why = f"answered “{status[1]}”" if status else "did not answer"
    passing = not status or status[1][0] == "5" or status[1][:3] in _PASSING
    return Explanation(
        Kind.UNREACHABLE if passing else Kind.OTHER,
        f"{found[1]} {why}.",
        "Try again later. If that is the package index, the operator can name another for uv.",
    )


def _git(text: str, _: date | None) -> Explanation | None:
    found = re.search(r"git fetch .*?'(https?://[^']+)'", text)
    if not found or "Git operation failed" not in text:
        return None
    lines = re.findall(r"^\s*(?:fatal|error|remote): (.+)", text, re.MULTILINE)
    why = re.sub(r"unable to access '[^']*': ", "", lines[-1]) if lines else "git says no more"
    message = f"{found[1]} could not be fetched: {why.rstrip('.')}."
    if re.search(r"could not read Username|not found|Authentication failed", why, re.IGNORECASE):
        return Explanation(Kind.OTHER, message, "It is not there, or not for everybody.")
    return Explanation(Kind.UNREACHABLE, message, "Try again later.")


def _no_solution(text: str, as_of: date | None) -> Explanation | None:
    if "No solution found" not in text or "build-system.requires" in text:  # that is of a build
        return None
    story = _joined(text)
    for reader in (
        _needs_build,
        _not_there,
        _unreadable,
        _too_new,
        _wrong_tags,
        _no_version,
        _other_python,
    ):
        if found := reader(story, as_of):
            return found
    return _unsolvable(
        _sentence(f"The requirements contradict each other: {_conflict(story)}"),
        "Loosen one of these requirements.",
        python=True,  # what fits may be there for an older one only
    )


def _unsolvable(message: str, hint: str = "", *, python: bool = False) -> Explanation:
    return Explanation(Kind.UNSOLVABLE, message, hint, python=python)


def _joined(text: str) -> str:
    """Return the resolver's story on one line, its bullet lists joined with commas."""
    body = text.split("cause: ", 1)[-1].replace("\n\nhint:", " hint:").replace("\nhint:", " hint:")
    body = re.sub(
        r"all of:\n((?:\s+.*\n?)+?)(?=\s*(?:depend|cannot|we can|and |And |$))", _list, body
    )
    return re.sub(r"\s+", " ", body)


def _list(found: re.Match[str]) -> str:
    return ", ".join(line.strip() for line in found[1].splitlines()) + " "


def _needs_build(story: str, _: date | None) -> Explanation | None:
    if "--no-build" not in story:
        return None
    found = re.search(r"(\S+) has no usable wheels", story) or re.search(
        r"Wheels are required for `([^`]+)`", story
    )
    name = found[1] if found else "A requirement"
    return Explanation(
        Kind.NEEDS_BUILD,
        f"{name} has no wheel, and building it from source needs a network that builds lack here.",
        "See `atoll doctor` for what the network of builds needs.",
    )


def _not_there(story: str, _: date | None) -> Explanation | None:
    found = re.search(r"(\S+) was not found in the (?:package registry|provided)", story)
    if not found:
        return None
    close = _IMPORT_NAMES.get(found[1].lower()) or next(
        iter(difflib.get_close_matches(found[1].lower(), _COMMON, n=1, cutoff=0.75)), ""
    )
    hint = f"Did you mean {close}?" if close else "Check how it is written."
    return _unsolvable(f"There is no package “{found[1]}” on the index.", hint)


def _unreadable(story: str, _: date | None) -> Explanation | None:
    found = re.search(r"(\S+) has invalid metadata", story)
    if not found:
        return None
    why = re.search(r"could not be parsed: (after parsing )?(.*?) (\S+ \(\S+\))", story)
    what = f" (“{why[3]}”)" if why else ""
    return _unsolvable(
        f"What {found[1]} says it requires{what} is not written as uv can read it.",
        "Ask for a newer version of it.",
    )


def _too_new(story: str, as_of: date | None) -> Explanation | None:
    found = re.search(r"`(\S+)` was filtered by `exclude-newer`", story)
    if not found or not as_of:
        return None
    latest = re.search(r"is v?(\S+), published at (\d{4}-\d{2}-\d{2})", story)
    there = f"; {latest[1]} came on {latest[2]}" if latest else ""
    return _unsolvable(
        f"No version of {found[1]} that fits had been released by {as_of:%Y-%m-%d}{there}.",
        "Use `--at today`, or a later date, to see newer packages.",
    )


def _wrong_tags(story: str, _: date | None) -> Explanation | None:
    found = re.search(r"(\S+) has no wheels with a matching (Python|platform|\w+)", story)
    if not found:
        return None
    tags = re.search(
        r"following (?:Python )?(?:ABI|implementation|platform) tags?: ([^.]*?)(?: hint:|$)", story
    )
    listed = re.findall(r"`(?:cp|py)(\d)(\d+)\w*`", tags[1]) if tags else []
    versions = sorted({(int(a), int(b)) for a, b in listed})
    if found[2] != "Python" or not versions:
        message = f"{found[1]} has no files for this kind of machine or Python."
        return _unsolvable(message, python=True)
    names = ", ".join(f"{a}.{b}" for a, b in versions)
    newest = max(versions)
    hint = f"Write python-{newest[0]}.{newest[1]} into runtime.txt." if newest >= (3, 6) else ""
    return _unsolvable(
        f"{found[1]} has no files for this Python, only for {names}.",
        hint,
        python=True,
    )


def _no_version(story: str, _: date | None) -> Explanation | None:
    if found := re.search(r"there (?:is|are) no versions? of (\S+?)(?: and|,)", story):
        return _unsolvable(f"There is no version {found[1]} on the index.", "Check the version.")
    if found := re.search(r"only (\S+) is available and you require (\S+?),", story):
        return _unsolvable(f"{found[2]} is asked for, and only {found[1]} is there.")
    return None


def _other_python(story: str, _: date | None) -> Explanation | None:
    found = re.search(
        r"current Python version \(([\d.]+)\) does not satisfy (Python\S+)"
        r"(?: and (\S+) depends on Python)?",
        story,
    )
    if not found or story.count("And because") > 1:
        return None
    required = re.search(r"you require (\S+?),? we can", story)
    name = found[3] or (required[1].rstrip(",") if required else "A requirement")
    version = re.search(r">=(3\.\d+)", found[2])
    return _unsolvable(
        f"{name} needs {found[2].replace('Python', 'Python ')}; this is Python {found[1]}.",
        f"Write python-{version[1]} into runtime.txt." if version else "",
        python=True,
    )


def _conflict(story: str) -> str:
    """Return the last step of the resolver's story: what it had concluded, and what is asked."""
    story = story.partition(" hint:")[0]
    sentences = re.split(r"(?<=\.) (?=And because )", story)
    last = sentences[-1].removeprefix("And because ").removeprefix("Because ")
    last = last.split(", we can conclude")[0]
    if len(sentences) > 1 and "depend" not in last:
        before = sentences[-2].rsplit("we can conclude that ", 1)[-1].rstrip(".")
        last = f"{before}, and {last.removeprefix('and ')}"
    return re.sub(r"\{[^}]*\}", "", last)


def _hash(text: str, _: date | None) -> Explanation | None:
    if found := re.search(r"Hash mismatch for `([^`]+)`", text):
        return Explanation(
            Kind.OTHER,
            f"{found[1]} on the index is not what the repository's hash says.",
            "Look into it before you trust either.",
        )
    return None


def _unparsable(text: str, _: date | None) -> Explanation | None:
    if not (text.startswith("error: Couldn't parse") or "Error parsing included file" in text):
        return None
    lines = text.splitlines()
    causes = [line.strip().removeprefix("cause: ") for line in lines if "cause: " in line]
    marks = [index for index, line in enumerate(lines) if re.fullmatch(r"\s*\^+\s*", line)]
    quoted = f"“{lines[marks[0] - 1].strip()}” is not a requirement" if marks else "A line is odd"
    why = f": {causes[0]}" if causes else ""
    return Explanation(Kind.SPECIFICATION, _sentence(quoted + why), "See PEP 508 for the form.")


def _build(text: str, _: date | None) -> Explanation | None:
    whole = re.search(r"Failed to (?:download and )?build `([^`]+)`", text)
    if not whole and "build backend" not in text and "Failed to generate package" not in text:
        return None
    what = f"“{whole[1]}”" if whole else "The repository's own package"
    hint = re.search(r"hint: (.*Did you mean.*)", text)
    return Explanation(
        Kind.BUILD,
        _sentence(f"{what} could not be built from source: {_last_words(text)}"),
        hint[1].replace("`", "") if hint else "The log shows the whole output of its build.",
        package=re.split(r"[=@ ]", whole[1], maxsplit=1)[0] if whole else "",
        told=tuple(line.strip() for line in text.splitlines() if not line.startswith("hint:")),
    )


def last_words(lines: Sequence[str]) -> str:
    """Return the line of a script's output that says what went wrong, or ""; at most `LONGEST`."""
    plain = [re.sub(r"\x1b?\[[0-9;]*m", "", line).strip() for line in lines]
    for index in range(len(plain) - 1, -1, -1):
        if _COMPLAINT.match(plain[index]) or plain[index].endswith(_COMPLAINT_ENDS):
            more = plain[index + 1 : index + 2] if plain[index].endswith(":") else []
            return " ".join([plain[index], *more])[:LONGEST]
    return ""


def _last_words(text: str) -> str:
    """Return the line in which a build said what was wrong."""
    mark = "[stderr]" if "[stderr]" in text else "[stdout]"
    said = text.rpartition(mark)[2].rpartition("--- stderr")[2].partition("\nhint:")[0]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("error: Failed to ")]
    for line in reversed(lines):
        if re.match(r"(?:[\w.]*(?:Error|Exception|Exit)\b|fatal:|error:)", line):
            return line
    meaningful = lines[0] if mark in text and lines else (lines[-1] if lines else "no reason")
    return meaningful.removeprefix("cause: ")


def _sentence(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip().rstrip(".:")
    return f"{text[:1].upper()}{text[1:]}."


def _cut(found: Explanation) -> Explanation:
    message = found.message
    if len(message) > LONGEST:
        message = message[: LONGEST - 2].rsplit(" ", 1)[0] + " …"
    return replace(found, message=message)
