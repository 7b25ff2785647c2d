from __future__ import annotations

from pathlib import Path

import psycopg

from support.hub import a_plan
from support.postgres import postgres


def test_hub_and_plans_live_in_one_postgresql_database_across_a_restart(own):
    with postgres() as url:
        one = own(database={"url": url})
        one.start()
        ada = one.person("ada")
        plan = a_plan("ada", "first")
        one.put(plan)
        one.run(plan, ada)
        pid = one.visit("user/ada/first/").json()["pid"]
        one.stop()
        one.start()
        assert one.server("ada", "first")["ready"]
        assert one.visit("user/ada/first/").json()["pid"] == pid
        with psycopg.connect(url) as database:
            rows = database.execute("select name from users order by name").fetchall()
        assert ("ada",) in rows
        assert not list(Path(one.settings.data).glob("*.sqlite"))
        one.end()
