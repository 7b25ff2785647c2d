"""Where volumes can be mounted, and how people write it."""

import pytest

from atoll.errors import BadRequest
from atoll.volumes import Wish
from atoll.volumes.points import check_points, wish


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("data", "data"),
        ("data/", "data"),
        ("~/data", "data"),
        ("shared/course 2", "shared/course 2"),
        ("données_1", "données_1"),
        ("/data/x", "/data/x"),
        ("/mnt/a/b.c", "/mnt/a/b.c"),
    ],
)
def test_these_are_mount_points(text, point):
    assert check_points([text]) == (point,)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", ".", "..", "~", "~/", "../x", "data/../..", "data/./x", "data//x", "a/.."),
        *("/data", "/mnt/", "/data/../etc", "/data/.x", "/etc", "/etc/data", "/home/jovyan/x"),
        *("/usr/bin", "/srv/env", "/database/x", "//data/x", "/run/atoll"),
        *(
            ".local",
            ".jupyter/lab",
            "a/.ssh",
            "-x",
            " x",
            "x ",
            "a/ b",
            "x/ ",
            "$HOME",
            "a:b",
            "a;b",
        ),
        *(
            "a\nb",
            "a\0b",
            "a\\b",
            "a*",
            "\u202egpj",
            "x\ud800",
            "x" * 201,
            "é" * 101,
            "a/" * 8 + "a",
        ),
    ],
)
def test_these_are_not(text):
    with pytest.raises(BadRequest, match="cannot be a mount point") as caught:
        check_points([text])
    assert "below the home" in caught.value.hint


@pytest.mark.parametrize("pair", [("a", "a/"), ("a", "~/a"), ("/data/a", "/data/a")])
def test_two_volumes_are_never_at_one_point(pair):
    with pytest.raises(BadRequest, match="cannot both be"):
        check_points(pair)


@pytest.mark.parametrize("pair", [("a", "a/b"), ("a/b/c", "a"), ("/mnt/a/b", "/mnt/a")])
def test_one_volume_is_never_inside_another(pair):
    with pytest.raises(BadRequest, match="one is inside the other"):
        check_points(pair)
    assert check_points(["a/b", "a/bc", "a b", "/mnt/a"])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("thesis", Wish("thesis", "thesis")),
        ("thesis:data", Wish("data", "thesis")),
        ("thesis:data:ro", Wish("data", "thesis", read_only=True)),
        ("thesis:ro", Wish("thesis", "thesis", read_only=True)),
        ("ada/thesis", Wish("thesis", "ada/thesis")),
        ("@maths/x:/data/x:rw", Wish("/data/x", "@maths/x")),
        ("@/datasets", Wish("datasets", "@/datasets")),
    ],
)
def test_a_volume_is_asked_for_as_in_docker(text, meant):
    assert wish(text) == meant


@pytest.mark.parametrize("text", ["", ":data", ":ro", "a:b:c", "a:b:c:ro", "a:b:RO"])
def test_what_is_not_understood_says_how_it_is_written(text):
    with pytest.raises(BadRequest) as caught:
        wish(text)
    assert "VOLUME:FOLDER" in caught.value.hint
