from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from support.browsing import until
from support.web_service import REPO

PATH = "/metrics"


async def read(browser, service) -> dict[str, float]:
    token = service.hub.token_of("prometheus", "read:metrics", kind="service")
    answer = await browser.http.get(PATH, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


async def test_metrics_are_for_those_who_may_read_them(browse, service):
    ada = browse()
    await ada.get("")
    assert (await ada.http.get(PATH)).status_code == 403
    token = service.hub.token_of("ada")
    answer = await ada.http.get(PATH, headers={"Authorization": f"token {token}"})
    assert answer.status_code == 403


async def test_launches_and_builds_are_counted_under_binders_names(browse, service):
    ada = browse()
    await ada.events(await ada.launch(REPO))
    await ada.events(await ada.launch(REPO))
    found = await read(ada, service)
    where = "provider=GitHub,repo=ada/engine"
    assert found[f"binderhub_launch_count_total{{{where},status=success}}"] == 2
    assert found[f"binderhub_build_count_total{{{where},status=success}}"] == 1
    assert found["binderhub_build_time_seconds_count{status=success}"] == 1
    assert found["binderhub_launch_time_seconds_count{retries=0,status=success}"] == 2


async def test_what_goes_on_is_gauged(browse, service):
    service.engine.builder.pause = 60
    ada = browse()
    launch = await ada.launch(REPO)
    assert (await read(ada, service))["binderhub_inprogress_builds{}"] == 1
    await ada.get(f"launches/{launch}")
    await ada.post(f"launches/{launch}/cancel")
    await until(lambda: service.store.launches.kept[launch].state.over)
    found = await read(ada, service)
    assert found["binderhub_inprogress_builds{}"] == 0
    failed = "binderhub_launch_count_total{provider=GitHub,repo=ada/engine,status=failure}"
    assert found[failed] == 1
