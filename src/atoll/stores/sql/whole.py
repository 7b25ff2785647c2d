"""Whole: what is asked of a database is finished, also when whoever asked is cancelled meanwhile.

A task that is cancelled amid a transaction takes its connection down with it. With SQLite, launches
that were cancelled so could leave the file locked: for half a minute nobody could write, and what
was to be written then was not.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

Ask = Callable[..., Awaitable[Any]]


def wholly(part: object) -> None:
    """Have each coroutine method of *part*, a part of a store, run to its end once it has begun."""
    for name, method in inspect.getmembers(part, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            setattr(part, name, _whole(method))


def _whole(method: Ask) -> Ask:
    @wraps(method)
    async def ask(*words: Any, **more: Any) -> Any:
        asking = asyncio.ensure_future(method(*words, **more))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            while not asking.done():  # whoever cancels again waits, too
                try:
                    await asyncio.wait([asking])
                except asyncio.CancelledError:
                    continue
            asking.cancelled() or asking.exception()  # which nobody asks for any more
            raise

    return ask
