"""Site: what every handler of the service needs, gathered once at the start."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

from itsdangerous import URLSafeTimedSerializer
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request

from atoll.app import Atoll
from atoll.launching.desk import Desk
from atoll.web.hub_api import HubApi
from atoll.web.hub_shares import HubShares
from atoll.web.metrics import Meters
from atoll.web.texts import FILTERS

STATIC = files("atoll.web") / "static"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service stands below its host: what JupyterHub told it at the start.

    ``base`` is the hub's ("/"), ``prefix`` ours ("/services/atoll/"); both end with a slash.
    ``secret`` signs our cookies: the service's token, which nobody else has.
    """

    base: str = "/"
    prefix: str = "/services/atoll/"
    client_id: str = "service-atoll"
    secret: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Place:
        """Read JupyterHub's variables for services."""
        return cls(
            base=environ.get("JUPYTERHUB_BASE_URL", "/"),
            prefix=environ["JUPYTERHUB_SERVICE_PREFIX"],
            client_id=environ["JUPYTERHUB_CLIENT_ID"],
            secret=environ["JUPYTERHUB_API_TOKEN"],
        )

    def signer(self, purpose: str) -> URLSafeTimedSerializer:
        """Return what signs values for *purpose*, and for nothing else."""
        return URLSafeTimedSerializer(self.secret, salt=f"atoll.web.{purpose}")


@dataclass(frozen=True)
class Site:
    """The running service: Atoll, its desk, the hub, and how pages look."""

    atoll: Atoll
    desk: Desk
    hub: HubApi
    place: Place
    meters: Meters = field(default_factory=Meters)

    @cached_property
    def shares(self) -> HubShares:
        """Who is let into whose server, as JupyterHub knows."""
        return HubShares(self.hub)

    @cached_property
    def templates(self) -> Environment:
        """Jinja, which escapes everything and does not forgive a misspelt variable."""
        environment = Environment(
            loader=PackageLoader("atoll.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(FILTERS)
        environment.globals.update(
            static=self.static, prefix=self.place.prefix, base=self.place.base
        )
        return environment

    def render(self, template: str, **values: Any) -> str:
        """Return the page that *template* makes of *values*."""
        return self.templates.get_template(template).render(**values)

    def static(self, name: str) -> str:
        """Return the address of a static file, which changes when the file does."""
        if name not in self._marks:
            digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
            self._marks[name] = digest[:10]
        return f"{self.place.prefix}static/{name}?v={self._marks[name]}"

    @cached_property
    def _marks(self) -> dict[str, str]:
        return {}


def site_of(request: Request) -> Site:
    """Return the site that *request* came to."""
    site: Site = request.app.state.site
    return site
