"""Repositories over ssh, from a real sshd: whose keys, whose configuration, and no questions."""

import asyncio

import pytest

from atoll.errors import NotFound, Refused, Unreachable
from atoll.providers.git import commands
from support.gitservers import make_repo, run_git
from support.sshserver import ALIAS, new_key, serve_ssh


@pytest.fixture
def server(tmp_path):
    with serve_ssh(tmp_path / "ssh") as server:
        yield server


@pytest.fixture
def course(tmp_path, monkeypatch, server):
    """A repository with a submodule beside it; the person's git uses their ssh configuration."""
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F {server.client}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    lib, course = tmp_path / "lib", tmp_path / "course"
    commit = make_repo(lib, {"lib.py": "1"})
    make_repo(course, {"a.txt": "a", ".gitmodules": '[submodule "l"]\npath=l\nurl=../lib\n'})
    run_git(course, "update-index", "--add", "--cacheinfo", f"160000,{commit},l")
    run_git(course, "commit", "--quiet", "--message", "A submodule")
    return course


@pytest.fixture
def person(make_source):
    return make_source(trusted=True)


async def test_a_url_is_fetched_with_its_submodules(server, course, person, open_text):
    made = await open_text(f"{server.url}{course}@main", person)
    assert made.warnings == ()
    assert (made.path / "a.txt").read_text() == "a"
    assert (made.path / "l" / "lib.py").read_text() == "1"
    assert run_git(made.path, "remote", "get-url", "origin") == f"{server.url}{course}"


async def test_a_host_that_only_ssh_knows_is_one_too(server, course, person, open_text):
    made = await open_text(f"{server.user}@{ALIAS}:{course}", person)
    assert made.warnings == ()
    assert (made.path / "l" / "lib.py").read_text() == "1"


async def test_the_ssh_command_of_the_persons_git_is_used(
    server, course, person, open_text, tmp_path, monkeypatch
):
    home = tmp_path / "person"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[core]\nsshCommand = ssh -F {server.client}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_SSH_COMMAND")
    assert (await open_text(f"{server.url}{course}", person)).path.is_dir()


async def test_a_host_nobody_has_met_is_refused_without_asking(server, course, person, open_text):
    (server.folder / "known_hosts").write_text("")
    async with asyncio.timeout(20):
        with pytest.raises(Refused, match="its key is not known") as caught:
            await open_text(f"{server.url}{course}", person)
        assert f"ssh -p {server.port} {server.user}@127.0.0.1" in caught.value.hint
        with pytest.raises(Refused, match="its key is not known") as caught:
            await open_text(f"{server.user}@{ALIAS}:{course}", person)
        assert caught.value.hint.endswith(f"ssh {server.user}@{ALIAS}")
    assert (server.folder / "known_hosts").read_text() == ""


async def test_a_host_with_another_key_than_before_is_refused(server, course, person, open_text):
    new_key(server.folder / "other")
    server.know("other")
    with pytest.raises(Refused, match="another machine may pose as it"):
        await open_text(f"{server.url}{course}", person)


@pytest.mark.parametrize("passphrase", ["", "secret"])
async def test_a_key_that_is_refused_or_locked_is_told_without_asking(
    server, course, person, open_text, passphrase
):
    if passphrase:  # the server would take it, if somebody said the passphrase
        words = ("ssh-keygen", "-q", "-p", "-N", passphrase, "-f", str(server.folder / "key"))
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
    else:
        new_key(server.folder / "key")
    async with asyncio.timeout(20):
        with pytest.raises(Refused, match="accepts none of the ssh keys") as caught:
            await open_text(f"{server.url}{course}", person)
    assert "ssh-add" in caught.value.hint


async def test_what_is_not_there_is_told(server, course, person, open_text, tmp_path):
    with pytest.raises(NotFound):
        await open_text(f"{server.url}{tmp_path}/nothing", person)
    with pytest.raises(Unreachable, match="refused"):
        await open_text(f"ssh://{server.user}@127.0.0.1:1{course}", person)


async def test_strangers_from_the_web_use_no_key_of_this_machine(
    server, course, make_source, open_text, tmp_path, monkeypatch
):
    mark = tmp_path / "mark"
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {mark}; ssh -F {server.client}")
    known = f"-o UserKnownHostsFile={server.folder}/known_hosts"
    monkeypatch.setattr(commands, "SSH", f"{commands.SSH} {known}")  # as the operator's would be
    stranger = make_source(allow=[f"127.0.0.1:{server.port}"])
    with pytest.raises(Refused, match="accepts none of the ssh keys"):
        await open_text(f"{server.url}{course}", stranger)
    assert not mark.exists()
