import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.slugs import is_valid_safe_slug

from atoll.names import default_name, is_slug, new_id, slug


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
