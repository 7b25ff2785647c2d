"""System: what boxes see of the machine's own programs and settings, read-only.

Over them may lie a layer of Debian packages (`debian`): its ``usr`` as an overlay, what it has
below ``etc``, ``var`` and ``opt`` beside or over the machine's. Nothing in a layer is followed as a
link, neither where bubblewrap looks for what it mounts nor where it mounts it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

ETC = (
    *("alternatives", "ca-certificates", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("localtime", "magic", "mime.types", "pki/ca-trust", "pki/tls/certs", "python3", "R"),
    *("ssl/certs", "ssl/openssl.cnf", "timezone"),
)
LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # into /usr, on most systems
DEPTHS = {"var": 2, "opt": 1}  # how deep the mounts of a layer lie; a box may have others there
Source = Callable[[Path], str]  # where bubblewrap finds a path of the host's


def programs(layer: Path | None, source: Source) -> list[str]:
    """Return bubblewrap's options for ``/usr``, and for ``/bin`` and the like as they are here."""
    words = ["--ro-bind", "/usr", "/usr"]
    if layer and is_folder(layer / "usr"):
        words = ["--overlay-src", "/usr", "--overlay-src", source(layer / "usr")]
        words += ["--ro-overlay", "/usr"]
        for place in _mounted_below("/usr"):  # an overlay does not look into other file systems
            words += ["--ro-bind-try", place, place]
    for name in LINKS:
        link = Path("/", name)
        if link.is_symlink():
            words += ["--symlink", str(link.readlink()).lstrip("/"), str(link)]
        elif link.is_dir():
            words += ["--ro-bind", str(link), str(link)]
    return words


def configuration() -> list[str]:
    """Return bubblewrap's options for what boxes see below ``/etc``."""
    paths = (f"/etc/{name}" for name in ETC)
    return [word for path in paths if Path(path).exists() for word in ("--ro-bind", path, path)]


def additions(layer: Path | None, source: Source) -> list[str]:
    """Return the options for a layer's other folders; they come after those of all else.

    Otherwise what a package has put there could lead those astray.
    """
    words: list[str] = []
    if layer is None:
        return words
    for name, path in _parts(layer / "etc"):
        place = Path("/etc", name)
        if path.is_symlink():
            words += [] if place.exists() else ["--symlink", str(path.readlink()), str(place)]
        elif path.is_dir() and name in ETC and place.is_dir():
            words += ["--overlay-src", str(place), "--overlay-src", source(path)]
            words += ["--ro-overlay", str(place)]
        else:
            words += ["--ro-bind", source(path), str(place)]
    for top, depth in DEPTHS.items():
        for path in _below(layer / top, depth):
            words += ["--ro-bind", source(path), str(Path("/", path.relative_to(layer)))]
    return words


def _parts(folder: Path, above: str = "") -> Iterator[tuple[str, Path]]:
    """Yield what is in a layer's ``etc``, as far apart as `ETC` names it."""
    for path in sorted(folder.iterdir()) if is_folder(folder) else ():
        name = f"{above}{path.name}"
        if is_folder(path) and any(one.startswith(f"{name}/") for one in ETC):
            yield from _parts(path, f"{name}/")
        else:
            yield name, path


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the folders that lie so deep below *folder*."""
    for path in sorted(folder.iterdir()) if is_folder(folder) else ():
        if is_folder(path):
            yield from _below(path, depth - 1) if depth > 1 else (path,)


def is_folder(path: Path) -> bool:
    """Say whether *path* is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def _mounted_below(folder: str) -> list[str]:
    """Return the places below *folder* where something is mounted (a container's drivers, say)."""
    table = Path("/proc/self/mountinfo").read_text()
    found = (line.split()[4] for line in table.splitlines())
    places = (re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), one) for one in found)
    return [one for one in places if one.startswith(f"{folder}/")]
