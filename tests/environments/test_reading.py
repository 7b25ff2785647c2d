from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.environments import EnvSpec
from atoll.environments.reading import (
    DEFAULT_DAY,
    DEFAULT_TAKEN,
    PACKAGE,
    WANTED,
    start_script,
)
from atoll.environments.requirements import names_addresses, names_indexes, names_of
from atoll.errors import BadRequest, BadSpecification, CannotBuildYet
from support.reading import COMMIT_DAY, spec


def test_nothing_to_build_is_the_default_environment_for_everybody():
    first = spec({}, tree="t1")
    second = spec({"start": "#!/bin/sh"}, tree="t2", when=datetime(2016, 1, 1, tzinfo=UTC))
    assert first.key == second.key
    assert first.as_of == DEFAULT_DAY
    assert first.notes == (DEFAULT_TAKEN,)
    assert spec({"requirements.txt": "six\n"}).notes == ()


def test_editing_a_notebook_keeps_the_key():
    one = spec({"requirements.txt": "numpy\n"}, tree="t1")
    two = spec({"requirements.txt": "numpy\n", "start": "x"}, tree="t2")
    assert one.key == two.key
    assert one.tree == ""


def test_two_repositories_that_ask_for_the_same_share_it_wherever_the_files_stand():
    day = datetime(2022, 1, 1, tzinfo=UTC)
    keys = {
        spec({f"{folder}requirements.txt": "numpy\n"}, when=day).key
        for folder in ("", "binder/", ".binder/")
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    "text",
    [
        "numpy==1.20\r\npandas\r\n",
        "# why\nnumpy==1.20 # pinned\n\n  pandas  ",
        "numpy==1.20\npandas",
    ],
)
def test_comments_blank_lines_and_line_ends_do_not_change_the_key(text):
    assert (
        spec({"requirements.txt": text}).key
        == spec({"requirements.txt": "numpy==1.20\npandas\n"}).key
    )


@given(st.lists(st.sampled_from(["numpy", "pandas>=1", "six==1.16", "-r more.txt"]), unique=True))
def test_the_key_depends_on_the_lines_and_their_order_only(lines):
    more = {"more.txt": "idna\n"}
    plain = spec({"requirements.txt": "\n".join(lines), **more})
    noisy = spec({"requirements.txt": "# x\n\n" + " # y\n\n".join(lines) + "\n", **more})
    assert plain.key == noisy.key
    other = spec({"requirements.txt": "\n".join([*lines, "attrs"]), **more})
    assert other.key != plain.key


def test_an_included_file_is_part_of_the_key():
    one = spec({"requirements.txt": "-r dev.txt\n", "dev.txt": "six\n"})
    two = spec({"requirements.txt": "-r dev.txt\n", "dev.txt": "idna\n"})
    assert one.key != two.key
    assert dict(one.files)["dev.txt"] == b"six\n"


def test_includes_may_leave_the_binder_folder_but_not_the_repository():
    found = spec({"binder/requirements.txt": "-r ../all.txt\n", "all.txt": "six"})
    assert dict(found.files)["../all.txt"] == b"six\n"
    with pytest.raises(BadSpecification, match="outside the repository"):
        spec({"binder/requirements.txt": "-r ../../etc.txt\n"})


def test_includes_that_go_round_in_circles_end():
    found = spec({"requirements.txt": "-r a.txt\n", "a.txt": "-r requirements.txt\nsix\n"})
    assert dict(found.files)["a.txt"] == b"-r requirements.txt\nsix\n"


@pytest.mark.parametrize(
    "line",
    [
        *("-r /etc/passwd", "-r ../../x", "-c /etc/passwd", "--requirement=/etc/passwd"),
        *("-e /etc", "-e ../x", "file:///etc", "x @ file:///etc/passwd", "/etc/x.whl", "../x.whl"),
        *("--find-links /etc", "-f file:///etc", "-r ~/x", "-e ${HOME}/x", "~/x.whl"),
        *("git+ssh://git@example.org/x", "git+file:///etc/x.git", "ftp://example.org/x.whl"),
    ],
)
def test_a_line_that_reaches_out_of_the_repository_is_refused(line):
    with pytest.raises(BadSpecification):
        spec({"requirements.txt": f"six\n{line}\n"})


