"""The configuration file that `atoll up` gives to JupyterHub; `atoll.hub.config` writes it."""

from __future__ import annotations

from pathlib import Path

from atoll.hub.config import configure
from atoll.settings import load_settings
from atoll.stores.sql.database import quicken
from atoll.stores.sql.urls import jupyterhub_url

settings = load_settings()
configure(get_config(), settings)  # type: ignore[name-defined]  # noqa: F821 - JupyterHub's
quicken(jupyterhub_url(settings))
if settings.hub.config:
    load_subconfig(str(Path(settings.hub.config).absolute()))  # type: ignore[name-defined]  # noqa: F821
