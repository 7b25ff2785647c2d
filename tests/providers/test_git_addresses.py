"""A form on the web is no door into the operator's network, nor to this machine's folders."""

from __future__ import annotations

import ipaddress

import pytest

from atoll.errors import NotFound, Refused, Unreachable
from atoll.providers.addresses import Gate, is_public
from atoll.sources import RepoRef
from atoll.sources.parsing import parse
from support.gitservers import make_repo, serve
from support.lookups import look_up_as


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
     "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
     "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fc00::1",
     "fd00:ec2::254", "fec0::1", "ff02::1", "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1",
     "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001::1", "2001:db8::1", "100::1"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_known(address: str):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "140.82.121.4", "2606:50c0:8000::153",
                                     "::ffff:8.8.8.8", "64:ff9b::808:808"])  # fmt: skip
def test_public_addresses_are_known(address: str):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0", "0",
     "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254", "10.0.0.1"],
)  # fmt: skip
async def test_the_operators_network_is_refused_however_it_is_written(make_source, host: str):
    with pytest.raises(Refused, match="inside the operator's network"):
        await make_source(allow=()).resolve(parse(f"http://{host}:8080/x/y").repo)


async def test_a_name_that_leads_inside_is_refused(make_source, monkeypatch):
    """Also when only one of its addresses does."""
    answers = [("8.8.8.8", 443), ("10.0.0.1", 443)]
    look_up_as(monkeypatch, answers)
    with pytest.raises(Refused):
        await make_source(allow=()).resolve(parse("https://git.example.org/x").repo)


async def test_git_connects_to_the_address_that_was_checked(remote, base, make_source, monkeypatch):
    """The name exists nowhere: only the address that was checked can have been used."""
    commit = make_repo(remote / "course", {"x": "1"})
    port = int(base.rpartition(":")[2])
    look_up_as(monkeypatch, [("127.0.0.1", port)])
    repo = parse(f"http://rebound.example.org:{port}/course").repo
    source = make_source(allow=["127.0.0.0/8"])
    assert (await source.resolve(repo)).version == commit


async def test_over_https_the_name_is_verified_at_the_pinned_address(
    tmp_path, certificate, make_source, monkeypatch
):
    commit = make_repo(tmp_path / "course", {"x": "1"})
    source = make_source(allow=["127.0.0.0/8"])
    with serve(tmp_path, certificate=certificate) as base:
        port = int(base.rpartition(":")[2])
        look_up_as(monkeypatch, [("127.0.0.1", port)])
        good = parse(f"https://git.example.org:{port}/course").repo
        assert (await source.resolve(good)).version == commit
        assert await source.fetch(await source.resolve(good), lambda _: None)
        with pytest.raises(Unreachable, match="certificate"):
            await source.resolve(parse(f"https://other.example.org:{port}/course").repo)


async def test_what_the_operator_lists_is_fetched(remote, base, make_source):
    make_repo(remote / "course", {"x": "1"})
    port = base.rpartition(":")[2]
    named = f"http://localhost:{port}/course"
    lists = (["127.0.0.1"], [f"127.0.0.1:{port}"], ["127.0.0.0/8"])
    for allow in lists:
        assert await make_source(allow=allow).resolve(parse(f"{base}/course").repo)
    for allow in (["localhost"], [f"localhost:{port}"], ["LOCALHOST"]):
        assert await make_source(allow=allow).resolve(parse(named).repo)
    for allow in (["127.0.0.2"], ["127.0.0.1:1"], ["localhost:1"], ["10.0.0.0/8"], ["host"]):
        with pytest.raises(Refused):
            await make_source(allow=allow).resolve(parse(f"{base}/course").repo)


@pytest.mark.parametrize(
    "text",
    ["ssh://git@git.example.org/x", "git@git.example.org:x", "git://git.example.org/x",
     "file:///etc", "/etc", "~/x", "./x", "file:///srv/course.git"],
)  # fmt: skip
async def test_other_protocols_and_folders_are_refused_from_the_web(make_source, text: str):
    with pytest.raises(Refused):
        await make_source(allow=()).resolve(parse(text).repo)


