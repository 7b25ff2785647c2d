"""What the machine has left, and what boxes take, are measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atoll.engines.local import cgroups, memory
from atoll.names import new_id
from atoll.servers import Limits

MB = 1024**2


def test_what_is_available_is_what_the_kernel_says(tmp_path, monkeypatch):
    assert 0 < memory.available() < 2**50
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:        8000 kB\nMemFree:  10 kB\nMemAvailable:    4000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", file)
    assert memory.available() == 4000 * 1024


@pytest.mark.parametrize("name", ["anon", "total_rss"])  # control groups version 2, and 1
def test_what_a_box_takes_is_its_own_and_no_cached_file(tmp_path, name):
    (tmp_path / "memory.stat").write_text(f"cache 999999\nfile 999999\n{name} {30 * MB}\n")
    assert cgroups.used(cgroups.Group((tmp_path / "pids", tmp_path))) == 30 * MB


def test_where_nothing_is_known_nothing_is_said():
    assert memory.average(["there-is-no-such-box"]) == 0
    assert cgroups.used(cgroups.Group()) == 0


TAKES = "input(); kept = b'x' * 30_000_000; print(flush=True); input()"


def test_what_a_process_has_written_is_seen_where_memory_is_limited_at_all():
    name, limits = new_id(), Limits(memory=128 * MB, processes=20)
    group = cgroups.create(name, limits)
    with subprocess.Popen(
        [*cgroups.prefix(name, limits), sys.executable, "-c", TAKES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        for entrance in group.entrances:  # none where systemd has put it there
            Path(entrance).write_text(str(process.pid))
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        taken = memory.average([name])
        process.kill()
    cgroups.remove(cgroups.find(name))
    limited = "memory" in cgroups.control().controllers
    assert (28 * MB < taken < 60 * MB) if limited else taken == 0
