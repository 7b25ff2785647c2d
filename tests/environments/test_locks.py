"""Lock files of other tools: what they come down to, which of them is taken, and hostile ones."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.environments import EnvSpec
from atoll.environments.locks import LOCKED
from atoll.environments.locks.poetry import python_range
from atoll.environments.pythons import is_range
from atoll.environments.reading import PACKAGE, PYTHON
from atoll.errors import BadSpecification, CannotBuildYet
from support.reading import spec

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
NAMES = ("Pipfile", "Pipfile.lock", "pylock.toml", "poetry.lock", "pdm.lock")


def lines(found, name=LOCKED):
    return dict(found.files)[name].decode().splitlines()


def pipfile_lock(default=None, develop=None, requires=None, sources=()):
    meta = {"requires": requires or {}, "sources": list(sources)}
    return json.dumps({"_meta": meta, "default": default or {}, "develop": develop or {}})


# Pipenv


def test_a_pipfile_lock_becomes_pins_with_hashes_of_both_sections_as_in_binder():
    one = {"version": "==1.16.0", "hashes": [A, B], "index": "pypi", "markers": "os_name == 'nt'"}
    lock = pipfile_lock({"Six": one}, {"idna": {"version": "==3.4", "extras": ["all"]}})
    found = spec({"Pipfile.lock": lock})
    assert lines(found) == [
        f'six==1.16.0 ; os_name == "nt" --hash={A} --hash={B}',
        "idna[all]==3.4",
    ]
    assert found.as_of is not None


def test_a_pipfile_lock_rules_over_its_pipfile_and_both_over_requirements_and_setup_py():
    pipfile = '[packages]\nsix = "*"\n[dev-packages]\nidna = ">=3"\n'
    others = {"requirements.txt": "attrs\n", "setup.py": "", "poetry.lock": "broken"}
    alone = spec({"Pipfile": pipfile, **others})
    assert lines(alone) == ["six", "idna>=3"]
    assert "requirements.txt" not in dict(alone.files)
    assert alone.kind != PACKAGE
    lock = pipfile_lock({"toml": {"version": "==0.10"}})
    assert lines(spec({"Pipfile.lock": lock, "Pipfile": pipfile, **others})) == ["toml==0.10"]


def test_what_rules_in_binder_rules_over_a_pipfile():
    files = {"Pipfile": '[packages]\nsix="*"\n'}
    assert LOCKED not in dict(spec({**files, "environment.yml": "dependencies: [numpy]"}).files)
    with pytest.raises(CannotBuildYet, match="Docker engine"):
        spec({**files, "Dockerfile": "FROM x"})
    assert lines(spec({"binder/Pipfile": '[packages]\nidna="*"\n', **files})) == ["idna"]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ('"*"', "x"),
        ('"==1.2"', "x==1.2"),
        ('"1.2"', "x==1.2"),
        ('"~=1.2,!=1.3"', "x!=1.3,~=1.2"),
        ('{version = "*", extras = ["b", "A_c"]}', "x[a-c,b]"),
        ("""{version = "*", sys_platform = "== 'win32'"}""", 'x ; sys_platform == "win32"'),
        (
            """{version = "*", os_name = "== 'nt'", markers = "python_version > '3'"}""",
            'x ; python_version > "3" and os_name == "nt"',
        ),
        ('{git = "https://example.org/x.git", ref = "v1"}', "x @ git+https://example.org/x.git@v1"),
        (
            '{git = "https://example.org/x.git", subdirectory = "a/b", editable = true}',
            "x @ git+https://example.org/x.git#subdirectory=a/b",
        ),
        ('{file = "https://example.org/x.whl"}', "x @ https://example.org/x.whl"),
        ('{path = "sub", extras = ["e"]}', "./sub[e]"),
        ('{path = "./sub/x.whl"}', "./sub/x.whl"),
        ('{path = ".", editable = true}', "-e ./."),
    ],
)
def test_what_a_pipfile_can_say_of_a_package(value, line):
    assert lines(spec({"Pipfile": f"[packages]\nx = {value}\n"})) == [line]


def test_paths_in_a_pipfile_begin_where_it_stands_and_bring_the_tree_in():
    found = spec({"binder/Pipfile": '[packages]\nx = {path = "../sub", editable = true}\n'})
    assert lines(found) == ["-e ./sub"]
    assert found.tree == "t1"


@pytest.mark.parametrize(
    ("lock", "pipfile", "python"),
    [
        ({"python_version": "3.6"}, "", "3.6"),
        ({"python_full_version": "3.7.9", "python_version": "3.6"}, "", "3.7"),
        ({}, 'python_version = "3.8"', "3.8"),
        ({"python_version": "3.6"}, 'python_version = "3.8"', "3.6"),
        ({"python_version": "*"}, "", "3.9"),
    ],
)
def test_the_python_of_a_pipfile_rules_over_runtime_txt(lock, pipfile, python):
    files = {"Pipfile.lock": pipfile_lock(requires=lock), "runtime.txt": "python-3.9"}
    assert spec({**files, "Pipfile": f"[requires]\n{pipfile}\n"}).python == python


def test_python_2_in_a_lock_is_taken_as_everywhere():
    found = spec({"Pipfile.lock": pipfile_lock(requires={"python_version": "2.7"})})
    assert found.python == "2.7"


def test_other_indexes_of_a_pipfile_are_named_and_the_public_one_under_any_address_is_not():
    def told(*sources):
        named = [{"name": name, "url": url, "verify_ssl": True} for name, url in sources]
        return lines(spec({"Pipfile.lock": pipfile_lock({"x": {}}, sources=named)}))[:-1]

    own = ("own", "https://example.org/simple")
    assert told(("pypi", "https://mirror.example.org/simple")) == []
    assert told(("pypi", "https://p.example.org"), own) == [f"--extra-index-url {own[1]}"]
    assert told(own) == [f"--index-url {own[1]}"]
    with pytest.raises(BadSpecification, match="variable"):
        told(("own", "https://${USER}:${PASSWORD}@example.org/simple"))


# Poetry

NEW = f"""
[[package]]
name = "numpy"
version = "1.26.4"
groups = ["main", "dev"]
markers = "python_version >= '3.9'"
files = [{{file = "n.whl", hash = "{A}"}}]
[[package]]
name = "numpy"
version = "1.24.4"
groups = ["main"]
markers = {{main = "python_version < '3.9'", dev = "python_version > '0'"}}
files = [{{file = "n.whl", hash = "{B}"}}]
[[package]]
name = "pytest"
version = "8.0"
groups = ["dev"]
[[package]]
name = "extra"
version = "1"
optional = true
groups = ["main"]
[metadata]
lock-version = "2.1"
python-versions = ">=3.8"
"""


def test_a_poetry_lock_of_today_says_all_by_itself():
    found = spec({"poetry.lock": NEW})
    assert lines(found) == [
        f'numpy==1.26.4 ; python_version >= "3.9" --hash={A}',
        f'numpy==1.24.4 ; python_version < "3.9" --hash={B}',
    ]
    assert found.python == ">=3.8"


OLD = f"""
[[package]]
name = "numpy"
version = "1.9.2"
category = "main"
[[package]]
name = "Numpy"
version = "1.10.0"
category = "main"
[[package]]
name = "pytest"
version = "8.0"
category = "dev"
[[package]]
name = "here"
version = "0"
develop = true
[package.source]
type = "directory"
url = "sub"
[[package]]
name = "there"
version = "0"
[package.source]
type = "git"
url = "https://example.org/x.git"
reference = "main"
resolved_reference = "0123abc"
[[package]]
name = "own"
version = "2"
[package.source]
type = "legacy"
url = "https://example.org/simple"
reference = "own"
[metadata]
lock-version = "1.1"
python-versions = "^3.6"
[metadata.files]
numpy = [{{file = "n.whl", hash = "{A}"}}]
pytest = []
own = [{{file = "o.whl", hash = "{B}"}}]
"""


def test_an_old_poetry_lock_says_which_version_and_its_pyproject_what_is_asked_for():
    project = """
    [tool.poetry.dependencies]
    python = "^3.6"
    numpy = [{version = "^1.10", python = ">=3.7", extras = ["x"]}, {version = "<1.10", platform = "win32"}]
    here = {path = "sub", develop = true}
    later = {version = "*", optional = true}
    there = {git = "https://example.org/x.git"}
    [tool.poetry.dev-dependencies]
    pytest = "*"
    """
    found = spec({"poetry.lock": OLD, "pyproject.toml": project})
    assert lines(found) == [
        "--extra-index-url https://example.org/simple",
        "-c locked-constraints.txt",
        'numpy[x] ; python_full_version >= "3.7" or sys_platform == "win32"',
        "-e ./sub",
        "there @ git+https://example.org/x.git@0123abc",
    ]
    assert lines(found, "locked-constraints.txt") == [
        f"numpy>=1.9.2,<=1.10.0 --hash={A}",
        "pytest==8.0",
        "here @ file:./sub",
        "there @ git+https://example.org/x.git@0123abc",
        f"own==2 --hash={B}",
    ]
    assert (found.python, found.tree) == ("<4,>=3.6", "t1")


def test_an_old_poetry_lock_without_its_pyproject_is_refused():
    with pytest.raises(BadSpecification, match="before 2") as caught:
        spec({"poetry.lock": OLD})
    assert "pyproject.toml" in caught.value.hint


def test_a_project_that_needs_nothing_but_tools_for_development_gets_none_of_them():
    project = '[tool.poetry.dependencies]\npython = "^3.8"\n'
    found = spec({"poetry.lock": OLD, "pyproject.toml": project})
    assert lines(found)[1:] == ["-c locked-constraints.txt"]


def test_hashes_of_the_oldest_poetry_are_found():
    lock = '[[package]]\nname="x"\nversion="1"\n[metadata.hashes]\nx=["{}"]\n'.format("a" * 64)
    found = spec({"poetry.lock": lock, "pyproject.toml": '[tool.poetry.dependencies]\nx="*"\n'})
    assert lines(found, "locked-constraints.txt") == [f"x==1 --hash={A}"]


def test_a_project_that_is_a_package_is_installed_beside_its_lock_unless_it_says_not():
    project = "[build-system]\nrequires=[]\n[project]\nname='x'\nversion='1'\n%s\n"
    found = spec({"poetry.lock": NEW, "pyproject.toml": project % ""})
    assert (found.kind, LOCKED in dict(found.files)) == (PACKAGE, True)
    for no in ("[tool.poetry]\npackage-mode = false", "[tool.pdm]\ndistribution = false"):
        assert spec({"poetry.lock": NEW, "pyproject.toml": project % no}).kind != PACKAGE


def test_poetrys_build_system_alone_makes_no_package_of_a_folder_of_notebooks():
    project = "[build-system]\nrequires=[]\n[tool.poetry]\nname='x'\n"
    found = spec({"poetry.lock": NEW, "pyproject.toml": project})
    assert (found.kind, found.tree) == (PYTHON, "")
    assert "project itself was not installed" in found.notes[0]
    packages = f"{project}packages = [{{include = 'x', from = 'src'}}]\n"
    assert spec({"poetry.lock": NEW, "pyproject.toml": packages}).kind == PACKAGE
    assert spec({"pyproject.toml": project}).kind == PACKAGE


@pytest.mark.parametrize(
    ("text", "ranged"),
    [
        ("^3.8", "<4,>=3.8"),
        ("^0.2.3", "<0.3,>=0.2.3"),
        ("~3.9", "<3.10,>=3.9"),
        ("~3", "<4,>=3"),
        ("3.8", "==3.8.*"),
        ("==3.8.10", "==3.8.*"),
        (">=3.6 <4", "<4,>=3.6"),
        (">= 3.6, < 4.0", "<4.0,>=3.6"),
        ("!=3.9.7,^3.8", "!=3.9.7,<4,>=3.8"),
        ("~2.7 || ^3.6", "<4,>=3.6"),
        ("^3.6 || ~2.7", "<4,>=3.6"),
        ("*", ""),
        ("", ""),
        ("soon", ""),
    ],
)
def test_poetrys_ranges_of_pythons(text, ranged):
    assert python_range(text) == ranged


@given(st.text(alphabet="^~<>=!|*.,- 0123456789ax", max_size=20))
def test_any_range_is_one_or_none(text):
    found = python_range(text)
    assert not found or is_range(found)


# PDM


def test_a_pdm_lock_with_groups_says_all_by_itself():
    lock = f"""
    [metadata]
    groups = ["default", "dev"]
    lock_version = "4.5.0"
    [[metadata.targets]]
    requires_python = "~=3.12"
    [[package]]
    name = "six"
    version = "1.16.0"
    groups = ["default"]
    marker = "python_version > '3'"
    files = [{{file = "s.whl", hash = "{A}"}}]
    [[package]]
    name = "six"
    version = "1.16.0"
    extras = ["more"]
    groups = ["default"]
    [[package]]
    name = "pytest"
    version = "8"
    groups = ["dev"]
    [[package]]
    name = "x"
    version = "0"
    git = "https://example.org/x.git"
    ref = "main"
    revision = "abc"
    groups = ["default"]
    """
    found = spec({"pdm.lock": lock})
    assert lines(found) == [
        f'six==1.16.0 ; python_version > "3" --hash={A}',
        "six[more]==1.16.0",
        "x @ git+https://example.org/x.git@abc",
    ]
    assert found.python == "~=3.12"


def test_any_other_pdm_lock_says_which_version_and_pyproject_what_is_asked_for():
    lock = f"""
    [[package]]
    name = "six"
    version = "1.16.0"
    [[package]]
    name = "pytest"
    version = "8"
    [metadata]
    lock_version = "3.1"
    [metadata.files]
    "six 1.16.0" = [{{url = "https://example.org/s.whl", hash = "{A}"}}]
    "pytest 8" = []
    """
    project = "[project]\nname='x'\nversion='1'\ndependencies=[\"six[a]>1; os_name == 'nt'\"]\n"
    found = spec({"pdm.lock": lock, "pyproject.toml": project})
    assert lines(found) == ["-c locked-constraints.txt", 'six[a] ; os_name == "nt"']
    assert lines(found, "locked-constraints.txt") == [f"six==1.16.0 --hash={A}", "pytest==8"]
    assert "pyproject.toml" not in dict(found.files)
    with pytest.raises(BadSpecification, match="what is for what"):
        spec({"pdm.lock": lock})


# pylock.toml


def pylock(*packages, more=""):
    body = "".join(f"[[packages]]\n{one}\n" for one in packages)
    return f'lock-version = "1.0"\ncreated-by = "x"\n{more}\n{body}'


def wheel(name, tags="py3-none-any"):
    file = f"{name}-1-{tags}.whl"
    return (
        f'name="{name}"\nversion="1"\nwheels=[{{name="{file}", url="https://example.org/{file}", '
        f'hashes={{sha256="{"a" * 64}"}}}}]\n'
    )


def test_a_pylock_becomes_pins_and_its_markers_stay():
    lock = pylock(wheel("six") + "marker = \"os_name == 'nt'\"", more='requires-python = ">=3.10"')
    found = spec({"pylock.toml": lock})
    assert lines(found) == [f'six==1 ; os_name == "nt" --hash={A}']
    assert found.python == ">=3.10"


def test_of_the_groups_of_a_pylock_those_are_taken_that_are_its_default_and_no_extras():
    def told(marker, more=""):
        (line,) = lines(
            spec({"pylock.toml": pylock(f'{wheel("six")}marker = "{marker}"', more=more)})
        )
        return line

    default = 'default-groups = ["dev"]\ndependency-groups = ["dev", "docs"]'
    assert ">= " in told("'dev' in dependency_groups", default)
    assert "< " in told("'docs' in dependency_groups", default)
    assert ">= " in told("'docs' not in dependency_groups", default)
    assert "< " in told("'x' in extras", 'extras = ["x"]')


def test_a_pylock_takes_packages_from_repositories_addresses_and_folders():
    found = spec(
        {
            "binder/pylock.toml": pylock(
                'name="a"\nvcs={type="git", url="https://example.org/a.git", commit-id="abc"}',
                f'name="b"\narchive={{url="https://example.org/b.zip", hashes={{sha256="{"a" * 64}"}}}}',
                'name="c"\ndirectory={path="../sub", editable=true}',
                f'{wheel("d")}index="https://example.org/simple"',
            )
        }
    )
    assert lines(found)[:-1] == [
        "--extra-index-url https://example.org/simple",
        "a @ git+https://example.org/a.git@abc",
        "b @ https://example.org/b.zip",
        "-e ./sub",
    ]


def test_a_pylock_of_one_machine_tells_its_python_by_its_wheels():
    linux = "manylinux_2_17_x86_64"
    one = [wheel("a"), wheel("b", f"cp311-cp311-{linux}"), wheel("c", f"cp38-abi3-{linux}")]
    assert spec({"pylock.toml": pylock(*one)}).python == ">=3.11,<3.12"
    assert spec({"pylock.toml": pylock(wheel("a"))}).python == ""


def test_files_of_somebodys_disk_are_refused():
    one = f'name="a"\nversion="1"\nwheels=[{{path="a-1-py3-none-any.whl", hashes={{sha256="{"a" * 64}"}}}}]'
    with pytest.raises(BadSpecification, match="own disk"):
        spec({"pylock.toml": pylock(one)})


# Which of them


def test_binders_files_rule_then_uvs_lock_then_the_standard_one_poetrys_and_pdms():
    project = "[project]\nname='x'\nversion='1'\ndependencies=['six']\n"
    files = {
        "pyproject.toml": project,
        "pdm.lock": '[[package]]\nname="pdm"\nversion="1"\ngroups=["default"]\n',
        "poetry.lock": '[[package]]\nname="poetry"\nversion="1"\ngroups=["main"]\n',
        "pylock.toml": pylock(wheel("pylock")),
        "uv.lock": "version = 1\n",
        "requirements.txt": "attrs\n",
    }
    taken = []
    for name in ("requirements.txt", "uv.lock", "pylock.toml", "poetry.lock", "pdm.lock"):
        names = dict(spec(files).files)
        if LOCKED in names:
            taken.append(lines(spec(files))[0].partition("==")[0])
        else:
            taken.append(next(one for one in ("requirements.txt", "uv.lock") if one in names))
        del files[name]
    assert taken == ["requirements.txt", "uv.lock", "pylock", "poetry", "pdm"]
    assert "pyproject.toml" in dict(spec(files).files)


def test_locks_at_the_top_are_content_where_there_is_a_binder_folder():
    files = {"poetry.lock": "broken", "Pipfile": "broken", "pylock.toml": "broken"}
    assert LOCKED not in dict(spec({**files, "binder/requirements.txt": "six"}).files)


def test_runtime_txt_rules_over_the_python_of_a_lock_and_that_over_pyprojects():
    files = {"poetry.lock": NEW, "pyproject.toml": "[project]\nname='x'\nrequires-python='>=3.7'\n"}
    assert spec(files).python == ">=3.8"
    assert spec({**files, "runtime.txt": "python-3.10"}).python == "3.10"


def test_the_key_depends_on_what_is_locked_and_not_on_how_the_file_looks():
    one = spec({"poetry.lock": NEW})
    assert spec({"poetry.lock": f"# written by hand\n{NEW}"}).key == one.key
    assert spec({"poetry.lock": NEW.replace("1.26.4", "1.26.3")}).key != one.key


def test_the_date_is_that_of_the_lock():
    changed = {"poetry.lock": datetime(2020, 3, 1, tzinfo=UTC)}
    assert spec({"poetry.lock": NEW}, changed=changed).as_of == date(2020, 3, 1)


# Hostile ones

BAD_NAMES = ("-r", "--index-url=https://example.org", "x y", "x\nattrs", "x;y", "x@y", "", "../x")
BAD_VERSIONS = ("1 --index-url=x", "1\nattrs", "1;x", "@ https://example.org")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_name_becomes_an_option_or_another_line(name):
    told = json.dumps(name)
    for files in (
        {"Pipfile": f"[packages]\n{told} = '*'\n"},
        {"Pipfile.lock": pipfile_lock({name: {"version": "==1"}})},
        {"Pipfile": f"[packages]\nx = {{version = '*', extras = [{told}]}}\n"},
        {"poetry.lock": f'[[package]]\nname={told}\nversion="1"\ngroups=["main"]\n'},
        {"pdm.lock": f'[[package]]\nname={told}\nversion="1"\ngroups=["default"]\n'},
        {"pylock.toml": pylock(f'name={told}\nversion="1"')},
    ):
        with pytest.raises(BadSpecification) as caught:
            spec(files)
        assert caught.value.hint


@pytest.mark.parametrize("version", BAD_VERSIONS)
def test_no_version_becomes_an_option_or_another_line(version):
    told = json.dumps(version)
    for files in (
        {"Pipfile": f"[packages]\nx = {told}\n"},
        {"Pipfile.lock": pipfile_lock({"x": {"version": f"=={version}"}})},
        {"poetry.lock": f'[[package]]\nname="x"\nversion={told}\ngroups=["main"]\n'},
        {"pdm.lock": f'[[package]]\nname="x"\nversion={told}\ngroups=["default"]\n'},
        {"pylock.toml": pylock(f'name="x"\nversion={told}')},
    ):
        with pytest.raises(BadSpecification) as caught:
            spec(files)
        assert caught.value.hint


@pytest.mark.parametrize(
    "value",
    [
        *('{path = "/etc"}', '{path = "../x"}', '{path = "~/x"}', '{path = "a b"}'),
        *('{path = "x;y"}', '{path = "x#y"}', '{path = "${HOME}"}', '{path = "C:\\\\x"}'),
        *('{git = "git@example.org:x.git"}', '{git = "ssh://git@example.org/x"}'),
        *('{git = "file:///etc"}', '{git = "/etc"}', '{git = "-oProxyCommand=x"}', '{hg = "x"}'),
        *('{git = "https://example.org/x", ref = "-x"}', '{file = "ftp://example.org/x.whl"}'),
        *('{git = "https://example.org/x", ref = "a b"}', '{file = "https://x --y"}'),
        *('{git = "https://example.org/x", subdirectory = "../y"}', '{markers = "nonsense"}'),
        *('{file = "https://${USER}@example.org/x.whl"}', '{git = "https://example.org/x#egg=y"}'),
        *("{markers = \"os_name == 'x'\\n-r y\"}", '{extras = "x"}', "{editable = 1}", "[]", "3"),
        *('{version = 3, hashes = ["x"]}', '{hashes = ["sha256:x --y"]}', '{hashes = [["x"]]}'),
    ],
)
def test_odd_packages_of_a_pipfile_are_refused_with_a_hint(value):
    with pytest.raises(BadSpecification) as caught:
        spec({"Pipfile": f"[packages]\nx = {value}\n"})
    assert caught.value.hint


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "body",
    [
        *(b"\xff\xfe", b"\x00", b"{", b"[", b"<<<<<<< HEAD\n", b"x = 1" + b"0" * 5000),
        *(
            b"[" * 100_000,
            b"x = " + b"[" * 100_000,
            b'{"a":' * 100_000,
            b"1" * 5000,
            b"null",
            b"[]",
        ),
        *(b'{"_meta": 3}', b'{"default": [3]}', b'{"default": {"x": 3}}', b"package = 3"),
        *(b"package = [3]", b"packages = {}", b"requires = 3", b"packages = [{}]"),
        b'[[package]]\nname = 3\ngroups = ["main", "default"]\n',
        b'[[package]]\nname = "x"\nversion = 3\ngroups = ["main", "default"]\n',
        b'[[package]]\nname = "x"\nversion = "1"\ngroups = "main"\n',
        b'metadata = 3\n[[package]]\nname = "x"\nversion = "1"\n',
        b'lock-version = "9.0"\ncreated-by = "x"\npackages = []\n',
    ],
)
def test_broken_locks_are_said_with_a_hint(name, body):
    problem = None
    try:
        found = spec({name: body})
    except BadSpecification as error:
        problem = error
    if problem:
        assert name in str(problem)
        assert problem.hint
    else:  # it is whole in some of the formats
        assert LOCKED in dict(found.files)


def test_a_lock_of_ten_thousand_packages_is_refused():
    lock = pipfile_lock({f"x{number}": {} for number in range(10_000)})
    with pytest.raises(BadSpecification, match="more than 5000"):
        spec({"Pipfile.lock": lock})


@given(st.sampled_from(NAMES), st.binary(max_size=60))
def test_no_bytes_make_reading_crash(name, body):
    with contextlib.suppress(BadSpecification):
        assert isinstance(spec({name: body}), EnvSpec)
