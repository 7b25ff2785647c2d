"""The operator's pages in a real browser: what eats the machine is found and stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from atoll.access import HUB, Kind, Party
from atoll.accounting.costs import Cost, Reading, Thing
from atoll.acts import Act, Way
from atoll.environments import Environment, EnvKey
from atoll.volumes import Volume
from support.chromium import check_everywhere
from support.one_host import joined, serving
from support.web_service import make_service

PREFIX = "/services/atoll/"
NAMES = {"bob": "eater", "grace-of-a-rather-long-name": "a-server-with-a-name-as-long-as-this-one"}


def filled(folder, **tables):
    service, readings, now = make_service(folder, **tables), [], datetime.now(UTC)
    day = now.date()
    costs = [
        Cost(day, Thing.VOLUME, Party(Kind.GROUP, "maths"), "proofs", disk=3 * 10**9),
        Cost(day, Thing.ENVIRONMENT, HUB, "e" * 20, disk=9 * 10**8),
    ]
    for n, (owner, name) in enumerate(NAMES.items(), 1):
        service.hub.add(owner)
        service.hub.users[owner]["groups"] = ["maths", "a-group-with-a-long-name"]
        service.hub.run(owner, name)
        ago = now - timedelta(hours=n)
        readings.append(Reading(f"h{n}", owner, name, now, ago, 9.0, 6 * 10**9 // n, 1.9 / n))
        person = Party(Kind.PERSON, owner)
        costs.append(Cost(day, Thing.SERVER, person, name, 9e4 / n, 1e14, 10**9, ("maths",)))
    service.store.costs.kept = {(one.day, one.thing, one.owner, one.name): one for one in costs}
    key = EnvKey("e" * 20)
    service.store.shelf.kept[key, "fake"] = Environment(key, "fake", "fake:e", "3.12.4")
    volume = Volume("v1", Party(Kind.GROUP, "maths"), "proofs", now, "", 5 * 10**9)
    service.store.volumes.kept["v1"] = volume
    for n in range(120):
        act = Act("", "sign in, in vain", "person", "bob", address="2001:db8::7:1")
        if n % 3:
            act = Act(
                "ada", "share", "volume", "ada/thesis", way=Way.COMMAND, detail={"whom": "@x"}
            )
        service.store.acts.kept.append(act)
    return service, readings


def test_what_eats_the_machine_is_found_and_stopped(browser, tmp_path):
    service, readings = filled(tmp_path)
    page = browser.new_context().new_page()
    with serving(joined(service)) as url:
        page.goto(f"{url}{PREFIX}")
        service.store.costs.read = readings  # as the meter has them that has just begun
        page.get_by_role("link", name="Admin").press("Enter")
        page.get_by_role("heading", name="This hub now").wait_for()
        check_everywhere(page, "admin")
        first = page.get_by_role("region", name="Servers that run").get_by_role("row").nth(1)
        assert first.get_by_role("rowheader").inner_text() == "bob/eater"
        first.get_by_role("button", name="Stop bob/eater").press("Enter")
        page.get_by_text("Stopped: bob/eater.").wait_for()
        assert service.hub.users["bob"]["servers"]["eater"]["stopped"]
        page.get_by_role("link", name="Costs").click()
        page.get_by_label("By").select_option("group")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("rowheader", name="@maths").wait_for()
        check_everywhere(page, "admin-costs")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert download.value.suggested_filename.endswith("-group.csv")
        page.get_by_role("link", name="Who did what").click()
        page.get_by_label("Person").fill("bob")
        page.get_by_label("Deed, server or thing").fill("stop")
        page.keyboard.press("Enter")
        page.get_by_role("cell", name="server bob/eater").wait_for()
        page.get_by_role("link", name="All").click()
        page.get_by_role("link", name="Older").click()
        page.get_by_role("row").nth(20).wait_for()
        page.goto(f"{url}{PREFIX}admin/log?before=13")
        check_everywhere(page, "admin-log")
    page.context.close()


def test_an_operator_sees_as_somebody_does_and_comes_back(browser, tmp_path):
    service, _ = filled(tmp_path, operator={"see_as": True})
    page = browser.new_context().new_page()
    with serving(joined(service)) as url:
        page.goto(f"{url}{PREFIX}admin")
        page.get_by_role("button", name="See as bob").press("Enter")
        page.get_by_text("ada, you see this as bob does. You can only look.").wait_for()
        check_everywhere(page, "seen-as")
        page.get_by_role("button", name="Stop eater").press("Enter")
        page.get_by_role("heading", name="Not allowed").wait_for()
        check_everywhere(page, "seen-as-refused")
        assert not service.hub.users["bob"]["servers"]["eater"]["stopped"]
        page.get_by_role("button", name="End").press("Enter")
        page.get_by_role("heading", name="This hub now").wait_for()
    page.context.close()


def test_limits_are_set_and_words_said_with_the_keyboard(browser, tmp_path):
    service, _ = filled(tmp_path)
    page = browser.new_context().new_page()
    with serving(joined(service)) as url:
        page.goto(f"{url}{PREFIX}")
        page.get_by_role("link", name="Admin").press("Enter")
        page.get_by_role("link", name="Limits", exact=True).click()
        page.get_by_label("A person, or @ and a group").fill("bob")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="What bob may have").wait_for()
        page.get_by_label("Memory, at most").fill("8G")
        page.keyboard.press("Enter")
        page.get_by_text("Set for bob.").wait_for()
        page.get_by_role("cell", name="set for bob by ada").first.wait_for()
        check_everywhere(page, "admin-limits")
        page.get_by_role("link", name="Messages").click()
        page.get_by_label("What to say").fill("Tonight at six all servers stop for an hour. " * 3)
        page.get_by_label("Until").fill("8h")
        page.get_by_label("How loud").select_option("warning")
        page.get_by_role("button", name="Show it").press("Enter")
        page.get_by_role("cell", name="Tonight at six").wait_for()
        page.get_by_label("What to say").fill("The new data set is in <b>@/sky</b>.")
        page.get_by_role("button", name="Show it").press("Enter")
        page.get_by_role("cell", name="The new data set").wait_for()
        check_everywhere(page, "admin-messages")
        page.get_by_role("button", name="Put away this message: Tonight").press("Enter")
        page.get_by_role("alert").wait_for(state="detached")
    page.context.close()
