"""TOML and JSON files of strangers, and what is in them."""

from __future__ import annotations

import pytest

from atoll.environments.tables import read_json, read_toml
from atoll.errors import BadSpecification


def test_comments_and_trailing_commas_are_read_over_and_strings_stay():
    body = b"""{ // a comment
        /* "a": 1,
        */ "url": "https://example.org/*x*/", // more
        "list": ["a // b", "c,]", "\\"//",], "t": {"x": true,},
    }"""
    told = read_json("x.json", body, comments=True)
    assert told.text("url") == "https://example.org/*x*/"
    assert told.texts("list") == ("a // b", "c,]", '"//')
    assert told.table("t").flag("x")


@pytest.mark.parametrize("body", [b'{"a": 1,}', b"{} // x", b"[]", b"3", b"", b"[" * 100_000])
def test_plain_json_is_an_object_without_any(body):
    with pytest.raises(BadSpecification, match=r"x\.json") as caught:
        read_json("x.json", body)
    assert caught.value.hint


@pytest.mark.parametrize(
    "body", [b"/*" * 50_000, b'"' * 50_000, b'{"' + b"\\" * 50_000, b"/" * 50_000]
)
def test_odd_comments_end_soon(body):
    with pytest.raises(BadSpecification):
        read_json("x.json", body, comments=True)


def test_what_is_missing_is_empty_and_what_is_of_another_type_is_said():
    told = read_toml("x.toml", b"number = 3\nlist = [3]\n")
    assert (told.text("a"), told.texts("a"), told.flag("a")) == ("", (), False)
    assert told.table("a").tables("b") == []
    for ask in (told.text, told.texts, told.table, told.tables, told.flag):
        with pytest.raises(BadSpecification, match=r"x\.toml: “number” is not"):
            ask("number")
    for ask in (told.texts, told.tables):
        with pytest.raises(BadSpecification, match="“list” is not"):
            ask("list")
