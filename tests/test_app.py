from datetime import UTC, datetime

import pytest

from atoll.app import opened, plug_in, providers, this_platform, wire
from atoll.errors import Lacking
from atoll.settings import Settings
from atoll.sources import RepoRef


async def test_an_installation_is_wired_from_plug_ins(tmp_path):
    async with opened(wire(Settings(data=tmp_path), trusted=True)) as atoll:
        assert atoll.builder.engine == atoll.runner.engine == "local"
        assert await atoll.store.plans.latest("ada") == {}
        assert (tmp_path / "atoll.sqlite").exists()


async def test_a_broken_provider_is_missed_by_nobody_but_who_needs_it(tmp_path, monkeypatch):
    def load(kind, name):
        if name == "git":
            raise Lacking("The providers plug-in “git” is broken.")
        return plug_in(kind, name)

    monkeypatch.setattr("atoll.app.plug_in", load)
    source = providers(Settings(data=tmp_path), trusted=False)
    source.check(RepoRef("deposits", "doi:10.5281/zenodo.1"))
    assert await source.prune(datetime.now(UTC), ()) == []
    with pytest.raises(Lacking, match="“git” is broken"):
        source.check(RepoRef("git", "https://example.org/r"))
    with pytest.raises(Lacking, match="no providers plug-in “moon”"):
        await source.resolve(RepoRef("moon", "moon:1"))


def test_a_plug_in_that_is_not_there_says_so():
    with pytest.raises(Lacking, match="no engines plug-in “abacus”"):
        plug_in("engines", "abacus")


def test_a_broken_plug_in_is_an_error_that_names_it(monkeypatch):
    class Broken:
        def load(self):
            raise ImportError("no module named abacus")

    monkeypatch.setattr("atoll.app.entry_points", lambda **_: [Broken()])
    with pytest.raises(Lacking, match="“abacus” is broken"):
        plug_in("engines", "abacus")


def test_the_platform_says_what_a_wheel_must_fit():
    machine, system, libc = this_platform().split("-")
    assert machine
    assert (system, libc) == ("linux", "glibc")
