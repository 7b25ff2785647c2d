from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import venv
from datetime import date
from pathlib import Path

import pytest

from atoll.engines.local import checks, pythons
from atoll.engines.local.owners import build_owner
from atoll.engines.local.pythons import OLDEST, Pythons
from atoll.environments.pythons import (
    TWO,
    WHEELS,
    Choice,
    choose,
    day_for,
    newest_of,
    older,
    wanted,
)
from atoll.errors import BuildFailed, Lacking
from atoll.settings import Settings

HERE = [(3, 6), (3, 8), (3, 9), (3, 11), (3, 13)]


@pytest.mark.parametrize(
    ("day", "newest"),
    [
        (date(2021, 10, 3), (3, 9)),
        (date(2021, 10, 4), (3, 10)),
        (date(2008, 1, 1), (3, 0)),
        (date(2022, 10, 23), (3, 10)),
        (date(2022, 10, 24), (3, 11)),
    ],
)
def test_the_newest_python_of_a_day(day, newest):
    assert newest_of(day) == newest


@pytest.mark.parametrize(
    ("asked", "day", "choice"),
    [
        ("3.8", None, Choice((3, 8))),
        ("3.5", None, Choice((3, 6), "No Python 3.5 here; 3.6 was taken instead.")),
        ("3.10", None, Choice((3, 9), "No Python 3.10 here; 3.9 was taken instead.")),
        ("", date(2021, 6, 1), Choice((3, 9))),
        ("", date(2022, 1, 1), Choice((3, 9))),
        ("", None, Choice((3, 13))),
        (
            "",
            date(2016, 1, 1),
            Choice((3, 6), "No Python of 2016-01-01 or before here; 3.6 was taken instead."),
        ),
        (">=3.7,<3.9", date(2021, 6, 1), Choice((3, 8))),
        (">=3.10", date(2021, 6, 1), Choice((3, 11), "No Python of 2021-06-01 or before here; 3.11 was taken instead.")),
        ("~=3.8.2", date(2024, 6, 1), Choice((3, 8))),
        ("<3.6", None, None),
        ("2.7", None, Choice((3, 6), "No Python 2.7 here; 3.6 was taken instead.")),
        (">=2.7", date(2019, 11, 1), Choice((3, 8))),
    ],
)  # fmt: skip
def test_the_python_that_is_chosen(asked, day, choice):
    assert choose(asked, day, HERE) == choice


def test_python_2_is_taken_only_where_it_is_asked_for():
    both = [TWO, (3, 6), (3, 8)]
    assert choose("2.7", date(2016, 1, 1), both) == Choice(TWO)
    assert choose("", date(2012, 1, 1), both).version == (3, 6)
    assert choose(">=2.6", date(2012, 1, 1), both).version == (3, 6)
    assert choose("==2.*", date(2016, 1, 1), both) == Choice(TWO)  # conda's python=2
    assert choose("<3", None, both) == Choice(TWO)
    assert choose("<3", None, HERE) is None
    assert choose(">=2.7,<3.6", None, both) is None  # 3.5 is meant
    assert older("", (3, 8), both) == [(3, 6)]


def test_packages_for_python_2_are_of_a_day_on_which_they_came_ready_made():
    assert day_for(TWO, date(2015, 6, 1)) == WHEELS
    assert day_for(TWO, date(2019, 6, 1)) == date(2019, 6, 1)
    assert day_for(TWO, None) is None


def test_a_python_newer_than_the_day_sees_packages_that_fit_it():
    assert day_for((3, 9), date(2021, 6, 1)) == date(2021, 6, 1)
    assert day_for((3, 11), date(2021, 6, 1)) == date(2023, 4, 22)
    assert day_for((3, 11), None) is None


def test_a_range_beyond_the_day_means_the_oldest_that_fits():
    assert wanted(">=3.11", date(2020, 1, 1)) == (3, 11)
    assert wanted(">=4", None) is None


def test_the_machines_pythons_answer(tmp_path):
    pythons = Pythons(tmp_path)
    there = pythons.available()
    assert there
    assert min(there.keys() - {TWO}) >= OLDEST
    newest = max(there)
    python, note = pythons.take(f"{newest[0]}.{newest[1]}", None, print)
    assert python.minor == newest
    assert python.prefix.is_dir()
    assert note == ""


def test_a_script_that_calls_itself_python_is_not_taken(tmp_path, monkeypatch):
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "python3.99").write_text("#!/bin/sh\necho gotcha\n")
    (fake / "python3.99").chmod(0o755)
    monkeypatch.setenv("PATH", str(fake))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    pythons = Pythons(tmp_path / "none")
    assert (3, 99) in pythons.available()
    python, _ = pythons.take("", None, print)
    assert python.minor != (3, 99)


def test_where_no_python_can_serve_those_here_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    with pytest.raises(BuildFailed, match=r"No Python on this machine fits “>=3[.]99”") as none:
        Pythons(tmp_path).take(">=3.99", None, print)
    assert "3." in none.value.hint


