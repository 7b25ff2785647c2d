"""Parties: people, groups and the hub as a key of a table."""

from __future__ import annotations

from atoll.access import Kind, Party


def key_of(party: Party) -> str:
    """Write *party* so that no person's name is a group's."""
    return f"{party.kind.value}:{party.name}"


def party_of(key: str) -> Party:
    """Read it."""
    kind, _, name = key.partition(":")
    return Party(Kind(kind), name)
