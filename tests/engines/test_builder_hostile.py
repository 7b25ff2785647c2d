"""Builds that try to get out: each promise of `atoll.engines.local.steps` is attacked here."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from atoll.disk import discard
from atoll.engines.local import logs
from atoll.engines.local import workshop as workshops
from atoll.engines.local.locks import read_lock
from atoll.engines.local.published import metadata
from atoll.engines.local.uv import operators_index
from atoll.errors import BuildFailed, Unreachable
from support.building import Site, env_of
from support.index import PackageIndex, own_address


@pytest.fixture
def index():
    with PackageIndex(own_address()) as served:
        yield served.kernel()


def listing(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


ATTACK = """
import glob, os, signal, subprocess
from pathlib import Path
for name in os.listdir("/srv"):
    print("SEEN", name)
for place in ("/etc/shadow", "@DATA@", "@DATA@/logs", "@DATA@/..", "/run/atoll-stage"):
    try:
        print("LIST", place, os.listdir(place) if os.path.isdir(place) else open(place).read(9))
    except OSError as error:
        pass
for root, folders, files in os.walk("/srv/cache"):
    if "sdists" in root or "builds" in root:  # its own source: it would only hurt itself
        continue
    for name in files:
        path = os.path.join(root, name)
        try:
            os.chmod(path, 0o666)
            with open(path, "r+b") as file:
                file.write(b"POISON")
        except OSError:
            pass
    try:
        Path(root, "poison.py").write_text("POISON")
    except OSError:
        pass
for pid in range(2, 40000):
    if pid != os.getpid() and pid != os.getppid():
        try:
            os.kill(pid, 0)
            print("PROCESS", pid, open(f"/proc/{pid}/cmdline").read().replace(chr(0), " ")[:60])
        except OSError:
            pass
