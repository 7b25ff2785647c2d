"""What a box has used is told by its control groups, or by its processes where nobody counts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from atoll.engines.local import cgroups, usage
from atoll.engines.local.runner import LocalRunner
from atoll.names import new_id
from atoll.servers import Limits
from atoll.settings import Settings
from support.plans import make_plan

MB = 1024**2
BURNS = (
    "import time; input(); kept = b'x' * 30_000_000\n"
    "while time.process_time() < 0.6: pass\nprint(flush=True); input()"
)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("cpu.stat", "usage_usec 1500000\nuser_usec 1\nsystem_usec 2\n"),  # version 2
        ("cpuacct.usage", "1500000000\n"),  # version 1
    ],
)
def test_seconds_are_read_in_each_version(tmp_path, file, text):
    group = cgroups.Group((tmp_path / "memory", tmp_path))
    (tmp_path / file).write_text(text)
    assert cgroups.spent(group) == 1.5


def test_where_nobody_counts_it_is_not_known(tmp_path):
    (tmp_path / "cpu.stat").write_text("nr_periods 5\nnr_throttled 0\nthrottled_time 0\n")
    assert cgroups.spent(cgroups.Group((tmp_path,))) is None
    assert cgroups.spent(cgroups.Group()) is None
    assert usage.of_box("no-such-box", 2**22 + 1) is None


def test_counting_has_a_hierarchy_of_its_own_where_that_is_not_the_processors(
    tmp_path, monkeypatch
):
    cgroups.control.cache_clear()
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "_manager", list)
    for name in ("cpu", "cpuacct"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    assert [name for name, _ in cgroups.control().parents] == ["cpu", "cpuacct"]
    assert cgroups.control().controllers == {"cpu"}  # to count is no limit
    cgroups.control.cache_clear()
    (tmp_path / "cpuacct" / "atoll").rmdir()
    (tmp_path / "cpuacct" / "cgroup.procs").unlink()
    (tmp_path / "cpuacct").rmdir()
    (tmp_path / "cpuacct").symlink_to("cpu")  # as systemd has it
    assert [name for name, _ in cgroups.control().parents] == ["cpu"]
    cgroups.control.cache_clear()


def test_what_a_group_has_used_is_what_its_processes_have():
    name, limits = new_id(), Limits(memory=128 * MB, processes=20)
    group = cgroups.create(name, limits)
    with subprocess.Popen(
        [*cgroups.prefix(name, limits), sys.executable, "-c", BURNS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        for entrance in group.entrances:
            Path(entrance).write_text(str(process.pid))
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        spent = cgroups.spent(cgroups.find(name))
        process.kill()
    cgroups.remove(cgroups.find(name))
    counted = any((folder / "cpuacct.usage").exists() for folder in group.folders)
    assert spent is None or 0.3 < spent < 5
    assert not counted or spent


async def test_a_server_says_what_it_uses_in_either_way(tmp_path):
    local = LocalRunner(Settings(data=tmp_path / "data"))
    plan = make_plan(tmp_path / "data", {"a.txt": "x"})
    begun = time.time()
    server = await local.start(plan, {"JUPYTER_TOKEN": "s3cret"})
    try:
        [one] = await local.running()
        assert (one.handle, one.owner, one.name) == (server.handle, plan.owner.name, plan.name)
        assert begun - 1 < one.started.timestamp() < time.time() + 1
        used = await local.usage(server.handle)
        looked = usage.of_processes(local.records.find(server.handle).init)
        for told in (used, looked):  # a Lab takes some seconds and some memory to start
            assert 0.3 < told.cpu < 60
            assert 20 * MB < told.memory < 1000 * MB
        assert (await local.usage(server.handle)).cpu >= used.cpu
    finally:
        await local.stop(server.handle, now=True)
    assert await local.running() == []
    assert await local.usage(server.handle) is None
