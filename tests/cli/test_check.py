"""`atoll check`, the real command: an environment is built, notebooks are run in it and compared."""

import json

import nbformat
import pytest
from nbformat import v4

from atoll.cli.check import notebooks_of
from atoll.cli.reports import Report, Trial, printable, render
from atoll.engines.local.trials import Difference, Found, Shown
from support.commands import command
from support.gitservers import make_repo


def notebook(source, printed=""):
    stored = [v4.new_output("stream", name="stdout", text=printed)] if printed else []
    return nbformat.writes(v4.new_notebook(cells=[v4.new_code_cell(source, outputs=stored)]))


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repositories") / "old"
    files = {
        "requirements.txt": "six==1.16.0\n",
        "same.ipynb": notebook("import six; print(six.__version__)", "1.16.0\n"),
        "more/differs.ipynb": notebook("print(1)", "2\n"),
        "more/fails.ipynb": notebook("import no_such_module"),
    }
    make_repo(folder, files)
    return folder


@pytest.fixture(scope="module")
def atoll(tmp_path_factory):
    environ = {"ATOLL_DATA": str(tmp_path_factory.mktemp("data"))}
    return lambda *words: command(*words, env=environ)


def test_a_repositorys_notebooks_are_run_and_compared(atoll, repo, tmp_path):
    page = tmp_path / "page.html"
    ran = atoll("check", repo, "--json", "--html", page)
    assert ran.returncode == 1, ran.stderr  # one fails
    told = json.loads(ran.stdout)
    (trial,) = told["trials"]
    assert (trial["day"], trial["error"]) == ("then", "")
    states = {one["notebook"]: one["state"] for one in trial["notebooks"]}
    assert states == {
        "same.ipynb": "same",
        "more/differs.ipynb": "differs",
        "more/fails.ipynb": "fails",
    }
    assert told["notebooks"] == sorted(states)
    assert trial["seconds"] > 0
    assert "No module named" in page.read_text()

    ran = atoll("check", repo, "--notebooks", "same.ipynb")
    assert ran.returncode == 0, ran.stderr
    assert "same      same.ipynb" in ran.stdout
    assert "1 same, of 1" in ran.stdout

    ran = atoll("check", repo, "--first", "1", "--json")
    (trial,) = json.loads(ran.stdout)["trials"]
    assert [one["notebook"] for one in trial["notebooks"]] == ["more/differs.ipynb"]

    ran = atoll("check", repo, "--notebooks", "none*")
    assert ran.returncode == 4
    assert "no notebook that “none*” means" in ran.stderr


def test_what_turns_out_to_be_missing_can_be_added(atoll, tmp_path):
    files = {
        "requirements.txt": "six==1.16.0\n",
        "a.ipynb": notebook("import six, idna; print(six.__version__)", "1.16.0\n"),
        "b.ipynb": notebook("import no_such_module_of_anybody"),
    }
    make_repo(tmp_path / "old", files)
    missing = ["idna", "no-such-module-of-anybody"]
    page = tmp_path / "page.html"
    ran = atoll("check", tmp_path / "old", "--add-missing", "--json", "--html", page)
    assert ran.returncode == 1, ran.stderr  # one still fails
    first, second = json.loads(ran.stdout)["trials"]
    assert (first["missing"], first["added"]) == (missing, [])
    assert (second["missing"], second["added"]) == (missing[1:], ["idna"])
    assert second["as_of"] == first["as_of"]
    assert second["key"] != first["key"]
    assert [one["state"] for one in second["notebooks"]] == ["same", "fails"]
    assert "As then, with idna" in page.read_text()

    ran = atoll("check", tmp_path / "old", "--notebooks", "a*", "--add-missing")
    assert ran.returncode == 0, ran.stderr
    assert "Missing, as far as imports say: idna (--add-missing builds with it)." in ran.stdout
    assert "As then, with idna: Python" in ran.stdout


def test_a_day_that_is_none_is_refused_before_anything_is_looked_up(atoll):
    ran = atoll("check", "https://127.0.0.1:1/o/r", "--as", "yesterday")
    assert ran.returncode == 2
    assert "“yesterday” is not a date" in ran.stderr


def found(**more):
    return Found(notebook="<b>.ipynb", **more)


def page_of(*notebooks):
    trial = Trial("then", "", "2019-01-01", "3.7", "k", (), notebooks)
    return render(
        Report("gh:o/<script>", "c0ffee", "2019-01-01T00:00:00", (trial, Trial("today", "No.")))
    )


def test_the_page_trusts_nothing_of_a_repositorys():
    evil = '"><script>alert(1)</script>'
    shown = (Shown(kind="image/png", value=evil), Shown(kind="text/plain", value=evil))
    difference = Difference(cell=0, source=evil, why=evil, stored=shown, found=shown)
    page = page_of(
        found(state="differs", differing=1, compared=1, differences=(difference,)),
        found(state="fails", error=evil, source=evil, cell=1),
    )
    assert "<script" not in page
    assert "<b>" not in page
    assert "alert(1)" in page
    assert "data:image/png;base64,&" not in page


def test_the_page_shows_both_sides_of_an_image():
    shown = (Shown(kind="image/png", value="aGVsbG8="),)
    difference = Difference(
        cell=0, source="plot()", why="The image differs.", stored=shown, found=()
    )
    page = page_of(found(state="differs", differing=1, compared=1, differences=(difference,)))
    assert 'src="data:image/png;base64,aGVsbG8="' in page
    assert "Nothing." in page
    assert "no environment" in page  # as today


def test_a_terminal_obeys_nothing_of_a_repositorys():
    assert printable("a\x1b]0;title\x07\x1b[2Jb\nc") == "a�]0;title��[2Jb�c"


def test_hidden_notebooks_links_and_folders_are_none(tmp_path):
    for name in ("a.ipynb", "b/c.ipynb", ".ipynb_checkpoints/a.ipynb", "b/.d.ipynb", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "f.ipynb").mkdir()
    (tmp_path / "g.ipynb").symlink_to("/etc/passwd")
    assert notebooks_of(tmp_path, "*.ipynb") == ["a.ipynb", "b/c.ipynb"]
    assert notebooks_of(tmp_path, "b/*") == ["b/c.ipynb"]
    assert notebooks_of(tmp_path, "x*") == []


def test_the_environment_may_be_anothers(atoll, repo, tmp_path):
    content = tmp_path / "course"
    make_repo(content, {"a.ipynb": notebook("import six; print(six.__version__)", "1.16.0\n")})
    ran = atoll("check", f"{repo} + {content}", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["reference"] == f"{repo} + {content}"
    assert [one["state"] for one in told["trials"][0]["notebooks"]] == ["same"]