print("UID", os.getuid(), "CAP", [l for l in open("/proc/self/status") if l.startswith("CapEff")])
print("SECRETS", sorted(os.environ))
quiet = subprocess.DEVNULL
subprocess.Popen(["setsid", "nohup", "sleep", "@MARK@"], stdin=quiet, stdout=quiet, stderr=quiet)
"""


def attack(site, mark):
    return ATTACK.replace("@DATA@", str(site.settings.data)).replace("@MARK@", mark)


def running(mark):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words and b"sleep" in words[0]:
                found.append(entry.name)
    return found


async def test_building_from_source_cannot_touch_cache_host_or_other_environments(
    site, index, monkeypatch
):
    monkeypatch.setenv("SECRET_TOKEN", "do-not-tell")
    index.wheel("lagoon")
    other = await site.build({"requirements.txt": "lagoon\n"})
    await site.settle()
    cache, before = site.settings.data / "cache" / "uv", listing(env_of(other))
    cached = listing(cache / "archive-v0") if (cache / "archive-v0").exists() else {}
    mark = f"31{os.getpid()}.5"
    index.source(
        "evil",
        build=f"if not globals().get('DONE'):\n    DONE = 1\n    exec({attack(site, mark)!r})\n",
    )
    made = await site.build({"requirements.txt": "evil\nlagoon\n"})
    assert (await site.python(made, "import evil, lagoon; print(evil.BUILT)")) == ["True"]
    assert listing(env_of(other)) == before
    after = listing(cache / "archive-v0")
    assert {name: after[name] for name in cached} == cached
    names = [path for path in cache.rglob("*") if "simple" not in str(path)]
    assert not [path for path in names if "poison" in path.name or "evil" in path.name]
    assert not any(b"POISON" in body for body in listing(cache).values())
    assert running(mark) == []
    assert not list(site.settings.data.rglob("poison.py"))


async def test_post_build_sees_its_own_files_and_nothing_else(site, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "do-not-tell")
    mark = f"32{os.getpid()}.5"
    script = f"#!/srv/env/bin/python\n{attack(site, mark)}"
    await site.build({"postBuild": script})
    said = "\n".join(site.said)
    assert "LIST /etc/shadow" not in said
    assert f"LIST {site.settings.data}" not in said
    assert "do-not-tell" not in said
    assert "SECRET_TOKEN" not in said
    assert "CapEff:\\t0000000000000000" in said
    assert "UID 1000" in said
    assert running(mark) == []
    others = [line for line in said.splitlines() if line.startswith("PROCESS") and "sleep" in line]
    assert not others


async def test_what_post_build_changes_in_the_environment_stays_in_it(site, index):
    index.wheel("lagoon")
    first = await site.build({"requirements.txt": "lagoon\n"})
    script = (
        "for file in /srv/env/lib/python3*/site-packages/lagoon.py; do\n"
        "  chmod u+w $file; echo 'VERSION = \"poisoned\"' > $file; done\n"
    )
    second = await site.build({"requirements.txt": "lagoon\n", "postBuild": script})
    third = await site.build({"requirements.txt": "lagoon\n# again\n"}, day="2021-07-01")
    code = "import lagoon; print(lagoon.VERSION)"
    assert await site.python(first, code) == ["1.0"]
    assert await site.python(second, code) == ["poisoned"]
    assert await site.python(third, code) == ["1.0"]


async def test_what_a_setup_changes_in_the_environment_stays_in_it(site, index):
    index.wheel("lagoon")
    first = await site.build({"requirements.txt": "lagoon\n"})
    script = (
        "import glob, os\n"
        "for file in glob.glob('/srv/env/lib/python3*/site-packages/lagoon.py'):\n"
        "    os.chmod(file, 0o666)\n"
        "    with open(file, 'w') as opened:\n"
        "        opened.write('VERSION = 666')\n"
    )
    index.source("evil", build=script)
    second = await site.build({"requirements.txt": "lagoon\nevil\n"})
    third = await site.build({"requirements.txt": "lagoon\n# again\n"}, day="2021-07-01")
    code = "import lagoon; print(lagoon.VERSION)"
    assert await site.python(first, code) == ["1.0"]
    assert await site.python(second, code) == ["666"]
    assert await site.python(third, code) == ["1.0"]


async def test_a_package_of_the_repository_is_built_walled_in(site, index):
    index.wheel("lagoon")
    setup = "pyproject.toml"
    toml = "[build-system]\nrequires=[]\nbuild-backend='backend'\nbackend-path=['.']\n"
    toml += "[project]\nname='mine'\nversion='1'\n"
    backend = (
        "import os\nopen('left-behind', 'w').close()\nprint('DATA', os.path.exists('@'))\n"
    ).replace("@", str(site.settings.data))
    from support.index import BACKEND

    backend += BACKEND.replace("@NAME@", "mine").replace("@VERSION@", "1")
    files = {setup: toml, "backend.py": backend, "requirements.txt": "lagoon\n"}
    made = await site.build(files)
    assert await site.python(made, "import mine, lagoon; print(mine.BUILT)") == ["True"]
    assert "DATA True" not in Path(made.handle, "log.txt").read_text()
    assert metadata(made.handle)["home"] is False


async def test_post_build_may_change_the_content_and_servers_get_the_changed_one(site):
    told = "echo $NB_USER $REPO_DIR $HOME $NPM_CONFIG_PREFIX"
    made = await site.build({"postBuild": f"echo new > made-here; {told}"})
    assert metadata(made.handle)["home"] is True
    assert (Path(made.handle) / "home" / "made-here").read_text() == "new\n"
    assert "jovyan /home/jovyan /home/jovyan /home/jovyan/.local" in site.said
    plain = await site.build({"postBuild": "python -c 'import sys; print(sys.prefix)'"})
    assert "/srv/env" in site.said
    assert metadata(plain.handle)["home"] is True or not (Path(plain.handle) / "home").exists()


async def test_a_failing_post_build_fails_the_build(site):
    with pytest.raises(BuildFailed, match="binder/postBuild ended with status 7"):
        await site.build({"binder/postBuild": "echo why; exit 7"})
    assert "why" in site.said
    with pytest.raises(BuildFailed, match=r"postBuild ended with status 127: .*jupyterx: command"):
        await site.build({"postBuild": "jupyterx labextension install\n"})


async def test_links_that_a_build_leaves_are_never_followed_by_the_host(site, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o777)
    (victim / "precious").write_text("precious")
    script = (
        f"rm -rf /srv/env/share; ln -s {victim} /srv/env/share; ln -s {victim} ./link\n"
        "mkdir -p deep/er; echo x > deep/er/file; chmod 000 deep/er deep; exit 3\n"
    )
    with pytest.raises(BuildFailed):
        await site.build({"postBuild": script})
    assert site.leftovers() == []
    assert (victim / "precious").read_text() == "precious"


async def test_a_lock_that_a_build_forged_is_read_as_names_and_versions_only(tmp_path):
    for forged in (
        'packages = [{name = "-r /etc/passwd", version = "1"}]',
        'packages = [{name = "six", version = "1 --index-url http://evil"}]',
        'packages = [{name = "six\\n--index-url x", version = "1"}]',
        "packages = 3",
        "not toml",
    ):
        with pytest.raises(BuildFailed):
            read_lock(forged.encode())


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "huge", "nothing"])
def test_an_answer_that_is_not_a_plain_file_is_not_read(tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    answer = tmp_path / "answer"
    if kind == "link":
        answer.symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(answer)
    elif kind == "folder":
        answer.mkdir()
    elif kind == "huge":
        with answer.open("wb") as file:
            file.truncate(workshops.MOST + 1)
    began = time.monotonic()
    with pytest.raises(BuildFailed):
        workshops.read_written(tmp_path, "answer")
    assert time.monotonic() - began < 5


async def test_another_index_is_asked_only_for_the_repository_that_names_it(site, index):
    with PackageIndex(own_address()) as theirs:
        theirs.kernel().wheel("lagoon", "9.9", files={"lagoon.py": "VERSION = 'theirs'\n"})
        index.wheel("lagoon", "1.0")
        made = await site.build({"requirements.txt": f"--index-url {theirs.url}\nlagoon\n"})
        code = "import lagoon; print(lagoon.VERSION)"
        assert await site.python(made, code) == ["theirs"]
    ours = await site.build({"requirements.txt": "lagoon\n"})
    assert await site.python(ours, code) == ["1.0"]


async def test_variables_in_a_requirement_reveal_nothing(site, index, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "do-not-tell")
    with PackageIndex(own_address()) as theirs:
        line = theirs.url.replace("/simple", "/${SECRET_TOKEN}/x-1-py3-none-any.whl")
        with pytest.raises(BuildFailed):
            await site.build({"requirements.txt": f"x @ {line}\n"})
        assert not any("do-not-tell" in path for path in theirs.asked)


def test_passwords_of_the_operators_index_stay_out_of_boxes_with_others_code():
    index = operators_index(
        {
            "UV_DEFAULT_INDEX": "https://me:hush@index.example.org/simple",
            "UV_INDEX_MINE_PASSWORD": "hush",
            "HTTPS_PROXY": "http://me:hush@proxy.example.org",
        }
    )
    assert "hush" in repr(index)
    assert "hush" not in repr(index.open())
    assert "index.example.org" in repr(index.open())


async def test_more_memory_than_allowed_ends_the_build_in_one_sentence(tmp_path, index):
    site = Site(tmp_path, index.url, builds={"memory": "300M"})
    index.source("greedy", build="x = bytearray(2 * 1024**3)")
    with pytest.raises(BuildFailed, match=r"greedy|memory"):
        await site.build({"requirements.txt": "greedy\n"})


BURROW = """#!/usr/bin/env python3
import os
for place in ("/srv/env", "/srv/out", "/srv/cache/uv", os.environ["REPO_DIR"]):
    os.chdir(place)
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
print("dug")
"""


async def test_folders_nested_thousands_deep_stop_no_later_build(site):
    environment = await site.build({"postBuild": BURROW})
    assert "dug" in site.said
    discard([environment.handle])
    await site.build({})
    assert site.leftovers() == []


async def test_a_build_that_prints_without_end_fills_no_log(site, monkeypatch):
    monkeypatch.setattr(logs, "LONGEST", 50_000)
    flood = "#!/bin/bash\nyes flood | head -c 3000000\necho Error: it broke\nexit 3\n"
    with pytest.raises(BuildFailed, match="it broke"):
        await site.build({"postBuild": flood})
    (log,) = (site.settings.data / "logs").glob("*.txt")
    assert log.stat().st_size < 60_000
    assert "left out" in log.read_text()
    assert sum(map(len, site.said)) < 60_000


LEADING = {  # each leads to an address that only the host itself can reach
    "odd": {"requirements.txt": "http:@HOST@/lagoon-1-py3-none-any.whl\n"},
    "project": {
        "pyproject.toml": (
            '[project]\nname = "x"\nversion = "1"\ndependencies = ["y @ git+http:@HOST@/lagoon"]\n'
        )
    },
    "own package": {
        "requirements.txt": "./m\n",
        "m/pyproject.toml": (
            '[project]\nname = "m"\nversion = "1"\n'
            'dependencies = ["lagoon @ http://@HOST@/lagoon-1-py3-none-any.whl"]\n'
        ),
    },
    "lock": {
        "pyproject.toml": (
            '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.9"\n'
            'dependencies = ["lagoon"]\n'
        ),
        "uv.lock": (
            'version = 1\nrequires-python = ">=3.9"\n'
            '[[package]]\nname = "x"\nversion = "1"\nsource = { virtual = "." }\n'
            'dependencies = [{ name = "lagoon" }]\n'
            '[[package]]\nname = "lagoon"\nversion = "1"\n'
            'source = { url = "http://@HOST@/lagoon-1-py3-none-any.whl" }\n'
            'wheels = [{ url = "http://@HOST@/lagoon-1-py3-none-any.whl", hash = "sha256:00" }]\n'
        ),
    },
}


@pytest.mark.parametrize("files", LEADING.values(), ids=LEADING)
async def test_no_specification_reaches_what_only_the_host_reaches(site, files):
    with PackageIndex("127.0.0.1") as inside:
        host = inside.url.split("/")[2]
        named = {name: text.replace("@HOST@", host) for name, text in files.items()}
        with pytest.raises((BuildFailed, Unreachable)):
            await site.build(named)
        assert inside.asked == []
