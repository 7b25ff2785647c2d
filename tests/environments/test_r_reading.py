"""What files say of R: runtime.txt, install.R, DESCRIPTION and renv.lock."""

from __future__ import annotations

import json

import pytest

from atoll.environments.apt import packages_of
from atoll.environments.conda import CONDA
from atoll.environments.r import DEBIAN, essence_of, meets, upstream
from atoll.environments.r_scripts import read_script
from atoll.environments.reading import PACKAGE, PYTHON
from atoll.errors import BadSpecification, CannotBuildYet
from support.reading import spec

LOCK = {
    "R": {
        "Version": "4.1.2",
        "Repositories": [{"Name": "CRAN", "URL": "https://cran.example.org"}],
    },
    "Packages": {
        "digest": {"Package": "digest", "Version": "0.6.31", "Source": "Repository"},
        "nlme": {"Package": "nlme", "Version": "3.1-160", "Source": "CRAN"},
        "reef": {"Package": "reef", "Version": "1.0", "Source": "GitHub", "RemoteUsername": "me"},
    },
}
DESCRIBED = """Package: reef
Version: 0.1
Title: Reefs
Depends: R (>= 3.5), methods,
    digest
Imports: rlang (>= 1.0.0), rlang (< 2), glue
LinkingTo: Rcpp
Suggests: testthat
Authors@R: person("A", "B")
"""


def asked(files, **more):
    found = spec(files, **more)
    return essence_of(dict(found.files))


@pytest.mark.parametrize(
    ("text", "version", "day"),
    [
        ("r-4.2-2023-01-31", "4.2", "2023-01-31"),
        ("r-3.6.1-2019-01-01\n", "3.6.1", "2019-01-01"),
        ("r-2023-01-31", "", "2023-01-31"),
        ("r-4.2", "4.2", "2022-05-17"),
    ],
)
def test_a_runtime_names_the_version_of_r_and_the_day_of_cran(text, version, day):
    found = spec({"runtime.txt": text, "requirements.txt": "six"})
    r = essence_of(dict(found.files))
    assert (r.version, r.day) == (version, day)
    assert (found.kind, found.python, found.tree) == (PYTHON, "", "")
    assert str(found.as_of) == "2022-05-17"
    assert set(DEBIAN) <= set(packages_of(dict(found.files)))


@pytest.mark.parametrize(
    "text", ["r-", "r-4.2-2023", "r-4.2-2023-13-01", "r-4-2-1", "r-2023", "r-x", "r-4.2; rm -rf"]
)
def test_a_malformed_runtime_is_refused_with_the_right_form(text):
    with pytest.raises(BadSpecification, match=r"runtime\.txt") as error:
        spec({"runtime.txt": text})
    assert "r-4.2-2023-01-31" in error.value.hint


def test_every_r_file_alone_gives_an_r_environment_with_python_beside_it():
    for files in (
        {"install.R": "install.packages('digest')"},
        {"binder/install.R": ""},
        {"DESCRIPTION": DESCRIBED},
        {"renv.lock": json.dumps(LOCK)},
        {".binder/renv.lock": "{}"},
    ):
        found = spec(files)
        assert set(DEBIAN) <= set(packages_of(dict(found.files)))
        assert found.kind == PYTHON
        assert found.notes == ()
    both = spec({"install.R": "", "apt.txt": "figlet", "requirements.txt": "six", "setup.py": ""})
    assert "figlet" in packages_of(dict(both.files))
    assert both.kind == PACKAGE
    assert packages_of(dict(spec({"requirements.txt": "six"}).files)) == ()


def test_beside_an_environment_yml_the_order_is_binders():
    conda = {"environment.yml": "dependencies: [r-base]"}
    for name, text in (("install.R", ""), ("renv.lock", "["), ("runtime.txt", "r-4.2")):
        assert spec({**conda, name: text}).kind == CONDA
    for name, text in (("DESCRIPTION", DESCRIBED), ("runtime.txt", "r-4.2-2023-01-31")):
        found = spec({**conda, name: text})
        assert found.kind == PYTHON
        assert "environment.yml was passed over" in found.notes[0]
    assert (
        spec({"binder/environment.yml": "dependencies: [six]", "DESCRIPTION": DESCRIBED}).kind
        == CONDA
    )
    with pytest.raises(CannotBuildYet, match="Dockerfile"):
        spec({"install.R": "", "Dockerfile": ""})


def test_the_key_covers_the_files_and_the_day_and_no_commit():
    files = {"install.R": "install.packages('digest')", "runtime.txt": "r-4.2-2023-01-31"}
    key = spec(files).key
    assert spec(files, tree="t2").key == key
    keys = {
        key,
        spec({**files, "install.R": "install.packages('glue')"}).key,
        spec({**files, "runtime.txt": "r-4.2-2023-02-01"}).key,
        spec({**files, "runtime.txt": "r-4.1-2023-01-31"}).key,
        spec({**files, "renv.lock": json.dumps(LOCK)}).key,
    }
    assert len(keys) == 4  # install.R says what to install, and runtime.txt the version
    lock = {"renv.lock": json.dumps(LOCK)}
    assert spec(lock).key != spec({"renv.lock": json.dumps({"Packages": {}})}).key
    assert asked(files, at="2024-01-01").day == "2024-01-01"  # who launches may ask for another


