"""Where builds are tried, and code: in a box that was started plainly, or as a fork."""

import pytest

from support.boxes import in_box
from support.building import Site
from support.forks import ForkServer
from support.index import PackageIndex


@pytest.fixture
def index():
    """Return an index that builds reach over the host's loopback; a module may have another."""
    with PackageIndex() as served:
        yield served.kernel()


@pytest.fixture
def site(tmp_path, index):
    """Return a builder that knows this index only."""
    return Site(tmp_path, index.url)


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory):
    """Return a fork server with no servers of its own."""
    server = ForkServer(tmp_path_factory.mktemp("forks"))
    yield server
    server.close()


@pytest.fixture(params=["plain", "forked"])
def inside(request):
    """Return what runs Python in a box and returns its exit code and its lines."""
    if request.param == "plain":
        return in_box
    return request.getfixturevalue("fork_server").run
