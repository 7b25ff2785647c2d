"""Main: ``python -m atoll.hub``, JupyterHub without two libraries that it loads and never uses.

They are optional, and together they are a fifth of its memory. Who asks for them later, such as an
operator's own authenticator, gets them.
"""

from __future__ import annotations

import sys

UNUSED = (
    "rfc3987_syntax",  # a grammar for internationalised addresses: no event of the hub's has one
    "pygments",  # colours for the error pages of a template language: no migration needs any
)

if __name__ == "__main__":
    for name in UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    from jupyterhub.app import main

    for name in UNUSED:
        del sys.modules[name]
    main()
