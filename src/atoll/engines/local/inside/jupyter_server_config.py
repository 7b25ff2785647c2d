# It is run by any Python and any Jupyter Server that a repository brings, so it has no types.
# mypy: ignore-errors
"""How every Jupyter server in a box saves: aside, then in place, so that a kill loses nothing.

Jupyter Server copies the old file aside and then writes over it; killed in between, it leaves half
a file under the name that people look for. Here the new file is written aside, brought to the
disk, and renamed over the old one, which is whole at any moment.
"""

import importlib.util
import io
import os
import tempfile
from contextlib import contextmanager


def whole(base):
    """Return *base*, a contents manager's class, with saving as described above."""

    class WholeFiles(base):
        @contextmanager
        def atomic_writing(self, os_path, text=True, encoding="utf-8", log=None, **more):
            target = os.path.realpath(os_path)  # a link stays a link
            folder, name = os.path.split(target)
            if os.path.exists(target) and not os.access(target, os.W_OK):
                with super().atomic_writing(os_path, text=text, encoding=encoding, **more) as file:
                    yield file  # says why it may not be written
                return
            fd, aside = tempfile.mkstemp(prefix=".~", suffix="-" + name[-100:], dir=folder)
            try:
                with io.open(
                    fd, "w" if text else "wb", encoding=encoding if text else None, **more
                ) as file:
                    yield file
                    file.flush()
                    os.fchmod(file.fileno(), permissions(target))
                    os.fsync(file.fileno())
                os.replace(aside, target)
            except BaseException:
                os.unlink(aside)
                raise

    return WholeFiles


def permissions(path):
    """Return those of the file at *path*, or of a new file."""
    try:
        return os.stat(path).st_mode & 0o7777
    except OSError:
        mask = os.umask(0o022)
        os.umask(mask)
        return 0o666 & ~mask


try:
    from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
except ImportError:  # a server of another time saves in its own way
    AsyncLargeFileManager = None
if AsyncLargeFileManager and importlib.util.find_spec("jupytext") is None:  # it has its own
    c = get_config()  # noqa: F821 - Jupyter provides it
    c.ServerApp.contents_manager_class = whole(AsyncLargeFileManager)
