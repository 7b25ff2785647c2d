"""An operator's jupyterhub_config.py, for seeing those of JupyterHub's pages that few people see.

There is a second person, Bob, another application that asks for access, and a service that may
share anybody's server. A server whose name begins with "slow" takes a minute to start; one whose
name begins with "broken" cannot.
"""

import asyncio

PASSWORD = "a password that is long enough for JupyterHub"  # Bob's
SHARER = "sharer-" + "0" * 32  # a token
ADDRESS = "http://127.0.0.1:1/callback"


async def hold(spawner):
    if spawner.name.startswith("slow"):
        await asyncio.sleep(60)
    if spawner.name.startswith("broken"):
        raise RuntimeError("It is broken.")


if "get_config" in globals():
    c = get_config()  # noqa: F821 - JupyterHub's
    c.Spawner.pre_spawn_hook = hold
    c.SharedPasswordAuthenticator.user_password = PASSWORD
    c.SharedPasswordAuthenticator.allowed_users = {"admin", "bob"}
    services = [
        {"name": "sharer", "api_token": SHARER, "display": False},
        {
            "name": "other",
            "api_token": "other-" + "0" * 32,
            "oauth_redirect_uri": ADDRESS,
            "oauth_client_allowed_scopes": ["read:users!user", "access:servers!user"],
            "display": False,
        },
    ]
    roles = [{"name": "sharer", "scopes": ["shares"], "services": ["sharer"]}]
    c.JupyterHub.services.extend(services)  # Atoll's own are there already
    c.JupyterHub.load_roles.extend(roles)
