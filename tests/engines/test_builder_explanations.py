"""What uv printed, word for word (uv 0.13), and the sentence that a person reads."""

from __future__ import annotations

from datetime import date
from textwrap import dedent

import pytest

from atoll.engines.local.explanations import LONGEST, Explanation, Kind, explain, last_words
from atoll.engines.local.room import MAKE_ROOM
from atoll.engines.local.solving import failed
from atoll.environments import REMEMBERED
from atoll.errors import BadSpecification, BuildFailed, Lacking, Unreachable

NO = "error: No solution found when resolving dependencies\n  cause: "
END = "we can conclude that your requirements are unsatisfiable."
UNREADABLE = f"""{NO}Because reef==1.2 has invalid metadata and you require reef==1.2, {END}

hint: Metadata for `reef` (v1.2) could not be parsed:
  after parsing `2011`, found `k`, which is not part of a valid version
  pytz (>=2011k)
        ^^^^^^^"""

GIT = """\
error: Git operation failed
  cause: failed to clone into: /srv/cache/uv/git-v2/db/2c681a2896045b6f
  cause: process didn't exit successfully: `/usr/bin/git fetch --force --update-head-ok 'https://git.example.org/a/b.git' '+HEAD:refs/remotes/origin/HEAD'` (exit status: 128)
         --- stderr
         fatal: """

CASES = [
    (
        f"{GIT}unable to access 'https://git.example.org/a/b.git/': Could not resolve host: git.example.org",
        Kind.UNREACHABLE,
        "https://git.example.org/a/b.git could not be fetched: Could not resolve host: git.example.org.",
        "Try again later.",
    ),
    (
        f"{GIT}could not read Username for 'https://git.example.org': terminal prompts disabled",
        Kind.OTHER,
        "https://git.example.org/a/b.git could not be fetched: could not read Username for 'https://git.example.org': terminal prompts disabled.",
        "It is not there, or not for everybody.",
    ),
    (
        f"{NO}Because nunpy was not found in the package registry and you require nunpy, {END}",
        Kind.UNSOLVABLE,
        "There is no package “nunpy” on the index.",
        "Did you mean numpy?",
    ),
    (
        f"{NO}Because there is no version of numpy==9.9 and you require numpy==9.9, {END}",
        Kind.UNSOLVABLE,
        "There is no version numpy==9.9 on the index.",
        "Check the version.",
    ),
    (
        (
            f"{NO}Because only numpy<=1.20.3 is available and you require numpy>=2, {END}\n\n"
            "hint: `numpy` was filtered by `exclude-newer` to only include packages uploaded before "
            "2021-06-01T00:00:00Z. The latest version satisfying the requirement is v2.5.5, published "
            "at 2026-11-15T21:30:10Z. Consider using `exclude-newer-package` to override the cutoff "
            "for this package."
        ),
        Kind.UNSOLVABLE,
        "No version of numpy that fits had been released by 2021-05-31; 2.5.5 came on 2026-11-15.",
        "Use `--at today`, or a later date, to see newer packages.",
    ),
    (
        (
            f"{NO}Because the current Python version (3.8.18) does not satisfy Python>=3.10 and "
            "numpy==2.1.0 depends on Python>=3.10, we can conclude that numpy==2.1.0 cannot be used.\n"
            f"         And because you require numpy==2.1.0, {END}"
        ),
        Kind.UNSOLVABLE,
        "numpy==2.1.0 needs Python >=3.10; this is Python 3.8.18.",
        "Write python-3.10 into runtime.txt.",
    ),
    (
        (
            f"{NO}Because tensorflow==1.15.0 has no wheels with a matching Python ABI tag (e.g., "
            f"`cp39`) and you require tensorflow==1.15, {END}\n\n"
            "hint: You require CPython 3.9 (`cp39`), but we only found wheels for `tensorflow` "
            "(v1.15.0) with the following Python ABI tags: `cp27m`, `cp27mu`, `cp36m`, `cp37m`"
        ),
        Kind.UNSOLVABLE,
        "tensorflow==1.15.0 has no files for this Python, only for 2.7, 3.6, 3.7.",
        "Write python-3.7 into runtime.txt.",
    ),
    (
        f"{NO}Because you require idna==2.0 and idna==3.0, {END}",
        Kind.UNSOLVABLE,
        "The requirements contradict each other: you require idna==2.0 and idna==3.0.",
        "Loosen one of these requirements.",
    ),
    (
        (
            f"{NO}Because pandocfilters==1.4.3 has no usable wheels and you require "
            f"pandocfilters==1.4.3, {END}\n\nhint: Wheels are required for `pandocfilters` because "
            "building from source is disabled for all packages (i.e., with `--no-build`)"
        ),
        Kind.NEEDS_BUILD,
        (
            "pandocfilters==1.4.3 has no wheel, and building it from source needs a network that "
            "builds lack here."
        ),
        "See `atoll doctor` for what the network of builds needs.",
    ),
    (
        dedent("""\
            error: Request failed after 3 retries in 10.2s
              cause: Failed to fetch: http://index.example.org/simple/six/
              cause: error sending request for url (http://index.example.org/simple/six/)
              cause: client error (Connect)
              cause: dns error"""),
        Kind.UNREACHABLE,
        "http://index.example.org/simple/six/ did not answer.",
        "Try again later. If that is the package index, the operator can name another for uv.",
    ),
    (
        dedent("""\
            error: Failed to download and build `lagoon==2.0.0`
              cause: Failed to resolve requirements from `build-system.requires`
              cause: No solution found when resolving: `setuptools>=64`, `setuptools-scm>=8`
              cause: Because only setuptools-scm<8 is available, the requirements are unsatisfiable."""),
        Kind.BUILD,
        (
            "“lagoon==2.0.0” could not be built from source: Because only setuptools-scm<8 is "
            "available, the requirements are unsatisfiable."
        ),
        "The log shows the whole output of its build.",
    ),
    (
        dedent("""\
            error: Failed to download `idna==3.4`
              cause: Hash mismatch for `idna==3.4`

                     Expected:
                       sha256:00"""),
        Kind.OTHER,
        "idna==3.4 on the index is not what the repository's hash says.",
        "Look into it before you trust either.",
    ),
    (
        dedent("""\
            error: Couldn't parse requirement in `n.in` at position 0
              cause: no such comparison operator "=", must be one of ~= == != <= >= < > ===
                     numpy = 3
                           ^^^"""),
        Kind.SPECIFICATION,
        (
            '“numpy = 3” is not a requirement: no such comparison operator "=", must be one of '
            "~= == != <= >= < > ===."
        ),
        "See PEP 508 for the form.",
    ),
    (
        dedent("""\
            error: Failed to build `odd==1.0`
              cause: The build backend returned an error
              cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

                     [stderr]
                     Traceback (most recent call last):
                       File "<string>", line 2, in <module>
                     RuntimeError: no numpy here, sorry

            hint: Build failures usually indicate a problem with the package"""),
        Kind.BUILD,
        "“odd==1.0” could not be built from source: RuntimeError: no numpy here, sorry.",
        "The log shows the whole output of its build.",
    ),
    (
        UNREADABLE,
        Kind.UNSOLVABLE,
        "What reef==1.2 says it requires (“pytz (>=2011k)”) is not written as uv can read it.",
        "Ask for a newer version of it.",
    ),
    (
        dedent("""\
            error: Failed to build `reef==0.12.3`
              cause: The build backend returned an error
              cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed
                     [stdout]
                     To build reef, you will need numpy.
                     For details, see http://reef.example.org
            hint: Build failures usually indicate a problem with the package"""),
        Kind.BUILD,
        "“reef==0.12.3” could not be built from source: To build reef, you will need numpy.",
        "The log shows the whole output of its build.",
    ),
    (
        "error: No interpreter found at path `/home/ada/.venv/bin/python3.11`",
        Kind.MACHINE,
        "No interpreter found at path `/home/ada/.venv/bin/python3.11`.",
        "`atoll doctor` says which Pythons can be used.",
    ),
    (
        dedent("""\
            error: Failed to download `reef==1.0`
              cause: Failed to write to the distribution cache
              cause: No space left on device (os error 28)"""),
        Kind.MACHINE,
        "The disk is full.",
        MAKE_ROOM,
    ),
    (
        dedent("""\
            error: Failed to download `reef==1.0`
              cause: Request failed after 3 retries
              cause: error sending request for url (https://files.example.org/reef-1.0.whl)
              cause: operation timed out"""),
        Kind.UNREACHABLE,
        "https://files.example.org/reef-1.0.whl did not answer.",
        "Try again later. If that is the package index, the operator can name another for uv.",
    ),
    (
        "error: something that no uv has said so far\n  cause: the moon",
        Kind.OTHER,
        "Something that no uv has said so far: the moon.",
        "",
    ),
]


