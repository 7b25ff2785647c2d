"""Comparing: whether the outputs of a cell that was run are those stored in the notebook.

What no two runs have in common is left aside, as nbdime and nbval do: addresses of objects, times,
temporary names, colours of terminals, what goes to standard error. Numbers may differ from the
sixth digit on, and images by a hundredth of their brightness. Widgets and scripts cannot be seen
without a browser and are not compared.

Everything here is read from a repository, so it runs in a box.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import math
import re
from html.parser import HTMLParser
from typing import Any

Output = dict[str, Any]
Part = dict[str, str]  # one thing in its forms: by kind, a text; of an image, its base64

SAME = 1e-6  # the relative difference of two numbers that count as equal
ALIKE = 0.01  # the mean difference of two images, as a part of the whole range
SIDE = 128  # pixels to which images are brought before they are compared
MOST_PIXELS = 40_000_000  # of an image that is looked at
MOST_WORDS = 200_000  # of a text that are compared
FORMS = {  # what is shown, the form that says most first
    "image/png": "image",
    "image/jpeg": "image",
    "image/svg+xml": "drawing",
    "application/json": "JSON",
    "text/html": "table",
    "text/latex": "formula",
    "text/markdown": "text",
    "text/plain": "result",
}
IMAGES = ("image/png", "image/jpeg")
SHOWN = ("display_data", "execute_result")
KINDS = (*dict.fromkeys(FORMS.values()), "printed text", "error")
UNSEEN = ("application/vnd.jupyter.widget-view+json", "application/javascript")

COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CHANGING = (
    (COLOURS, ""),
    (re.compile(r"^.*\r(?!\n)(?!$)", re.MULTILINE), ""),  # a line that was written over
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "ADDRESS"),
    (re.compile(r"<ipython-input-\d+-\w+>|/tmp/ipykernel_\d+/\d+\.py"), "INPUT"),
    (re.compile(r"/(?:tmp|var/folders|private/var)/[^\s'\"]+"), "TEMPORARY"),
    (re.compile(r"(?:/home|/Users|[A-Z]:\\+Users)[/\\]+[^\s/\\'\"]+"), "HOME"),
    (re.compile(r"^(?:Wall time|CPU times|Compiler\s*): .*$", re.MULTILINE), "TIMES"),
    (re.compile(r"^.* (?:loops?, best of|± .* per loop).*$", re.MULTILINE), "TIMES"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
        "TIME",
    ),
    (re.compile(r"\b\d\d?:\d\d(?::\d\d(?:\.\d+)?)\b"), "TIME"),
    (
        re.compile(r"\b\d+(?:\.\d+)?(?:e-?\d+)? ?(?:ns|[uµμ]s|ms|s|secs?|seconds?|minutes?)\b"),
        "TIME",
    ),
)
_WORD = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\w+|[^\w\s]")
_NUMBER = re.compile(r"[-+]?(?:\d|\.\d)")


def compare(stored: list[Output], found: list[Output]) -> str:
    """Return in what the outputs *found* differ from those *stored*, or "" if in nothing."""
    for one, other in itertools.zip_longest(parts(stored), parts(found)):
        if other is None:
            return f"{_named(one)} is missing."
        if one is None:
            return f"{_named(other)} was not there before."
        kind = next((kind for kind in KINDS if kind in one and kind in other), None)
        if kind is None:
            return f"{_named(other)} is there instead of {_named(one).lower()}."
        if not _equal(kind, one[kind], other[kind]):
            return f"The {kind} differs."
    return ""


def parts(outputs: list[Output]) -> list[Part]:
    """Return what of *outputs* can be compared; what was printed piece by piece is one text."""
    found: list[Part] = []
    for output in outputs:
        kind = output.get("output_type")
        if kind == "stream" and output.get("name") == "stdout":
            text = _joined(output.get("text"))
            if found and "printed text" in found[-1]:
                found[-1]["printed text"] += text
            elif text.strip():
                found.append({"printed text": text})
        elif kind == "error":
            found.append({"error": str(output.get("ename", ""))})
        elif kind in SHOWN and (forms := _forms(output.get("data") or {})):
            found.append(forms)
    return found


def _forms(data: dict[str, Any]) -> Part:
    """Return the forms in which one thing is shown, those that can be compared."""
    if any(kind in data for kind in UNSEEN):
        return {}
    forms = {}
    for mime, kind in FORMS.items():
        if mime in data and kind not in forms:
            value = data[mime]
            forms[kind] = json.dumps(value, sort_keys=True) if kind == "JSON" else _joined(value)
    if "table" in forms:
        page = _Page()
        page.feed(forms["table"])
        if page.scripts:
            return {}
        forms["table"] = page.text()
    return forms


class _Page(HTMLParser):
    """The words of a page, and whether it is drawn by a script."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.scripts = self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag in {"script", "iframe"}
        self.hidden += tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag == "style"

    def handle_data(self, data: str) -> None:
        if self.hidden <= 0:
            self.words.append(data)

    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def _equal(kind: str, one: str, other: str) -> bool:
    if one == other:
        return True
    if kind == "image":
        return _alike(one, other)
    if kind == "drawing":  # its parts have other names each time
        one, other = (re.sub(r"""\b(?:id|href|clip-path|url)\b\W+[\w#-]+""", "", text)
                      for text in (one, other))  # fmt: skip
    return _same_words(steady(one), steady(other))


def steady(text: str) -> str:
    """Return *text* without what no two runs have in common."""
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return text


def without_colours(text: str) -> str:
    """Return *text* without what colours it on a terminal."""
    return COLOURS.sub("", text)


def _same_words(one: str, other: str) -> bool:
    words = [
        list(itertools.islice((found[0] for found in _WORD.finditer(text)), MOST_WORDS))
        for text in (one, other)
    ]
    return len(words[0]) == len(words[1]) and all(map(_same_word, *words))


def _same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    if not (_NUMBER.match(one) and _NUMBER.match(other)):
        return False
    return math.isclose(float(one), float(other), rel_tol=SAME, abs_tol=1e-12)


def _alike(one: str, other: str) -> bool:
    """Say whether two images look the same, whatever the size to a twentieth."""
    from PIL import Image, ImageChops, ImageStat

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        images = [Image.open(io.BytesIO(base64.b64decode(text))) for text in (one, other)]
        shapes = [image.width / image.height for image in images]
        if not math.isclose(*shapes, rel_tol=0.05):
            return False
        small = [_on_white(image.convert("RGBA")).resize((SIDE, SIDE)) for image in images]
    except (OSError, ValueError, ArithmeticError, Image.DecompressionBombError):
        return False  # what is no image is like no other
    means: list[float] = ImageStat.Stat(ImageChops.difference(*small)).mean
    return sum(means) / len(means) / 255 <= ALIKE


def _on_white(image: Any) -> Any:
    from PIL import Image

    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _joined(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")


def _named(part: Part) -> str:
    return f"The {next(kind for kind in KINDS if kind in part)}"
