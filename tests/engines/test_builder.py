from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from atoll.engines.local import builder
from atoll.engines.local.published import metadata
from atoll.environments.pythons import RELEASED, RIPE
from atoll.errors import BadSpecification, BuildFailed, Lacking, Unreachable
from support.building import Site, env_of
from support.index import PackageIndex


async def test_wheels_are_installed_and_the_environment_works_at_srv_env(site, index):
    index.wheel("lagoon", "1.2")
    made = await site.build({"requirements.txt": "lagoon\n"})
    assert await site.python(made, "import lagoon, sys; print(lagoon.VERSION, sys.prefix)") == [
        "1.2 /srv/env"
    ]
    assert made.as_of == date(2023, 6, 1)
    assert made.python.startswith("3.")
    assert not made.own_lab
    kernel = json.loads((env_of(made) / "share/jupyter/kernels/python3/kernel.json").read_text())
    assert kernel["argv"][0] == "/srv/env/bin/python"
    assert "lagoon==1.2" in Path(made.handle, "lock.txt").read_text()
    assert "Resolved" in Path(made.handle, "log.txt").read_text()
    assert metadata(made.handle)["home"] is False
    assert await site.builder.healthy(made.handle)
    assert site.leftovers() == []


async def test_the_index_is_seen_as_of_the_date(site, index):
    index.wheel("lagoon", "1.0", uploaded="2023-05-31T23:00:00Z")
    index.wheel("lagoon", "1.1", uploaded="2023-06-01T23:00:00Z")
    index.wheel("lagoon", "2.0", uploaded="2023-06-02T00:00:01Z")
    old = await site.build({"requirements.txt": "lagoon\n"}, day="2023-06-01")
    assert "lagoon==1.1\n" in Path(old.handle, "lock.txt").read_text()
    new = await site.build({"requirements.txt": "lagoon\n"}, at="today")
    assert "lagoon==2.0\n" in Path(new.handle, "lock.txt").read_text()


async def test_what_came_after_the_date_is_explained(site, index):
    index.wheel("lagoon", "2.0", uploaded="2024-01-01T00:00:00Z")
    with pytest.raises(BuildFailed, match="lagoon that fits had been released by 2023-06-01") as no:
        await site.build({"requirements.txt": "lagoon\n"})
    assert "--at today" in no.value.hint
    log = site.settings.data / "logs" / f"{no.value.log}.txt"
    assert "No solution found" in log.read_text()


async def test_a_missing_package_fails_in_one_sentence(site):
    with pytest.raises(BuildFailed, match="There is no package “nunpy”") as no:
        await site.build({"requirements.txt": "nunpy\n"})
    assert no.value.hint == "Did you mean numpy?"
    assert site.leftovers() == []
    assert not list(site.settings.data.glob("environments/*/atoll.json"))


async def test_an_unreadable_line_is_a_mistake_of_the_specification(site):
    with pytest.raises(BadSpecification, match="“lagoon = 3” is not a requirement"):
        await site.build({"requirements.txt": "lagoon = 3\n"})


async def test_contradictions_are_named(site, index):
    index.wheel("lagoon", "1.0", requires=["reef>=2"])
    index.wheel("reef", "1.0")
    index.wheel("reef", "2.0")
    with pytest.raises(BuildFailed, match=r"reef>=2.*reef<2"):
        await site.build({"requirements.txt": "lagoon\nreef<2\n"})


async def test_an_index_that_does_not_answer_is_no_fault_of_the_repository(tmp_path):
    with PackageIndex() as gone:
        url = gone.url
    with pytest.raises(Unreachable, match="did not answer"):
        await Site(tmp_path, url).build({"requirements.txt": "six\n"})


async def test_hashes_of_the_author_are_held_against_the_index(site, index):
    digest = index.wheel("lagoon", "1.0")
    for name in ("ipykernel", "pip", "setuptools"):
        assert index.listing[name]
    good = await site.build({"requirements.txt": f"lagoon==1.0 --hash=sha256:{digest}\n"})
    assert good.as_of is None
    with pytest.raises(BuildFailed, match="not what the repository's hash says"):
        await site.build({"requirements.txt": f"lagoon==1.0 --hash=sha256:{'0' * 64}\n"})


