"""Quantities: sizes and durations, as people write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def parse_size(text: str | int) -> int:
    """Return how many bytes *text* means: a number with an optional K, M, G or T (powers of 1024).

    Raises `ValueError` for anything else.
    """
    words = str(text).strip().upper().removesuffix("B").removesuffix("I")
    number, unit = (words[:-1], words[-1:]) if words[-1:] in UNITS else (words, "")
    try:
        size = int(float(number) * UNITS[unit])
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        message = f"“{text}” is not a size; write a number and K, M, G or T, such as 2G"
        raise ValueError(message)
    return size


def parse_size_or_none(text: str | int) -> int:
    """Return how many bytes *text* means, which may be 0, or raise `ValueError`."""
    return 0 if text in {0, "0", ""} else parse_size(text)


def parse_duration(text: object) -> float:
    """Return how many seconds *text* means: a number, with s, m, h or d behind it if need be.

    Raises `ValueError` for anything else.
    """
    found = re.fullmatch(r"([0-9.]+)\s*(s|m|min|h|d)?", str(text).strip().lower())
    number, unit = (found[1], found[2] or "s") if found else (text, "s")
    try:
        seconds = float(number) * SECONDS[unit]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = -1
    if isinstance(text, bool) or not 0 <= seconds < math.inf:
        message = f"“{text}” is not a duration; write seconds, or a number and m, h or d: 30m, 8h"
        raise ValueError(message)
    return seconds


def written_number(value: float) -> str:
    """Write *value* exactly, and with digits alone: "2", "0.5", "1234567"."""
    return f"{Decimal(str(value)):f}".removesuffix(".0")


def written_duration(seconds: float) -> str:
    """Write *seconds* as `parse_duration` reads it: "8h", "90m", "45s"."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{written_number(seconds / length)}{unit}"
    return f"{written_number(seconds)}s"


def moment_or_span(text: str) -> datetime | timedelta:
    """Return the moment that *text* means (in UTC if it does not say), or how long a time.

    Raises `ValueError` for what is neither that nor a duration.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    try:
        if found is None:
            return timedelta(seconds=parse_duration(text))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except OverflowError as error:
        message = f"“{text}” is too far away"
        raise ValueError(message) from error


Duration = Annotated[float, BeforeValidator(parse_duration)]
Size = Annotated[int | str, AfterValidator(parse_size)]
SizeOrNone = Annotated[int | str, AfterValidator(parse_size_or_none)]
