"""Installing: unpacks Debian packages and sets them up, as far as that goes without being root.

Both is done in boxes without a network, as an ordinary user. The packages' own set-up scripts run
where what was unpacked lies, writable, over the system; what needs more than that (users, services,
kernel modules) is done by stand-ins that do nothing and say so. Afterwards the workshop's
environment holds ``etc``, ``var`` and ``opt``, and the upper folder of its overlay is the ``usr``.
"""

from __future__ import annotations

from pathlib import Path

from atoll.engines.local import room
from atoll.engines.local.apt import CACHE, DPKG, Choice, System
from atoll.engines.local.sandbox import Bind, Box
from atoll.engines.local.steps import OUT, SPEC, Steps
from atoll.engines.local.system import is_folder
from atoll.engines.local.workshop import Workshop
from atoll.errors import BuildFailed
from atoll.servers import Network

KEPT = ("usr", "etc", "var", "opt")  # what else packages bring, boxes have no place for
STATES = "dpkg"  # below `OUT`: dpkg's folder as set-up scripts see it, with all packages in place
ROOT, UPPER, ARCHIVES = "/srv/root", "/srv/upper", "/srv/debs"  # in boxes
# What set-up scripts call for and nobody can do in a box; then, what need not be done there.
UNDONE = (
    *("adduser", "addgroup", "deluser", "delgroup", "useradd", "groupadd", "usermod", "groupmod"),
    *("passwd", "mknod", "setcap", "dpkg-statoverride", "systemctl", "service"),
    *("deb-systemd-helper", "deb-systemd-invoke", "systemd-sysusers", "systemd-tmpfiles"),
    *("invoke-rc.d", "update-rc.d", "start-stop-daemon", "udevadm", "depmod", "modprobe", "dkms"),
    *("update-initramfs", "sysctl", "dbus-send", "update-binfmts"),
)
NEEDLESS = (
    *("chown", "chgrp", "dpkg-divert", "dpkg-trigger", "ldconfig", "py3compile", "py3clean"),
    *("pycompile", "pyclean", "ucfr"),
)
# Some scripts do nothing where they are not root, and here they can do without being it.
ID = '[ "$*" = -u ] && echo 0 || exec /usr/bin/id "$@"'
UNPACK = """
set -e -o pipefail
cd /srv/root
dpkg=/srv/out/dpkg
mkdir -p etc opt var/lib var/log var/tmp var/cache/debconf /srv/out/control $dpkg/info $dpkg/updates
for name in status alternatives arch diversions statoverride; do
  [ ! -e /var/lib/dpkg/$name ] || cp -r /var/lib/dpkg/$name $dpkg
done
echo 1 > $dpkg/info/format
cp -r --no-dereference --preserve=mode,timestamps /etc/. etc 2> /dev/null || true
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then mkdir -p "usr/$name"; ln -s "usr/$name" "$name"; fi
done
for deb in "$@"; do
  dpkg-deb --control "/srv/debs/$deb" /srv/out/one
  package=$(dpkg-deb --field "/srv/debs/$deb" Package)
  name=$(dpkg-deb --showformat='${Package}:${Architecture}\n' --show "/srv/debs/$deb")
  grep -q '^Multi-Arch: *same' /srv/out/one/control || name=$package
  { echo "Status: install ok installed"; cat /srv/out/one/control; echo; } >> $dpkg/status
  dpkg-deb --field "/srv/debs/$deb" Pre-Depends Depends >> /srv/out/needs
  [ ! -e /srv/out/one/config ] || echo "$package asks questions; each gets its usual answer"
  for file in /srv/out/one/*; do mv -f "$file" "/srv/out/control/$package.${file##*/}"; done
  rm -rf /srv/out/one
  if ! dpkg-deb --fsys-tarfile "/srv/debs/$deb" |
    tar --extract --verbose --keep-directory-symlink --no-same-owner --preserve-permissions |
    sed 's|^[.]||; s|/$||; s|^$|/.|' > "$dpkg/info/$name.list"; then
    echo "E: $package cannot be unpacked here"
    exit 1
  fi
done
find usr/ etc var opt -perm /6000 -type f -printf '%p has lost its set-uid or set-gid bit\\n'
find usr/lib/systemd/system etc/init.d -type f ! -name '*@.service' \\
  \\( -name '*.service' -o -path 'etc/init.d/*' \\) -printf '%f\\n' \\
  2> /dev/null | sed 's/[.]service$//' | sort -u > /srv/out/services || true
"""
SET_UP = """
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true DEBCONF_NOWARNINGS=yes
export DPKG_MAINTSCRIPT_NAME=postinst DPKG_MAINTSCRIPT_PACKAGE DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1
export DPKG_MAINTSCRIPT_ARCH=$(dpkg --print-architecture) DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT=
cp /usr/share/debconf/debconf.conf /etc 2> /dev/null
cd /
run() {
  DPKG_MAINTSCRIPT_PACKAGE=$1
  script=/srv/out/control/$1.postinst; shift
  [ -x "$script" ] || return 0
  timeout 600 "$script" "$@" < /dev/null && return
  echo "$DPKG_MAINTSCRIPT_PACKAGE: its set-up script ended with status $?"
  echo "$DPKG_MAINTSCRIPT_PACKAGE" >> /srv/out/broken
}
for package in "$@"; do
  run "$package" configure ""
done
/sbin/ldconfig -i -X
for package in "$@"; do
  interest=$(sed -n 's/^interest[a-z-]* //p' "/srv/out/control/$package.triggers" 2> /dev/null)
  [ -z "$interest" ] || run "$package" triggered "$(echo $interest)"
done
# What packages of the system's would do for those that come.
there() { [ -n "$(ls -A "/srv/upper/$1" 2> /dev/null)" ] && command -v "$2" > /dev/null; }
! there share/fonts fc-cache || fc-cache --system-only --force
! there share/glib-2.0/schemas glib-compile-schemas ||
  glib-compile-schemas /usr/share/glib-2.0/schemas
! there share/mime/packages update-mime-database || update-mime-database /usr/share/mime
for place in /usr/lib/*/gdk-pixbuf-2.0; do
  ! there "${place#/usr/}/2.10.0/loaders" true || "$place/gdk-pixbuf-query-loaders" --update-cache
done
/sbin/ldconfig -i -X
exit 0
"""
SETTLE = """
cd /srv/root
find usr/ etc var opt ! -type d ! -type f ! -type l -delete
chmod -R u+rwX,go-w,a+rX,a-s,-t usr/ etc var opt
"""


