"""Config: what JupyterHub must know to serve Atoll. Whatever is not said here stays its default."""

from __future__ import annotations

import html
import math
from pathlib import Path
from typing import Any

from atoll.app import Store
from atoll.hub.line import STARTING
from atoll.hub.persons import PersonsSpawner
from atoll.hub.places import (
    BOX_HUB,
    IDLE,
    SERVICE,
    SUPERVISOR,
    Places,
    find_places,
    http_unix,
)
from atoll.hub.sign_in import choices, label, sign_in
from atoll.hub.spawner import installation, wire_from_settings
from atoll.hub.witness import Witness
from atoll.settings import Settings
from atoll.stores.sql.urls import jupyterhub_url

# Scopes that a share of a server carries to say what it is for; they open nothing at JupyterHub.
MARKS = {
    "custom:atoll:run": {"description": "Change files and run code there, as its owner."},
    "custom:atoll:manage": {"description": "Start and stop it, and let others in."},
}
# What Atoll's own service may do at JupyterHub: know people and make visitors, start and stop
# what they launch, and give a program that launched for a person a way into that one server; and
# share people's servers, as `access.py` allows. People need no such scope: they ask the service.
SERVICE_SCOPES = ["admin:users", "list:users", "read:hub", "servers", "tokens"]
SERVICE_SCOPES += ["shares", "read:groups:name", *MARKS]
# And what its idle culler may, by a token of its own: look, stop, and ask what kernels do.
IDLE_SCOPES = [
    "list:users",
    "read:users:activity",
    "read:servers",
    "delete:servers",
    "access:servers",
]
# What a server's own token is good for: to say that it is used, and to ask who is let into it.
SERVER_SCOPES = ["users:activity!user", "access:servers!server", "read:shares!server"]

SLOW = 1.0  # seconds after which JupyterHub says that a server is still starting


def configure(c: Any, settings: Settings) -> None:
    """Write *settings* into JupyterHub's configuration *c*.

    An operator's own file, ``[hub] config``, is loaded after this and has the last word.
    """
    places = find_places(settings)
    _listen(c, places, settings)
    _keep(c, places, settings)
    _trust(c, places)
    _look(c, places, settings)
    _stop(c, places, settings)
    sign_in(c, settings, places)
    _watch(c, places, settings)
    c.JupyterHub.spawner_class = PersonsSpawner
    c.JupyterHub.allow_named_servers = True
    # None of JupyterHub's own limits: whoever is one too many waits in line, and sees where.
    c.JupyterHub.concurrent_spawn_limit = c.JupyterHub.active_server_limit = 0
    c.Spawner.env_keep = []  # nothing of this process's environment is a server's business
    c.Spawner.hub_connect_url = http_unix(f"{BOX_HUB}/{places.hub_socket.name}")
    c.Spawner.poll_interval = 10  # seconds; asking an engine is cheap
    c.Spawner.start_timeout = math.ceil(settings.servers.wait + STARTING) + 1
    c.Spawner.http_timeout = 60


def _listen(c: Any, places: Places, settings: Settings) -> None:
    c.JupyterHub.bind_url = settings.hub.bind
    c.JupyterHub.hub_bind_url = http_unix(places.hub_socket)
    c.JupyterHub.hub_connect_url = http_unix(places.hub_socket)
    # Servers, each another user in a box of its own, must be able to connect. What listens is
    # what the whole world reaches through the proxy: every request shows a token.
    c.JupyterHub.hub_socket_mode = 0o666
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = http_unix(places.proxy_socket)
    c.ConfigurableHTTPProxy.auth_token = places.secret("proxy_token")
    c.JupyterHub.cleanup_servers = False


def _keep(c: Any, places: Places, settings: Settings) -> None:
    c.JupyterHub.db_url = jupyterhub_url(settings)
    c.JupyterHub.upgrade_db = True
    c.JupyterHub.cookie_secret_file = str(places.data / "jupyterhub_cookie_secret")


def _trust(c: Any, places: Places) -> None:
    # Our programs' tokens are random, and so are worth no 16,384 rounds of hashing (8 ms) per call.
    c.JupyterHub.trust_user_provided_tokens = True
    c.JupyterHub.services = [
        {
            # Without "url", because JupyterHub takes no unix socket there: the proxy's routes to
            # it are the supervisor's to keep.
            "name": SERVICE,
            "api_token": places.secret("service_token"),
            "oauth_redirect_uri": f"{places.prefix}oauth_callback",
            "oauth_no_confirm": True,
            "display": False,
        },
        {"name": SUPERVISOR, "api_token": places.secret("supervisor_token"), "display": False},
    ]
    c.JupyterHub.custom_scopes = MARKS
    c.Spawner.server_token_scopes = SERVER_SCOPES
    c.JupyterHub.load_roles = [
        {"name": SERVICE, "scopes": SERVICE_SCOPES, "services": [SERVICE]},
        {"name": SUPERVISOR, "scopes": ["proxy", "read:hub"], "services": [SUPERVISOR]},
    ]
    c.JupyterHub.extra_user_scopes = {f"access:services!service={SERVICE}"}


def _stop(c: Any, places: Places, settings: Settings) -> None:
    seconds, token = settings.pause, places.secret("idle_token")
    c.JupyterHub.services.append({"name": IDLE, "api_token": token, "display": False})
    c.JupyterHub.load_roles.append({"name": IDLE, "scopes": IDLE_SCOPES, "services": [IDLE]})
    # The hub must hear of a use well before the culler looks.
    c.JupyterHub.last_activity_interval = seconds
    c.JupyterHub.activity_resolution = min(30, seconds)
    environ = {"JUPYTERHUB_ACTIVITY_INTERVAL": str(seconds)}
    if kernels := settings.servers.idle_kernels:
        environ["ATOLL_IDLE_KERNELS"] = str(math.ceil(kernels))
    c.Spawner.environment = environ


def _watch(c: Any, places: Places, settings: Settings) -> None:
    """Have it written down who signs in, and what people do past Atoll's own pages."""

    async def store() -> Store:
        return (await installation(wire_from_settings).opened()).store

    witness = Witness(store, f"{places.base}hub/", settings.access.proxies)
    admitting = c.Authenticator.post_auth_hook

    async def admit(authenticator: Any, handler: Any, found: dict[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = admitting(authenticator, handler, found)
        await witness.signed_in(handler, known["name"])
        return known

    c.Authenticator.post_auth_hook = admit
    c.JupyterHub.tornado_settings = {
        # Who waits is to see it, and not an unanswered request: JupyterHub takes 10 s by default.
        "slow_spawn_timeout": SLOW,
        "log_function": witness.request,
    }


def _look(c: Any, places: Places, settings: Settings) -> None:
    c.JupyterHub.default_url = places.prefix
    c.JupyterHub.template_paths = [str(Path(__file__).parent / "templates")]
    c.JupyterHub.template_vars = {
        "atoll_prefix": places.prefix,
        "atoll_accounts": label(settings.sign_in),
        "atoll_ways": choices(settings.sign_in),
        "atoll_sign_up": settings.sign_in.kind == "native",
        "announcement": html.escape(settings.pages.notice),  # JupyterHub takes it for HTML
    }