def test_an_install_script_that_looks_at_other_files_brings_the_tree_in():
    alone = """
        # source("never")
        pkgs <- c("dplyr", 'tidyr')
        if (!requireNamespace("remotes", quietly = TRUE)) install.packages("remotes")
        for (p in pkgs) if (!(p %in% rownames(installed.packages()))) install.packages(p)
        install.packages(c("sf", "terra"), repos = c(CRAN = "https://cran.example.org"))
        remotes::install_github("r-spatial/stars"); BiocManager::install("limma")
        suppressMessages(library(knitr)); require("rmarkdown")
    """
    script = read_script(alone)
    assert script.alone
    assert script.names == {
        "dplyr",
        "tidyr",
        "remotes",
        "sf",
        "terra",
        "BiocManager",
        "knitr",
        "rmarkdown",
    }
    for text in (
        'source("other.R")',
        "renv::restore()",
        "devtools::install()",
        'install.packages("reef.tar.gz", repos = NULL)',
        'lapply("more.R", source)',
        'system("make")',
        "remotes::install_deps()",
    ):
        assert not read_script(text).alone, text
        assert spec({"install.R": text}).tree == "t1"


def test_an_install_script_may_be_in_latin_1_and_have_odd_ends():
    r = asked({"install.R": "# F\xfcr alle\r\ninstall.packages('digest')\r\n".encode("latin-1")})
    assert r.script == "# Für alle\ninstall.packages('digest')\n"
    assert r.wishes == ("digest",)
    with pytest.raises(BadSpecification, match=r"install\.R"):
        spec({"install.R": "install.packages('digest')".encode("utf-16")})
    assert read_script("install.packages(c('a1', \"never ended").names == set()
    assert read_script("c(" * 5000).names == set()
    with pytest.raises(BadSpecification, match="more than 2000"):
        spec({"install.R": f"c({str([f'p{n}' for n in range(10, 2100)])[1:-1]})"})


def test_a_description_says_what_is_needed_and_is_installed_itself():
    found = spec({"DESCRIPTION": DESCRIBED})
    r = essence_of(dict(found.files))
    assert r.needs == {"digest": (), "rlang": (">= 1.0.0", "< 2"), "glue": (), "Rcpp": ()}
    assert r.package
    assert not r.remotes
    assert found.tree == "t1"
    compendium = asked({"DESCRIPTION": "Imports: digest\nRemotes: me/reef\n"})
    assert (compendium.package, compendium.remotes) == (False, True)
    assert "remotes" in compendium.wishes
    assert asked({"DESCRIPTION": DESCRIBED.encode("latin-1") + b"Note: F\xfcr\n"}).package


def test_a_description_that_is_not_of_r_is_only_a_file():
    for text in (
        "This is what we did:\n* nothing\n",
        "",
        b"\xff\xfe\x00"[:2],
        "Title: something\n",
    ):
        assert asked({"DESCRIPTION": text, "requirements.txt": "six"}) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Package: reef\nno field here\n", "line 2"),
        ("Package: reef\nImports: rlang (1.0)\n", "rlang"),
        ("Package: reef\nImports: rlang glue\n", "rlang glue"),
        ("Package: reef\nDepends: ../evil\n", "evil"),
        ("Package: reef\nImports: " + ", ".join(f"p{n}" for n in range(10, 2100)), "more than"),
    ],
)
def test_a_malformed_description_is_refused_with_its_place(text, words):
    with pytest.raises(BadSpecification, match=f"DESCRIPTION.*{words}"):
        spec({"DESCRIPTION": text})


def test_a_lock_of_renv_gives_versions_and_that_of_r():
    found = spec({"renv.lock": json.dumps(LOCK)})
    r = essence_of(dict(found.files))
    assert (r.version, r.day, found.tree) == ("4.1.2", "2022-05-17", "")
    assert r.locked == {"digest": "0.6.31", "nlme": "3.1-160"}
    assert r.elsewhere == ("reef",)
    assert r.wanted == {"digest": ("== 0.6.31",), "nlme": ("== 3.1-160",)}
    beside = spec({"renv.lock": json.dumps(LOCK), "install.R": "renv::restore()"})
    assert essence_of(dict(beside.files)).locked == {}
    assert essence_of(dict(beside.files)).version == "4.1.2"
    assert "renv.lock was not restored" in beside.notes[0]


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{",
        '{"Packages": []}',
        '{"Packages": {"digest": "1.0"}}',
        '{"Packages": {"digest": {"Version": 1}}}',
        '{"Packages": {"digest": {"Version": "$(id)", "Source": "CRAN"}}}',
        '{"Packages": {"../digest": {"Version": "1.0", "Source": "CRAN"}}}',
        '{"R": {"Version": "four"}}',
        "[" * 100_000,
        b"\xff",
    ],
)
def test_a_malformed_lock_is_refused_by_name(body):
    with pytest.raises(BadSpecification, match=r"renv\.lock"):
        spec({"renv.lock": body})


def test_versions_are_compared_as_r_does_and_read_out_of_debians():
    for debian, own in [
        ("1.8-41-1", "1.8-41"),
        ("3.1.162-1", "3.1.162"),
        ("1.7.4+dfsg-2+deb12u1", "1.7.4"),
        ("1:0.6.31-1", "0.6.31"),
        ("4.2.2.20221110-2", "4.2.2.20221110"),
        ("1.0", "1.0"),
    ]:
        assert upstream(debian) == own
    assert meets("3.1.162", ("== 3.1-162", ">= 3.1", "< 3.1-200"))
    assert meets("1.10", ("> 1.9",))
    assert not meets("1.0", (">= 1.0.1",))