@pytest.mark.parametrize(("text", "kind", "message", "hint"), CASES)
def test_uvs_words_become_one_sentence(text, kind, message, hint):
    found = explain(text.splitlines(), as_of=date(2021, 5, 31))
    assert (found.kind, found.message, found.hint) == (kind, message, hint)


def test_a_long_story_of_a_conflict_is_cut_to_its_last_step():
    story = (
        f"{NO}Because pandas>=2.0.0,<=2.0.3 depends on numpy{{python_full_version < '3.10'}}"
        ">=1.20.3 and a depends on b, we can conclude that pandas>=2.0.0 depends on numpy>=1.20.3."
        f"\n         And because you require numpy<1.20 and pandas>=2, {END}"
    )
    found = explain(story.splitlines())
    assert found.message == (
        "The requirements contradict each other: pandas>=2.0.0 depends on numpy>=1.20.3, "
        "and you require numpy<1.20 and pandas>=2."
    )


def test_no_output_makes_it_crash_or_talk_for_ever():
    for lines in ([], [""], ["error: "], ["error: x" * 1000], ["x"], ["error: a", "  cause: "]):
        assert len(explain(lines).message) <= LONGEST


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["An error occurred.", "ValueError:", '"x" is not compatible', "See the log"], 'ValueError: "x" is not compatible'),
        (["./postBuild: line 3: jupyter: command not found"], "./postBuild: line 3: jupyter: command not found"),
        (["./p: line 2: syntax error near unexpected token `('", "./p: line 2: `f(x)'"], "./p: line 2: syntax error near unexpected token `('"),
        (["\x1b[31mKeyError: 'a'\x1b[0m", "bye"], "KeyError: 'a'"),
        (["all is well", "Errors of measurement"], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_a_scripts_last_complaint_is_found(lines, words):
    assert last_words(lines) == words


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Kind.UNSOLVABLE, BuildFailed),
        (Kind.NEEDS_BUILD, BuildFailed),
        (Kind.BUILD, BuildFailed),
        (Kind.OTHER, BuildFailed),
        (Kind.SPECIFICATION, BadSpecification),
        (Kind.UNREACHABLE, Unreachable),
        (Kind.MACHINE, Lacking),
    ],
)
def test_what_kind_it_is_decides_whether_it_is_remembered(kind, error):
    assert type(failed(Explanation(kind, "No."))) is error
    assert issubclass(error, REMEMBERED) == (kind not in {Kind.UNREACHABLE, Kind.MACHINE})
