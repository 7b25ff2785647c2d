"""The nursery: the fork servers of kernels, each started when an environment is first used.

They live as long as whoever started them, the hub; the one that was not asked for longest gives
way to the next.
"""

from __future__ import annotations

import hashlib
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from atoll.engines.local import cgroups
from atoll.engines.local.forking.client import ENVIRON
from atoll.folders import run_folder
from atoll.settings import Settings

LOCAL = Path(__file__).parents[1]
RUN = (
    "import sys; sys.path[0] = sys.argv[1]; from forking.kernels import main; del sys.path[0]; "
    "main(sys.argv[2], 0)"
)
# Some of its modules look at these as they are imported; in every box they are so.
PERSON = {
    "USER": "jovyan",
    "SHELL": "/bin/bash",
    "TERM": "xterm-256color",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else its debugger prints a warning
}
RETRY = 600.0  # seconds until one that has ended by itself is started again


@dataclass(slots=True)
class _Started:
    process: subprocess.Popen[bytes]
    at: float
    asked: float


@dataclass(slots=True)
class Nursery:
    """The fork servers of kernels of this process; `take` may be called from any thread."""

    settings: Settings
    _started: dict[Path, _Started] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, layer: Path) -> Path | None:
        """Return where the fork server of *layer* listens, once it does.

        The first time it is only started, since it needs a second; ``None`` then.
        """
        most = self.settings.servers.kernel_forks
        place = self._place(layer)
        with self._lock:
            known = self._started.get(layer)
            now = time.monotonic()
            if known and (known.process.poll() is None or now < known.at + RETRY):
                known.asked = now
                return place if known.process.poll() is None and place.exists() else None
            while most and len(self._started) >= most:
                oldest = min(self._started, key=lambda one: self._started[one].asked)
                self._end(oldest)
            if most:
                place.unlink(missing_ok=True)
                self._started[layer] = _Started(self._start(layer, place), now, now)
        return None

    def close(self) -> None:
        """End them all."""
        with self._lock:
            for layer in list(self._started):
                self._end(layer)

    def _start(self, layer: Path, place: Path) -> subprocess.Popen[bytes]:
        python = layer / "env" / "bin" / "python"
        return subprocess.Popen(
            [*cgroups.neighbour(), str(python), "-c", RUN, str(LOCAL), str(place)],
            env=ENVIRON | PERSON,
            cwd="/",
            stdin=subprocess.PIPE,  # it ends when we do
            start_new_session=True,
        )

    def _end(self, layer: Path) -> None:
        gone = self._started.pop(layer)
        gone.process.terminate()
        gone.process.wait()
        if gone.process.stdin:
            gone.process.stdin.close()

    def _place(self, layer: Path) -> Path:
        text = hashlib.sha256(str(layer).encode()).hexdigest()[:12]
        return run_folder(self.settings) / f"kernels-{text}.sock"
