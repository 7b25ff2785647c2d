import dataclasses
from pathlib import Path

from atoll.stores.sql.moving import move, moved
from support.plans import make_plan


def test_only_paths_in_the_old_folder_move():
    old = {"a": ["/srv/atoll/x", "/srv/atoll", "/srv/atoll-2/x", "see /srv/atoll/x", 7, None]}
    new = {"a": ["/new/x", "/new", "/srv/atoll-2/x", "see /srv/atoll/x", 7, None]}
    assert moved(old, "/srv/atoll", "/new") == new


async def test_plans_and_environments_follow_the_data_folder(store, settings, tmp_path):
    data = tmp_path / "data"
    plan = make_plan(data, {"a": "a"})
    await store.plans.put(plan)
    await store.shelf.put(plan.environment)
    await store.close()
    move(store.database.url, data, Path("/elsewhere"))
    handle = "/elsewhere/environments/bare"
    [found] = await store.plans.kept()
    expected = dataclasses.replace(plan.environment, handle=handle)
    assert found.environment == expected
    assert found.content.checkout.startswith("/elsewhere/checkouts/")
    assert (await store.shelf.get(expected.key, "local")) == expected