@pytest.mark.parametrize(
    "line", [".", "-e .", "./pkg", "pkg/", "x @ file:./pkg", "a.whl", ".[dev]"]
)
def test_a_line_that_names_something_in_the_repository_brings_the_tree_in(line):
    one = spec({"requirements.txt": f"{line}\n"}, tree="t1")
    assert one.tree == "t1"
    assert one.as_of == COMMIT_DAY.date()
    assert spec({"requirements.txt": f"{line}\n"}, tree="t2").key != one.key


@pytest.mark.parametrize(
    "line", ["numpy", "git+https://example.org/x.git@v1", "x @ https://example.org/x.whl"]
)
def test_a_line_that_names_something_elsewhere_does_not(line):
    assert spec({"requirements.txt": f"{line}\n"}).tree == ""


def test_post_build_and_setup_py_bring_the_tree_in_and_start_does_not():
    assert spec({"postBuild": "true"}).tree == "t1"
    assert spec({"setup.py": ""}).tree == "t1"
    assert spec({"setup.py": ""}).kind == PACKAGE
    assert spec({"start": "true"}).tree == ""


def test_both_binder_folders_are_an_error_as_in_binder():
    with pytest.raises(BadSpecification, match="both"):
        spec({"binder/start": "", ".binder/start": ""})


def test_with_a_binder_folder_the_top_is_only_content():
    found = spec(
        {"binder/postBuild": "", "requirements.txt": "six", "setup.py": "", "Dockerfile": ""}
    )
    assert [name for name, _ in found.files] == ["postBuild"]
    assert found.kind != PACKAGE


@pytest.mark.parametrize(
    "name",
    [
        *("Dockerfile", "JuliaProject.toml", "Project.toml", "REQUIRE", "default.nix"),
    ],
)
def test_what_cannot_be_built_yet_is_refused_by_name_even_beside_requirements(name):
    with pytest.raises(CannotBuildYet, match=name):
        spec({name: "", "requirements.txt": "six\n"})


def test_what_binder_ignores_is_refused_only_when_there_is_nothing_else():
    with pytest.raises(CannotBuildYet, match=r"flake\.nix"):
        spec({"flake.nix": ""})
    with pytest.raises(CannotBuildYet, match=r"flake\.nix"):
        spec({"flake.nix": "", "runtime.txt": "python-3.9"})
    assert spec({"flake.nix": "", "requirements.txt": "six\n"}).files


def test_a_lock_of_conda_packages_goes_with_what_it_was_made_from_or_stands_alone():
    lock = {"conda-lock.yml": "x"}
    beside = dict(spec({**lock, "environment.yml": "dependencies: [six]"}).files)
    assert (set(beside), beside["conda-lock.yml"]) == ({"conda.json", "conda-lock.yml"}, b"x")
    for name in ("conda-lock.yml", "pixi.lock"):
        alone = spec({name: "x", "runtime.txt": "python-3.9"})
        assert (alone.kind, alone.python, dict(alone.files)[name]) == ("conda", "", b"x")
    other = {"environment.yml": "dependencies: [six]"}
    assert spec({"pixi.lock": "x", **other}).key == spec(other).key
    for name in ("requirements.txt", "Pipfile", "setup.py"):
        assert spec({**lock, name: ""}).key == spec({name: ""}).key


def test_a_lock_of_conda_packages_is_no_list_for_pip():
    lock = "https://example.org/x --extra-index-url https://example.org"
    files = dict(spec({"conda-lock.yml": lock}).files)
    assert not names_of(files)
    assert not names_addresses(files)
    assert not names_indexes(files)


def test_every_recognised_name_is_asked_of_the_provider():
    assert {"requirements.txt", "apt.txt", "postBuild", "start", ".python-version"} <= WANTED


@pytest.mark.parametrize(
    ("body", "place"),
    [(b"six\n\xff\xfe\n", "byte 5 .line 2."), (b"\xff\xfes\0i\0x\0", "byte 1 .line 1.")],
)
def test_not_utf8_is_said_with_its_place(body, place):
    with pytest.raises(BadSpecification, match=place):
        spec({"requirements.txt": body})


