from __future__ import annotations

import pytest

from support.browsing import running
from support.web_service import make_service


@pytest.fixture
def service(tmp_path):
    """The service on stand-ins, not running."""
    return make_service(tmp_path)


@pytest.fixture
async def browse(service):
    """The service running; calling this opens a browser."""
    async with running(service) as open_browser:
        yield open_browser


@pytest.fixture
async def public(tmp_path):
    """A service that lets visitors in, two from one address and three in all."""
    service = make_service(
        tmp_path,
        access={
            "anonymous": True,
            "per_address": 2,
            "total": 3,
            "origins": ["https://book.example.org"],
        },
        builds={"grace": 0.05},
    )
    async with running(service) as open_browser:
        yield service, open_browser
