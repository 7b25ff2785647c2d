"""What a link opens stays inside the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import BadReference
from atoll.sources.checking import check_opening


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("", ""),
        ("/lab", "lab"),
        ("lab/tree/a%20b.ipynb", "lab/tree/a%20b.ipynb"),
        ("lab/tree/a..b/..c.ipynb", "lab/tree/a..b/..c.ipynb"),
        ("/lab/tree/x.ipynb#part", "lab/tree/x.ipynb#part"),
        ("git-pull?repo=https%3A%2F%2Fgithub.com%2Fa%2Fb&urlpath=lab", None),
        ("git-pull?repo=https://github.com/a/b&branch=main", None),
        ("proxy/8501/", "proxy/8501/"),
        ("lab/tree/at 12:30.ipynb", None),
    ],
)
def test_paths_inside_the_server_are_taken(text: str, opening: str | None):
    assert check_opening(text) == (text if opening is None else opening)


@pytest.mark.parametrize(
    "text",
    [
        "../other",
        "lab/../../hub/admin",
        "lab/..",
        "lab/%2e%2e/x",
        "lab/%2E./x",
        "lab/%252e%252e%252fx",
        "lab/%25252e%25252e/x",
        "lab/..%2f..%2fhub",
        "lab/..;/x",
        "git-pull?urlpath=../../hub/logout",
        "//evil.example.org",
        "///evil.example.org",
        "/%2Fevil.example.org",
        "%2F%2Fevil.example.org",
        "/\\evil.example.org",
        "\\\\evil.example.org",
        "lab\\..\\x",
        "lab/%5c..",
        "https://evil.example.org/",
        "HTTPS:evil",
        "javascript:alert(1)",
        "java%73cript%3aalert(1)",
        "data:text/html,x",
        "lab\r\nSet-Cookie: x",
        "lab%0d%0aSet-Cookie: x",
        "lab%00",
        "x" * 3000,
        "lab/%2525252525252e",
    ],
)
def test_ways_out_of_the_server_are_refused(text: str):
    with pytest.raises(BadReference):
        check_opening(text)


@given(st.lists(st.sampled_from(["..", "%2e", ".", "/", "%2f", "\\", "%5C", "%25", "a", ":", "?"])))
def test_nothing_that_passes_climbs(parts: list[str]):
    from urllib.parse import unquote, urljoin

    try:
        opening = check_opening("".join(parts))
    except BadReference:
        return
    base = "http://hub.example.org/user/ada/x/"
    for _ in range(6):
        path = urljoin(base, opening).partition("?")[0]
        assert path.startswith(base)
        opening = unquote(opening)
