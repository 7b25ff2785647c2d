"""The front of a repository's own Jupyter server: lets in whom the hub lets in.

It is jupyter-server-proxy's standalone proxy, which asks JupyterHub about cookies and tokens, with
one thing more. The server behind it has no token of its own, so that it takes every request for a
browser's and wants to see its form token (`_xsrf`). A program that came with a token of the hub
has none and needs none, since no page can forge such a request: it is given a matching pair.
"""

from __future__ import annotations

import secrets
from typing import Any

from jupyter_server_proxy.standalone.app import StandaloneProxyServer


class Front(StandaloneProxyServer):  # type: ignore[misc]
    """The standalone proxy, for programs too."""

    def get_proxy_base_class(self) -> tuple[type, dict[str, Any]]:
        """Return the handler of every request, and its arguments."""
        base, arguments = super().get_proxy_base_class()

        class Handler(base):  # type: ignore[misc,valid-type]
            def proxy_request_headers(self) -> Any:
                headers = super().proxy_request_headers()
                if getattr(self, "_token_authenticated", False):
                    pair = secrets.token_hex(16)
                    headers["Cookie"] = f"_xsrf={pair}"
                    headers["X-XSRFToken"] = pair
                return headers

        return Handler, arguments


if __name__ == "__main__":
    Front.launch_instance()