async def test_a_kernel_that_does_not_fit_the_pins_stands_beside_them(site, index):
    index.wheel("traitlets", "4.0")
    index.wheel("traitlets", "5.0")
    index.wheel("ipykernel", "7.0", requires=["traitlets>=5"])
    index.listing["ipykernel"] = index.listing["ipykernel"][1:]
    made = await site.build({"requirements.txt": "traitlets==4.0\n"})
    told = await site.python(
        made, "import traitlets, ipykernel; print(traitlets.VERSION, ipykernel.__file__)"
    )
    assert told == ["4.0 /srv/env/share/atoll-kernel/ipykernel.py"]
    assert any("beside" in note for note in made.notes)


async def test_widgets_that_do_not_fit_are_left_out(site, index):
    index.listing["ipywidgets"] = []
    index.wheel("ipywidgets", "8.1", requires=["reef>=2"])
    index.wheel("reef", "1.0")
    index.wheel("reef", "2.0")
    made = await site.build({"requirements.txt": "reef==1.0\n"}, day="2024-01-01")
    lock = Path(made.handle, "lock.txt").read_text()
    assert "reef==1.0" in lock
    assert "ipykernel" in lock
    assert "ipywidgets" not in lock


async def test_a_repository_with_its_own_jupyter_server_gets_lab_too(site, index):
    index.wheel("notebook", "6.0")
    index.wheel("jupyterlab", "3.0")
    made = await site.build({"requirements.txt": "notebook\n"})
    assert made.own_lab
    assert "jupyterlab==3.0" in Path(made.handle, "lock.txt").read_text()


async def test_where_its_own_lab_cannot_be_started_atolls_is_used(site, index):
    broken = "raise ImportError(\"cannot import name 'soft_unicode' from 'markupsafe'\")\n"
    index.wheel("jupyterlab", "3.0", files={"jupyterlab.py": broken})
    made = await site.build({"requirements.txt": "jupyterlab\n"})
    assert not made.own_lab
    assert [note for note in made.notes if "soft_unicode" in note and "Atoll's Lab" in note]


@pytest.mark.parametrize("lines", ["notebook", "jupyterlab"])
async def test_a_lab_that_was_an_alpha_then_is_not_run(site, index, lines):
    index.wheel("notebook", "4.2")
    index.wheel("jupyterlab", "0.1.0")
    made = await site.build({"requirements.txt": f"{lines}\n"})
    assert not made.own_lab
    assert ("jupyterlab" in Path(made.handle, "lock.txt").read_text()) == (lines == "jupyterlab")


async def test_files_are_shared_with_the_cache_where_no_code_of_theirs_ran(site, index):
    index.wheel("lagoon")
    made = await site.build({"requirements.txt": "lagoon\n"})
    (file,) = env_of(made).glob("lib/python3*/site-packages/lagoon.py")
    assert file.stat().st_nlink > 1


async def test_a_package_without_upload_time_is_explained_or_taken(site, index):
    index.wheel("lagoon", "1.0", uploaded="")
    with pytest.raises(BuildFailed, match="lagoon"):
        await site.build({"requirements.txt": "lagoon\n"})
    assert await site.build({"requirements.txt": "lagoon\n"}, at="today")


async def test_a_pyproject_that_lists_dependencies_is_enough(site, index):
    index.wheel("lagoon")
    made = await site.build(
        {"pyproject.toml": "[project]\nname='x'\nversion='1'\ndependencies=['lagoon']\n"}
    )
    assert "lagoon==1.0" in Path(made.handle, "lock.txt").read_text()


async def test_building_again_replaces_what_was_there(site):
    first = await site.build({})
    (env_of(first) / "pyvenv.cfg").unlink()
    os.unlink(env_of(first) / "bin/python")
    assert not await site.builder.healthy(first.handle)
    again = await site.build({})
    assert again.handle == first.handle
    assert await site.builder.healthy(again.handle)


async def test_cancelling_stops_everything_and_leaves_nothing(site, index):
    spec, tree = site.spec({"postBuild": "sleep 600\n"})
    started = asyncio.Event()

    def say(line):
        if "postBuild" in line:
            started.set()

    task = asyncio.create_task(site.builder.build(spec, tree, say))
    await asyncio.wait_for(started.wait(), 60)
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert site.leftovers() == []
    assert not list(site.settings.data.glob("environments/*/atoll.json"))


