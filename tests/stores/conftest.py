from __future__ import annotations

import pytest

from atoll.settings import settings_from
from atoll.stores.sql import open_store
from support.postgres import fresh_database


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path):
    """Settings of an installation whose database is empty."""
    table = {"data": str(tmp_path / "data")}
    if request.param == "sqlite":
        yield settings_from(table)
        return
    with fresh_database(request.getfixturevalue("postgres_server")) as url:
        yield settings_from({**table, "database": {"url": url}})


@pytest.fixture
async def store(settings):
    store = open_store(settings)
    await store.open()
    yield store
    await store.close()