def test_a_byte_order_mark_is_fine_and_a_nul_is_not():
    assert (
        spec({"requirements.txt": b"\xef\xbb\xbfsix\n"}).key
        == spec({"requirements.txt": "six"}).key
    )
    with pytest.raises(BadSpecification, match="NUL"):
        spec({"requirements.txt": b"six\0\n"})


@pytest.mark.parametrize(
    ("text", "python"), [("python-3.8", "3.8"), ("python-3.8.10\n", "3.8"), ("python-3", "")]
)
def test_runtime_txt_says_which_python(text, python):
    assert spec({"runtime.txt": text}).python == python


def test_runtime_txt_rules_over_python_version_and_that_over_requires_python():
    project = "[project]\nname='x'\nrequires-python='>=3.7'\n"
    files = {"pyproject.toml": project}
    assert spec(files).python == ">=3.7"
    assert spec({**files, ".python-version": "3.10.2\n"}).python == "3.10"
    assert spec({**files, ".python-version": "3.10.2", "runtime.txt": "python-3.6"}).python == "3.6"


def test_a_pyenv_environments_own_name_is_no_version():
    assert spec({".python-version": "my-env\n"}).python == ""
    assert spec({".python-version": "my-env\n3.9\n"}).python == "3.9"


@pytest.mark.parametrize(("text", "kind"), [("python-1.5", BadSpecification), ("python3", BadSpecification), ("", BadSpecification),
    ("python-4.2", BadSpecification), ("python-3.9; rm -rf", BadSpecification)])  # fmt: skip
def test_odd_runtimes_are_refused(text, kind):
    with pytest.raises(kind):
        spec({"runtime.txt": text})


def test_what_follows_the_minor_version_plays_no_part_as_in_binder():
    assert spec({"runtime.txt": "python-3.7.O"}).python == "3.7"
    assert spec({"runtime.txt": "python-3"}).python == ""


def test_python_2_is_the_last_of_its_kind():
    assert spec({"runtime.txt": "python-2.7"}).python == "2.7"
    assert spec({"runtime.txt": "python-2.6.9"}).python == "2.7"


def test_the_index_date_is_the_day_on_which_the_specification_last_changed():
    changed = {
        "requirements.txt": datetime(2020, 3, 1, 12, tzinfo=UTC),
        "dev.txt": datetime(2021, 4, 2, 3, tzinfo=UTC),
        "start": datetime(2022, 1, 1, tzinfo=UTC),
    }
    files = {"requirements.txt": "-r dev.txt\n", "dev.txt": "six", "start": "x"}
    assert spec(files, changed=changed).as_of == date(2021, 4, 2)
    assert spec({**files, "postBuild": ""}, changed=changed).as_of == COMMIT_DAY.date()


def test_at_overrides_the_date_of_the_default_environment_too():
    assert spec({"requirements.txt": "six"}, at="2019-02-28").as_of == date(2019, 2, 28)
    assert spec({}, at="2019-02-28").as_of == date(2019, 2, 28)
    assert spec({"requirements.txt": "six"}, at="today").as_of == datetime.now(UTC).date()


@pytest.mark.parametrize("at", ["yesterday", "2019-02-30", "20190228", "2019-2-1", "today ", "-1"])
def test_other_dates_are_refused(at):
    with pytest.raises(BadRequest):
        spec({"requirements.txt": "six"}, at=at)


def test_a_fully_hashed_file_sees_no_date_but_gets_the_python_of_its_day():
    pinned = "six==1.16.0 --hash=sha256:" + "a" * 64 + "\n"
    found = spec({"requirements.txt": pinned}, when=datetime(2021, 6, 1, tzinfo=UTC))
    assert found.as_of is None
    assert found.python == "3.9"
    assert spec({"requirements.txt": pinned + "idna==2.0\n"}).as_of is not None
    joined = "six==1.16.0 \\\n  --hash=sha256:" + "a" * 64 + "\n"
    assert spec({"requirements.txt": joined}).as_of is None


LOCK = """version = 1
[[package]]
name = "x"
version = "0"
source = { %s = "%s" }
"""


