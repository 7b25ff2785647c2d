"""A disk of a few megabytes, in mounts of its own, on which a story of a test is told."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from inspect import getfile
from pathlib import Path

# As an ordinary user, mounting makes one root, who must become oneself again: boxes know root.
MOUNT = """
mount --make-rprivate / && mount -t tmpfs -o "size=$1m,mode=0755" small "$2" && shift 2 && exec "$@"
"""


def tell_on_small_disk(story, folder, megabytes):
    """Run the coroutine function *story* with *folder*, whose ``data`` is the small disk."""
    (folder / "data").mkdir()
    root = os.getuid() == 0
    become = [] if root else ["unshare", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
    words = ["unshare", "--mount", *([] if root else ["--map-root-user"]), "sh", "-c", MOUNT, "sh"]
    words += [str(megabytes), str(folder / "data"), *become]
    words += [sys.executable, __file__, story.__module__, story.__name__, str(folder)]
    places = {str(Path(__file__).parents[1]), str(Path(getfile(story)).parent)}
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    ran = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


if __name__ == "__main__":
    import asyncio

    module, name, place = sys.argv[1:]
    asyncio.run(getattr(import_module(module), name)(Path(place)))
