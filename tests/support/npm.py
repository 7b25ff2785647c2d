"""npm: brings what a package-lock.json names, once, and keeps it beside that file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

LOCKS = Path(__file__).parent.parent / "artefacts" / "clients"


def lock() -> FileLock:
    """Have npm to ourselves."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    return FileLock(LOCKS / ".lock")


def installed(folder: Path) -> Path:
    """Return *folder*, with all that its package-lock.json names in ``node_modules``."""
    with lock():
        if not (folder / "node_modules" / ".package-lock.json").exists():
            run(["npm", "ci"], folder)
    return folder


def node() -> str:
    """Return where Node.js is."""
    found = shutil.which("node")
    assert found, "These tests need Node.js on the path."
    return found


def run(command: list[str], folder: Path) -> str:
    """Run *command* in *folder* and return what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
