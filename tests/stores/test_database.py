import contextlib

import pytest
from sqlalchemy import make_url

from atoll.errors import Unreachable
from atoll.stores.sql.database import Database


async def test_a_database_that_has_too_much_to_do_says_so_in_our_words(tmp_path):
    database = Database(make_url(f"sqlite+aiosqlite:///{tmp_path / 'a.sqlite'}"))
    pool = database.engine.pool
    pool._timeout = 0.1
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(pool.size() + pool._max_overflow):
            await stack.enter_async_context(database.reading())
        with pytest.raises(Unreachable, match="too much to do") as caught:
            async with database.reading():
                pass
        assert "Try again" in caught.value.hint
    await database.close()
