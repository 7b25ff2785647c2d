"""Old logs go; new ones, and Atoll's own, stay."""

from __future__ import annotations

import asyncio
import os
import time

from atoll.settings import settings_from
from atoll.web.logs import DAY, clear_up, clearing_up


def filled(data):
    logs = data / "logs"
    (logs / "servers" / "last").mkdir(parents=True)
    for days in (1, 100):
        then = time.time() - days * DAY
        for name in (f"key{days}.txt", f"servers/{days}.txt", f"atoll.log.{days}"):
            (logs / name).write_text("x")
            os.utime(logs / name, (then, then))
        (logs / "servers" / "last" / f"ada-{days}").symlink_to(f"../{days}.txt")
    return logs


def names(logs):
    return sorted(str(one.relative_to(logs)) for one in logs.rglob("*") if not one.is_dir())


NEW = ["atoll.log.1", "atoll.log.100", "key1.txt", "servers/1.txt", "servers/last/ada-1"]


def test_what_is_older_goes_with_the_link_to_it_and_nothing_else(tmp_path):
    logs = filled(tmp_path)
    clear_up(logs, time.time() - 90 * DAY)
    assert names(logs) == NEW
    clear_up(tmp_path / "nowhere", time.time())


async def test_the_service_does_so_by_itself_unless_they_are_kept_for_ever(tmp_path):
    logs = filled(tmp_path)
    all_of_them = names(logs)
    table = {"data": str(tmp_path)}
    async with clearing_up(settings_from({**table, "operator": {"log_days": 0}})):
        await asyncio.sleep(0.1)
        assert names(logs) == all_of_them
    async with clearing_up(settings_from(table)):
        while names(logs) != NEW:
            await asyncio.sleep(0.01)
