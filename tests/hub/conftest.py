from __future__ import annotations

import pytest

from support.hub import Installation


@pytest.fixture(scope="session")
def installation(tmp_path_factory):
    """A running installation that many tests share; each uses people of its own."""
    one = Installation(tmp_path_factory.mktemp("shared"))
    try:
        one.start()
        yield one
    finally:
        one.end()


@pytest.fixture
def own(tmp_path):
    """Make installations of the test's own, not yet started."""
    made = []

    def make(data=tmp_path, **settings):
        made.append(Installation(data, **settings))
        return made[-1]

    yield make
    for one in made:
        one.end()
