"""What a hub says is not believed: it cannot draw, lead away, fill us up, or get another's token."""

from __future__ import annotations

import contextlib
import gzip
import ssl
import subprocess

import pytest
from hostile import Hostile, stream

import atoll.client
from atoll.cli.there.run import tell_of
from atoll.client import Hub
from atoll.client.models import Launched
from atoll.errors import AtollError, BuildFailed, NotFound, Refused, Unreachable

TOKEN = "s3cret-token"
NASTY = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202ee\x07f\u200f"
ME = {"name": "ada", "admin": False, "atoll": "9.9", "interface": 1}
LAUNCH = {"id": "x", "state": "preparing", "name": "n"}


@contextlib.contextmanager
def asked(answers, **how):
    with Hostile(answers, **how) as hostile:
        hub = Hub.at(hostile.address, TOKEN)
        with contextlib.closing(hub):
            yield hub, hostile


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(atoll.client, "PAUSES", (0.01, 0.01, 0.01))


def test_nothing_that_it_says_reaches_the_terminal_as_it_is():
    error = {"ok": False, "error": NASTY * 1000, "hint": NASTY, "kind": "NotFound"}
    rows = [{"name": NASTY, "state": NASTY, "url": NASTY}]
    answers = {
        "servers": (200, {}, rows),
        "servers/x/log": (200, {}, NASTY.encode()),
        "servers/x/stop": (404, {}, error),
        "launches/x/events": stream(
            ("told", {"phase": NASTY, "message": NASTY}),
            ("over", {**LAUNCH, "state": "failed", "error": NASTY}),
        ),
    }
    with asked(answers) as (hub, _):
        told = []
        over = hub.follow(Launched(**LAUNCH), told.append)
        with pytest.raises(NotFound) as wrong:
            hub.stop("x")
        said = [
            *(str(hub.servers()[0].name), hub.log("x"), str(wrong.value), wrong.value.hint),
            *(told[0].message, told[0].phase, over.error),
        ]
    assert len(str(wrong.value)) <= 2000
    for one in said:
        assert one.replace("\n", "").isprintable(), one


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else():
    with Hostile({}) as other:
        for status in (301, 302, 303, 307, 308):
            moved = (status, {"Location": f"{other.address}services/atoll/api/me"}, b"")
            with asked({"me": moved}) as (hub, _), pytest.raises(Unreachable) as wrong:
                hub.me()
            assert "not taken there" in str(wrong.value)
        assert other.heard == []


@pytest.mark.parametrize(
    "body",
    [
        *(b"<html>", b"[" * 100_000, b"{}", b"null", b'{"name": 1}', b"\xff\xfe", b""),
        b'{"name": "ada", "admin": false, "atoll": "x", "interface": "many"}',
    ],
)
def test_what_is_no_atolls_answer_is_said_to_be_none(body):
    with asked({"me": (200, {}, body)}) as (hub, _), pytest.raises(Unreachable) as wrong:
        hub.me()
    assert "is no Atoll" in str(wrong.value)
    assert TOKEN not in f"{wrong.value}{wrong.value.hint}"


def test_an_answer_without_end_is_given_up():
    huge = b'"' + b"x" * (17 * 1024**2)
    line = b"data: " + b"x" * 1024**2
    endless = [(200, {}, line * 6), (200, {}, (line + b"\n") * 6)]
    with asked({"servers": (200, {}, huge), "launches/x/events": endless}) as (hub, _):
        with pytest.raises(Unreachable, match="too long"):
            hub.servers()
        for _ in endless[:]:
            with pytest.raises(Unreachable, match="no end"):
                hub.follow(Launched(**LAUNCH), print)


def test_what_is_packed_small_and_unpacks_to_much_is_not_unpacked():
    bomb = gzip.compress(gzip.compress(bytes(64 * 1024**2)))
    for coding in ("gzip", "gzip, gzip", "zstd"):
        packed = {"Content-Encoding": coding}
        answers = {"servers": (200, packed, bomb), "launches/x/events": (200, packed, bomb)}
        with asked(answers) as (hub, _):
            with pytest.raises(Unreachable, match="is no Atoll"):
                hub.servers()
            with pytest.raises(Unreachable, match="is no Atoll"):
                hub.follow(Launched(**LAUNCH), print)


