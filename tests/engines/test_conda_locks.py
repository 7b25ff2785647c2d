"""A lock of conda packages is followed to the letter, or passed over with a reason; whatever it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import rattler
from rattler.lock import LockChannel, LockFile, LockPlatform

from atoll.engines.local import conda_locks
from atoll.engines.local.adding import our_python
from atoll.engines.local.conda_locks import follow, lines_for_pip
from atoll.engines.local.owners import build_owner
from atoll.engines.local.workshop import destroy
from atoll.environments.conda import PIP
from atoll.errors import BadSpecification, BuildFailed
from support.building import Site
from support.channel import SUBDIR, Channel
from support.index import PackageIndex, own_address

ALL = ("reef", "python", "ipykernel", "pip")
CONDAS_OWN = str(rattler.Channel("lagoon").base_url).removesuffix("lagoon/")
PIXI = {"pixi.toml": '[workspace]\nchannels = ["lagoon"]\n[dependencies]\nreef = ">=1"\n'}
CONDA = {"environment.yml": json.dumps({"channels": ["lagoon"], "dependencies": ["reef"]})}


def furnished(channel):
    """Add a Python, a kernel, and reefs of which a solver takes the newest."""
    return channel.python().kernel().module("reef", "1.0").module("reef", "2.0")


@pytest.fixture
def channel():
    with Channel() as served:
        yield furnished(served)


@pytest.fixture
def conda(tmp_path, channel, index):
    """Return a builder whose conda channels are this one, below its alias."""
    return Site(tmp_path, index.url, builds=builds_of(channel))


@pytest.fixture(scope="module")
def still():
    """Return a channel that no test changes."""
    with Channel() as served:
        yield furnished(served)


@pytest.fixture
def look(tmp_path, still):
    """Return what takes a lock of the still channel apart, and makes nothing."""

    async def look(files, **builds):
        site = Site(tmp_path, "http://127.0.0.1:9/simple", builds={**builds_of(still), **builds})
        spec, _ = site.spec(files)
        owner, notes = build_owner(site.settings), []
        workshop = site.builder._open(spec, owner)
        try:
            steps = site.builder._steps(spec, workshop, our_python(), owner, site.said.append)
            return await follow(steps, site.settings.builds, notes), notes
        finally:
            destroy(workshop.root)

    return look


def builds_of(channel):
    return {"conda_alias": channel.alias, "conda_channels": []}


def locked(channel, names=ALL):
    """Return what the channel says of the first version of each of *names*, with its file's name."""
    files = [found for listing in channel.listing.values() for found in listing.items()]
    return [next(found for found in files if found[1]["name"] == name) for name in names]


def pixi_lock(folder, channel, names=ALL, pypi=()):
    """Write a pixi.lock as Pixi does, by rattler; *pypi* are names, versions, addresses, hashes."""
    here = LockPlatform(SUBDIR)
    lock = LockFile([here])
    lock.set_channels("default", [LockChannel(channel.url)])
    for file, one in locked(channel, names):
        package = rattler.PackageRecord(
            one["name"], one["version"], rattler.BuildString(one["build"]), 0, one["subdir"],
            noarch=one.get("noarch"), depends=one["depends"], sha256=bytes.fromhex(one["sha256"]),
        )  # fmt: skip
        address = f"{channel.url}/{one['subdir']}/{file}"
        record = rattler.RepoDataRecord(package, file, address, channel.url)
        lock.add_conda_package("default", here, record)
    for name, version, address, _ in pypi:
        lock.add_pypi_package("default", here, name, version, address)
    path = folder / "written.lock"
    lock.to_path(path)
    text = path.read_text()
    for name, _, _, sha256 in pypi:  # which rattler's Python does not let one say
        text = text.replace(f"  name: {name}\n", f"  name: {name}\n  sha256: {sha256}\n")
    return text


