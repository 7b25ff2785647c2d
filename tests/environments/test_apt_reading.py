"""What an ``apt.txt`` means, and what it cannot say."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from atoll.environments.apt import ESSENCE, packages_of
from atoll.environments.conda import CONDA
from atoll.environments.reading import DEFAULT_DAY, DEFAULT_TAKEN, read_spec
from atoll.environments.substitutes import from_pypi
from atoll.errors import BadSpecification, CannotBuildYet
from atoll.sources import Checkout, RepoRef, ResolvedRef

EARLY, LATE = datetime(2020, 2, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC)


def read(files, *, changed=None):
    ref = ResolvedRef(RepoRef("git", "https://example.org/r"), "c" * 40, "tree1", LATE)
    body = {name: text.encode() for name, text in files.items()}
    return read_spec(Checkout(ref, Path("/nowhere"), body, changed or {}), platform="here")


def packages(spec):
    return packages_of(dict(spec.files))


def test_names_are_read_as_binder_reads_them():
    text = "# for sound\n\nffmpeg   # and video\n  g++\nlibsox-dev libxml2\n#gawk\n"
    assert packages(read({"apt.txt": text})) == ("ffmpeg", "g++", "libsox-dev", "libxml2")


def test_order_comments_and_repetitions_change_nothing():
    one, other = read({"apt.txt": "b2\na1\n"}), read({"apt.txt": "a1 # why\na1\nb2"})
    assert one.key == other.key
    assert one.key != read({"apt.txt": "a1"}).key


def test_alone_it_comes_to_the_default_environment():
    spec = read({"apt.txt": "figlet"})
    assert (spec.kind, spec.as_of, spec.notes) == ("python", DEFAULT_DAY, (DEFAULT_TAKEN,))
    assert packages(spec) == ("figlet",)
    assert read({"apt.txt": "# nothing yet\n"}).key == read({}).key


def test_it_comes_to_whatever_else_is_asked_for_and_its_date_says_nothing():
    changed = {"requirements.txt": EARLY, "apt.txt": LATE}
    spec = read({"requirements.txt": "six", "apt.txt": "figlet"}, changed=changed)
    assert spec.as_of == date(2020, 2, 1)
    assert {name for name, _ in spec.files} == {"requirements.txt", ESSENCE}
    conda = read({"environment.yml": "dependencies: [six]", "apt.txt": "figlet"})
    assert (conda.kind, packages(conda)) == (CONDA, ("figlet",))
    assert packages(from_pypi(conda, {})) == ("figlet",)
    assert packages(read({"setup.py": "", "apt.txt": "figlet", "postBuild": ""})) == ("figlet",)


def test_only_the_one_in_the_ruling_folder_counts():
    spec = read({"apt.txt": "this will not do!", "binder/apt.txt": "figlet"})
    assert packages(spec) == ("figlet",)
    assert packages(read({"apt.txt": "figlet", "binder/requirements.txt": "six"})) == ()


def test_it_makes_nothing_buildable_that_is_not():
    for name in ("Project.toml", "default.nix", "flake.nix"):
        with pytest.raises(CannotBuildYet, match=name):
            read({name: "", "apt.txt": "figlet"})


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("-oDpkg::Pre-Invoke::=id", "one name"),
        ("--allow-unauthenticated", "one name"),
        ("figlet=2.2", "version"),
        ("figlet/unstable", "version"),
        ("figlet:i386", "version"),
        ("./evil.deb", "one name"),
        ("/tmp/evil.deb", "one name"),
        ("mutt-", "one name"),
        ("fig*", "one name"),
        ("Figlet", "figlet"),
        ("$(id)", "one name"),
        ("a;id", "one name"),
        ("fïglet", "one name"),
        ("x" * 101, "one name"),
    ],
)
def test_what_is_no_name_is_refused_with_its_line(line, hint):
    with pytest.raises(
        BadSpecification, match=r"binder/apt\.txt, line 2: .* not the name"
    ) as error:
        read({"binder/apt.txt": f"figlet\n{line}\n"})
    assert hint in error.value.hint


def test_more_packages_than_anybody_needs_are_refused():
    with pytest.raises(BadSpecification, match="more than 2000"):
        read({"apt.txt": "\n".join(f"p{n}" for n in range(2001))})
