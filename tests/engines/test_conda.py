from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest

from atoll.engines.local.published import metadata
from atoll.engines.local.pythons import Pythons
from atoll.errors import BadSpecification, BuildFailed, ChannelsUnreachable, Unreachable
from atoll.servers import Network
from support.building import Site, env_of
from support.channel import MINOR, PLACEHOLDER, Channel, Link
from support.index import PackageIndex, own_address

DAY = "2023-06-01"


@pytest.fixture
def channel():
    """Return a channel that boxes with the host's network reach, with a Python in it."""
    with Channel() as served:
        yield served.python().kernel()


@pytest.fixture
def conda(tmp_path, channel, index):
    """Return a builder whose conda channels are this one, below its alias."""
    builds = {"conda_alias": channel.alias, "conda_channels": []}
    return Site(tmp_path, index.url, builds=builds)


def environment(*dependencies, channels=("lagoon",), pip=(), **more):
    """Write an environment.yml."""
    listed = [*dependencies, *([{"pip": list(pip)}] if pip else [])]
    return {
        "environment.yml": json.dumps({"channels": list(channels), "dependencies": listed, **more})
    }


async def test_packages_are_installed_and_work_at_srv_env(conda, channel):
    channel.module("reef", "1.2")
    made = await conda.build(environment("reef"))
    assert await conda.python(made, "import reef, sys; print(reef.VERSION, sys.prefix)") == [
        "1.2 /srv/env"
    ]
    assert made.python == ".".join(map(str, __import__("sys").version_info[:3]))
    assert not made.own_lab
    lock = Path(made.handle, "lock.txt").read_text().splitlines()
    assert lock[0] == "@EXPLICIT"
    assert any(line.startswith(f"{channel.url}/noarch/reef-1.2-0.conda#") for line in lock)
    kernel = json.loads((env_of(made) / "share/jupyter/kernels/python3/kernel.json").read_text())
    assert kernel["argv"][:3] == ["/srv/env/bin/python", "-m", "ipykernel_launcher"]
    assert await conda.builder.healthy(made.handle)
    await conda.settle()
    assert conda.leftovers() == []


async def test_the_prefix_is_put_into_texts_and_programs(conda, channel):
    text = f"#!{PLACEHOLDER}/bin/python\nprint('{PLACEHOLDER}')\n"
    binary = b"\0\1" + PLACEHOLDER.encode() + b"/share\0rest\0"
    channel.add(
        "text", files={"bin/hello": text, "share/link": Link("../bin/hello")}, prefix=["bin/hello"]
    )
    channel.add("binary", files={"lib/some.bin": binary}, prefix=["lib/some.bin"], kind="tar.bz2")
    channel.module(
        "reef",
        entry_points=["reef-now = reef:go"],
        files={"site-packages/reef.py": "def go(): print('gone')\n"},
    )
    made = await conda.build(environment("text", "binary", "reef"))
    env = env_of(made)
    assert (env / "bin/hello").read_text() == "#!/srv/env/bin/python\nprint('/srv/env')\n"
    assert (env / "lib/some.bin").read_bytes().startswith(b"\0\1/srv/env/share\0")
    assert len((env / "lib/some.bin").read_bytes()) == len(binary)
    assert os.readlink(env / "share/link") == "../bin/hello"
    code = "import subprocess; print(subprocess.run(['/srv/env/bin/reef-now'], capture_output=True, text=True).stdout.strip())"
    assert await conda.python(made, code) == ["gone"]


async def test_channels_are_seen_as_of_the_end_of_the_day(conda, channel):
    channel.module("reef", "1.0", built="2023-05-30")
    channel.module("reef", "1.1", built=DAY)
    channel.module("reef", "2.0", built="2023-06-02")
    old = await conda.build(environment("reef"), day=DAY)
    assert "/reef-1.1-" in Path(old.handle, "lock.txt").read_text()
    new = await conda.build(environment("reef"), at="today")
    assert "/reef-2.0-" in Path(new.handle, "lock.txt").read_text()


