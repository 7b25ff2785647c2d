"""What holds for all tests."""

from __future__ import annotations

import shutil

import pytest

from atoll.folders import run_folder
from atoll.settings import Settings
from support.postgres import postgres

DEEPEST = 3  # folders between pytest's own and an installation's data


@pytest.fixture(scope="session", autouse=True)
def no_run_folder_stays(tmp_path_factory):
    """Remove the folders for sockets of all installations, whichever process has made them."""
    yield
    base = tmp_path_factory.getbasetemp()
    for depth in range(1, DEEPEST + 1):
        for data in base.glob("/".join("*" * depth)):
            if data.is_dir():
                shutil.rmtree(run_folder(Settings(data=data)), ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a PostgreSQL server, on which each test makes a database of its own."""
    with postgres() as url:
        yield url
