"""Whether uv's account of a choice says that building would change nothing; with the real uv."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tomllib

import pytest

from atoll.engines.local.searches import TOLD, Searches
from atoll.engines.local.uv import operators_index, uv
from support.index import PackageIndex

SEARCH = "DEBUG Searching for a compatible version of {} (*)"
FOUND = "DEBUG Selecting: {0}==1.0 [compatible] ({0}-1.0-py3-none-any.whl)"


@pytest.fixture(scope="module")
def served():
    with PackageIndex() as index:
        yield index


@pytest.fixture
def compiled(served, tmp_path):
    """Return what resolves requirements: to the versions, and whether uv's account settles it."""

    def compile_(*lines, build, options=()):
        (tmp_path / "asked.in").write_text("\n".join(lines))
        lock = tmp_path / "pylock.toml"
        lock.unlink(missing_ok=True)
        ran = subprocess.run(
            [uv(), "pip", "compile", *([] if build else ["--no-build"]), *options,
             "--python", sys.executable, "--default-index", served.url, "--no-config",
             "--format", "pylock.toml", "--output-file", lock, tmp_path / "asked.in"],
            env={"PATH": os.environ["PATH"], "RUST_LOG": TOLD, "UV_CACHE_DIR": tmp_path / "cache"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        searches = Searches()
        for line in ran.stderr.splitlines():
            searches.hear(line)
        if ran.returncode:
            return None, searches.settled
        packages = tomllib.loads(lock.read_text())["packages"]
        return {one["name"]: one["version"] for one in packages}, searches.settled

    return compile_


def heard(*lines):
    searches = Searches()
    for line in lines:
        searches.hear(line)
    return searches


def test_every_search_must_find_what_it_sought_at_once():
    a, b = SEARCH.format("a"), SEARCH.format("b[x]{python_full_version >= '3'}")
    assert heard(a, FOUND.format("a"), "DEBUG other", b, FOUND.format("b")).settled
    assert not heard(a, a, FOUND.format("a")).settled
    assert not heard(a, FOUND.format("b")).settled
    assert not heard(a, FOUND.format("a"), b).settled
    assert not heard(a, FOUND.format("a").replace("-py3-none-any.whl", ".tar.gz")).settled


def test_what_is_told_in_another_form_proves_nothing():
    assert not heard().settled
    assert not heard("Resolved 4 packages in 3ms").settled
    assert not heard("INFO looking for a", FOUND.format("a")).settled
    assert heard("DEBUG x", "warning: y", "Resolved 1 package").said == [
        "warning: y",
        "Resolved 1 package",
    ]


def test_a_newer_version_that_is_source_only_is_seen_in_the_account(served, compiled):
    served.wheel("lagoon", "1.0")
    served.source("lagoon", "2.0", requires=[])
    assert compiled("lagoon", build=False) == ({"lagoon": "1.0"}, False)
    assert compiled("lagoon", build=True)[0] == {"lagoon": "2.0"}


def test_so_is_one_further_down_for_which_something_older_is_taken(served, compiled):
    served.wheel("reef", "1.0")
    served.wheel("reef", "2.0", requires=["coral>=2"])
    served.wheel("coral", "1.0")
    served.source("coral", "2.0", requires=[])
    assert compiled("reef", build=False) == ({"reef": "1.0"}, False)
    assert compiled("reef", build=True)[0] == {"reef": "2.0", "coral": "2.0"}


def test_sources_that_nobody_would_take_settle_nothing_otherwise(served, compiled):
    for version in ("0.9", "1.0", "1.1"):  # older, beside the wheel, and newer than the date
        later = {"uploaded": "2030-01-01T00:00:00Z"} if version == "1.1" else {}
        served.source("sand", version, requires=[], **later)
    served.source("sand", "5.0", requires=[])  # beyond the range
    served.wheel("sand", "1.0")
    cutoff = ("--exclude-newer", "2026-01-01T00:00:00Z")
    for build in (False, True):
        found, settled = compiled("sand<3", build=build, options=cutoff)
        assert found == {"sand": "1.0"}
        assert settled


def test_of_any_tree_that_is_settled_a_choice_with_building_comes_to_the_same(served, compiled):
    outcomes = []
    for seed in range(40):
        dice = random.Random(seed)
        names = [f"s{seed}-{letter}" for letter in "abcdef"]
        for place, name in enumerate(names):
            for version in ("1.0", "2.0", "3.0"):
                later = dice.sample(names[place + 1 :], min(2, len(names) - place - 1))
                bounds = dice.choices(["", ">=2", "<3", "==1.0"], k=2)
                needs = [f"{one}{bound}" for one, bound in zip(later, bounds, strict=False)]
                kind = dice.choice(["wheel"] * 8 + ["source", "both"])
                if kind != "source":
                    served.wheel(name, version, requires=needs)
                if kind != "wheel":
                    served.source(name, version, requires=needs)
        asked = dice.sample(names, 2)
        quick, settled = compiled(*asked, build=False)
        whole, _ = compiled(*asked, build=True)
        if settled:
            assert quick == whole, seed
        outcomes.append((settled, quick == whole))
    assert outcomes.count((True, True)) > 10
    assert outcomes.count((False, False)) > 5


def test_indexes_that_are_mixed_are_known():
    url = {"UV_DEFAULT_INDEX": "https://a.example/simple", "HOME": "/nowhere"}
    assert not operators_index(url).mixed
    assert operators_index({**url, "UV_INDEX_STRATEGY": "unsafe-best-match"}).mixed
    assert operators_index({**url, "UV_INDEX_STRATEGY": "unsafe-best-match"}).open().mixed


def test_whom_the_operator_believes_is_believed_by_pip_git_and_npm_in_a_build_too(tmp_path):
    authority = tmp_path / "authority.pem"
    authority.write_text("a certificate")
    index = operators_index({"SSL_CERT_FILE": str(authority)})
    [bind] = [one for one in index.binds if one.source == authority]
    names = ("SSL_CERT_FILE", "PIP_CERT", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS")
    assert {index.environ[name] for name in names} == {bind.target}