async def test_a_package_can_be_asked_of_one_channel(conda, channel):
    channel.module("reef")
    made = await conda.build(environment("lagoon::reef=1.0", channels=[]))
    assert "/lagoon/noarch/reef-1.0-" in Path(made.handle, "lock.txt").read_text()


async def test_what_is_not_there_is_said_in_one_sentence(conda):
    with pytest.raises(BuildFailed, match="There is no package “nunpy” in lagoon"):
        await conda.build(environment("nunpy"))
    assert conda.leftovers() == []


async def test_contradictions_are_told(conda, channel):
    channel.module("lagoon", "1.0", depends=["reef >=2"])
    channel.module("reef", "1.0")
    channel.module("reef", "2.0")
    with pytest.raises(BuildFailed, match=r"do not fit together: .*reef"):
        await conda.build(environment("lagoon", "reef <2"))


async def test_what_came_after_the_day_is_told(conda, channel):
    channel.module("reef", "2.0", built="2024-01-01")
    with pytest.raises(BuildFailed, match="reef") as no:
        await conda.build(environment("reef"))
    assert "--at today" in no.value.hint


async def test_a_version_that_rattler_cannot_read_is_a_mistake_of_the_specification(conda):
    with pytest.raises(BadSpecification):
        await conda.build(environment("reef =>!1"))


async def test_a_package_that_is_not_what_the_channel_says_is_not_installed(conda, channel):
    channel.module("reef", claimed="0" * 64)
    with pytest.raises(BuildFailed, match=r"(?i)hash|sha256"):
        await conda.build(environment("reef"))
    assert conda.leftovers() == []
    assert not list(conda.settings.data.glob("environments/*/atoll.json"))


async def test_a_package_without_a_sha256_is_given_to_no_other_environment(conda, channel):
    channel.module("reef", files={"site-packages/reef.py": "VERSION = 'another'"})
    true = channel.listing["noarch"]["reef-1.0-0.conda"]
    sha256 = true.pop("sha256")
    await conda.build(environment("reef"))
    assert not list((conda.settings.data / "cache/conda/pkgs").glob("reef*"))
    true["sha256"] = sha256
    await conda.build(environment("reef", variables={"A": "b"}))
    assert list((conda.settings.data / "cache/conda/pkgs").glob("reef*"))


@pytest.mark.parametrize("kind", ["conda", "tar.bz2"])
async def test_a_package_cannot_write_outside_of_itself(conda, channel, kind):
    channel.add("evil", files={"../../../evil.txt": "x", "../evil.txt": "x"}, kind=kind)
    with pytest.raises(BuildFailed):
        await conda.build(environment("evil"))
    assert not list(conda.settings.data.rglob("evil.txt"))


@pytest.mark.parametrize("target", ["../../../../..", "/srv/cache"])
async def test_a_package_cannot_write_through_a_link_of_its_own(conda, channel, target):
    channel.add("evil", files={"share/out": Link(target), "share/out/evil.txt": "x"})
    with pytest.raises(BuildFailed):
        await conda.build(environment("evil"))
    assert not list(conda.settings.data.rglob("evil.txt"))


@pytest.mark.parametrize("target", ["/srv/cache/conda/pkgs", "../../../../../conda/pkgs"])
@pytest.mark.parametrize("names", ["az", "za"])
async def test_a_package_cannot_write_through_a_link_of_anothers(conda, channel, target, names):
    one, two = names
    channel.add(f"{one}-link", files={"share/out": Link(target)})
    channel.add(f"{two}-evil", files={f"share/out/evil{n}/x": "x" for n in range(5)})
    with pytest.raises(BuildFailed, match=r"would be (?:in|outside)"):
        await conda.build(environment("a-link" if one == "a" else "z-link", f"{two}-evil"))
    assert not list((conda.settings.data / "cache/conda/pkgs").glob("evil*"))