def test_listed_hosts_may_be_reached_over_other_protocols():
    gate = Gate(trusted=False, allow=("git.example.org", "10.0.0.0/8"))
    for locator in ("git@git.example.org:x", "git://git.example.org/x", "ssh://git@10.1.2.3/x"):
        gate.check(locator)
    for locator in ("git@other.example.org:x", "ssh://git@11.1.2.3/x"):
        with pytest.raises(Refused):
            gate.check(locator)


async def test_listed_folders_are_opened_from_the_web(make_source, tmp_path, open_text):
    course, secret = tmp_path / "srv/course", tmp_path / "secret"
    commit = make_repo(course, {"x": "1"})
    make_repo(secret, {"x": "1"})
    (tmp_path / "srv/link").symlink_to(secret)
    source = make_source(allow=[str(tmp_path / "srv")])
    for text in (f"{course}@main", f"file://{course}", f"file://{course}@{commit}"):
        assert (await open_text(text, source)).ref.version == commit
    assert (await open_text(str(course), source)).path.joinpath("x").read_text() == "1"
    for text in (str(secret), f"file://{secret}", f"{tmp_path}/srv/link", f"{tmp_path}/srv2",
                 f"{tmp_path}/srv/../secret"):  # fmt: skip
        with pytest.raises(Refused):
            await open_text(text, source)


async def test_nothing_is_told_of_folders_that_are_not_listed(make_source, tmp_path):
    """Whether a folder exists is not the web's business."""
    messages = set()
    for text in (str(tmp_path), str(tmp_path / "nowhere")):
        with pytest.raises(Refused) as caught:
            await make_source(allow=()).resolve(parse(text).repo)
        messages.add(str(caught.value))
    assert len(messages) == 1


async def test_a_host_that_does_not_exist_is_said(make_source):
    with pytest.raises((Unreachable, NotFound)):
        await make_source().resolve(parse("https://nowhere.invalid/x").repo)


async def test_a_stored_reference_is_checked_again(remote, base, make_source):
    """What was resolved under other rules does not come in by the back door."""
    make_repo(remote / "course", {"x": "1"})
    ref = await make_source(trusted=True).resolve(RepoRef("git", str(remote / "course"), "main"))
    with pytest.raises(Refused):
        await make_source(allow=()).fetch(ref, lambda _: None)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("http://127.0.0.1:8470/x/y", "127.0.0.1:8470"),
        ("http://localhost:8470/x", "localhost:8470"),
        ("https://10.1.2.3/x", "10.1.2.3"),
        ("/srv/courses/maths", "/srv/courses"),
        ("file:///srv/courses/maths", "/srv/courses"),
    ],
)
def test_what_the_address_alone_tells_is_refused_with_the_line_that_allows_it(
    make_source, text: str, entry: str
):
    with pytest.raises(Refused) as refused:
        make_source(allow=()).check(parse(text).repo)
    assert f'[sources] allow = ["{entry}"]' in refused.value.hint
    assert "start Atoll again" in refused.value.hint
    make_source(allow=(entry,)).check(parse(text).repo)
    make_source(trusted=True, allow=()).check(parse(text).repo)


def test_loopback_by_name_is_not_refused_where_its_number_is_allowed(make_source):
    make_source(allow=("127.0.0.1",)).check(parse("http://localhost:8470/x").repo)
    make_source(allow=()).check(parse("https://git.example.org/x").repo)  # only its address tells


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_host_that_nobody_knows_is_said_in_the_same_words_everywhere(make_source, trusted):
    source = make_source(trusted=trusted, allow=())
    with pytest.raises(Unreachable, match=r"There is no host “nowhere[.]invalid”, or this machine"):
        await source.resolve(parse("https://nowhere.invalid/x").repo)
