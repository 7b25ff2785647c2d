"""The documentation says what the code does: every setting, error, command, route and door."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import pytest
import reference

from atoll import cli
from atoll.environments import reading
from atoll.settings import Settings, settings_from
from atoll.sign_in import KINDS
from atoll.stores.sql.schema import VERSION_TABLE, metadata

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TOP = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]


def read(name):
    return (DOCS / name).read_text("utf-8")


@pytest.mark.parametrize("page", reference.PAGES)
def test_a_reference_page_is_what_the_code_says(page):
    assert read(f"reference/{page}") == reference.PAGES[page](), "run `make reference`"


def test_every_setting_has_a_description():
    page = read("reference/settings.md")
    for name, section in Settings.model_fields.items():
        if name != "data":
            tables = name == "groups"  # one for each
            assert f"## `[{name}{'.NAME' if tables else ''}]`" in page
            one = get_args(section.annotation)[1] if tables else section.annotation
            sections = KINDS.values() if name == "sign_in" else [one]
            fields = [one for section in sections for one in section.model_fields.items()]
            for key, field in fields:
                if key == "kind":
                    continue
                assert f"| `{key}` |" in page
                assert field.description, key


def test_the_pictures_of_the_stories_are_those_that_a_test_takes_and_the_page_shows():
    kept = {one.stem for one in (DOCS / "images" / "stories").iterdir()}
    assert set(re.findall(r"images/stories/([\w-]+)\.png", read("tutorial/six-stories.md"))) == kept
    tests = "".join(
        one.read_text("utf-8") for one in (ROOT / "tests" / "browser").glob("test_*.py")
    )
    told = re.findall(r'tell\([\w\[\]]+, f?"([\w-]+)', tests)
    assert [one for one in kept if not one.startswith(tuple(told))] == []


def test_the_lines_for_every_way_to_sign_in_are_settings():
    blocks = re.findall(r"```toml\n(.*?)```", read("howto/sign-people-in.md"), re.DOTALL)
    kinds = {settings_from(tomllib.loads(block)).sign_in.kind for block in blocks}
    assert kinds == set(KINDS)


def test_every_command_and_every_option_says_what_it_is_for():
    page = read("reference/cli.md")
    for words, command in reference.commands(cli.main):
        assert command.help, words
        for param in command.params:
            if param.param_type_name == "option":
                assert param.help, (words, param.name)
                assert all(f"`{name}`" in page for name in param.opts), (words, param.opts)


def test_every_entry_point_of_ours_is_listed():
    page = read("reference/plug-ins.md")
    for kind in ("providers", "engines", "stores"):
        for entry in entry_points(group=f"atoll.{kind}"):
            assert f"| `atoll.{kind}` | `{entry.name}` |" in page


def test_every_file_that_is_read_from_a_repository_is_named():
    page = read("reference/repository-files.md")
    for name in reading.WANTED:
        assert f"`{name}`" in page, name


def test_every_table_is_named():
    page = read("reference/data-folder.md")
    for name in (*metadata.tables, VERSION_TABLE):
        assert f"`{name}`" in page


def documented_routes():
    lines = read("reference/http.md").splitlines()
    cells = [line.split("|")[1] for line in lines if line.startswith("| `")]
    found = re.findall(r"`(GET|POST|PUT|OPTIONS) (/[^`?]*)", " ".join(cells))
    return {(method, re.sub(r"[A-Z]{2,}|…", "*", path)) for method, path in found}


def routes_of(routes):
    for route in routes:
        path = re.sub(r"\{[^}]*\}", "*", route.path)
        for method in (route.methods or set()) - {"HEAD"}:
            yield method, path


def test_every_address_of_the_web_service_is_listed():
    from atoll.web import app

    def whole(path):  # what stands below {rest:path} may have slashes
        return re.sub(r"\*/\*$", "*", path)

    documented = {(method, whole(path)) for method, path in documented_routes()}
    there = {
        (method, whole(path))
        for method, path in (*routes_of(app._binder("/")), *routes_of(app._pages("/")))
    }
    assert there - documented == set(), "not in reference/http.md"
    assert documented - there == {("GET", "/static/*")}, "not there, but in reference/http.md"


def test_every_decision_is_in_the_list_and_says_why():
    listed = read("decisions/index.md")
    for page in (DOCS / "decisions").glob("*.md"):
        if page.name != "index.md":
            assert f"({page.name})" in listed, page.name
            assert "**Why.**" in page.read_text("utf-8"), page.name


@pytest.mark.parametrize("name", TOP)
def test_links_and_commands_in_the_top_documents_lead_somewhere(name):
    text = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert (ROOT / target).exists(), target
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for target in re.findall(r"`make ([a-z]+)", text):
        assert target in targets, target


def test_no_document_or_lock_names_a_package_index_or_a_machine():
    hosts = ["pypi" + ".org", "registry." + "npmjs", "files.python" + "hosted", "deb." + "debian"]
    folders = ["/work/" + "main", "/root/" + ".pyenv"]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 5_000_000:
            text = path.read_bytes().decode("utf-8", "replace")
            assert not [word for word in (*hosts, *folders) if word in text], name


def test_the_locks_hold_everything_that_the_package_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = project["dependency-groups"]
    needed = {
        "run": [*project["project"]["dependencies"], *groups["build"]],
        "develop": [*groups["test"], *groups["docs"]],
    }
    for lock, requirements in needed.items():
        text = (ROOT / "requirements" / f"{lock}.lock").read_text("utf-8")
        for requirement in requirements:
            name = re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
            assert re.search(rf"^{name}(\[.*\])?==", text, re.MULTILINE), f"{name}: run `make lock`"


def test_the_site_builds_without_a_warning(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for page in tmp_path.rglob("*.html"):  # nothing is loaded from other people's servers
        loaded = re.findall(
            r'<(?:link|script|img)[^>]*(?:href|src)="https?://[^"]*"', page.read_text()
        )
        assert [one for one in loaded if "canonical" not in one] == [], page
