import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.slugs import is_valid_safe_slug

from atoll.errors import BadRequest
from atoll.names import default_name, is_slug, new_id, slug, title_of, title_slug


@given(st.text())
def test_any_text_becomes_a_name_that_jupyterhub_takes(text):
    name = slug(text)
    assert is_slug(name)
    assert is_valid_safe_slug(name)


@given(st.text(alphabet="ab1-", max_size=34))
def test_we_accept_only_what_jupyterhub_accepts(text):
    if is_slug(text):
        assert is_valid_safe_slug(text)
        assert len(text) <= 30


@pytest.mark.parametrize(
    ("locator", "name"),
    [
        ("https://github.com/binder-examples/requirements", "requirements"),
        ("https://example.org/A_Long.Name.git", "a-long-name"),
        ("git@example.org:course.git", "course"),
        ("/home/ada/2024 thesis/", "thesis"),
        ("https://example.org/2024", "example-org-2024"),
        ("git@example.org:2024", "server"),
        ("https://example.org/Some_Data.tar.gz?download=1", "some-data"),
        ("doi:10.5281/zenodo.3242074", "zenodo-3242074"),
        ("swh:1:rev:94a9ed024d3859793618152ea559a168bbcbb5e2;x=1", "swh-rev-94a9ed024d"),
    ],
)
def test_a_server_is_named_after_its_repository(locator, name):
    assert default_name(locator) == name


def test_ids_are_long_and_never_the_same():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(one) for one in ids} == {24}


@pytest.mark.parametrize(
    ("text", "title", "name"),
    [
        ("  Week  1:\u00a0Sorting ", "Week 1: Sorting", "week-1-sorting"),
        ("The\u0300se d’été", "Th\u00e8se d’été", "these-d-ete"),
        ("Занятие 3", "Занятие 3", ""),  # no number begins a name
        ("演習", "演習", ""),
        ("\u1112\u1161\u11ab\u115f", "\ud55c\u115f", ""),
        ("👩‍🔬 lab", "👩‍🔬 lab", "lab"),
        ("می‌خواهم", "می‌خواهم", ""),  # a joiner that is part of the word
        ("<b>'\"&", "<b>'\"&", "b"),
        ("x" * 100, "x" * 100, "x" * 30),
        ("", "", ""),
        ("   ", "", ""),
    ],
)
def test_a_title_is_in_any_words_and_a_name_is_made_of_it(text, title, name):
    assert title_of(text) == title
    assert title_slug(title) == name


@pytest.mark.parametrize(
    "text",
    [
        "x" * 101,
        "a\nb",
        "a\x00",
        "\x1b[31m",
        "gpj.\u202eexe",
        "\u2066a",
        "\u200b",
        "thes\u200bis",
        "\ufeffthesis",
        "\u3164",
        "\u2800 \u115f\u0300",
        "\ud800",
        "\x9b",
    ],
)
def test_what_nobody_would_see_or_read_is_no_title(text):
    with pytest.raises(BadRequest):
        title_of(text)


@given(st.text(max_size=120))
def test_a_title_stays_the_same_however_often_it_is_read(text):
    try:
        title = title_of(text)
    except BadRequest:
        return
    assert title_of(title) == title
    assert title.isprintable() or any(ord(one) > 127 for one in title)
    assert not title_slug(title) or is_slug(title_slug(title))
