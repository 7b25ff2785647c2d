"""Control groups on this machine, whichever kind it has; docs/howto tells how to try the others."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.engines.local import cgroups
from atoll.engines.local.sandbox import Box, kill, start
from atoll.names import new_id
from atoll.servers import Limits

SLEEP = ("sleep", "60")
MEMORY = {1: "memory.limit_in_bytes", 2: "memory.max"}


@pytest.fixture
def grouped():
    """A process in groups of its own: its name, and the process; none where none can be had."""
    name = new_id()
    group = cgroups.create(name, Limits(memory=64 * 2**20, processes=20))
    process = subprocess.Popen([*cgroups.prefix(name, Limits(memory=64 * 2**20)), *SLEEP])
    until = time.monotonic() + 5
    while cgroups.control().by_systemd and f"atoll-{name}" not in groups_of(process):
        assert time.monotonic() < until
        time.sleep(0.02)
    if group.folders:
        enter(name, process)
    yield name, process
    process.kill()
    process.wait()
    cgroups.remove(cgroups.find(name))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """What control groups would find on a machine whose hierarchies are in a folder."""
    cgroups.control.cache_clear()
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "_manager", list)
    yield tmp_path
    cgroups.control.cache_clear()


def groups_of(process):
    return Path(f"/proc/{process.pid}/cgroup").read_text()


def enter(name, process):
    for entrance in cgroups.find(name).entrances:
        Path(entrance).write_text(str(process.pid))


def test_what_is_limited_and_what_is_lacking_are_all_there_is():
    limited = cgroups.control().controllers
    assert limited <= {"memory", "cpu", "pids"}
    assert len(cgroups.lacking()) == len({"memory", "cpu"} - limited)


def test_a_group_has_its_limit_and_its_process(grouped):
    name, process = grouped
    found = cgroups.find(name).folders
    assert bool(found) == bool(cgroups.control().parents)
    for folder in found:
        assert str(process.pid) in (folder / "cgroup.procs").read_text().split()
    if "memory" in cgroups.control().controllers:
        folder = next(one for one in found if (one / MEMORY[cgroups.control().version]).exists())
        assert int((folder / MEMORY[cgroups.control().version]).read_text()) == 64 * 2**20


def test_a_neighbour_enters_without_asking_systemd(grouped):
    name, first = grouped
    code = f"""
import os
from atoll.engines.local import cgroups
for entrance in cgroups.find({name!r}).entrances:
    open(entrance, "w").write(str(os.getpid()))
print(open("/proc/self/cgroup").read().count("atoll-{name}"))
"""
    words = [*cgroups.neighbour(), sys.executable, "-c", code]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(ran.stdout) == groups_of(first).count(f"atoll-{name}")


def test_removing_kills_everything_that_entered(grouped):
    name, first = grouped
    if not cgroups.find(name).folders:
        assert cgroups.control().parents == ()
        return
    with subprocess.Popen(SLEEP) as later:
        enter(name, later)
        cgroups.remove(cgroups.find(name))
        assert (first.wait(5), later.wait(5)) == (-9, -9)
    assert cgroups.find(name).folders == ()


def test_no_process_of_another_namespace_is_mistaken_for_our_own(tmp_path):
    (tmp_path / "cgroup.procs").write_text("0\n12\n0\n")
    assert cgroups._members(tmp_path) == [12]


def version_2(folder, names="cpuset cpu io memory pids"):
    (folder / "cgroup.controllers").write_text(names)


def test_root_makes_its_own_group_where_no_systemd_is(machine, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    version_2(machine)
    control = cgroups.control()
    assert (control.version, control.by_systemd) == (2, False)
    assert set(control.parents) == {(n, machine / "atoll") for n in ("memory", "cpu", "pids")}
    assert cgroups.neighbour() == cgroups.prefix("x", Limits()) == []


def test_root_uses_what_the_kernel_has(machine, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    version_2(machine, names="cpu pids")  # as on a Raspberry Pi: memory is off by default
    assert cgroups.control().controllers == {"cpu", "pids"}
    assert (machine / "atoll/cgroup.subtree_control").read_text() == "+cpu +pids"


def test_a_topmost_group_that_has_processes_gives_none_and_nothing_is_left_in_it(
    machine, monkeypatch
):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    version_2(machine)
    (machine / "cgroup.subtree_control").mkdir()  # writing to it fails, as it does in a container
    assert cgroups.control() == cgroups.Control(0)
    assert not (machine / "atoll").exists()
    assert len(cgroups.lacking()) == 2


SYSTEMD_RUN = """#!/bin/sh
echo "$@" >> {log}
echo /user.slice/atoll.slice/run-r1.scope
echo {names}
exit {status}
"""


@pytest.fixture
def systemd(machine, monkeypatch):
    """A stand-in for an ordinary user's systemd-run, told which limits are real and how it ends."""

    def make(names="cpu memory pids", status=0):
        version_2(machine)
        program = machine / "bin/systemd-run"
        program.parent.mkdir()
        program.write_text(SYSTEMD_RUN.format(log=machine / "log", names=names, status=status))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setattr(os, "getuid", lambda: 1000)
        monkeypatch.setattr(cgroups, "_manager", lambda: ["/usr/bin/env"])
        return machine / "user.slice/atoll.slice"

    return make