def test_a_download_that_failed_is_not_tried_again_at_once(tmp_path, monkeypatch):
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS", raising=False)
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", (tmp_path / "nothing").as_uri())
    monkeypatch.setattr(Pythons, "_places", lambda _: [Path("/nowhere")])
    said = []
    pythons = Pythons(tmp_path / "pythons")
    for _ in range(2):
        with pytest.raises(Lacking):
            pythons.take("3.12", None, said.append)
    assert said == ["Looking for Python 3.12 to download", "Python 3.12 could not be downloaded"]


def test_folders_that_cannot_be_read_are_passed_over(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "file"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "none"))
    assert Pythons(tmp_path / "file").available()


MINOR = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(params=["a virtual environment", "a virtual environment of one", "links"])
def odd(request, tmp_path):
    """Return a folder with a Python that is not where it was installed."""
    bin_folder = tmp_path / "odd" / "bin"
    if request.param == "links":
        bin_folder.mkdir(parents=True)
        (bin_folder / MINOR).symlink_to(Path(sys.base_prefix, "bin", MINOR))
        return bin_folder
    venv.create(tmp_path / "odd", symlinks=True)
    if request.param == "a virtual environment":
        return bin_folder
    command = [bin_folder / "python", "-m", "venv", "--without-pip", tmp_path / "second"]
    subprocess.run(command, check=True)
    return tmp_path / "second" / "bin"


async def test_an_environment_is_built_with_a_virtual_environment_first_on_the_path(
    odd, site, monkeypatch
):
    monkeypatch.setattr(Pythons, "_places", lambda _: [odd])
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    made = await site.build({"requirements.txt": ""})
    assert made.python == platform.python_version()
    found = await site.python(made, "import sys; print(sys.base_prefix)")
    assert found == [str(Path(sys.base_prefix).resolve())]


def test_one_python_that_is_found_in_several_places_is_listed_once(odd, tmp_path, monkeypatch):
    places = [odd, Path(sys.base_prefix, "bin"), Path(sys.prefix, "bin")]
    monkeypatch.setattr(Pythons, "_places", lambda _: places)
    [(python, why)] = Pythons(tmp_path / "none", build_owner(Settings())).all()
    assert (python.program.parent, why) == (Path(sys.base_prefix, "bin").resolve(), "")


@pytest.fixture
def homeless(tmp_path):
    """Return the program of a Python that needs a folder which boxes do not see."""
    prefix, stray = tmp_path / "homeless", tmp_path / "elsewhere"
    base, minor = Path(sys.base_prefix), MINOR
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib").mkdir()
    shutil.copy2(base / "bin" / minor, prefix / "bin" / minor)
    shutil.copytree(
        base / "lib" / minor, stray, ignore=shutil.ignore_patterns("site-packages", "test", "*.pyc")
    )
    (prefix / "lib" / minor).symlink_to(stray)
    for library in (base / "lib").glob("libpython*"):
        (prefix / "lib" / library.name).symlink_to(library)
    return prefix / "bin" / minor


def test_a_python_that_does_not_run_in_a_box_is_passed_over_and_said(
    homeless, tmp_path, monkeypatch
):
    places = [homeless.parent, Path(sys.base_prefix, "bin")]
    monkeypatch.setattr(Pythons, "_places", lambda _: places)
    said = []
    pythons = Pythons(tmp_path / "none", build_owner(Settings()))
    python, note = pythons.take(MINOR.removeprefix("python"), None, said.append)
    assert python.program != homeless
    assert note == ""
    [line] = said
    assert line.startswith(f"Passed over {homeless}, which does not run in a box: ")


def test_a_python_that_another_process_has_tried_is_not_tried_again_unless_it_has_changed(
    homeless, tmp_path, monkeypatch
):
    tried = []
    monkeypatch.setattr(pythons, "_try", lambda python, _: tried.append(python) or "")
    monkeypatch.setattr(Pythons, "_places", lambda _: [homeless.parent])

    def take(owner=None):
        Pythons(tmp_path / "kept", owner).take("", None, print)
        return len(tried)

    assert [take(), take(), take(owner=1), take(owner=1)] == [1, 1, 2, 2]
    homeless.chmod(0o700)
    assert [take(), take()] == [3, 3]
    (homeless.parents[1] / "lib" / MINOR / "new.py").touch()
    assert [take(), take()] == [4, 4]
    assert [python.program for python, _ in Pythons(tmp_path / "kept").all()] == [homeless]
    assert len(tried) == 5


def test_the_doctor_says_which_python_cannot_be_used_and_that_none_is_left(
    homeless, tmp_path, monkeypatch
):
    monkeypatch.setattr(Pythons, "_places", lambda _: [homeless.parent])
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    found = checks.pythons(Settings(data=tmp_path / "data"))
    assert (found.ok, found.needed) == (False, True)
    assert f"none; {homeless} does not run in a box: " in found.found
    with pytest.raises(Lacking, match="No Python on this machine"):
        Pythons(tmp_path / "none", build_owner(Settings())).take("", None, print)
