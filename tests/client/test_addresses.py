"""A hub's address, as people write it, and the pages of it that may be opened."""

import pytest

from atoll.client.addresses import hub_address, page_of
from atoll.errors import BadRequest


@pytest.mark.parametrize(
    ("written", "meant"),
    {
        "hub.example.org": "https://hub.example.org/",
        " https://hub.example.org ": "https://hub.example.org/",
        "https://HUB.example.org:8443/atoll": "https://hub.example.org:8443/atoll/",
        "https://hub.example.org/services/atoll/servers?x=1": "https://hub.example.org/",
        "https://hub.example.org/a/services/atoll": "https://hub.example.org/a/",
        "https://hub.example.org/hub/home": "https://hub.example.org/",
        "https://hub.example.org/hub/hub/token#x": "https://hub.example.org/hub/",
        "localhost:8000": "http://localhost:8000/",
        "http://127.0.0.1:8000/": "http://127.0.0.1:8000/",
        "http://[::1]:8000": "http://[::1]:8000/",
    }.items(),
)
def test_any_page_of_a_hub_says_where_it_is(written, meant):
    assert hub_address(written) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "file:///etc/passwd", "javascript:alert(1)", "ftp://hub.example.org"),
        *("https://", "https://ada:secret@hub.example.org", "https://hub.example.org:x"),
        *("https://hub\x1b]0;x\x07.org", "https://hub.example.org/a b", "https://h\u202eb.org/"),
        *("https://hub.example.org\\@evil.example", "https://[::1", "https://a/\x00"),
    ],
)
def test_what_is_no_hubs_address_is_refused_and_not_repeated_raw(text):
    with pytest.raises(BadRequest, match="is not a hub's address") as wrong:
        hub_address(text)
    assert str(wrong.value).isprintable()
    assert "secret" not in f"{wrong.value}{wrong.value.hint}"


def test_without_encryption_only_this_machine_is_asked_unless_one_says_so():
    with pytest.raises(BadRequest, match="without encryption"):
        hub_address("http://hub.example.org")
    assert hub_address("http://hub.example.org", plain_http=True) == "http://hub.example.org/"
    for other in ("http://127.0.0.1.evil.example", "http://localhost.evil.example"):
        with pytest.raises(BadRequest, match="without encryption"):
            hub_address(other)


def test_whatever_a_hub_says_a_page_of_it_is_opened_and_none_elsewhere():
    hub = "https://hub.example.org/a/"
    assert page_of(hub, "/a/user/ada/x/lab?y=1") == "https://hub.example.org/a/user/ada/x/lab?y=1"
    for hostile in (
        *("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"),
        *("file:///etc/passwd", "", "@evil.example/", "/a\n", "/\x1b[2J", "/a b", "/é"),
    ):
        assert page_of(hub, hostile) == "https://hub.example.org/a/services/atoll/"
