"""Compiled modules that environments share: only our own, and of the very same files."""

from __future__ import annotations

import os
import shutil

import pytest

from atoll.disk import usage
from support.building import env_of


@pytest.fixture
def reef(index):
    files = {"reef/__init__.py": "from reef import sand\n", "reef/sand.py": "GRAINS = 3\n" * 2000}
    index.wheel("reef", files=files)
    return index


async def build(site, requirements, **more):
    made = await site.build({"requirements.txt": requirements}, **more)
    await site.settle()
    return made


def compiled(made, name):
    [folder] = env_of(made).glob("lib/python3.*/site-packages")
    module = folder / name
    minor = folder.parent.name.removeprefix("python").replace(".", "")
    return module.parent / "__pycache__" / f"{module.stem}.cpython-{minor}.pyc"


async def test_what_was_compiled_for_one_environment_serves_the_next(site, reef):
    one = await build(site, "reef\n")
    reef.wheel("other")
    other = await build(site, "reef\nother\n")
    for name in ("reef/__init__.py", "reef/sand.py", "pip.py"):
        assert os.path.samefile(compiled(one, name), compiled(other, name))
    assert compiled(other, "other.py").exists()
    code = "import reef.sand as s; print(s.GRAINS, s.__file__)"
    assert (await site.python(other, code))[0].startswith("3 /srv/env/lib/")
    sizes = usage({"other": env_of(other)})["other"]
    assert sizes.alone < sizes.all / 2


async def test_another_file_of_the_same_name_is_compiled_anew(site, reef):
    reef.wheel("reef", "2.0", files={"reef/__init__.py": "", "reef/sand.py": "GRAINS = 4\n" * 2000})
    one = await build(site, "reef==1.0\n")
    other = await build(site, "reef==2.0\n")
    assert not os.path.samefile(compiled(one, "reef/sand.py"), compiled(other, "reef/sand.py"))
    assert await site.python(other, "import reef.sand; print(reef.sand.GRAINS)") == ["4"]


async def test_what_a_wheel_brings_as_compiled_reaches_no_other_environment(site, reef):
    first = await build(site, "pip\n")
    made = compiled(first, "ipywidgets.py")
    lie = made.read_bytes()[:16] + b"poison"  # what it says of the module is true
    shutil.rmtree(site.settings.data / "cache" / "compiled")
    reef.wheel("hostile", files={f"__pycache__/{made.name}": lie})
    hostile = await build(site, "hostile\n")
    assert compiled(hostile, "ipywidgets.py").read_bytes() == lie
    other = await build(site, "reef\n")
    assert compiled(other, "ipywidgets.py").read_bytes() != lie
    assert await site.python(other, "import ipywidgets; print(ipywidgets.VERSION)") == ["8.0"]


async def test_where_code_of_a_repository_ran_nothing_is_shared(site, reef):
    made = await site.build({"requirements.txt": "reef\n", "postBuild": "echo here\n"})
    await site.settle()
    assert compiled(made, "reef/sand.py").stat().st_nlink == 1