def test_of_who_does_not_know_us_any_more_nothing_is_read_but_that():
    no = (403, {}, {"error": "No.", "hint": "", "kind": "Refused"})
    endless = (403, {"Content-Length": str(10**12)}, b"x")
    answers = {"servers/x/stop": no, "me": endless}
    with asked(answers) as (hub, _), pytest.raises(Refused, match="not valid there any more"):
        hub.stop("x")


def test_errors_are_those_of_the_same_name_and_else_of_the_status():
    answers = {
        "servers/a/stop": (422, {}, {"error": "No.", "hint": "Try.", "kind": "BuildFailed"}),
        "servers/b/stop": (404, {}, {"error": "No.", "hint": None, "kind": "Nonsense"}),
        "servers/c/stop": (418, {}, {"error": "No.", "kind": "annotations"}),
        "servers/d/stop": (404, {}, {"error": "There is no page at this address.", "kind": ""}),
        "servers/e/stop": (403, {}, {"error": "No.", "hint": "", "kind": "Refused"}),
        "servers/f/stop": (503, {}, b"<html>"),
        "me": (403, {}, {"error": "A program needs a token.", "kind": "Refused"}),
    }
    with asked(answers) as (hub, hostile):
        found = {}
        for name in "abcdef":
            with pytest.raises(AtollError) as wrong:
                hub.stop(name)
            found[name] = wrong.value
    assert type(found["a"]) is BuildFailed
    assert (str(found["a"]), found["a"].hint) == ("No.", "Try.")
    assert type(found["b"]) is NotFound
    assert type(found["c"]) is AtollError
    assert "of another version" in str(found["d"])
    assert type(found["e"]) is Refused
    assert "not valid there any more" in str(found["e"])
    assert found["e"].hint == f"Sign in again: atoll sign-in {hostile.address}"
    assert "does not answer now" in str(found["f"])


@pytest.mark.parametrize(("theirs", "hint"), [(0, "Ask its operator"), (2, "Install the newer")])
def test_a_hub_of_another_interface_is_not_asked_to_do_anything(theirs, hint):
    with asked({"me": (200, {}, ME | {"interface": theirs})}) as (hub, _):
        with pytest.raises(Unreachable, match=r"runs Atoll 9\.9") as wrong:
            hub.me()
        assert wrong.value.hint.startswith(hint)


def test_a_stream_that_breaks_is_taken_up_where_it_broke():
    first = stream(("told", {"phase": "build", "message": "one"}))
    away = (503, {}, {"ok": False, "error": "Atoll is being started again.", "hint": ""})
    over = stream(("over", LAUNCH))
    answers = {"launches/x/events": [first, (502, {}, b"<html>"), away, over]}
    with asked(answers) as (hub, hostile):
        told = []
        hub.follow(Launched(**LAUNCH), told.append)
    assert [one.message for one in told] == ["one"]
    assert [path for path, _ in hostile.heard] == ["launches/x/events"] * 4


def test_a_hub_that_stays_away_is_given_up_in_the_end():
    with asked({"launches/x/events": (503, {}, b"")}) as (hub, hostile):
        with pytest.raises(Unreachable, match="does not answer now"):
            hub.follow(Launched(**LAUNCH), print)
        assert len(hostile.heard) == 4
    with pytest.raises(Unreachable, match="cannot be reached"):
        Hub.at(hostile.address, TOKEN).me()


def test_names_are_one_part_of_a_path_whatever_is_in_them():
    with asked({}) as (hub, hostile):
        for name in ("../me", "a/b", "..", ".", "a?b#c", "%2e%2e", "ä"):
            with pytest.raises(AtollError):
                hub.stop(name)
    for path, _ in hostile.heard:
        assert path == "me" or (path.count("/") == 2 and path.startswith("servers/")), path


def test_who_cannot_prove_who_they_are_gets_no_token(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *words, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with asked({"me": (200, {}, ME)}, context=context) as (hub, hostile):
        with pytest.raises(Unreachable, match="cannot prove that it is") as wrong:
            hub.me()
        assert "SSL_CERT_FILE" in wrong.value.hint
        assert hostile.heard == []


def test_a_command_that_is_proposed_can_be_pasted_whatever_the_hub_calls_a_server(capsys):
    with contextlib.closing(Hub.at("http://127.0.0.1:1/", TOKEN)) as hub:
        ready = Launched(**LAUNCH | {"state": "ready", "name": "x; rm -rf ~"})
        tell_of(hub, ready, {"as_json": False, "no_browser": True})
    assert "`atoll --hub http://127.0.0.1:1/ stop 'x; rm -rf ~'`" in capsys.readouterr().err
