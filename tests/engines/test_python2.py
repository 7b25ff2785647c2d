"""Python 2.7: what uv does not know, from the real registry where this machine has it."""

from __future__ import annotations

import json
import sys
import threading
from datetime import date
from pathlib import Path

import pytest

from atoll.engines.local.explanations import Kind
from atoll.engines.local.published import metadata
from atoll.engines.local.python2 import explain, read_frozen
from atoll.environments.pythons import TWO
from atoll.errors import BuildFailed
from support.building import Site, env_of
from support.index import PackageIndex

INSIDE = Path(__file__).parents[2] / "src/atoll/engines/local/inside"
FREEZE = b"""six==1.10.0
Pillow==4.0.0
-e git+https://example.org/r@c0ffee#egg=my_own
# Editable install with no version control (here==1.0)
-e /home/jovyan/here
theirs @ file:///home/jovyan/theirs
a line of hostile words; rm -rf /
"""


@pytest.fixture
def dated(monkeypatch):
    monkeypatch.syspath_prepend(str(INSIDE))
    import dated_index

    yield dated_index
    del sys.modules["dated_index"]


def test_what_pip_says_it_has_installed_is_a_lock_of_names_only():
    lock = read_frozen(FREEZE)
    assert [(pin.name, pin.version) for pin in lock.pins] == [
        *(("here", ""), ("my-own", ""), ("pillow", "4.0.0"), ("six", "1.10.0"), ("theirs", "")),
    ]
    assert [pin.editable for pin in lock.pins] == [True, True, False, False, False]


async def test_what_only_newer_pythons_know_is_refused_in_a_sentence(tmp_path):
    site = Site(tmp_path, "")
    project = '[project]\nname="a"\nversion="1"\ndependencies=["six"]\n'
    files = {"runtime.txt": "python-2.7", "pyproject.toml": project}
    if TWO not in site.builder.pythons.available():  # then a newer one is taken, which knows it
        assert "No Python 2.7 here" in (await site.build(files)).notes[0]
        return
    with pytest.raises(BuildFailed, match=r"lists of packages and setup\.py"):
        await site.build(files)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["ERROR: No matching distribution found for nosuch==1 (from -r requirements.txt)"],
            "There is no version nosuch==1 of 2017-02-01 or before for Python 2.7 on the index.",
        ),
        (
            ["    ImportError: No module named Cython", "  ERROR: Failed building wheel for lagoon",
             "ERROR: Command errored out with exit status 1: setup.py"],
            "“lagoon” could not be built from source: ImportError: No module named Cython",
        ),
        (
            ['  File "/tmp/pip-install-n_S/xgboost/setup.py", line 29, in <module>',
             "__builtin__.XGBoostLibraryNotFound: Cannot find it", "ERROR: Command errored out"],
            "“xgboost” could not be built from source: its setup.py failed.",
        ),
    ],
)  # fmt: skip
def test_why_pip_failed_is_one_sentence(lines, message):
    assert explain(lines, date(2017, 2, 1)).message == message


def test_an_index_that_does_not_answer_is_no_fault_of_the_repositorys():
    assert explain(["The package index did not answer: x"], None).kind is Kind.UNREACHABLE


def test_the_index_of_a_day_has_no_later_files(dated):
    files = [
        {"filename": "a-1.tar.gz", "url": "../../files/a-1.tar.gz", "hashes": {"sha256": "c0"},
         "upload-time": "2016-01-01T00:00:00Z", "requires-python": ">=2.7,<3"},
        {"filename": "a-2.tar.gz", "url": "x", "upload-time": "2018-01-01T00:00:00Z"},
        {"filename": "a-3.tar.gz", "url": "x"},
        {"filename": 'a-4"><script>.zip', "url": '"><script>', "upload-time": "2015-01-01T00:00:00Z"},
    ]  # fmt: skip
    page = dated.page(
        json.dumps({"files": files}).encode(), "https://e.org/simple/a/", "2017-02-02"
    )
    assert 'href="https://e.org/files/a-1.tar.gz#sha256=c0"' in page
    assert 'data-requires-python="&gt;=2.7,&lt;3"' in page
    assert "a-2" not in page
    assert "a-3" not in page
    assert "<script" not in page


def test_the_command_gets_the_index_of_its_day_and_its_status_is_told(dated, monkeypatch, capfd):
    with PackageIndex() as index:
        index.wheel("lagoon", "1.0", uploaded="2016-01-01T00:00:00Z")
        index.wheel("lagoon", "2.0", uploaded="2018-01-01T00:00:00Z")
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        code = (
            "import os, sys, urllib.request as r\n"
            "base = os.environ['PIP_INDEX_URL']\n"
            "print(r.urlopen(base + '/lagoon/').read().decode())\n"
            "try: r.urlopen(base + '/none/')\n"
            "except r.HTTPError as error: sys.exit(error.code % 256)\n"
        )
        monkeypatch.setattr(sys, "argv", ["x", "2017-01-01", sys.executable, "-c", code])
        assert dated.main() == 404 % 256
    told = capfd.readouterr().out
    assert "lagoon-1.0" in told
    assert "lagoon-2.0" not in told
    assert threading.active_count() < 20


async def test_a_repository_for_python_2_has_its_kernel_or_hears_why_not(tmp_path):
    site = Site(tmp_path, "")
    there = TWO in site.builder.pythons.available()
    made = await site.build({"runtime.txt": "python-2.7"}, day="2019-12-01")
    if not there:  # then what comes next, and it is said
        assert "No Python 2.7 here" in made.notes[0]
        return
    assert made.python.startswith("2.7.")
    assert not metadata(made.handle)["own_lab"]
    kernels = env_of(made) / "share/jupyter/kernels"
    for name in ("python2", "python3"):
        assert json.loads((kernels / name / "kernel.json").read_text())["argv"][0] == (
            "/srv/env/bin/python"
        )
    code = "import ipykernel.kernelbase; print ipykernel.__version__"
    assert await site.python(made, code) == ["4.10.1"]
    assert "ipykernel==4.10.1" in Path(made.handle, "lock.txt").read_text()
