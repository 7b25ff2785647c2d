"""A warm launch and an idle server, beside plain `jupyter lab` in the same run.

warm_launch: from a request to Binder's interface (`/build/…`), through hub, proxy and box, until
the Lab's page answers; everything is built. Beside it: `jupyter lab` until its page answers.
idle_pss: the proportional memory of an idle server's processes, kernels none. Beside it: the same
of an idle `jupyter lab`.

Prints a JSON list of figures; medians of --rounds (5). Run it with `make bench ONLY=launches`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx2

GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.org")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answering(url: str, seconds: float = 90) -> None:
    """Ask until *url* answers with a page."""
    late = time.monotonic() + seconds
    while time.monotonic() < late:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, follow_redirects=True, timeout=10).status_code == 200:  # noqa: PLR2004
                return
        time.sleep(0.01)
    raise SystemExit(f"{url} did not answer in {seconds} s")


def pss(root: int) -> int:
    """Return the proportional set size, in bytes, of the process *root* and all below it."""
    total, left = 0, [root]
    while left:
        pid = left.pop()
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(next(line for line in text.splitlines() if line[:4] == "Pss:").split()[1])
            left += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return total * 1024


@contextlib.contextmanager
def hub(folder: Path) -> Iterator[str]:
    """Serve an installation that lets visitors in; yield its address."""
    port = free_port()
    settings = folder / "atoll.toml"
    settings.write_text(
        f'data = "{folder / "data"}"\n[hub]\nbind = "http://127.0.0.1:{port}"\n'
        f'[access]\nanonymous = true\nper_address = 100\n[sources]\nallow = ["{folder}"]\n'
    )
    log = (folder / "up.log").open("w")
    command = [sys.executable, "-m", "atoll.cli", "--config", str(settings), "up"]
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        answering(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        log.close()


def launch(base: str, repository: Path) -> tuple[float, str, str]:
    """Launch *repository* as Binder's clients do; return the seconds, the server and its token."""
    begun = time.monotonic()
    spec = quote(f"file://{repository}", safe="")
    headers = {"Accept": "text/event-stream"}
    with httpx2.stream("GET", f"{base}/build/git/{spec}/HEAD", headers=headers, timeout=300) as sse:
        for line in sse.iter_lines():
            if not line.startswith("data: "):
                continue
            event = json.loads(line[6:])
            if event["phase"] == "failed":
                raise SystemExit(event["message"])
            if event["phase"] == "ready":
                answering(f"{event['url']}lab?token={event['token']}")
                return time.monotonic() - begun, event["url"], event["token"]
    raise SystemExit("the stream ended early")


def plain_lab(folder: Path) -> tuple[float, int]:
    """Start `jupyter lab`; return the seconds until it answers and its memory when it is idle."""
    port = free_port()
    begun = time.monotonic()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.port={port}"]
    command += ["--ServerApp.token=bench", "--allow-root", f"--ServerApp.root_dir={folder}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=folder)
    try:
        answering(f"http://127.0.0.1:{port}/lab?token=bench")
        took = time.monotonic() - begun
        time.sleep(1)
        return took, pss(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def running_servers(folder: Path) -> list[int]:
    """Return the first process of every box of the installation in *folder*."""
    files = (folder / "data" / "servers").glob("*/server.json")
    return [json.loads(file.read_text())["init"] for file in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as name:
        folder = Path(name)
        repository = folder / "repository"
        repository.mkdir()
        (repository / "requirements.txt").write_text("six==1.16.0\n")
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "bench"]):
            subprocess.run([*GIT, *words], cwd=repository, check=True)
        (plain := folder / "plain").mkdir()
        ours, theirs, our_memory, their_memory = [], [], [], []
        with hub(folder) as base:
            launch(base, repository)  # builds it
            for _ in range(rounds):
                before = set(running_servers(folder))
                took, _, _ = launch(base, repository)
                ours.append(took)
                time.sleep(1)
                our_memory += [pss(one) for one in set(running_servers(folder)) - before]
                took, memory = plain_lab(plain)
                theirs.append(took)
                their_memory.append(memory)
            for one in running_servers(folder):
                os.kill(one, signal.SIGKILL)
    print(
        json.dumps(
            [
                figure("warm_launch", ours, "s", "jupyter lab", theirs),
                figure("idle_pss", our_memory, "bytes", "jupyter lab", their_memory),
            ],
            indent=2,
        )
    )


def figure(
    name: str, values: list[float], unit: str, beside: str, others: list[float]
) -> dict[str, object]:
    """Return one row of results: medians, and their ratio."""
    value, other = statistics.median(values), statistics.median(others)
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "beside": beside,
        "beside_value": round(other, 3),
        "ratio": round(value / other, 3),
    }


if __name__ == "__main__":
    main()
