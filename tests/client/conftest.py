"""A hub whose service is real, on stand-ins, at an address of loopback; and `atoll` that asks it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result

from atoll.cli import main
from support.one_host import joined, serving
from support.web_service import Service, make_service


@dataclass
class There:
    """A hub at ``address``, and ada's token there."""

    service: Service
    address: str
    token: str
    runner: CliRunner

    def __call__(self, *words: str, check: bool = True, **how) -> Result:
        """Run ``atoll --hub ADDRESS`` with *words*, as ada."""
        ran = self.runner.invoke(main, ["--hub", self.address, *words], **how)
        if check:
            assert ran.exit_code == 0, (ran.output, ran.exception)
        return ran


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Ada, who has signed in to a hub by a token in the environment."""
    service = make_service(tmp_path / "hub", operator={"see_as": True})
    service.hub.users["ada"]["admin"] = False
    web = service.app
    with serving(joined(service, web)) as address:
        token = service.hub.token_of("ada")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("ATOLL_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("ATOLL_TOKEN", token)
        yield There(service, f"{address}/", token, CliRunner())
