"""R environments: Debian's R by this system's real apt, a stand-in for CRAN on this machine.

No real CRAN is asked: the stand-in's index and packages are made by R's own tools.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.engines.local import debian
from atoll.engines.local.owners import build_owner, give
from atoll.engines.local.published import metadata
from atoll.engines.local.runner import LocalRunner, open_gate
from atoll.engines.local.sandbox import Bind, Box, run
from atoll.errors import BuildFailed, Unreachable
from support.building import Site, env_of
from support.cran import Cran, description
from support.index import PackageIndex, own_address
from support.kernels import run_cell
from support.plans import make_plan

APT = {"apt.txt": "r-cran-digest\n"}  # so that all have one layer
NEEDS_LIBRARY = """#!/bin/sh
echo "Configuration failed because libreef was not found. Try installing:"
echo " * deb: libreef-dev (Debian, Ubuntu, etc)"
exit 1
"""


@pytest.fixture(scope="module")
def cran(tmp_path_factory):
    with Cran(tmp_path_factory.mktemp("cran"), own_address()) as served:
        served.add("reef", "0.9", 'tide <- function() "low"')
        served.add("reef", "1.0", 'tide <- function() "high"')
        served.add("lagoon", "2.0", "look <- function() reef::tide()", Imports="reef (>= 1.0)")
        yield served.add("harbour", "1.0", "x <- 1", configure=NEEDS_LIBRARY)


@pytest.fixture(scope="module")
def site(tmp_path_factory, cran):
    """Return a builder that knows this CRAN, and has R's layer already."""
    with PackageIndex(own_address()) as index:
        index.kernel()
        site = Site(tmp_path_factory.mktemp("r"), index.url, builds={"cran": cran.pattern})
        made = asyncio.run(site.build({**APT, "install.R": ""}))
        layer = debian.layer_of(metadata(made.handle), site.settings.data)
        owner = build_owner(site.settings)
        give(cran.folder, owner)
        asyncio.run(cran.make(layer, owner))
        yield site


async def see(site, environment, code):
    """Run R *code* as a server would; return what it printed."""
    told, known = [], metadata(environment.handle)
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", **known["environ"]}
    layer = debian.layer_of(known, site.settings.data)
    box = Box(("Rscript", "-e", code), (Bind(env_of(environment), "/srv/env"),), environ,
              owner=build_owner(site.settings), layer=layer)  # fmt: skip
    assert await run(box, told.append, timeout=60) == 0, told
    return told


async def test_what_install_r_installs_is_found_by_the_kernel_in_the_lab(site, cran):
    script = 'install.packages(c("digest", "lagoon"))\nlagoon::look()\n'
    files = {**APT, "install.R": script, "runtime.txt": "r-3.6-2023-01-31"}
    cran.asked.clear()
    made = await site.build(files)
    known = metadata(made.handle)
    assert known["r"]["packages"] == {"lagoon": "2.0", "reef": "1.0"}
    assert known["r"]["cran"] == cran.pattern.replace("{day}", "2023-01-31")
    assert cran.asked
    assert all(path.startswith("/2023-01-31/src/contrib/") for path in cran.asked)
    assert any(line.startswith("digest: the system's ") for line in site.said)
    assert '[1] "high"' in site.said
    assert f"No R 3.6 here; {known['r']['version']} was taken instead." in made.notes
    lock = Path(made.handle, "lock.txt").read_text()
    assert "# r: lagoon==2.0\n" in lock
    assert "# apt: r-cran-digest=" in lock
    runner = LocalRunner(site.settings)
    plan = replace(make_plan(site.settings.data, {}), environment=made)
    server = await runner.start(plan, {"JUPYTER_TOKEN": "s3cret"})
    try:
        base = f"http://127.0.0.1:{open_gate(runner.records.find(server.handle))}/"
        code = 'cat(lagoon::look(), getOption("repos"), .libPaths()[1], nchar(digest::digest(1)))'
        said = await run_cell(base, code, headers={"Authorization": "token s3cret"}, kernel="ir")
    finally:
        await runner.stop(server.handle)
    assert said == f"high {known['r']['cran']} /home/jovyan/.local/lib/R/library 32"


