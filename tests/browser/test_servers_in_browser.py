"""My servers in a real browser: when they stop, and why they did, by the reader's own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from atoll.servers import Stop, Why
from support.chromium import check_everywhere
from support.one_host import joined, serving
from support.web_service import REPO, make_service

PREFIX = "/services/atoll/"
THERE = "Asia/Tokyo"


def test_when_and_why_a_server_stops_is_told_by_the_readers_clock(browser, tmp_path):
    service = make_service(tmp_path, servers={"idle": "10m", "max_age": "30d"})
    context = browser.new_context(timezone_id=THERE)
    page = context.new_page()
    now = datetime.now(UTC)
    with serving(joined(service)) as url:
        page.goto(f"{url}{PREFIX}")
        for name in ("runs", "rests"):
            page.goto(f"{url}{PREFIX}?repository={REPO}")
            page.get_by_text("Advanced").click()
            page.get_by_label("Name").fill(name)
            page.get_by_role("button", name="Launch", exact=True).click()
            page.wait_for_url(f"**/user/ada/{name}/**")
        service.hub.users["ada"]["servers"]["runs"]["last_activity"] = now.isoformat()
        stopped = service.hub.users["ada"]["servers"]["rests"]
        stopped.update(ready=False, stopped=True, last_activity=now.isoformat())
        service.store.stops.kept["ada", "rests"] = Stop("ada", "rests", now, Why.IDLE)
        page.goto(f"{url}{PREFIX}servers")
        ends = (now + timedelta(minutes=10)).astimezone(ZoneInfo(THERE))
        page.get_by_text("if it is not used").wait_for()
        assert f"{ends:%H:%M}" in page.get_by_text("if it is not used").inner_text()
        assert (
            f"{now.astimezone(ZoneInfo(THERE)):%H:%M}"
            in page.get_by_text("nobody used it").inner_text()
        )
        check_everywhere(page, "servers-stopping")
    context.close()
