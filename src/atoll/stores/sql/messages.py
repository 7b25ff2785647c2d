"""Messages: what operators tell people, and who has put which away."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, literal, or_, select, update

from atoll.access import Kind, Party
from atoll.acts import ATOLL
from atoll.messages import REMEMBERED, Level, Message
from atoll.stores.sql.database import Database, can_be_a_key
from atoll.stores.sql.parties import key_of, party_of
from atoll.stores.sql.schema import dismissals, messages


class SqlMessages:
    """Keeps the `Messages` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, message: Message) -> Message:
        """Keep *message* and return it with its number; forget those that ended long ago."""
        row = {one.name: getattr(message, one.name) for one in fields(message)}
        row |= {"whom": key_of(message.whom), "level": message.level.value}
        del row["number"]
        async with self._database.writing() as connection:
            old = messages.c.until < message.at - REMEMBERED
            await connection.execute(delete(messages).where(old))
            added = insert(messages).values(**row).returning(messages.c.number)
            number = (await connection.execute(added)).scalar_one()
        return replace(message, number=number)

    async def live(self, now: datetime) -> Sequence[Message]:
        """Return those that have not ended, the newest first."""
        goes_on = or_(messages.c.until.is_(None), messages.c.until > now)
        asked = select(messages).where(goes_on).order_by(messages.c.number.desc())
        async with self._database.reading() as connection:
            return [_message(row) for row in (await connection.execute(asked)).mappings()]

    async def end(self, number: int, now: datetime) -> Message | None:
        """Take that one back; return it, or ``None`` if there is no such one, or not any more.

        What Atoll itself tells stays until its end.
        """
        goes_on = or_(messages.c.until.is_(None), messages.c.until > now)
        theirs = messages.c.by != ATOLL
        which = update(messages).where(messages.c.number == number, goes_on, theirs)
        async with self._database.writing() as connection:
            ended = which.values(until=now).returning(messages)
            row = (await connection.execute(ended)).mappings().first()
        return _message(row) if row else None

    async def dismiss(self, number: int, person: str) -> None:
        """Show it to *person* no more; it may be gone."""
        known = select(messages.c.number, literal(person)).where(messages.c.number == number)
        new = self._database.insert(dismissals).from_select(["message", "person"], known)
        async with self._database.writing() as connection:
            await connection.execute(new.on_conflict_do_nothing())

    async def dismissed(self, person: str) -> Collection[int]:
        """Return the numbers of those that *person* has put away."""
        if not can_be_a_key(person):
            return ()
        asked = select(dismissals.c.message).where(dismissals.c.person == person)
        async with self._database.reading() as connection:
            return set(await connection.scalars(asked))

    async def forget(self, whom: Party) -> None:
        """Forget what was told to *whom*, who is no more, and what they put away."""
        async with self._database.writing() as connection:
            await connection.execute(delete(messages).where(messages.c.whom == key_of(whom)))
            if whom.kind is Kind.PERSON:
                theirs = dismissals.c.person == whom.name
                await connection.execute(delete(dismissals).where(theirs))


def _message(row: Any) -> Message:
    return Message(**{**row, "whom": party_of(row["whom"]), "level": Level(row["level"])})