def test_version_1_has_one_group_for_all_boxes_in_each_hierarchy(machine):
    for name in ("memory", "cpu"):
        (machine / name).mkdir()
        (machine / name / "cgroup.procs").touch()
    assert dict(cgroups.control().parents) == {n: machine / n / "atoll" for n in ("memory", "cpu")}


def test_all_boxes_together_have_the_weight_of_one_program():
    for _, parent in cgroups.control().parents:
        assert parent.name in {"atoll", cgroups.SLICE}
        for weight, usual in (("cpu.shares", 1024), ("cpu.weight", 100)):
            if (parent / weight).exists():
                assert int((parent / weight).read_text()) == usual


def test_those_that_make_way_are_in_a_group_of_theirs_which_has_the_weight_of_one():
    name = new_id()
    try:
        made = cgroups.create(name, Limits(memory=64 * 2**20), aside=True)
        assert cgroups.find(name) == made
        for folder in made.folders:
            assert folder.parent.name == cgroups.ASIDE
            for weight, usual in (("cpu.shares", 1024), ("cpu.weight", 100)):
                if (folder.parent / weight).exists():
                    assert int((folder.parent / weight).read_text()) == usual
            if (folder / "memory.limit_in_bytes").exists():
                assert int((folder / "memory.limit_in_bytes").read_text()) == 64 * 2**20
    finally:
        cgroups.remove(cgroups.find(name))


def test_three_that_make_way_take_no_more_of_the_processors_than_one_that_does_not():
    spin = ("sh", "-c", "for i in 1 2 3; do (while :; do :; done) & done; wait")
    box = Box(spin, environ={"PATH": "/usr/bin:/bin"}, workdir="/", limits=Limits(cpus=8))
    boxes = [
        start(replace(box, aside=aside), output=subprocess.DEVNULL)
        for aside in (False, True, True, True)
    ]
    try:
        before = spent(boxes)
        while "cpu" in cgroups.control().controllers and sum(spent(boxes)) < sum(before) + 2:
            time.sleep(0.1)
        first, *others = (now - was for now, was in zip(spent(boxes), before, strict=True))
        assert first >= 0.6 * sum(others)  # and not a third of it
    finally:
        for one in boxes:
            kill(one)


def spent(boxes):
    return [cgroups.spent(cgroups.find(one.name)) or 0.0 for one in boxes]


def test_the_group_of_those_that_make_way_hands_all_limits_on(machine, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    version_2(machine)
    cgroups.create("x", Limits(), aside=True)
    place = machine / "atoll/aside"
    assert (place / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert cgroups.find("x").folders == (place / "atoll-x",)


def test_systemd_makes_the_groups_where_it_runs(systemd, machine):
    parent = systemd()
    control = cgroups.control()
    assert control.by_systemd
    assert control.controllers == {"memory", "cpu", "pids"}
    assert "--user --scope" in (machine / "log").read_text()
    assert cgroups.create("x", Limits()) == cgroups.Group()
    words = cgroups.prefix("x", Limits(cpus=0.001, memory=5, processes=7))
    assert {"--unit=atoll-x", "--property=Delegate=yes", "--property=MemoryMax=5"} < set(words)
    assert {"--property=CPUQuota=1%", "--property=TasksMax=7"} < set(words)
    assert cgroups.neighbour()[-1] == "--"
    (parent / "atoll-x.scope").mkdir(parents=True)
    assert cgroups.find("x").folders == (parent / "atoll-x.scope",)
    assert "--slice=atoll-aside.slice" in cgroups.prefix("y", Limits(), aside=True)
    (parent / "atoll-aside.slice/atoll-y.scope").mkdir(parents=True)
    assert cgroups.find("y").folders == (parent / "atoll-aside.slice/atoll-y.scope",)


def test_a_limit_that_the_users_systemd_may_not_give_is_lacking(systemd):
    systemd(names="memory pids")
    assert cgroups.control().by_systemd
    assert cgroups.lacking() == ("Processor use is not limited.",)


def test_a_systemd_that_does_not_answer_is_none(systemd):
    systemd(status=1)
    assert cgroups.control() == cgroups.Control(0)
    assert cgroups.prefix("x", Limits()) == []


def test_somebody_elses_session_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # as `su` leaves it, with no systemd there
    assert cgroups._manager() == []
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert cgroups._manager() == []
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd/private").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert f"XDG_RUNTIME_DIR={tmp_path}" in cgroups._manager()
