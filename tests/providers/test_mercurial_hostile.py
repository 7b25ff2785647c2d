"""A Mercurial server, repository or reference that means ill gets nowhere, and not for long."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from atoll.errors import AtollError, BadReference, NotFound, Refused, Unreachable
from atoll.providers.addresses import Gate
from atoll.providers.mercurial.proxy import proxy_for
from atoll.sources import RepoRef
from atoll.sources.parsing import parse
from support.gitservers import serve_nasty
from support.hgservers import make_hg, make_hostile
from support.lookups import look_up_as


@pytest.mark.parametrize(("kind", "trusted"), [("hang", True), ("hang", False), ("drip", False)])
async def test_a_server_that_hangs_or_drips_is_given_up(make_hg_source, kind, trusted):
    with serve_nasty() as base:
        begun = time.monotonic()
        source = make_hg_source(trusted=trusted, timeout=1.5)
        with pytest.raises(Unreachable, match=r"within 1\.5 seconds"):
            await source.resolve(parse(f"hg+{base}/{kind}").repo)
        assert time.monotonic() - begun < 10


async def test_what_a_server_answers_is_said_in_one_sentence(make_hg_source):
    answers = {"500": Unreachable, "404": NotFound, "401": NotFound, "page": NotFound}
    with serve_nasty() as base:
        for path, error in answers.items():
            with pytest.raises(error) as caught:
                await make_hg_source().resolve(parse(f"hg+{base}/{path}").repo)
            assert "\n" not in str(caught.value)
            assert str(caught.value).endswith(".")


async def test_a_server_that_is_not_there_is_said(make_hg_source):
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1 does not answer"):
        await make_hg_source().resolve(parse("hg+http://127.0.0.1:1/x").repo)


async def test_every_hop_is_looked_at(served, make_hg_source):
    make_hg(served.root / "inside", {"x": "1"})
    said = r"127\.0\.0\.2.* inside the operator's network"  # only 127.0.0.1 is allowed
    with serve_nasty("http://127.0.0.2:1/x") as base, pytest.raises(Refused, match=said):
        await make_hg_source().resolve(parse(f"hg+{base}/away").repo)
    with serve_nasty() as base, pytest.raises(Unreachable):
        await make_hg_source().resolve(parse(f"hg+{base}/forever").repo)
    with serve_nasty() as base, pytest.raises(Unreachable):
        await make_hg_source().resolve(parse(f"hg+{base}/file").repo)


@pytest.mark.parametrize(
    "text",
    ["hg+http://127.0.0.1:8000/x", "hg+http://localhost/x", "hg+http://[::1]/x",
     "hg+https://10.0.0.1/x", "hg+ssh://hg@hg.example.org/x"],
)  # fmt: skip
async def test_from_the_web_nothing_inside_is_asked(make_hg_source, text):
    repo = parse(text).repo
    with pytest.raises(Refused):
        make_hg_source(allow=[]).check(repo)
    with pytest.raises(Refused):
        await make_hg_source(allow=[]).resolve(repo)


async def test_a_name_that_means_an_address_inside_is_refused(make_hg_source, monkeypatch):
    look_up_as(monkeypatch, [("127.0.0.1", 80)])
    with pytest.raises(Refused, match="inside the operator's network"):
        await make_hg_source(allow=[]).resolve(parse("hg+http://hg.example.org/x").repo)


def test_over_ssh_nothing_is_fetched_from_the_web_though_the_host_is_listed(make_hg_source):
    repo = parse("hg+ssh://hg@hg.example.org/x").repo
    with pytest.raises(Refused, match="not fetched over ssh"):
        make_hg_source(allow=["hg.example.org"]).check(repo)
    make_hg_source(trusted=True).check(repo)


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("locator", "version"),
    [
        ("--config=alias.identify=!touch {mark}", "HEAD"),
        ("hg+--config=alias.identify=!touch {mark}", "HEAD"),
        ("hg+ssh://-oProxyCommand=touch%20{mark}/x", "HEAD"),
        ("hg+ssh://host/-oProxyCommand=touch/../x", "HEAD"),
        ("hg+file:///etc", "HEAD"),
        ("hg+/etc", "HEAD"),
        ("hg+https://ada:secret@hg.example.org/x", "HEAD"),
        ("hg+{base}/course", "--config=alias.identify=!touch {mark}"),
        ("hg+{base}/course", "-x"),
        ("hg+{base}/course", "x --debugger"),
        ("hg+{base}/course", "0:tip"),
    ],
)
async def test_arguments_cannot_be_smuggled(
    served, make_hg_source, tmp_path, locator, version, *, trusted
):
    """Even when a reference did not come through `parse`, which refuses all of them as well."""
    mark = tmp_path / "mark"
    locator = locator.format(base=served.base, mark=mark)
    with pytest.raises(BadReference):
        await make_hg_source(trusted=trusted).resolve(
            RepoRef("mercurial", locator, version.format(mark=mark))
        )
    assert not mark.exists()


async def test_a_version_is_a_name_and_no_expression(served, make_hg_source):
    make_hg(served.root / "names", {"x": "1"})
    for version in ("max(all())", "!tip", "null"):
        with pytest.raises(NotFound, match=r"no version|is empty"):
            await make_hg_source().resolve(RepoRef("mercurial", f"hg+{served.base}/names", version))


async def test_nobodys_configuration_is_read(served, make_hg_source, tmp_path, monkeypatch):
    make_hg(served.root / "plain", {"x": "1"})
    mark = tmp_path / "mark"
    hooks = [f"pre-{name} = touch {mark}\n" for name in ("identify", "init", "pull", "log")]
    (tmp_path / ".hgrc").write_text(f"[hooks]\n{''.join(hooks)}[alias]\nid = !touch {mark}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HGRCPATH", str(tmp_path / ".hgrc"))
    assert await make_hg_source().resolve(parse(f"hg+{served.base}/plain").repo)
    assert not mark.exists()


@pytest.mark.parametrize("name", [".hg/hgrc", "../escaped", "a/b"])
async def test_a_manifest_cannot_name_what_is_outside(served, open_hg, tmp_path, name):
    """The link is there before what is to be written through it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = served.root / f"evil{len(name)}"
    make_hg(folder, {"x": "1"})
    make_hostile(folder, outside, "a", name)
    with contextlib.suppress(AtollError):
        tree = (await open_hg(f"hg+{served.base}/{folder.name}@tip")).path
        assert (tree / ".hg/hgrc").read_text().startswith("[paths]\ndefault = http")
    assert list(outside.iterdir()) == []
    assert not list((tmp_path / "data").rglob("escaped"))


@pytest.mark.parametrize(
    "asked",
    [b"GET http://127.0.0.1:1/x HTTP/1.1", b"GET /x HTTP/1.1", b"GET ftp://x/y HTTP/1.1",
     b"CONNECT 10.0.0.1:443 HTTP/1.0", b"what"],
)  # fmt: skip
async def test_the_way_out_leads_to_nothing_weaker_and_nothing_inside(asked):
    async with proxy_for(Gate(trusted=False), "https://hg.example.org/x") as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(asked + b"\r\n\r\n")
        async with asyncio.timeout(5):
            said = await reader.read()
        writer.close()
    assert said.startswith(b"HTTP/1.1 502")
    assert isinstance(proxy.refusal, Refused)


async def test_the_way_out_ends_with_its_command():
    async with proxy_for(Gate(trusted=False), "https://hg.example.org/x") as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
