"""Texts: sizes and times as people say them. Pure functions, used as filters in templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from atoll.plain import plain
from atoll.quantities import written_duration
from atoll.queue import words

MINUTE, HOUR, DAY = 60, 3600, 86400
THOUSAND = 1000


def size(count: float) -> str:
    """Return *count* bytes as "3 kB", "12 MB" or "1.4 GB" (powers of 1000, as file managers do)."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < THOUSAND:
            digits = 1 if unit == "GB" and count < 10 else 0  # noqa: PLR2004
            return f"{count:.{digits}f} {unit}"
        count /= THOUSAND
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Return how long *seconds* are: "0.4 s", "12 s", "3 min 5 s", "1 h 2 min"."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def ago(when: datetime | str | None, now: datetime | None = None) -> str:
    """Return how long ago *when* was, a time or ISO 8601 text: "just now", "3 hours ago"."""
    if not when:
        return "never"
    then = datetime.fromisoformat(when) if isinstance(when, str) else when
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < MINUTE:
        return "just now"
    for unit, length, most in (("minute", MINUTE, 60), ("hour", HOUR, 24), ("day", DAY, 30)):
        if seconds < most * length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return f"on {then.day} {then:%B %Y}"


def clock(when: datetime, now: datetime | None = None) -> str:
    """Return *when* for people whose time zone is not known: "14:05 UTC", "3 May, 14:05 UTC"."""
    then = when.astimezone(UTC)
    today = (now or datetime.now(UTC)).astimezone(UTC).date() == then.date()
    return f"{then:%H:%M} UTC" if today else f"{then.day} {then:%B}, {then:%H:%M} UTC"


def short(commit: str) -> str:
    """Return the first letters of a commit, enough to tell it from others."""
    return commit[:10]


def gigabytes(count: float) -> str:
    """Return *count* bytes as they are typed in the form: "2G", "1.5G" (powers of 1024)."""
    return f"{count / 1024**3:g}G"


def as_json(values: Sequence[Any]) -> str:
    """Return dataclasses as JSON, for an attribute that a script reads."""
    return json.dumps([asdict(value) for value in values])


def visible(text: object) -> str:
    """Return what an error says without the control characters of what it quotes."""
    return "\n".join(plain(line) for line in str(text).splitlines())


FILTERS: Mapping[str, Callable[..., Any]] = {
    "size": size,
    "duration": duration,
    "ago": ago,
    "clock": clock,
    "short": short,
    "gigabytes": gigabytes,
    "typed_time": written_duration,
    "words": words,
    "json": as_json,
    "visible": visible,
}