async def test_links_that_lead_out_only_together_are_found(conda, channel):
    channel.add("one", files={"here": Link(".")})
    channel.add("two", files={"here/up": Link("../../../../conda/pkgs")})
    channel.add("three", files={"up/evil/x": "x", "here/up/evil/y": "x"})
    with pytest.raises(BuildFailed):
        await conda.build(environment("one", "two", "three"))
    assert not list((conda.settings.data / "cache/conda/pkgs").glob("evil*"))


async def test_links_that_stay_inside_or_lead_nothing_out_are_fine(conda, channel):
    channel.add("one", files={"lib64": Link("lib"), "lib/one": "1", "usr/lib": Link("../lib")})
    channel.add("two", files={"etc/mtab": Link("/proc/mounts"), "usr/two": "2"})
    made = await conda.build(environment("one", "two"))
    assert (env_of(made) / "lib64/one").read_text() == "1"
    assert os.readlink(env_of(made) / "etc/mtab") == "/proc/mounts"


@pytest.mark.parametrize(
    "name", ["../../../../conda/pkgs/evil", "/srv/cache/conda/pkgs/evil", "../lib/evil"]
)
async def test_an_entry_point_cannot_be_written_elsewhere(conda, channel, name):
    channel.module("reef", entry_points=[f"{name} = reef:go"])
    with contextlib.suppress(BuildFailed, BadSpecification):
        await conda.build(environment("reef"))
    assert not list((conda.settings.data / "cache").rglob("evil"))


@pytest.mark.parametrize("build", ["../../evil", "/srv/cache/evil", "0/../../../evil"])
async def test_a_build_string_is_no_path(conda, channel, build):
    channel.module("reef", build=build)
    with pytest.raises((BuildFailed, Unreachable, BadSpecification)):
        await conda.build(environment("reef"))
    assert not list(conda.settings.data.rglob("evil*"))


async def test_a_password_of_the_operators_is_nowhere_to_be_seen(tmp_path, index, channel):
    channel.module("reef")
    channel.password = "ada:s3cretpw"
    mirrors = {"lagoon": channel.url.replace("http://", "http://ada:s3cretpw@")}
    site = Site(tmp_path, index.url, builds={"conda_mirrors": mirrors, "conda_channels": []})
    look = "#!/bin/sh\ngrep -rl s3cret[p]w /srv/env /srv/spec /srv/out /tmp /proc/*/environ && exit 3\ntrue\n"
    made = await site.build({**environment("lagoon::reef", pip=["pip"]), "postBuild": look})
    kept = (site.settings.data / "environments", site.settings.data / "logs")
    found = [
        file
        for folder in kept
        for file in folder.rglob("*")
        if file.is_file() and b"s3cretpw" in file.read_bytes()
    ]
    assert found == []
    assert await site.python(made, "import reef; print(reef.VERSION)") == ["1.0"]


async def test_a_second_environment_links_to_the_files_of_the_first(conda, channel):
    channel.module("reef")
    one = await conda.build(environment())
    asked = len(channel.asked)
    two = await conda.build(environment("reef"))
    library = f"lib/python{MINOR}/os.py"
    assert (env_of(one) / library).stat().st_ino == (env_of(two) / library).stat().st_ino
    fetched = [path for path in channel.asked[asked:] if path.endswith(".conda")]
    assert fetched == ["/lagoon/noarch/reef-1.0-0.conda"]


async def test_what_is_run_later_gets_files_of_its_own(conda, channel):
    channel.module("reef")
    plain = await conda.build(environment("reef"))
    files = {
        **environment("reef"),
        "postBuild": f"#!/bin/sh\necho spoiled > /srv/env/lib/python{MINOR}/site-packages/reef.py\n",
    }
    spoiled = await conda.build(files)
    module = f"lib/python{MINOR}/site-packages/reef.py"
    assert (env_of(spoiled) / module).read_text() == "spoiled\n"
    assert "VERSION" in (env_of(plain) / module).read_text()


