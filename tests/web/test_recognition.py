from __future__ import annotations

import pytest

from atoll.errors import BadReference
from atoll.web.recognition import LONGEST, recognise

HOME = "https://hub.example.org/"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("https://github.com/ada/engine", "GitHub repository ada/engine, newest version."),
        ("gh:ada/engine@v1.0", "GitHub repository ada/engine, version v1.0."),
        (
            "https://github.com/ada/engine/blob/main/notes/a.ipynb",
            "GitHub repository ada/engine, version main, opens notes/a.ipynb.",
        ),
        (
            "https://mybinder.org/v2/gl/group%2Fsub%2Fname/main?filepath=a.ipynb",
            "GitLab repository group/sub/name, version main, opens a.ipynb.",
        ),
        (
            "https://gist.github.com/ada/" + "0a" * 16,
            f"Gist ada/{'0a' * 16}, newest version.",
        ),
        (
            "https://git.example.org/maths/proofs.git",
            "Git repository git.example.org/maths/proofs, newest version.",
        ),
        (
            f"gh:ada/engine@{'ab12' * 10}",
            "GitHub repository ada/engine, commit ab12ab12ab.",
        ),
        (
            "hg+https://hg.example.org/maths/proofs@stable",
            "Mercurial repository hg.example.org/maths/proofs, version stable.",
        ),
        (
            "https://hg.example.org/maths/proofs/file/tip/notes/a.ipynb",
            "Mercurial repository hg.example.org/maths/proofs, version tip, opens notes/a.ipynb.",
        ),
        ("10.5281/zenodo.3242074", "Zenodo record 3242074, as published."),
        (
            "https://zenodo.org/records/3242074/files/a.ipynb",
            "Zenodo record 3242074, as published, opens a.ipynb.",
        ),
        ("10.6084/m9.figshare.9782777.v2", "Figshare article 9782777, version 2."),
        ("doi:10.7910/DVN/TJCLKP", "DOI 10.7910/DVN/TJCLKP, as published."),
        (
            "https://dv.example.org/dataset.xhtml?persistentId=doi:10.5072/FK2/AB",
            "Dataverse dataset doi:10.5072/FK2/AB at dv.example.org, as published.",
        ),
        ("https://ckan.example.org/dataset/rain", "CKAN dataset rain at ckan.example.org, as published."),
        ("https://osf.io/6nd7c/", "OSF project 6nd7c, as published."),
        (
            f"swh:1:rev:{'ab12' * 10};origin=https://example.org/r",
            "Software Heritage revision ab12ab12ab, as published.",
        ),
        ("https://example.org/a/my%20course.zip?x=1", "Archive my course.zip at example.org, as published."),
        (f"https://example.org/x.zip@{'ab12' * 16}", "Archive x.zip at example.org, version ab12ab12ab12."),
        (
            "gh:ada/env@v1 + https://gitlab.com/ada/course/-/blob/main/a.ipynb",
            ("GitLab repository ada/course, version main, opens a.ipynb; "
            "in the environment of GitHub repository ada/env, version v1."),
        ),
        (
            ("https://hub.example.org/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Fada"
            "%2Fcourse&branch=main&urlpath=lab%2Ftree%2Fcourse%2Fa.ipynb"),
            "GitHub repository ada/course, version main, opens a.ipynb.",
        ),
        (
            ("https://mybinder.org/v2/gh/ada/env/HEAD?urlpath=git-pull%3Frepo%3Dhttps%253A%252F%252F"
            "github.com%252Fada%252Fcourse%26urlpath%3Dlab%252Ftree%252Fcourse%252Fa.ipynb"),
            ("GitHub repository ada/course, newest version, opens a.ipynb; "
            "in the environment of GitHub repository ada/env, newest version."),
        ),
    ],
)  # fmt: skip
def test_it_says_what_was_pasted(text, sentence):
    assert recognise(text, "", "", HOME).sentence == sentence


def test_what_is_typed_beside_it_wins():
    found = recognise("https://github.com/a/b/blob/main/x.ipynb", "dev", "y.ipynb", HOME)
    assert (found.version, found.opens) == ("version dev", "y.ipynb")
    assert found.links.url == f"{HOME}v2/gh/a/b/dev?urlpath=lab/tree/y.ipynb"


@pytest.mark.parametrize(
    "text", ["", "   ", "hello", "githbu:a/b", "ext::sh -c x", "http://[", "x" * 3 * LONGEST]
)
def test_what_is_no_repository_is_said_with_a_hint(text):
    with pytest.raises(BadReference) as caught:
        recognise(text, "", "", HOME)
    assert str(caught.value)


def test_nbgitpullers_page_is_understood_as_what_to_open_too():
    found = recognise("gh:a/env", "v1", "/git-pull?repo=https%3A%2F%2Fgithub.com%2Fa%2Fb", HOME)
    assert found.sentence.startswith("GitHub repository a/b, newest version; in the environment of")
    assert found.links.url == f"{HOME}v2/gh/a/env/v1?content=gh/a/b/HEAD"


@pytest.mark.parametrize("opening", ["../../hub/admin", "/../x", "/%2e%2e/x", "a\\b"])
def test_nothing_outside_the_server_can_be_opened(opening):
    with pytest.raises(BadReference):
        recognise("gh:a/b", "", opening, HOME)
