"""Kernel layers: only an environment that has exactly a layer's files is served by it."""

import os
import sys
from pathlib import Path

import pytest

from atoll.engines.local import layers
from atoll.engines.local.pythons import Python
from support.building import Site
from support.index import PackageIndex

VERSION = ".".join(map(str, sys.version_info[:3]))
PYTHON = Python(Path(sys.executable), VERSION, Path(sys.base_prefix))


def site_of(environment):
    return next(Path(environment.handle, "env").glob("lib/python3.*/site-packages"))


def layer_of(site, environment):
    return layers.layer_of(environment.handle, site.settings.data / layers.KERNELS)


@pytest.fixture
def index():
    with PackageIndex() as served:
        served.kernel()
        served.wheel("needed", files={"needed_more/__init__.py": "", "needed_more/part.py": ""})
        served.wheel(
            "ipykernel",
            "9.0",
            requires=["needed", "never; python_version < '3'", "more; extra == 'test'"],
            files={"ipykernel/__init__.py": "", "ipykernel_launcher.py": ""},
        )
        yield served


@pytest.fixture
def site(tmp_path, index):
    return Site(tmp_path, index.url, kernel_forks=1)


async def test_environments_with_the_same_kernel_share_a_layer(site, index):
    index.wheel("one")
    index.wheel("other")
    made = [await site.build({"requirements.txt": f"{name}\n"}) for name in ("one", "other")]
    await site.settle()
    one, other = [layer_of(site, environment) for environment in made]
    assert one == other
    assert one is not None
    names = {
        path.name for path in next((one / "env").glob("lib/python3.*/site-packages")).iterdir()
    }
    assert {"ipykernel", "needed.py", "needed_more"} <= names
    assert not {"one.py", "other.py"} & names


async def test_a_layer_belongs_to_us_and_nobody_else_can_write_to_it(site, index):
    made = await site.build({"requirements.txt": ""})
    await site.settle()
    layer = layer_of(site, made)
    for path in [layer, *(layer / "env").rglob("*")]:
        told = path.lstat()
        assert told.st_uid == os.getuid()
        assert path.is_symlink() or not told.st_mode & 0o022
        if path.name == "needed.py":
            assert not os.path.samefile(path, site_of(made) / "needed.py")


@pytest.mark.parametrize("name", ["ipykernel/further.py", "needed_more/__init__.pyi"])
async def test_who_brings_files_for_the_kernel_is_served_by_none(site, index, name):
    index.wheel("hostile", files={name: ""})
    made = await site.build({"requirements.txt": "hostile\n"})
    await site.settle()
    assert layer_of(site, made) is None


@pytest.mark.parametrize(
    "name", ["ipykernel/__init__.py", "ipykernel_launcher.py", "needed.py", "needed_more/part.py"]
)
async def test_files_that_were_overwritten_do_not_fit_however_alike(site, index, name):
    """Which wheel wins when two have the same file is chance, so it is done by hand here."""
    made = await site.build({"requirements.txt": ""})
    await site.settle()
    layer = layer_of(site, made)
    assert layers.fits(layer, Path(made.handle))
    path = site_of(made) / name
    body = path.read_bytes()
    path.unlink()
    path.write_bytes(body)
    assert not layers.fits(layer, Path(made.handle))
    path.unlink()
    assert not layers.fits(layer, Path(made.handle))


async def test_where_code_of_the_repository_ran_there_is_no_layer(site, index):
    made = await site.build({"requirements.txt": "", "postBuild": "#!/bin/sh\ntrue\n"})
    await site.settle()
    assert layer_of(site, made) is None


def described(folder, name, text, version="1"):
    site = folder / f"env/lib/python3.{sys.version_info[1]}/site-packages"
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    said = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{text}"
    (info / "METADATA").write_text(said)


def test_what_a_kernel_needs_is_found_in_what_packages_say(tmp_path):
    described(tmp_path, "ipykernel", "Requires-Dist: Some_Thing>1; python_version > '3'\n")
    described(tmp_path, "some-thing", "Requires-Dist: ipykernel\n")
    described(tmp_path, "unrelated", "")
    pins = layers.wanted(tmp_path, PYTHON)
    assert [(pin.name, pin.version) for pin in pins] == [("ipykernel", "1"), ("some-thing", "1")]


@pytest.mark.parametrize(
    "text",
    ["Requires-Dist: missing\n", "Requires-Dist: >>>\n", "Requires-Dist: x; nonsense\n"],
)
def test_what_is_not_to_be_understood_has_no_layer(tmp_path, text):
    described(tmp_path, "ipykernel", text)
    assert layers.wanted(tmp_path, PYTHON) == ()


def test_a_description_without_end_is_not_read(tmp_path):
    described(tmp_path, "ipykernel", "")
    assert layers.wanted(tmp_path, PYTHON)
    path = next(tmp_path.rglob("METADATA"))
    with path.open("ab") as file:
        file.truncate(layers.MOST + 1)
    assert layers.wanted(tmp_path, PYTHON) == ()


@pytest.mark.parametrize(
    ("version", "has"), [("6.31.0", 1), ("7.0.0a1", 0), ("7.3.0", 0), ("7.4.0", 1), ("odd", 0)]
)
def test_kernels_that_may_fall_silent_have_no_layer(tmp_path, version, has):
    described(tmp_path, "ipykernel", "", version)
    assert len(layers.wanted(tmp_path, PYTHON)) == has


def test_a_python_that_no_fork_server_runs_under_has_no_layer(tmp_path):
    described(tmp_path, "ipykernel", "")
    assert layers.wanted(tmp_path, Python(Path("/x"), "3.9.18", Path("/"))) == ()
    assert layers.wanted(tmp_path / "nothing", PYTHON) == ()


def test_layers_that_no_environment_has_are_removed(tmp_path):
    kernels, environments = tmp_path / "kernels", tmp_path / "environments"
    for name in ("used", "unused"):
        (kernels / name / "env").mkdir(parents=True)
    (environments / "e").mkdir(parents=True)
    (environments / "e" / layers.NOTE).write_text("used")
    layers.prune(kernels, environments)
    assert [path.name for path in kernels.iterdir()] == ["used"]
    assert layers.layer_of(str(environments / "e"), kernels) == kernels / "used"
    assert layers.layer_of(str(environments / "other"), kernels) is None
