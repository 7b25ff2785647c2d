"""Main: ``python -m atoll.web``, which the supervisor runs as a service of JupyterHub."""

from __future__ import annotations

import uvicorn

from atoll.app import wire
from atoll.settings import load_settings, run_folder
from atoll.web.app import make_app, make_site
from atoll.web.hub_api import HubApi
from atoll.web.site import Place


def main() -> None:
    """Serve on the unix socket ``web.sock`` in the run folder until told to stop."""
    settings = load_settings()
    site = make_site(
        wire(settings, trusted=False), HubApi.from_environment(), Place.from_environment()
    )
    uvicorn.run(
        make_app(site),
        uds=str(run_folder(settings) / "web.sock"),
        proxy_headers=False,  # we read the proxy's headers ourselves, the last hop only
        server_header=False,
        access_log=False,
        log_level="info",
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