async def unpack(steps: Steps, system: System, choice: Choice) -> None:
    """Unpack what was fetched; what packages say of themselves goes to ``steps.workshop.out``."""
    steps.say(f"Unpacking Debian packages: {len(choice.packages)}")
    binds = (
        *_root(steps.workshop),
        Bind(steps.cache / CACHE / "cache" / "archives", ARCHIVES),
        Bind(steps.workshop.out, OUT, writable=True),
        Bind(system.dpkg, DPKG),
    )
    told: list[str] = []
    words = ("/bin/bash", "-c", UNPACK, "unpack", *(one.archive for one in choice.packages))
    if await steps.run(words, _box(steps, binds), told):
        said = " ".join(told[-3:])[:400]
        if "No space left" in said:
            raise room.lacking()
        raise BuildFailed(
            f"A Debian package could not be unpacked: {said}.",
            hint="Packages with device files, or with files outside of their folders, cannot be.",
        )
    places = (*(steps.workshop.env / one for one in KEPT[1:]), steps.workshop.out / STATES)
    if not all(map(is_folder, places)):  # the next box gets them to write to
        raise BuildFailed("A Debian package has put something else in the place of /etc, say.")


async def set_up(steps: Steps, choice: Choice) -> None:
    """Run the packages' set-up scripts, with the layer laid writable over the system."""
    steps.say("Setting up Debian packages")
    workshop = steps.workshop
    _stand_in(workshop.spec / "stand-ins")
    binds = (
        Bind(Path("/usr"), "/usr", scratch=workshop.scratch),
        *(Bind(workshop.env / one, f"/{one}", writable=True) for one in KEPT[1:]),
        Bind(workshop.out / STATES, DPKG, writable=True),
        Bind(workshop.scratch / "upper", UPPER),
        Bind(workshop.out, OUT, writable=True),
        Bind(workshop.spec, SPEC),
    )
    words = ("/bin/bash", "-c", SET_UP, "set-up", *choice.order)
    await steps.run(words, _box(steps, binds), [])
    if await steps.run(("/bin/sh", "-c", SETTLE), _box(steps, _root(workshop)), []):
        raise BuildFailed("What the Debian packages brought could not be put in order.")


def _stand_in(folder: Path) -> None:
    """Fill *folder* with the programs that scripts find in place of the system's."""
    folder.mkdir()
    programs = {name: f'echo "not done in a box: {name} $*" >&2' for name in UNDONE}
    for name, does in {**programs, **dict.fromkeys(NEEDLESS, "exit 0"), "id": ID}.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)


def _root(workshop: Workshop) -> tuple[Bind, ...]:
    """Return the binds of the folder for unpacking, whose ``usr`` is the upper of an overlay."""
    return (
        Bind(workshop.env, ROOT, writable=True),
        Bind(workshop.scratch / "upper", f"{ROOT}/usr", writable=True),
    )


def _box(steps: Steps, binds: tuple[Bind, ...]) -> Box:
    path = f"{SPEC}/stand-ins:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return Box(
        (),
        binds=binds,
        environ={"PATH": path, "LANG": "C.UTF-8", "HOME": "/tmp"},  # noqa: S108 - the box's own
        workdir="/tmp",  # noqa: S108 - the box's own
        network=Network.NONE,
        owner=steps.owner,
        limits=steps.limits(),
    )
