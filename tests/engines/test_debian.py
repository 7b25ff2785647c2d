"""Debian packages that lie over the system's: made from a real archive, by this system's own apt."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from atoll.disk import entries
from atoll.engines.local import debian
from atoll.engines.local.adding import our_python
from atoll.engines.local.apt import Package, System, read_choice
from atoll.engines.local.builder import LocalBuilder
from atoll.engines.local.owners import build_owner
from atoll.engines.local.published import metadata
from atoll.engines.local.runner import LocalRunner, open_gate
from atoll.engines.local.sandbox import Box, run
from atoll.engines.local.workshop import destroy
from atoll.environments import EnvSpec, apt
from atoll.errors import BadSpecification, BuildFailed, Lacking, Unreachable
from atoll.settings import Settings
from support.archive import Archive, device, link
from support.index import PackageIndex, own_address
from support.kernels import run_cell
from support.plans import make_plan

HELLO = ("#!/bin/sh\necho hello from the layer\n", 0o755)


def library():
    """Return a library that no system has: one that each has, by another name."""
    real = next(Path("/usr/lib").glob("*/libattr.so.1"))
    return real.read_bytes().replace(b"libattr.so.1", b"libreef.so.1")


class Layers:
    """A data folder, an archive, and layers made of its packages."""

    def __init__(self, folder, archive):
        self.archive, self.said = archive, []
        self.settings = Settings(data=folder / "data")
        self.builder = LocalBuilder(self.settings)
        self.builder.system = archive.system

    async def lay(self, *names):
        """Return the layer of the packages *names*, made as in a build."""
        text = "\n".join(names).encode()
        spec = EnvSpec("python", "here", files=((apt.ESSENCE, apt.read_apt("apt.txt", text)),))
        owner = build_owner(self.settings)
        self.builder._locks().mkdir(parents=True, exist_ok=True)
        workshop = self.builder._open(spec, owner)
        steps = self.builder._steps(spec, workshop, our_python(), owner, self.said.append)
        try:
            return await debian.lay(
                steps, self.builder.system, self.settings.data, self.builder.lock, []
            )
        finally:
            destroy(workshop.root)

    def folder(self, layer):
        return self.settings.data / debian.LAYERS / layer.key

    async def see(self, layer, script):
        """Run *script* in a box that has the layer; return what it printed."""
        lines = []
        environ = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
        words = ("/bin/sh", "-c", f"exec 2>&1; {script}")
        owner = build_owner(self.settings)
        box = Box(words, environ=environ, owner=owner, layer=self.folder(layer))
        await run(box, lines.append, timeout=30)
        return "\n".join(lines)

    @property
    def log(self):
        return "\n".join(self.said)


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path) as served:
        yield served


@pytest.fixture
def layers(tmp_path, archive):
    return Layers(tmp_path, archive)


async def test_what_packages_bring_is_seen_in_boxes_and_cannot_be_changed(layers, archive):
    layers.builder.system = System(sources=archive.sources)  # beside all that is installed here
    archive.add("reef", files={
        "usr/lib/reef/libreef.so.1": library(),
        "etc/ld.so.conf.d/reef.conf": "/usr/lib/reef\n",
        "etc/reef.conf": "a setting\n",
        "var/lib/reef/state": "a state\n",
        "opt/reef/thing": "a thing\n",
    })  # fmt: skip
    archive.add("hello", "1:2.0-1", Depends="reef (>= 1.0), libc6", files={
        "usr/bin/hello": HELLO, "bin/old-place": HELLO, "lib/reef/private": ("secret", 0o600),
    })  # fmt: skip
    layer = await layers.lay("hello")
    assert layer.packages == {"hello": "1:2.0-1", "reef": "1.0"}
    assert layer.needs == ("libc6",)
    said = await layers.see(
        layer,
        "hello; old-place; /usr/bin/old-place; cat /etc/reef.conf /var/lib/reef/state /opt/reef/*;"
        "cat /lib/reef/private; echo; ldconfig -p | grep reef/; ls /etc/ssl/certs | head -1;"
        "ls -l /bin/sh /etc/passwd | wc -l; rm /usr/bin/hello; touch /usr/x /etc/x /var/x",
    )
    lines = said.splitlines()
    assert lines[:3] == ["hello from the layer"] * 3
    assert lines[3:7] == ["a setting", "a state", "a thing", "secret"]
    assert "=> /usr/lib/reef/libreef.so.1" in lines[7]
    assert lines[8:10] == [*sorted(os.listdir("/etc/ssl/certs"))[:1], "2"]
    assert said.count("Read-only file system") == 4
    assert list((layers.settings.data / "cache" / "making").iterdir()) == []
    assert not Path("/etc/reef.conf").exists()


async def test_what_set_up_scripts_do_and_cannot_do(layers, archive):
    alternative = "update-alternatives --install /usr/bin/sea sea /usr/bin/sea-one 10"
    (archive.system.dpkg / "info").mkdir()
    (archive.system.dpkg / "info" / "old.templates").touch()  # ucf asks dpkg for its own so
    archive.add("libsea", "1", files={"usr/share/sea/x": ""}, scripts={
        "triggers": "interest-noawait /usr/share/sea\n",
        "postinst": '#!/bin/sh\necho "$1 $2" >> /usr/share/sea/told\n',
    })  # fmt: skip
    archive.add("sea", Depends="libsea", files={
        "usr/bin/sea-one": HELLO,
        "lib/systemd/system/tide.service": "[Service]\n",
    }, scripts={
        "config": "#!/bin/sh\n",
        "postinst": f"#!/bin/sh\nset -e\n{alternative}\nadduser --system sea\n/usr/bin/id -u\n"
                    "dpkg-query --control-path old templates\n"
                    "dpkg -L sea libsea | tail -n 1 && dpkg-query -Wf '${Status}' libsea | grep -q ' installed'\n"
                    "echo x >> /etc/passwd; touch /usr/share/sea/who; chown root /usr/share/sea\n",
    })  # fmt: skip
    archive.add("wreck", Depends="sea", files={"usr/share/debconf/wreck": ""}, scripts={
        "postinst": "#!/bin/sh\nrm /usr/bin/cat; rm -r /usr/share/debconf\n"
                    "mkdir /usr/share/debconf\nexit 3\n",
    })  # fmt: skip
    layer = await layers.lay("wreck")
    said = await layers.see(
        layer, "sea; cat /usr/share/sea/told; tail -n 1 /etc/passwd; ls /usr/share/debconf"
    )
    assert said.startswith("hello from the layer\nconfigure \ntriggered /usr/share/sea\nnobody:")
    assert "frontend" in said  # nothing of the system's can be hidden
    assert "not done in a box: adduser --system sea" in layers.log
    assert (
        "\n1000\n/var/lib/dpkg/info/old.templates\n/usr/share/sea/x\n" in layers.log
    )  # it is not root, and sees what is there
    assert "sea asks questions; each gets its usual answer" in layers.log
    assert any("ended with an error: wreck" in note for note in layer.notes)
    assert any("tide" in note for note in layer.notes)
    assert any("whatever day the rest is of" in note for note in layer.notes)


async def test_no_set_uid_bit_and_no_way_out_through_a_link_is_left(layers, archive, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    archive.add("sly-base", members=[link("./usr/share/way", "/srv/out")])
    archive.add("sly", Depends="sly-base", members=[
        link("./etc/leak", str(secret)), link("./usr/share/leak", str(secret)),
        link("./opt/leak", str(tmp_path)), link("./var/lib", str(tmp_path)),
    ], files={
        "usr/bin/su-too": (HELLO[0], 0o6755), "./usr/share/way/control/evil": "x",
    }, scripts={"postinst": "#!/bin/sh\nchmod 4777 /usr/bin/su-too; mkfifo /usr/share/pipe\n"
                            f"ln -s {tmp_path} /var/cache; ls {secret}\n"})  # fmt: skip
    layer = await layers.lay("sly")
    assert "usr/bin/su-too has lost its set-uid" in layers.log
    kinds = {stat.S_IFMT(one.stat(follow_symlinks=False).st_mode)
             for one in entries(layers.folder(layer))}  # fmt: skip
    assert kinds == {stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK}
    for one in entries(layers.folder(layer)):
        if not one.is_symlink():
            assert not one.stat(follow_symlinks=False).st_mode & 0o6022
    said = await layers.see(
        layer, "cat /etc/leak /usr/share/leak /opt/leak/secret; ls /var/lib/; true"
    )
    assert "s3cret" not in said
    assert "secret" not in said.replace(str(secret), "").replace("/opt/leak/secret", "")
    assert secret.read_text() == "s3cret"


@pytest.mark.parametrize(
    ("members", "files"),
    [
        ([device("./usr/share/null")], {}),
        ([], {"../../../../srv/out/evil": "x"}),
        ([link("./opt", "/home")], {}),
        ([link("./usr/share/way/dpkg", "/")], {}),
    ],
    ids=["a device", "a path outside", "a link for a folder", "a link over a link"],
)
async def test_what_leads_out_of_its_folder_is_refused(layers, archive, members, files):
    archive.add("evil-base", members=[link("./usr/share/way", "/srv/out")])
    archive.add("evil", Depends="evil-base", members=members, files=files)
    with pytest.raises(BuildFailed, match="Debian package"):
        await layers.lay("evil")
    assert list((layers.settings.data / debian.LAYERS).glob("*")) == []


async def test_a_misspelt_name_is_told_with_what_apt_said_and_what_may_be_meant(layers, archive):
    archive.add("hello").add("clash", Conflicts="old").add("stranded", Depends="nowhere")
    with pytest.raises(BadSpecification, match=r"“helo”.*Unable to locate package helo") as error:
        await layers.lay("helo", "hello")
    assert error.value.hint == "Did you mean hello?"
    with pytest.raises(BuildFailed, match="exclude"):
        await layers.lay("clash")
    assert "The following packages will be REMOVED:\n  old" in layers.log
    with pytest.raises(BuildFailed, match=r"nowhere|held broken"):
        await layers.lay("stranded")


async def test_nothing_comes_from_an_archive_that_is_not_signed_or_not_there(tmp_path):
    with Archive(tmp_path, trusted=False) as archive:
        archive.add("hello", files={"usr/bin/hello": HELLO})
        layers = Layers(tmp_path, archive)
        with pytest.raises(Unreachable, match=r"signed|Release"):
            await layers.lay("hello")
        assert not any(path.endswith(".deb") for path in archive.asked)
    with pytest.raises(Unreachable):
        await layers.lay("hello")


async def test_a_package_that_is_not_what_was_announced_is_refused(layers, archive):
    archive.add("hello", files={"usr/bin/hello": HELLO})
    file = next(archive.folder.glob("*.deb"))
    body = file.read_bytes()
    file.write_bytes(body[:-9] + bytes(reversed(body[-9:])))
    with pytest.raises(Unreachable, match=r"[Hh]ash"):
        await layers.lay("hello")


async def test_a_layer_is_made_once_for_the_same_packages_on_the_same_system(layers, archive):
    archive.add("hello", files={"usr/bin/hello": HELLO})
    first = await layers.lay("hello", "bash")
    assert first.packages == {"hello": "1.0", "bash": "1.0"}
    asked = len(archive.asked)
    assert await layers.lay("bash", "hello") == first
    assert len(archive.asked) == asked
    other = (await asyncio.gather(layers.lay("hello"), layers.lay("hello")))[0]
    assert other.key != first.key
    assert layers.said.count("Setting up Debian packages") == 2
    none = await layers.lay("bash")
    assert none.packages == {"bash": "1.0"}
    assert await layers.see(none, "echo a box") == "a box"


def test_a_layer_fits_the_system_that_it_was_made_for(tmp_path):
    (tmp_path / "release").write_text('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Some Debian"\n')
    state = "Package: {0}\nStatus: install ok {1}\nArchitecture: all\nVersion: {2}\n\n"
    status = tmp_path / "status"
    status.write_text(state.format("libc6", "installed", "2.36"))
    system = System(dpkg=tmp_path, told=tmp_path / "release")
    layer = debian.Layer("k", system.release, {"hello": "1"}, ("libc6",))
    told, folder = debian.told(layer), tmp_path / debian.LAYERS / "k"

    def fits():
        return debian.fits(told, tmp_path, system)

    folder.mkdir(parents=True)
    assert not fits()
    (folder / debian.NOTE).write_text(json.dumps(asdict(layer)))
    assert fits()
    assert debian.fits({}, tmp_path, system)
    before = debian.key(system, ["hello"])
    status.write_text(state.format("libc6", "installed", "2.36+deb12u1"))
    assert fits()  # though a new one would be another
    assert debian.key(system, ["hello"]) != before
    status.write_text(state.format("libc6", "config-files", "2.36+deb12u1"))
    assert not fits()
    status.write_text(state.format("libc6", "installed", "2.36"))
    (tmp_path / "release").write_text('ID=debian\nVERSION_ID="13"\n')
    assert not fits()


async def test_a_system_without_apt_is_told_so(tmp_path, layers):
    layers.builder.system = System(dpkg=tmp_path)
    with pytest.raises(Lacking, match="has no apt") as error:
        await layers.lay("hello")
    assert "environment.yml" in error.value.hint


def test_what_apt_simulates_is_read():
    choice = read_choice(
        "Inst libc6 [2.36-9] (2.36-9+deb12u1 Debian:12.1/stable [amd64]) []\n"
        "Inst libx:i386 (1:2_3 Debian:12.1/stable, Debian-Security:12/stable [i386])\n"
        "Conf libc6 (2.36-9+deb12u1 Debian:12.1/stable [amd64])\nE: nothing\n"
    )
    assert choice.packages == (
        Package("libc6", "2.36-9+deb12u1", "amd64"), Package("libx", "1:2_3", "i386"),
    )  # fmt: skip
    assert choice.packages[1].archive == "libx_1%3a2%5f3_i386.deb"
    assert choice.order == ("libc6",)


@pytest.fixture
def index():
    """Return an index that boxes reach."""
    with PackageIndex(own_address()) as served:
        yield served.kernel()


async def test_a_build_sees_the_layer_and_its_record_lists_it(site, index, archive):
    site.builder.system = archive.system
    archive.add("hello", files={"usr/bin/hello": HELLO})
    index.source("compiled", build="import subprocess\nsubprocess.run(['hello'], check=True)\n")
    files = {"apt.txt": "hello\n", "requirements.txt": "compiled\n",
             "postBuild": "hello > said\nhello > /usr/x || true\n"}  # fmt: skip
    made = await site.build(files)
    assert Path(made.handle, "home", "said").read_text() == "hello from the layer\n"
    told = metadata(made.handle)[debian.DEBIAN]
    assert told["packages"] == {"hello": "1.0"}
    assert any("today" in note for note in made.notes)
    lock = Path(made.handle, "lock.txt").read_text().splitlines()
    assert "# apt: hello=1.0" in lock
    assert any(line.startswith("compiled") for line in lock)
    await site.settle()
    builder = site.builder
    builder.prune_layers()
    assert await builder.healthy(made.handle)
    folder = site.settings.data / debian.LAYERS / told["layer"]
    folder.rename(folder.with_name("gone"))
    assert not await builder.healthy(made.handle)
    folder.with_name("gone").rename(folder)
    (site.settings.data / debian.LAYERS / "unused").mkdir()
    builder.prune_layers()
    assert [one.name for one in folder.parent.iterdir()] == [told["layer"]]
    destroy(Path(made.handle))
    builder.prune_layers()
    assert list(folder.parent.iterdir()) == []


LOOK = """
import ctypes, subprocess
ctypes.CDLL("libreef.so.1")
print(subprocess.run(["hello"], capture_output=True, text=True).stdout)
"""


@pytest.mark.parametrize("how", ["plain", "forked"])
async def test_servers_have_the_layer_however_they_start(how, layers, archive, request):
    archive.add("hello", files={
        "usr/bin/hello": HELLO, "usr/lib/reef/libreef.so.1": library(),
        "etc/ld.so.conf.d/reef.conf": "/usr/lib/reef\n",
    })  # fmt: skip
    layer = await layers.lay("hello")
    if how == "forked":
        request.getfixturevalue("fork_server").serve(layers.settings)
    plan = make_plan(layers.settings.data, {})
    about = Path(plan.environment.handle, "atoll.json")
    about.write_text(json.dumps({"python_prefix": "", **debian.told(layer)}))
    runner = LocalRunner(layers.settings)
    server = await runner.start(plan, {"JUPYTER_TOKEN": "s3cret"})
    try:
        gate = open_gate(runner.records.find(server.handle))
        headers = {"Authorization": "token s3cret"}
        said = await run_cell(f"http://127.0.0.1:{gate}/", LOOK, headers=headers)
    finally:
        await runner.stop(server.handle)
    assert said == "hello from the layer"
