"""What cannot be built from source is had otherwise, or it is told why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from atoll.engines.local.explanations import Explanation, Kind
from atoll.engines.local.remedies import MOST, Remedies, lacking
from atoll.errors import BuildFailed
from support.index import PackageIndex, own_address


@pytest.fixture
def index():
    with PackageIndex(own_address()) as served:
        yield served.kernel()


def problem(package="lagoon", *told):
    return Explanation(Kind.BUILD, "It failed.", package=package, told=told)


async def test_the_newest_version_that_is_ready_made_is_taken_where_a_newer_one_fails(site, index):
    index.wheel("lagoon", "1.0")
    index.source("lagoon", "1.1", build="raise SystemExit('no compiler')")
    index.source("reef", "1.0")  # so that not all is ready made
    made = await site.build({"requirements.txt": "lagoon\nreef\n"})
    assert "lagoon==1.0" in Path(made.handle, "lock.txt").read_text()
    assert made.notes == ("What cannot be built was taken as it comes ready made: lagoon.",)
    assert await site.python(made, "import reef; print(reef.BUILT)") == ["True"]


async def test_what_a_build_imports_and_says_nowhere_is_there_for_it(site, index):
    index.wheel("coral", "1.0")
    index.wheel("coral", "2.0")
    index.source("lagoon", "1.0", build="import coral\nassert coral.VERSION == '1.0'")
    made = await site.build({"requirements.txt": "coral==1.0\nlagoon==1.0\n"})
    assert await site.python(made, "import lagoon; print(lagoon.BUILT)") == ["True"]
    assert made.notes == ("lagoon says nowhere what building it needs: coral==1.0.",)


async def test_what_nothing_helps_is_told_as_it_was_at_first(site, index):
    index.source("lagoon", "1.0", build="import no_such_module_anywhere")
    with pytest.raises(BuildFailed, match="No module named 'no_such_module_anywhere'"):
        await site.build({"requirements.txt": "lagoon==1.0\n"})


async def test_sklearn_still_means_scikit_learn(site, index):
    index.wheel("scikit-learn", "1.2.0")
    allowed = "import os\nassert os.environ['SKLEARN_ALLOW_DEPRECATED_SKLEARN_PACKAGE_INSTALL']"
    index.source("sklearn", "0.0.post12", build=allowed)
    made = await site.build({"requirements.txt": "sklearn\n"})
    assert "scikit-learn==1.2.0" in Path(made.handle, "lock.txt").read_text()
    assert await site.python(made, "import scikit_learn; print(1)") == ["1"]


def test_a_setuptools_that_still_has_it_is_given_to_what_wants_it():
    told = ("error in lagoon setup command: use_2to3 is invalid.",)
    assert lacking(told, {}) == ["setuptools<58"]
    told = ("ModuleNotFoundError: No module named 'distutils'",)
    assert lacking(told, {}) == ["setuptools<81"]


def test_a_setup_py_that_says_it_in_its_own_words_is_understood():
    told = ("To install lagoon from source, you will need NumPy.",)
    assert lacking(told, {"requirements.txt": b"numpy == 1.11.0\n"}) == ["numpy==1.11.0"]


def test_a_package_that_is_to_stay_in_its_folder_gets_a_setuptools_that_can_do_that():
    remedies = Remedies()
    told = "AttributeError: '_BuildMetaLegacyBackend' object has no attribute 'build_editable'"
    assert remedies.add(problem("", told), {})
    assert remedies.options() == ["--exclude-newer-package", "setuptools=2022-08-21T00:00:00Z"]
    assert not remedies.add(problem("", told), {})


async def test_what_fits_only_before_is_found_on_the_python_before(site, index):
    newest, *others = sorted(site.builder.pythons.available(), reverse=True)
    before = others[0] if others else newest
    index.wheel("lagoon", "1.0", requires=["reef"])
    index.wheel("lagoon", "1.1", requires=["reef"])
    index.wheel("reef", "1.0", tag=f"cp{before[0]}{before[1]}-none-any")
    made = await site.build({"requirements.txt": "lagoon\n"}, at="today")
    assert made.python.startswith(f"{before[0]}.{before[1]}.")


def test_modules_are_named_as_their_packages():
    told = (
        "ModuleNotFoundError: No module named 'skimage.io'",
        "ImportError: No module named yaml",
    )
    assert lacking(told, {}) == ["scikit-image", "pyyaml"]


def test_nothing_is_tried_twice_and_no_build_for_ever():
    remedies = Remedies()
    assert remedies.add(problem(), {})
    remedies.drop("lagoon")
    missing = problem("lagoon", "No module named 'numpy'")
    assert remedies.add(missing, {})
    assert not remedies.add(missing, {})
    assert not remedies.add(Explanation(Kind.UNSOLVABLE, "No."), {})
    assert not remedies.add(problem(""), {})  # the repository's own package
    tried = [remedies.add(problem(f"a{number}"), {}) for number in range(2 * MOST)]
    assert sum(tried) < MOST
