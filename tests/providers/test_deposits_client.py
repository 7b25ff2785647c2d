"""A stranger's server, and a stranger's link, get no further than they may."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from types import SimpleNamespace

import httpx2
import pytest

from atoll.errors import Lacking, NotFound, Refused, TooLarge, Unreachable
from atoll.providers.deposits import client, room
from atoll.providers.deposits.client import pause_of
from support.depositservers import (
    files_in,
    make_zip,
    register_doi,
    serve_web,
    zenodo_record,
)

FILES = {"a.txt": b"1", "b.txt": b"2"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254"])
async def test_addresses_inside_are_refused_from_the_web(make_deposits, open_deposit, host):
    with pytest.raises(Refused, match="inside the operator's network"):
        await open_deposit(f"http://{host}:8080/x.zip", make_deposits(allow=()))
    with pytest.raises(Refused, match="inside the operator's network"):
        await open_deposit(f"http://{host}:8080/records/7", make_deposits(allow=()))


async def test_every_hop_is_looked_at(web, make_deposits, open_deposit):
    """The public host leads inside, at once or after a while."""
    port = web.base.rpartition(":")[2]
    source = make_deposits(allow=[f"localhost:{port}"])
    public = f"http://localhost:{port}"
    web.put("/secret.zip", make_zip({"secret": b"1", "z": b""}))
    web.redirect("/a.zip", f"{web.base}/secret.zip")
    web.redirect("/b.zip", "/a.zip", 307)
    web.redirect("/c.zip", "http://169.254.169.254/latest/x.zip")
    for name in ("a", "b", "c"):
        with pytest.raises(Refused, match="inside the operator's network"):
            await open_deposit(f"{public}/{name}.zip", source)
    assert not web.count("/secret.zip")
    web.redirect("/d.zip", "/secret.zip")
    assert files_in(await open_deposit(f"{public}/d.zip", source)) == {"secret": b"1", "z": b""}


async def test_files_and_registries_cannot_lead_inside_either(web, make_deposits, open_deposit):
    port = web.base.rpartition(":")[2]
    source = make_deposits(allow=[f"127.0.0.1:{port}"])
    with serve_web() as inside:
        inside.put("/secret", b"secret")
        zenodo_record(web, "32", FILES)
        bad = {"key": "x", "links": {"content": f"{inside.base}/secret"}}
        web.put("/api/records/32/files", {"entries": [bad]})
        register_doi(web, "10.1234/x", f"{inside.base}/citation?persistentId=doi:10.1234/x")
        for text in ("zenodo:32", "10.1234/x"):
            with pytest.raises(Refused, match="inside the operator's network"):
                await open_deposit(text, source)
        assert inside.seen == []


@pytest.mark.parametrize("aim", ["file:///etc/passwd", "ftp://example.org/x.zip", "gopher://x/y"])
async def test_redirects_to_other_protocols_are_refused(web, open_deposit, aim):
    web.redirect("/x.zip", aim)
    with pytest.raises(Refused, match="redirects to another protocol"):
        await open_deposit(f"{web.base}/x.zip")


async def test_redirects_with_a_password_are_refused(web, open_deposit):
    web.redirect("/x.zip", f"http://user:secret@{web.base.partition('//')[2]}/y.zip")
    with pytest.raises(Refused, match="password"):
        await open_deposit(f"{web.base}/x.zip")


async def test_redirects_without_end_are_given_up(web, open_deposit):
    web.redirect("/x.zip", "/x.zip")
    with pytest.raises(Unreachable, match="redirects more than 5 times"):
        await open_deposit(f"{web.base}/x.zip")


async def test_we_connect_to_the_address_that_was_checked(
    web, make_deposits, open_deposit, monkeypatch
):
    """The name exists nowhere, and means something else when it is looked up again."""
    port = int(web.base.rpartition(":")[2])
    asked = []

    async def getaddrinfo(_loop, host, *_args, **_kwargs):
        asked.append(host)
        answer = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
    web.put("/x.zip", make_zip(FILES))
    source = make_deposits(allow=["127.0.0.0/8"])
    found = await open_deposit(f"http://rebound.example.org:{port}/x.zip", source)
    assert files_in(found) == FILES
    assert asked == ["rebound.example.org"]


async def test_a_checksum_that_is_wrong_is_said(web, open_deposit, tmp_path):
    zenodo_record(web, "32", FILES)
    web.put("/api/records/32/files/b.txt/content", b"3")
    with pytest.raises(
        Unreachable, match=r"b.txt did not arrive as 127.0.0.1 promises it: its MD5"
    ):
        await open_deposit("zenodo:32")
    web.put("/api/records/32/files/b.txt/content", b"22")
    with pytest.raises(Unreachable, match="it has 2 bytes, not 1"):
        await open_deposit("zenodo:32")
    assert [path for path in (tmp_path / "data/checkouts").iterdir() if path.is_dir()] == []


async def test_half_a_download_is_said(web, open_deposit):
    zenodo_record(web, "32", FILES)
    path = "/api/records/32/files/b.txt/content"
    web.answers[path] = lambda _: (200, {"Content-Length": "1000"}, b"2")
    with pytest.raises(Unreachable):
        await asyncio.wait_for(open_deposit("zenodo:32"), 30)


async def test_a_deposit_that_is_too_large_is_not_even_begun(web, make_deposits, open_deposit):
    zenodo_record(web, "32", {"a": b"1" * 1500, "b": b"2" * 1500})
    with pytest.raises(TooLarge):
        await open_deposit("zenodo:32", make_deposits(max_size="2K"))
    assert not web.count("/api/records/32/files/a/content")


async def test_a_full_disk_is_said(web, open_deposit, monkeypatch):
    zenodo_record(web, "32", FILES)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(Lacking, match="not enough room"):
        await open_deposit("zenodo:32")


async def test_a_server_that_drips_is_given_up(web, make_deposits, open_deposit):
    def drip(_request):
        time.sleep(3)
        return 200, {}, b"late"

    web.answers["/x.zip"] = drip
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="within 1 seconds"):
        await open_deposit(f"{web.base}/x.zip", make_deposits(timeout=1))
    assert time.monotonic() - begun < 2.5


async def test_a_server_that_was_asked_too_often_is_left_in_peace_as_long_as_it_says(
    web, open_deposit
):
    zenodo_record(web, "32", FILES)
    kind = web.answers["/api/records/32"]
    refusals = iter(
        [
            (429, {"Retry-After": "1"}, b""),
            (429, {"X-RateLimit-Reset": str(int(time.time()) + 2)}, b""),
        ]
    )
    web.answers["/api/records/32"] = lambda request: next(refusals, None) or kind(request)
    told = []
    begun = time.monotonic()
    assert files_in(await open_deposit("zenodo:32", told=told)) == FILES
    assert 1.9 < time.monotonic() - begun < 10
    said = [event.message for event in told if "asked too often" in event.message]
    assert said[0] == "127.0.0.1 is asked too often; asking again in 1 second"
    assert len(said) == 2


async def test_who_must_wait_too_long_is_told_how_long(web, open_deposit):
    zenodo_record(web, "32", FILES)
    web.put("/api/records/32", b"", 429, Retry_After="1800")
    with pytest.raises(Unreachable, match="asked too often from here") as caught:
        await open_deposit("zenodo:32")
    assert caught.value.hint == "Try again in 30 minutes."


@pytest.mark.parametrize(
    ("status", "headers", "least", "most"),
    [
        (200, {}, None, None),
        (403, {}, None, None),
        (403, {"X-RateLimit-Remaining": "12"}, None, None),
        (503, {}, None, None),
        (429, {}, 10, 10),
        (429, {"Retry-After": "7"}, 7, 7),
        (429, {"Retry-After": "-7"}, 10, 10),
        (429, {"Retry-After": "0"}, 1, 1),
        (429, {"Retry-After": "soon"}, 10, 10),
        (429, {"Retry-After": "9" * 400}, 10**8, None),
        (503, {"Retry-After": "7"}, 7, 7),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "40"}, 40, 40),
        (429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 1, 1),
        (429, {"Retry-After": "Wed, 99 Oct 2015 07:28:00 GMT"}, 10, 10),
    ],
)
def test_how_long_to_wait_is_read_however_it_is_said(status, headers, least, most):
    pause = pause_of(httpx2.Response(status, headers=headers))
    assert pause == most if most == least else pause >= least


async def test_a_server_that_breaks_is_said_in_our_words(web, make_deposits, open_deposit):
    web.put("/x.zip", b"oops", 500)
    with pytest.raises(Unreachable, match="status 500") as caught:
        await open_deposit(f"{web.base}/x.zip")
    assert caught.value.hint == "Try again later."
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="does not answer"):
            await open_deposit(f"http://127.0.0.1:{closed.getsockname()[1]}/x.zip")
    with pytest.raises(Unreachable, match="There is no host"):
        await open_deposit("https://nowhere.invalid/x.zip", make_deposits(allow=()))


async def test_a_server_that_does_not_speak_http_is_unreachable(open_deposit):
    async def babble(_reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for scheme in ("http", "https"):
            with pytest.raises(Unreachable):
                await open_deposit(f"{scheme}://127.0.0.1:{port}/x.zip")


async def test_an_endless_answer_is_given_up(web, open_deposit, monkeypatch):
    monkeypatch.setattr(client, "LONGEST_ANSWER", 1000)
    web.put("/api/records/32", b'{"id": "' + b"x" * 2000)
    with pytest.raises(TooLarge, match="too long"):
        await open_deposit("zenodo:32")


async def test_what_is_not_there_is_not_found(web, open_deposit):
    for text in ("zenodo:99", f"{web.base}/x.zip", "10.6084/m9.figshare.99.v1"):
        with pytest.raises(NotFound):
            await open_deposit(text)


def test_names_are_verified_over_https():
    assert client.authorities().verify_mode is ssl.CERT_REQUIRED
    assert client.authorities().check_hostname
