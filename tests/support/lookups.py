"""Lookups: names that mean what a test says."""

from __future__ import annotations

import asyncio
import socket


def look_up_as(monkeypatch, answers):
    """Have every name mean *answers*, pairs of address and port."""

    async def getaddrinfo(_loop, *_args, **_kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", answer) for answer in answers]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
