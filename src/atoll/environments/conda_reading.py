"""Conda reading: what files say of conda packages: environment.yml, Pixi's, and locks of them."""

from __future__ import annotations

from collections.abc import Mapping

from atoll.environments.conda import ESSENCE, FILES, PIP, CondaFile, read_conda
from atoll.environments.conda_locks import CONDA_LOCK, PIXI_LOCK
from atoll.environments.found import Found, from_top, path_in
from atoll.environments.pixi import PIXI, PROJECT, is_pixi, read_pixi
from atoll.environments.requirements import read_requirements


def conda_file(files: Mapping[str, bytes], folder: str) -> str:
    """Return the path of the ``environment.yml`` in *folder*, or ""."""
    return next((one for name in FILES if (one := path_in(folder, name)) in files), "")


def take_conda_file(files: Mapping[str, bytes], found: Found) -> bool:
    """Read an ``environment.yml``, if there is one; then nothing else says what to install.

    As in Binder, ``runtime.txt`` is passed over. Paths in the lines for pip begin at the folder of
    the file, as for conda.
    """
    path = conda_file(files, found.folder)
    if not path:
        return False
    _take_conda(files, found, path, read_conda(path, files[path]))
    _take_conda_lock(files, found, CONDA_LOCK)
    return True


def _take_conda(files: Mapping[str, bytes], found: Found, path: str, told: CondaFile) -> None:
    """Take over what the file *path* says of conda packages."""
    found.conda = True
    found.used.add(path)
    found.python = told.python
    found.files[ESSENCE] = told.essence
    if told.unknown:
        names = ", ".join(f"“{name}”" for name in told.unknown)
        found.notes = (f"{path} has {names}, which conda does not know; it was passed over.",)
    if told.pip:
        lines = "".join(f"{line}\n" for line in told.pip).encode()
        pip = read_requirements({**files, path: lines}, path, within=found.folder)
        included = {
            name: body for name, body in pip.files.items() if from_top(found.folder, name) != path
        }
        found.files.update({PIP: pip.files[path.rpartition("/")[2]], **included})
        found.used |= {from_top(found.folder, name) for name in included}
        found.tree |= pip.local


def take_pixi(files: Mapping[str, bytes], found: Found, platform: str) -> None:
    """Read what Pixi does, where nothing else lists packages, and its lock.

    A ``pyproject.toml`` that lists some for Pixi, too, is read as Pixi does.
    """
    path = path_in(found.folder, PIXI)
    if path not in files and not found.folder:
        path = PROJECT
    others = found.files.keys() - {path}
    if others or path not in files or (path == PROJECT and not is_pixi(path, files[path])):
        return
    found.files.clear()
    found.used.clear()  # of its Pythons, only that of a channel counts
    _take_conda(files, found, path, read_pixi(path, files[path], platform))
    _take_conda_lock(files, found, PIXI_LOCK)


def take_bare_lock(files: Mapping[str, bytes], found: Found) -> None:
    """Read a lock of conda packages without the file that it was made from."""
    for name in (PIXI_LOCK, CONDA_LOCK):
        if (path := path_in(found.folder, name)) in files:
            found.used.clear()
            _take_conda(files, found, path, CondaFile())
            _take_conda_lock(files, found, name)
            return


def _take_conda_lock(files: Mapping[str, bytes], found: Found, name: str) -> None:
    """Take over the lock *name* as it is: a build reads it, and looks whether it is in step."""
    if (path := path_in(found.folder, name)) in files:
        found.files[name] = files[path]
        found.used.add(path)