async def test_a_build_that_takes_too_long_is_stopped(tmp_path, index):
    site = Site(tmp_path, index.url, builds={"timeout": 5})
    with pytest.raises(BuildFailed, match="longer than") as late:
        await site.build({"postBuild": "sleep 600\n"})
    assert late.value.log


KILLED = """
import asyncio, sys
from pathlib import Path
from support.building import Site
site = Site(Path(sys.argv[1]), sys.argv[2])
async def main():
    spec, tree = site.spec({"postBuild": "echo here; sleep 600\\n"}, tree="t")
    async with site.builder.lock(spec.key):
        await site.builder.build(spec, tree, lambda line: print(line, flush=True))
asyncio.run(main())
"""


async def test_kill_9_in_the_middle_leaves_no_half_environment(site, index, tmp_path):
    path = os.pathsep.join(str(Path(__file__).parents[part]) for part in (1,))
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed"), index.url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    (tmp_path / "killed").mkdir()
    for line in child.stdout:
        if line.strip() == "here":
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    killed = Site(tmp_path / "killed", index.url)
    assert not list(killed.settings.data.glob("environments/*/atoll.json"))
    assert len(killed.leftovers()) == 1
    killed.trees = 5
    made = await killed.build({})  # another key: the lock of the dead one is free
    assert killed.leftovers() == []
    assert await killed.builder.healthy(made.handle)


async def test_the_lock_of_a_key_keeps_others_out_and_other_keys_free(site):
    inside = []

    async def one(name):
        async with site.builder.lock("k1"):
            inside.append(name)
            await asyncio.sleep(0.2)
            inside.append(name)

    async with asyncio.timeout(10):
        await asyncio.gather(one("a"), one("b"))
        async with site.builder.lock("k1"), site.builder.lock("k2"):
            pass
    assert inside in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


async def test_where_only_a_later_python_is_to_be_had_packages_are_of_its_time(site, index):
    there = sorted(site.builder.pythons.available())
    newest = there[-1]
    index.wheel("lagoon", "1.0", uploaded="2015-01-01T00:00:00Z")
    index.wheel("lagoon", "2.0", uploaded=f"{RELEASED[newest].isoformat()}T00:00:00Z")
    files = {"runtime.txt": f"python-3.{newest[1]}", "requirements.txt": "lagoon\n"}
    made = await site.build(files, day="2016-01-01")
    assert "lagoon==2.0" in Path(made.handle, "lock.txt").read_text()
    assert made.as_of == RELEASED[newest] + RIPE
    assert "came later" in made.notes[-1]


async def test_one_that_is_made_anew_takes_the_place_of_the_old_which_stays_aside(site, index):
    index.wheel("lagoon", "1.0", uploaded="2023-05-01T00:00:00Z")
    old = await site.build({"requirements.txt": "lagoon\n"})
    (env_of(old) / "share" / "old").touch()
    new = await site.build({"requirements.txt": "lagoon\n"})
    assert (new.key, new.handle) == (old.key, old.handle)
    assert await site.python(new, "import lagoon; print(lagoon.VERSION)") == ["1.0"]
    [aside] = Path(old.handle).parent.glob(".before-*")
    assert (aside / "env" / "share" / "old").exists()
    assert not (env_of(new) / "share" / "old").exists()
    await site.settle()


@pytest.mark.parametrize("ending", ["exit 3", "kill -KILL $$"])
async def test_when_a_rebuild_fails_what_was_there_is_as_it_was(site, ending):
    files = {"postBuild": "test ! -e again.txt || " + ending + "\n"}
    old = await site.build(files, tree="t")
    with pytest.raises((BuildFailed, Lacking)):
        await site.build({**files, "again.txt": ""}, tree="t")
    assert await site.builder.healthy(old.handle)
    assert await site.python(old, "print(6 * 7)") == ["42"]
    assert list(Path(old.handle).parent.glob(".before-*")) == []
    assert site.leftovers() == []


@pytest.mark.parametrize("kind", ["KILL", "TERM"])
async def test_a_build_that_is_killed_is_not_held_against_the_specification(site, kind):
    with pytest.raises(Lacking):
        await site.build({"postBuild": f"kill -{kind} $$\n"})


async def test_a_full_disk_is_said_in_a_sentence(site, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(builder, "publish", full)
    with pytest.raises(Lacking, match=r"^The disk is full: "):
        await site.build({"requirements.txt": ""})