async def test_post_link_scripts_run_in_a_box_and_cannot_reach_the_cache(conda, channel):
    script = (
        "echo $PKG_NAME > $PREFIX/ran; echo spoiled > $PREFIX/share/data; ls /srv > $PREFIX/seen"
    )
    channel.add("reef", files={"bin/.reef-post-link.sh": script, "share/data": "good\n"})
    channel.add("other", files={"bin/.other-post-link.sh": "exit 3"})
    made = await conda.build(environment("reef", "other"))
    assert (env_of(made) / "ran").read_text() == "reef\n"
    assert (env_of(made) / "share/data").read_text() == "spoiled\n"
    assert made.notes == ("A script of a conda package failed: .other-post-link.sh.",)
    kept = conda.settings.data / "cache/conda/pkgs"
    assert [path.read_text() for path in kept.rglob("share/data")] == ["good\n"]


async def test_the_lines_for_pip_are_added_to_what_conda_has_chosen(conda, channel, index):
    channel.module("reef", "1.5")
    index.wheel("reef", "2.0")
    index.wheel("atoll-one", "1.0", requires=["reef>=1"], files={"bin.py": ""})
    made = await conda.build(environment("reef", pip=["atoll-one"]))
    assert await conda.python(made, "import reef, atoll_one; print(reef.VERSION)") == ["1.5"]
    lock = Path(made.handle, "lock.txt").read_text()
    assert "# atoll-one==1.0\n" in lock
    assert "# reef==" not in lock
    assert made.notes == ()


async def test_a_line_for_pip_replaces_what_it_names(conda, channel, index):
    channel.module("reef", "1.5")
    index.wheel("reef", "2.0")
    made = await conda.build(environment("reef", pip=["reef==2.0"]))
    assert await conda.python(made, "import reef; print(reef.VERSION)") == ["2.0"]
    assert made.notes == ("The lines for pip have replaced what conda installed: reef.",)


async def test_what_a_line_for_pip_needs_may_be_replaced_and_is_told(conda, channel, index):
    channel.module("reef", "1.5")
    index.wheel("reef", "2.0")
    index.wheel("atoll-one", "1.0", requires=["reef>=2"])
    made = await conda.build(environment("reef", pip=["atoll-one"]))
    assert await conda.python(made, "import reef; print(reef.VERSION)") == ["2.0"]
    assert made.notes == ("The lines for pip have replaced what conda installed: reef.",)


async def test_a_kernel_that_no_channel_has_comes_from_the_index(tmp_path, index):
    with Channel() as channel:
        channel.python()
        conda = Site(
            tmp_path, index.url, builds={"conda_alias": channel.alias, "conda_channels": []}
        )
        made = await conda.build(environment())
    assert await conda.python(made, "import ipykernel_launcher") == ["a kernel"]


async def test_activating_is_done_once_and_kept(conda, channel):
    script = 'export REEF_DATA="$CONDA_PREFIX/share/reef"; export PATH=/evil:$PATH; export TOLD="$ASKED"; cat /etc/shadow'
    channel.add("reef", files={"etc/conda/activate.d/reef.sh": script})
    made = await conda.build(environment("reef", variables={"ASKED": "yes"}))
    environ = metadata(made.handle)["environ"]
    assert environ["REEF_DATA"] == "/srv/env/share/reef"
    assert environ["CONDA_PREFIX"] == "/srv/env"
    assert environ["ASKED"] == environ["TOLD"] == "yes"
    assert "PATH" not in environ


@pytest.mark.parametrize("here", [True, False])
async def test_modules_are_compiled_without_touching_the_cache(conda, channel, here, monkeypatch):
    if not here:  # no Python of this version on the machine, so that the package's own compiles
        monkeypatch.setattr(Pythons, "like", lambda *_: None)
    channel.module("reef")
    made = await conda.build(environment("reef"))
    await conda.settle()
    site = env_of(made) / f"lib/python{MINOR}/site-packages"
    assert list(site.glob("__pycache__/reef.*.pyc"))
    kept = conda.settings.data / "cache/conda/pkgs"
    assert not list(kept.rglob("*.pyc"))


