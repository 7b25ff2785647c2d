"""The configuration file that `atoll up` gives to the idle culler; `atoll.hub.idle` explains it."""

from __future__ import annotations

import os
from typing import Any

from atoll.hub.idle import Arbiter, Asking
from atoll.hub.places import find_places
from atoll.hub.processes import die_with
from atoll.settings import load_settings
from atoll.stores.sql import open_store

die_with(os.getppid())()  # a hub that was killed starts another one
settings = load_settings()
store = open_store(settings)
asking = Asking(find_places(settings).url, os.environ["JUPYTERHUB_API_TOKEN"])
arbiter = Arbiter(asking, store.stops, settings.servers.max_age)


async def decide(**about: Any) -> bool:
    """Decide with `arbiter`; traitlets want a plain function."""
    return await arbiter(**about)


c = get_config()  # type: ignore[name-defined]  # noqa: F821 - traitlets'
c.IdleCuller.cull_arbiter_hook = decide
