"""What is launched where no conda channel can be reached."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from atoll.app import wire
from atoll.environments import Environments
from atoll.environments.conda import CONDA
from atoll.environments.substitutes import from_pypi, is_substitute
from atoll.errors import BuildFailed, ChannelsUnreachable, Unreachable
from atoll.launching import Launcher, LaunchRequest
from atoll.people import Person
from atoll.settings import Settings
from atoll.sources import RepoRef
from atoll.testing.engines import FakeBuilder
from atoll.testing.sources import FakeSource
from atoll.testing.stores import MemoryPlans, MemoryShelf

FILES = {
    "https://example.org/reef": {"environment.yml": b"dependencies: [pytorch=1.9, r-base]"},
    "https://example.org/only-r": {"environment.yml": b"dependencies: [r-base]"},
}
REQUEST = LaunchRequest(Person("ada"), RepoRef("git", "https://example.org/reef"))


@dataclass(slots=True)
class Builder(FakeBuilder):
    """Raises ``refusal`` for what conda is to make; remembers all that it was asked for."""

    refusal: Exception | None = None
    asked: list = field(default_factory=list)

    async def build(self, spec, tree, say):
        self.asked.append(spec)
        if spec.kind == CONDA and self.refusal:
            raise self.refusal
        return await FakeBuilder.build(self, spec, tree, say)


@pytest.fixture
def builder():
    return Builder(refusal=ChannelsUnreachable("None of the conda channels can be reached: x."))


@pytest.fixture
def launcher(tmp_path, builder):
    environments = Environments(builder, MemoryShelf())
    return Launcher(FakeSource(tmp_path, FILES), environments, MemoryPlans(), "test", from_pypi)


async def test_the_python_index_is_taken_instead_and_who_launches_is_told(launcher, builder):
    told = []
    prepared = await launcher.prepare(REQUEST, told.append)
    assert [is_substitute(one) for one in builder.asked] == [False, True]
    assert prepared.plan.environment.key == builder.asked[1].key != builder.asked[0].key
    notes = [event.message for event in told if event.note]
    assert "None of the conda channels can be reached: x." in notes
    assert any("pytorch (as torch)" in note for note in notes)
    assert any("only conda has it: r-base" in note for note in notes)


async def test_who_launches_it_again_is_told_again_and_waits_for_nothing(launcher, builder):
    await launcher.prepare(REQUEST, print)
    told = []
    again = await launcher.prepare(REQUEST, told.append)
    assert again.cached
    assert len(builder.asked) == 2  # for a while, conda is not even tried
    assert any("pytorch (as torch)" in event.message for event in told if event.note)


async def test_conda_is_taken_as_soon_as_it_can_be_reached(launcher, builder, monkeypatch):
    await launcher.prepare(REQUEST, print)
    builder.refusal = None
    monkeypatch.setattr("atoll.launching.AGAIN", 0.0)
    prepared = await launcher.prepare(REQUEST, print)
    assert prepared.spec.kind == CONDA


@pytest.mark.parametrize(
    "refusal", [BuildFailed("They do not fit."), Unreachable("It answered “503”.")]
)
async def test_anything_else_that_goes_wrong_is_an_error(launcher, builder, refusal):
    builder.refusal = refusal
    with pytest.raises(type(refusal), match=str(refusal)):
        await launcher.prepare(REQUEST, print)
    assert len(builder.asked) == 1


async def test_what_only_conda_has_is_not_replaced_by_nothing(launcher, builder):
    with pytest.raises(ChannelsUnreachable, match="only conda has r-base"):
        await launcher.prepare(
            LaunchRequest(Person("ada"), RepoRef("git", "https://example.org/only-r")), print
        )
    assert len(builder.asked) == 1


async def test_a_substitute_that_fails_says_that_it_was_one(launcher, builder):
    builder.error = BuildFailed("There is no version 1.9.*.", hint="Check the version.")
    with pytest.raises(BuildFailed, match="no version") as no:
        await launcher.prepare(REQUEST, print)
    assert no.value.hint.startswith("Check the version. It was tried with the Python package index")


@pytest.mark.parametrize("allowed", [True, False])
async def test_the_operator_decides(tmp_path, builder, allowed):
    settings = Settings(data=tmp_path / "data", builds={"substitute": allowed})
    substitute = wire(settings, trusted=True).launcher.substitute
    assert (substitute is not None) is allowed
    environments = Environments(builder, MemoryShelf())
    launcher = Launcher(
        FakeSource(tmp_path, FILES), environments, MemoryPlans(), "test", substitute
    )
    if allowed:
        await launcher.prepare(REQUEST, print)
    else:
        with pytest.raises(ChannelsUnreachable):
            await launcher.prepare(REQUEST, print)