def conda_lock(channel, pypi=()):
    """Write a conda-lock.yml as conda-lock does."""
    packages = [
        {"name": one["name"], "version": one["version"], "manager": "conda", "platform": SUBDIR,
         "dependencies": {need.partition(" ")[0]: need.partition(" ")[2] for need in one["depends"]},
         "url": f"{channel.url}/{one['subdir']}/{file}",
         "hash": {"md5": one["md5"], "sha256": one["sha256"]}, "category": "main", "optional": False}
        for file, one in locked(channel)
    ] + [
        {"name": name, "version": version, "manager": "pip", "platform": SUBDIR,
         "dependencies": {"six": "*"}, "url": address, "hash": {"sha256": sha256},
         "category": "main", "optional": False}
        for name, version, address, sha256 in pypi
    ]  # fmt: skip
    return json.dumps({"version": 1, "metadata": {"platforms": [SUBDIR]}, "package": packages})


def versions(made):
    """Return the versions of the conda packages of an environment, by name."""
    lines = Path(made.handle, "lock.txt").read_text().splitlines()
    stems = [line.partition("#")[0].rpartition("/")[2] for line in lines if "://" in line]
    return {stem.rsplit("-", 2)[0]: stem.rsplit("-", 2)[1] for stem in stems}


async def test_what_a_pixi_lock_says_is_installed_and_nothing_is_solved(conda, channel, tmp_path):
    made = await conda.build({**PIXI, "pixi.lock": pixi_lock(tmp_path, channel)})
    assert await conda.python(made, "import reef; print(reef.VERSION)") == ["1.0"]
    assert set(versions(made)) == set(ALL)
    assert made.notes == ()
    assert "Taking the 4 conda packages that pixi.lock lists" in conda.said
    assert not [path for path in channel.asked if path.endswith("linux-64/repodata.json.zst")]
    await conda.settle()
    assert conda.leftovers() == []


async def test_so_is_what_a_conda_lock_says_though_it_be_alone(conda, channel):
    made = await conda.build({"conda-lock.yml": conda_lock(channel)})
    assert (versions(made)["reef"], made.notes) == ("1.0", ())
    assert await conda.python(made, "import reef; print(reef.VERSION)") == ["1.0"]


async def test_a_lock_is_followed_alone_and_beside_what_it_meets(look, still, tmp_path):
    pixi, conda = {"pixi.lock": pixi_lock(tmp_path, still)}, {"conda-lock.yml": conda_lock(still)}
    for files in (pixi, {**PIXI, **pixi}, conda, {**CONDA, **conda}):
        followed, notes = await look(files)
        assert [one["name"] for one in followed.records].count("reef") == 1
        assert (len(followed.records), followed.away, notes) == (len(ALL), False, [])


async def test_packages_of_the_index_are_those_of_the_lock_by_their_hashes(
    conda, channel, index, tmp_path
):
    sha256 = index.wheel("atoll", "1.0")
    index.wheel("atoll", "2.0")
    pypi = [("atoll", "1.0", "https://files.example.org/atoll-1.0-py3-none-any.whl", sha256)]
    toml = PIXI["pixi.toml"] + '[pypi-dependencies]\natoll = "*"\n'
    files = {"pixi.toml": toml, "pixi.lock": pixi_lock(tmp_path, channel, pypi=pypi)}
    made = await conda.build(files)
    assert "# atoll==1.0" in Path(made.handle, "lock.txt").read_text()
    pypi = [(*pypi[0][:3], "0" * 64)]
    with pytest.raises(BuildFailed, match="atoll"):
        await conda.build({**files, "pixi.lock": pixi_lock(tmp_path, channel, pypi=pypi)})


async def test_so_are_those_of_a_conda_lock_whatever_they_need(look, still):
    pypi = [("atoll", "1.0", "https://files.example.org/atoll-1.0-py3-none-any.whl", "a" * 64)]
    followed, _ = await look({"conda-lock.yml": conda_lock(still, pypi=pypi)})
    pinned = f"atoll==1.0 --hash=sha256:{'a' * 64}\n"
    assert dict(followed.steps.spec.files)[PIP].decode() == pinned


async def test_a_kernel_that_the_lock_lacks_comes_from_the_index(conda, channel, tmp_path):
    lock = pixi_lock(tmp_path, channel, ("reef", "python", "pip"))
    made = await conda.build({**PIXI, "pixi.lock": lock})
    assert set(versions(made)) == {"reef", "python", "pip"}
    assert "# ipykernel==" in Path(made.handle, "lock.txt").read_text()