async def test_what_was_compiled_serves_other_environments_and_follows_no_link(conda, channel):
    there = conda.folder / "elsewhere"
    there.mkdir(mode=0o777)
    channel.add("reef", files={"lib/reef/sand.py": "GRAINS = 3\n"})
    channel.add("other")
    channel.add("trap", files={"lib/reef/__pycache__": Link(str(there))})
    found = []
    for more in ((), ("other",), ("trap",)):
        made = await conda.build(environment("reef", *more))
        await conda.settle()
        found += (env_of(made) / "lib/reef").glob("__pycache__/sand.*.pyc")
    assert len(found) == 2
    assert os.path.samefile(*found)
    assert b"/srv/env/lib/reef/sand.py" in found[0].read_bytes()
    assert not list(there.iterdir())


async def test_nothing_is_tried_for_long_where_no_channel_answers(tmp_path, index):
    builds = {"conda_alias": "http://127.0.0.1:9/", "conda_channels": []}
    conda = Site(tmp_path, index.url, builds=builds)
    with pytest.raises(
        ChannelsUnreachable, match="None of the conda channels can be reached: lagoon"
    ):
        await conda.build(environment("reef"))


async def test_a_channel_that_is_not_there_is_no_unreachable_one(conda):
    with pytest.raises(BadSpecification):
        await conda.build(environment("reef", channels=["nowhere"]))


async def test_one_of_several_channels_that_answers_is_enough_to_try(conda):
    conda.settings.builds.conda_mirrors["closed"] = "http://127.0.0.1:9/closed"
    with pytest.raises(Unreachable) as no:
        await conda.build(environment("reef", channels=["lagoon", "closed"]))
    assert type(no.value) is not ChannelsUnreachable


class TestAddressesOfTheAuthors:
    """Channels that no operator has named: reached as a server would reach them."""

    @pytest.fixture
    def index(self):
        with PackageIndex(own_address()) as served:
            yield served.kernel()

    @pytest.fixture
    def away(self):
        with Channel(own_address()) as served:
            yield served.python().kernel()

    async def test_they_serve_and_leave_nothing_in_the_cache(self, tmp_path, index, away):
        away.module("reef")
        site = Site(tmp_path, index.url, builds={"conda_channels": []})
        made = await site.build(environment("reef", channels=[away.url]))
        assert await site.python(made, "import reef; print(reef.VERSION)") == ["1.0"]
        assert not list((site.settings.data / "cache/conda").rglob("reef*"))
        assert (env_of(made) / f"lib/python{MINOR}/os.py").stat().st_nlink == 1

    async def test_they_are_not_reached_where_the_network_of_builds_does_not_lead(
        self, tmp_path, index, away
    ):
        site = Site(tmp_path, index.url, reach=Network.INTERNET, builds={"conda_channels": []})
        with pytest.raises(BuildFailed, match="names other addresses"):
            await site.build(environment("reef", channels=[away.url]))
        public = Site(tmp_path / "p", "", reach=Network.INTERNET, builds={"conda_channels": []})
        with pytest.raises(ChannelsUnreachable):
            await public.build(environment("reef", channels=[away.url]))
        assert away.asked == []

    async def test_a_mirror_of_the_operators_is_no_such_address(self, tmp_path, index, away):
        away.module("reef")
        mirrors = {"https://conda.example.org": away.alias}
        site = Site(
            tmp_path,
            index.url,
            reach=Network.NONE,
            builds={"conda_channels": [], "conda_mirrors": mirrors},
        )
        made = await site.build(environment("reef", channels=["https://conda.example.org/lagoon"]))
        assert (env_of(made) / f"lib/python{MINOR}/os.py").stat().st_nlink > 1
