"""A file is sent from the Launch page, and launched as any repository is."""

from __future__ import annotations

import asyncio

import pytest

from atoll.launching.desk import State
from support.browsing import HOME, PREFIX, running, until
from support.depositservers import deposits_at, make_zip, serve_web
from support.web_service import make_service

PACKED = make_zip({"requirements.txt": b"six==1.16.0\n", "index.ipynb": b"{}"})


@pytest.fixture
def service(tmp_path):
    """The service on stand-ins, but for a real source of deposits."""
    with serve_web() as web:
        yield make_service(
            tmp_path, real=deposits_at(web, tmp_path), sources={"max_size": "1M"}, access=OPEN
        )


OPEN = {"anonymous": True}


async def send(browser, name="course.zip", body=PACKED, **headers):
    sent = {"X-Form-Token": browser.form_token, "Origin": HOME, "Sec-Fetch-Site": "same-origin"}
    answer = await browser.http.put(
        f"{PREFIX}uploads/{name}", content=body, headers={**sent, **headers}
    )
    return answer.status_code, answer.json()


async def signed_in(browse):
    browser = browse()
    await browser.get("sign-in?next=/services/atoll/")
    await browser.get("")
    return browser


async def test_what_is_sent_is_launched_and_the_link_of_it_too(service):
    async with running(service) as browse:
        ada = await signed_in(browse)
        status, told = await send(ada)
        assert (status, told["ok"]) == (200, True)
        found = (
            await ada.http.get(f"{PREFIX}recognise", params={"repository": told["reference"]})
        ).json()
        assert found["sentence"].startswith("Upload course.zip, ")
        assert found["links"]["url"].startswith(f"{HOME}/v2/upload/")
        launch = await ada.launch(told["reference"])
        await ada.events(launch)
        kept = service.store.launches.kept[launch]
        assert (kept.state, kept.name) == (State.READY, "course")
        page = await ada.get(found["links"]["url"])
        assert f'value="{told["reference"]}"' in page.text
    [record] = service.store.records.kept
    assert record.provider == "Upload"


async def test_what_cannot_be_opened_is_said_at_once(service):
    async with running(service) as browse:
        ada = await signed_in(browse)
        status, told = await send(ada, "thesis.pdf", b"%PDF")
        assert (status, told["ok"]) == (400, False)
        assert "neither an archive nor a notebook" in told["error"]
        assert ".ipynb" in told["hint"]
        status, told = await send(ada, body=b"x" * 2**21)
        assert (status, told["error"]) == (
            413,
            "This is larger than the 0.0 GB that are taken here.",
        )


async def test_only_a_person_who_signed_in_and_only_from_our_page(service):
    async with running(service) as browse:
        visitor = browse()
        await visitor.get("")
        assert (await send(visitor))[0] == 401
        ada = await signed_in(browse)
        assert (await send(ada, **{"Sec-Fetch-Site": "cross-site"}))[0] == 403
        ada.form_token = "other"
        assert (await send(ada))[0] == 403


async def test_one_file_at_a_time_and_the_next_after_one_that_broke_off(service):
    gate = asyncio.Event()

    async def slow():
        yield PACKED[:10]
        await gate.wait()
        yield PACKED[10:]

    async with running(service) as browse:
        ada = await signed_in(browse)
        first = asyncio.create_task(send(ada, body=slow()))
        uploading = await until(lambda: [*(service.settings.data / "uploads").glob("*/*")])
        assert uploading
        status, told = await send(ada, "other.zip")
        assert (status, told["error"]) == (429, "You are uploading a file already.")
        gate.set()
        assert (await first)[0] == 200
        assert (await send(ada, "other.zip"))[0] == 200