def swapped(old, new):
    return lambda lock: lock.replace(old, new)


PASSED_OVER = [
    (swapped(SUBDIR, "osx-arm64"), "has nothing for linux"),
    (swapped("version: 7", "version: 99"), "cannot be read: .*99"),
    (swapped("default:", "test:"), "has no default environment"),
    (swapped("sha256: ", "md6: "), "has no checksum of"),
    (swapped("reef-1.0-0", "reef-0.1-0"), "is not in step with what is asked for: it has no reef >=1"),
    (swapped("reef-1.0-0.conda", "reef-1.0-a%2Fb.conda"), "has reef under a name"),
    (swapped("/lagoon/noarch/", "/lagoon/../../noarch/"), "where Atoll fetches no channel"),
    (swapped("http://", "file:///etc/"), "cannot be read: "),
    (swapped("http://", "http://user:password@"), "where Atoll fetches no channel"),
    (lambda _: "true", "cannot be read"),
    (lambda _: b"\xff\0", "cannot be read"),
    (lambda lock: lock + "a:" + "\n ".join(" " * n + "a:" for n in range(3000)), "recursion limit"),
    (lambda lock: lock + "".join(f"\na{n}: &a{n} [{f'*a{n - 1},' * 9 * (n > 0)}]" for n in range(20)),
     "repetition limit"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "why"), PASSED_OVER)
async def test_a_lock_that_cannot_be_followed_is_passed_over_with_a_reason(
    look, still, tmp_path, change, why
):
    followed, notes = await look({**PIXI, "pixi.lock": change(pixi_lock(tmp_path, still))})
    assert followed is None
    (note,) = notes
    assert re.search(f"^pixi.lock .*{why}", note)
    assert "packages are those of 2023-06-01 that fit" in note


async def test_what_the_solver_finds_is_taken_then(conda, channel, tmp_path):
    lock = pixi_lock(tmp_path, channel).replace(SUBDIR, "osx-arm64")
    made = await conda.build({**PIXI, "pixi.lock": lock})
    assert versions(made)["reef"] == "2.0"
    assert (made.notes[0] in conda.said, "It was passed over" in made.notes[0]) == (True, True)


async def test_a_lock_that_takes_for_ever_is_given_up(look, still, tmp_path, monkeypatch):
    monkeypatch.setattr(conda_locks, "PATIENCE", 1.0)
    lock = pixi_lock(tmp_path, still) + "a: " + "[" * 100_000
    with pytest.raises(BuildFailed, match=r"Reading pixi\.lock took longer than 1 seconds"):
        await look({**PIXI, "pixi.lock": lock})


async def test_of_one_package_there_is_one_version(look, still):
    lock = json.loads(conda_lock(still))
    reef = next(one for one in lock["package"] if one["name"] == "reef")
    lock["package"].append({**reef, "url": reef["url"].replace("1.0", "2.0"), "version": "2.0"})
    with pytest.raises(BadSpecification, match="has two versions of one package"):
        await look({"conda-lock.yml": json.dumps(lock)})


@pytest.mark.parametrize(
    "lock",
    [
        "[" * 100_000,
        "version: 1",
        "version: 1\npackage: 1",
        "version: 2\npackage: []",
        f"version: 1\npackage: [{{platform: {SUBDIR}, url: x, manager: conda}}]",
        "version: 1\npackage: &a [*a]",
        "a: !!python/object/apply:os.system [exit]",
    ],
)
async def test_where_a_lock_is_all_that_there_is_its_faults_are_the_builds(look, lock):
    with pytest.raises(BadSpecification, match=r"^conda-lock\.yml "):
        await look({"conda-lock.yml": lock})


async def test_a_package_that_is_not_what_the_lock_says_is_not_installed(conda, channel, tmp_path):
    lock = pixi_lock(tmp_path, channel)
    for _, one in locked(channel, ["reef"]):
        lock = lock.replace(one["sha256"], "0" * 64)
    with pytest.raises(BuildFailed, match=r"(?i)hash|sha256"):
        await conda.build({**PIXI, "pixi.lock": lock})
    assert conda.leftovers() == []


