from __future__ import annotations

import pytest
from starlette.datastructures import Address, Headers

from atoll.plain import plain
from atoll.web.guard import address, allowed_origin, foreign_origin, inside, same_origin

P = "/services/atoll/"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/services/atoll/",
        "/services/atoll/../../hub/logout",
        "/services/atoll/%2e%2e/%2e%2e/hub/logout",
        "/services/atoll/..%2f..%2fhub",
        "/services/atoll//evil.example",
        "/services/atoll\\@evil.example",
        "/services/atollery",
        "/services/atoll/\nSet-Cookie: x",
        "javascript:alert(1)",
        "",
    ],
)
def test_nobody_is_sent_to_another_site_after_signing_in(target):
    assert inside(P, target) == P


@pytest.mark.parametrize(
    "target", [P, f"{P}servers", f"{P}v2/git/https%3A%2F%2Fexample.org%2Fr/HEAD?urlpath=lab"]
)
def test_a_page_of_ours_is_gone_back_to(target):
    assert inside(P, target) == target


def test_only_the_last_hop_is_believed():
    headers = Headers(raw=[(b"x-forwarded-for", b"10.0.0.1, 198.51.100.7")])
    assert address(headers, None) == "198.51.100.7"
    twice = Headers(raw=[(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"2.2.2.2")])
    assert address(twice, None) == "2.2.2.2"


@pytest.mark.parametrize(
    ("forwarded", "proxies", "seen"),
    [
        (["203.0.113.9, 10.0.0.1"], 1, "203.0.113.9"),  # a visitor, through one proxy
        (["203.0.113.9", "10.0.0.1"], 1, "203.0.113.9"),
        (["1.1.1.1, 203.0.113.9, 10.0.0.1"], 1, "203.0.113.9"),  # who claims to be somebody else
        (["1.1.1.1", "2.2.2.2,203.0.113.9 ,10.0.0.1"], 1, "203.0.113.9"),
        (["9.9.9.9, 1.1.1.1, 203.0.113.9, 10.0.0.2, 10.0.0.1"], 2, "203.0.113.9"),
        ([" , ,203.0.113.9, 10.0.0.1"], 1, "203.0.113.9"),
        (["203.0.113.9"], 2, "203.0.113.9"),  # who came past the proxies
        (["1.1.1.1, 203.0.113.9"], 0, "203.0.113.9"),
        ([], 3, "192.0.2.1"),
        ([""], 3, "192.0.2.1"),
    ],
)
def test_what_the_outermost_of_ones_own_proxies_saw_is_believed(forwarded, proxies, seen):
    headers = Headers(raw=[(b"x-forwarded-for", one.encode()) for one in forwarded])
    assert address(headers, Address("192.0.2.1", 7), proxies) == seen


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "a", "origin": "http://a"}, None),
        ({"host": "a", "origin": "http://b"}, "http://b"),
        ({"host": "a", "origin": "null"}, "null"),
        ({"host": "a", "sec-fetch-site": "cross-site"}, "null"),
        ({"host": "a", "sec-fetch-site": "same-origin"}, None),
        ({"host": "a"}, None),
    ],
)
def test_a_script_of_another_site_is_known(headers, origin):
    assert foreign_origin(headers) == origin


def test_same_origin_is_what_the_browser_says():
    assert same_origin({"sec-fetch-site": "same-origin"})
    assert not same_origin({"sec-fetch-site": "same-site"})
    assert not same_origin({"origin": "http://evil.example", "host": "a"})
    assert not same_origin({"origin": "null", "host": "a"})


def test_sites_are_allowed_by_name_or_all():
    assert allowed_origin("https://b.example", ["https://b.example/"])
    assert allowed_origin("https://b.example", ["*"])
    assert not allowed_origin("https://b.example.evil.example", ["https://b.example"])
    assert not allowed_origin("http://b.example", ["https://b.example"])


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil.example\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("10%\r20%\r30%\r\n", "30%"),
        ("cod.\u202egpj\u2069.exe", "cod.gpj.exe"),
        ("bell\x07 and\x00 nul\x9b", "bell and nul"),
        ("<b>&", "<b>&"),
    ],
)
def test_a_terminals_orders_are_left_out(line, shown):
    assert plain(line) == shown
