"""Every address of the service, tried by everybody, and compared with the table of `access`."""

from __future__ import annotations

import re

import pytest

from atoll.access import DOORS, By, Role
from atoll.web.doors import door
from support.walking import DEEDS_OF, MARKS, VISITING, WALKERS, refused, rows_of, walking

FRAMED = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
LAST = (
    "POST shared/{owner}/{server}/leave",
    "POST api/servers/{server}/start",
    "POST api/servers/{server}/delete",  # while it runs, which is no
    "POST api/servers/{server}/update",
    "POST servers/{server}/update",  # which begins a launch
    "POST servers/{server}/delete",
    "POST api/admin/stop",
    "POST admin/stop",
    "POST api/launches",
    "POST launches",
    "GET /build/{rest:path}",
    "POST sign-out",
    "GET oauth_callback",
    "POST admin/see-as",  # after which an operator can only look
)


def steps():
    """Return every row of the table, each with every deed; what makes something of one's own comes last."""
    for row in sorted(DOORS, key=lambda row: LAST.index(row) if row in LAST else -1):
        for deed in DEEDS_OF.get(row, [""]):
            yield row, deed


async def test_the_table_has_every_address_of_the_service_and_no_other(service):
    there = list(rows_of(service.app))
    assert sorted(there) == sorted(DOORS)


async def test_an_address_that_is_not_in_the_table_cannot_be_served():
    with pytest.raises(KeyError):
        door("GET", "anything", print, below="/")


@pytest.mark.parametrize("who", WALKERS)
async def test_everybody_comes_in_where_the_table_says_and_nowhere_else(who, tmp_path):
    wrong = []
    async with walking(tmp_path, who) as walker:
        for row, deed in steps():
            await walker.rest()
            before, may = walker.state(), walker.expected(row, deed)
            answer = await walker.come(row, deed)
            said = f"{row} {deed}: {answer.status_code}"
            if refused(answer) == may or answer.status_code >= 500:
                wrong.append(f"{said}, though {'open' if may else 'closed'} to them")
            if not may and walker.state() != before:
                wrong.append(f"{said}, but something changed")
            if not may and any(mark in answer.text for mark in MARKS):
                wrong.append(f"{said}, but it tells what is ada's")
            if who in {"nobody", "monitor", "stranger", "visitor"}:
                wrong += [f"{said}, and it tells {mark}" for mark in MARKS if mark in answer.text]
            if answer.is_redirect and not re.match(r"/[^/\\]", answer.headers["location"]):
                wrong.append(f"{said}, and leads to {answer.headers['location']}")
            if "frame-ancestors 'none'" not in answer.headers["content-security-policy"]:
                wrong.append(f"{said} can be framed")
    assert wrong == []


@pytest.mark.parametrize("who", ["owner", "visiting owner"])
async def test_no_form_is_taken_without_its_token_or_from_another_site(who, tmp_path):
    wrong = []
    async with walking(tmp_path, who) as walker:
        token = walker.browser.form_token
        for row, deed in steps():
            if DOORS[row].by is not By.FORM or not walker.expected(row, deed):
                continue
            before = walker.state()
            for sent, headers in ((token, ELSEWHERE), ("guessed", {}), ("", {})):
                walker.browser.form_token = sent
                answer = await walker.come(row, deed, **headers)
                if answer.status_code != 403 or walker.state() != before:
                    wrong.append(f"{row} {deed}: {answer.status_code} with {sent!r}, {headers}")
    assert wrong == []


async def test_no_page_of_ours_is_shown_in_a_frame_or_to_a_script(tmp_path):
    wrong = []
    async with walking(tmp_path, "owner") as walker:
        for row, deed in steps():
            if not row.startswith("GET") or DOORS[row].by is not By.SESSION:
                continue
            for headers in (FRAMED, {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}):
                answer = await walker.come(row, deed, **headers)
                if "form_token" in answer.text:
                    wrong.append(f"{row}: {headers}")
    assert wrong == []


def test_nobody_without_a_sign_in_comes_to_what_is_for_people_by_any_door():
    for row, known in DOORS.items():
        if known.by is By.NOTHING:
            assert not known.whose, row
        if Role.NOBODY in known.to:
            assert known.by is By.NOTHING, row
        if "volumes" in row:
            assert Role.VISITOR not in known.to, row
    assert set(WALKERS) >= VISITING