async def test_a_package_that_cannot_be_had_is_a_note_as_in_binder_and_says_why(site):
    names = 'c("nowhere", "harbour")'
    made = await site.build({**APT, "install.R": f"wanted <- {names}\ninstall.packages(wanted)\n"})
    assert metadata(made.handle)["r"]["packages"] == {}
    assert any("Neither Debian nor CRAN has a package “nowhere”" in note for note in made.notes)
    assert any("“harbour”" in note and "libreef-dev into apt.txt" in note for note in made.notes)


async def test_a_script_that_ends_with_an_error_fails_the_build_and_says_which(site):
    script = b"# F\xfcr alle\nlibrary(nowhere)\n"
    with pytest.raises(BuildFailed, match=r"install\.R needs “nowhere”"):
        await site.build({**APT, "install.R": script})
    assert site.leftovers() == []


async def test_a_script_may_write_to_the_content_and_to_nothing_else(site):
    script = """
    source("more.R")
    for (place in c("/srv/env/bin/x", "/srv/env/lib/R/Rprofile.site", "/usr/x"))
      cat(place, file.access(dirname(place), 2), file.create(place), "\\n")
    """
    made = await site.build({**APT, "install.R": script, "more.R": 'writeLines("wet", "said")'})
    assert Path(made.handle, "home", "said").read_text() == "wet\n"
    for place in ("/srv/env/bin/x", "/srv/env/lib/R/Rprofile.site", "/usr/x"):
        assert f"{place} -1 FALSE " in site.said


async def test_a_description_brings_what_it_needs_and_then_itself(site):
    files = {
        **APT,
        "DESCRIPTION": description("shore", "0.1", Imports="reef, digest (>= 0.1)", Depends="R"),
        "NAMESPACE": "export(walk)\n",
        "R/walk.R": "walk <- function() reef::tide()\n",
    }
    made = await site.build(files)
    assert set(metadata(made.handle)["r"]["packages"]) == {"reef", "shore"}
    assert await see(site, made, "cat(shore::walk())") == ["high"]
    del files["NAMESPACE"]  # as in a compendium, of which only the needs are installed
    files["DESCRIPTION"] = description("shore", "0.1", Imports="reef (>= 2.0)")
    with pytest.raises(BuildFailed, match=r"“reef” .* reef >= 2\.0 is needed, and 1\.0 is there"):
        await site.build(files)


async def test_a_lock_gets_its_versions_from_debian_or_from_the_archive_of_cran(site):
    first = metadata((await site.build({**APT, "install.R": ""})).handle)
    ours = first["debian"]["packages"]["r-cran-digest"].rsplit("-", 1)[0]

    def lock(**versions):
        one = {name: {"Version": v, "Source": "Repository"} for name, v in versions.items()}
        return {**APT, "renv.lock": json.dumps({"R": {"Version": "4.0.1"}, "Packages": one})}

    made = await site.build(lock(reef="0.9", digest=ours))
    assert metadata(made.handle)["r"]["packages"] == {"reef": "0.9"}
    assert await see(site, made, "cat(reef::tide())") == ["low"]
    assert metadata(made.handle)["environ"]["RENV_CONFIG_AUTOLOADER_ENABLED"] == "FALSE"


async def test_a_cran_that_does_not_answer_is_no_fault_of_the_repositorys(site, monkeypatch):
    builds = site.settings.builds.model_copy(update={"cran": "http://127.0.0.1:9/{day}"})
    there = site.settings.model_copy(update={"builds": builds})
    monkeypatch.setattr(site.builder, "settings", there)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9/20") as error:
        await site.build({**APT, "install.R": 'install.packages(c("digest", "reef"))'})
    assert "[builds] cran" in error.value.hint