async def test_what_only_an_md5_tells_is_installed_and_given_to_no_other_environment(
    conda, channel
):
    lock = json.loads(conda_lock(channel))
    for one in lock["package"]:
        del one["hash"]["sha256"]
    made = await conda.build({"conda-lock.yml": json.dumps(lock)})
    assert versions(made)["reef"] == "1.0"
    assert not list((conda.settings.data / "cache/conda").rglob("reef*"))
    lock["package"][0]["hash"]["md5"] = "0" * 32
    with pytest.raises(BuildFailed, match=r"(?i)md5|hash"):
        await conda.build({"conda-lock.yml": json.dumps(lock)})


async def test_what_the_channel_has_no_more_is_told(conda, channel, tmp_path):
    lock = pixi_lock(tmp_path, channel)
    channel.files = {path: one for path, one in channel.files.items() if "reef-1.0" not in path}
    with pytest.raises(BuildFailed, match=r"reef-1\.0-0\.conda"):
        await conda.build({**PIXI, "pixi.lock": lock})


async def test_channels_are_where_the_operator_says(look, still, tmp_path):
    lock = pixi_lock(tmp_path, still)
    mirrors = {"https://conda.example.org": still.alias}
    for address, found in ((CONDAS_OWN, "lagoon"), ("https://conda.example.org/", still.url)):
        files = {"pixi.lock": lock.replace(still.alias, address)}
        followed, _ = await look(files, conda_mirrors=mirrors)
        assert (followed.channels, followed.away) == ([found], False)


async def test_other_addresses_are_not_asked_as_the_operator_would(look, still, tmp_path):
    lock = pixi_lock(tmp_path, still).replace(still.alias, "http://127.0.0.1:9/")
    followed, notes = await look({**PIXI, "pixi.lock": lock})
    assert followed is None
    assert "has channels that builds here cannot reach" in notes[0]


async def test_what_comes_from_other_addresses_stays_out_of_the_cache(tmp_path):
    with Channel(own_address()) as away, PackageIndex(own_address()) as index:
        away.python().kernel().module("reef")
        index.kernel()
        site = Site(tmp_path, index.url, builds={"conda_channels": []})
        made = await site.build({"pixi.lock": pixi_lock(tmp_path, away)})
        assert await site.python(made, "import reef; print(reef.VERSION)") == ["1.0"]
        assert not list((site.settings.data / "cache/conda").rglob("reef*"))


def line_of(location, listed, **more):
    told = {"name": "x", "version": "1.0", "sha256": "a" * 64, "location": location, **more}
    return list(lines_for_pip("pixi.lock", [told], listed))


def test_what_is_listed_stays_unless_the_lock_knows_better():
    listed = ["--extra-index-url https://i.example.org", "y", "x[more]>=1"]
    pinned = f"x==1.0 --hash=sha256:{'a' * 64}"
    assert line_of("https://f.example.org/x-1.0.tar.gz", listed) == [*listed[:2], pinned]
    assert line_of("./", ["-e ."]) == ["-e ."]
    git = "git+https://example.org/x.git"
    commit = f"{git}?rev=main&subdirectory=a#{'1' * 40}"
    assert line_of(commit, [f"x @ {git}@main"]) == [f"x @ {git}@{'1' * 40}#subdirectory=a"]


@pytest.mark.parametrize(
    ("location", "listed", "more"),
    [
        ("./", [], {}),
        ("git+https://example.org/x#" + "1" * 40, [], {}),
        ("direct+https://example.org/x.whl", ["x"], {}),
        ("https://f.example.org/x.whl", ["x>=2"], {}),
        ("https://f.example.org/x.whl", [], {"sha256": ""}),
        ("https://f.example.org/x.whl", [], {"sha256": "a" * 64 + "\n-e ."}),
        ("https://f.example.org/x.whl", [], {"version": "1.0\n-e ."}),
        ("https://f.example.org/x.whl", [], {"name": "x\n-e ."}),
        (
            f"git+https://example.org/x?subdirectory=../..#{'1' * 40}",
            ["x @ git+https://e.org/x"],
            {},
        ),
    ],
)
def test_a_package_of_the_index_is_one_or_the_lock_is_passed_over(location, listed, more):
    with pytest.raises(BadSpecification, match=r"^pixi\.lock"):
        line_of(location, listed, **more)