def test_a_uv_lock_is_not_touched_and_brings_the_tree_in_only_for_a_package():
    project = "[project]\nname='x'\nversion='1'\nrequires-python='>=3.8'\n"
    files = {"pyproject.toml": project, "uv.lock": LOCK % ("virtual", ".")}
    found = spec(files)
    assert (found.as_of, found.tree, found.python) == (None, "", "3.10")
    packaged = {**files, "uv.lock": LOCK % ("editable", ".")}
    assert spec(packaged).tree == "t1"


def test_of_pyproject_only_what_can_change_the_environment_is_in_the_key():
    project = "[project]\nname='x'\nversion='%s'\ndependencies=['six']\n[tool.ruff]\nx='%s'\n"
    one, two = (spec({"pyproject.toml": project % words}) for words in (("1", "a"), ("2", "b")))
    assert one.key == two.key
    three = spec({"pyproject.toml": "[project]\nname='x'\nversion='1'\ndependencies=['idna']\n"})
    assert three.key != one.key


def test_a_pyproject_that_is_only_for_tools_is_not_a_specification():
    assert spec({"pyproject.toml": "[tool.ruff]\nx=1\n"}).key == spec({}).key


def test_a_pyproject_with_a_build_system_is_a_package():
    text = "[build-system]\nrequires=[]\nbuild-backend='b'\n[project]\nname='x'\nversion='1'\n"
    found = spec({"pyproject.toml": text})
    assert (found.kind, found.tree) == (PACKAGE, "t1")


def test_a_setup_cfg_describes_what_pyproject_only_says_how_to_build():
    system = {"pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='b'\n"}
    described = {"setup.cfg": "[flake8]\nx=1\n[metadata]\nname = x\n"}
    assert (spec({**system, **described}).kind, spec({**system, **described}).tree) == (
        PACKAGE,
        "t1",
    )
    assert spec({**system, "setup.cfg": "[flake8]\n"}).kind != PACKAGE
    assert spec({**system, "setup.cfg": b"\xff[metadata]"}).kind != PACKAGE
    assert spec(system).key == spec(described).key == spec({}).key


def test_broken_toml_is_said():
    with pytest.raises(BadSpecification, match=r"pyproject.toml is not TOML"):
        spec({"pyproject.toml": "[project"})


def test_the_start_script_is_found_where_the_specification_stands():
    assert start_script({"start": b""}) == "start"
    assert start_script({"start": b"", "binder/requirements.txt": b""}) == ""
    assert start_script({".binder/start": b"", "start": b""}) == ".binder/start"
    assert start_script({}) == ""


@given(st.binary(max_size=60))
def test_no_bytes_make_reading_crash(body):
    for name in ("requirements.txt", "runtime.txt", ".python-version", "pyproject.toml", "uv.lock"):
        try:
            found = spec({name: body, "setup.py": b""})
        except BadSpecification:
            continue
        assert isinstance(found, EnvSpec)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Dockerfile", "needs the Docker engine, which comes later"),
        ("Project.toml", "Julia"),
        ("REQUIRE", "Julia"),
        ("default.nix", "Nix"),
    ],
)
def test_a_refusal_says_why_and_what_to_do_instead(name, words):
    for folder in ("", "binder/", ".binder/"):
        with pytest.raises(CannotBuildYet, match=words) as caught:
            spec({f"{folder}{name}": b"\xff\0", "requirements.txt": "six"})
        assert f"{folder}{name}" in str(caught.value)
        assert "a requirements.txt or environment.yml" in caught.value.hint
    assert spec({name: "", "binder/requirements.txt": "six"}).files


def test_of_what_is_refused_the_first_in_binders_order_is_named():
    files = dict.fromkeys(("default.nix", "REQUIRE", "Project.toml", "Dockerfile"), "")
    named = []
    while files:
        with pytest.raises(CannotBuildYet) as caught:
            spec({"requirements.txt": "six", **files})
        named.append(next(name for name in files if name in str(caught.value).split()[4]))
        del files[named[-1]]
    assert named == ["Dockerfile", "Project.toml", "REQUIRE", "default.nix"]
