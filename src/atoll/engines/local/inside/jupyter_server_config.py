# It is run by any Python and any Jupyter Server that a repository brings, so it has no types.
# mypy: ignore-errors
"""How every Jupyter server in a box saves, which Python its kernels run on, and who it is for.

Jupyter Server copies the old file aside and then writes over it; killed in between, it leaves half
a file under the name that people look for. Here the new file is written aside, brought to the
disk, and renamed over the old one, which is whole at any moment. Where there is no room for it,
people are told in a sentence.

What a killed server leaves aside is cleared away at the next start (`atoll.engines.local.volumes`
knows these names). A file in the home says that there may be something to look for.
"""

import errno
import importlib.util
import io
import os
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress

SAVING = ".~atoll-saving"  # in the home while something is saved; what is written aside, with a -
ENVIRONMENT = "/srv/env"
FULL = (
    "The disk that it is on is full. What was saved before is whole, and what you see is in this "
    "page only. Delete what you do not need there, or save it in another folder; then save again."
)
HUB_IS_BACK = 30  # seconds within which it usually is
saves = []  # that are under way
guard = threading.Lock()


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
            with noted(target), told_if_full():
                prefix, suffix = SAVING + "-", "-" + name[-100:]
                fd, aside = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=folder)
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


@contextmanager
def told_if_full():
    """Say in words that people understand that there is no room, be it by a quota."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        from tornado.web import HTTPError

        raise HTTPError(507, FULL) from error


@contextmanager
def noted(target):
    """Have the note in the home as long as anything is being saved, *target* among it."""
    note = os.path.join(os.path.expanduser("~"), SAVING)
    with guard:
        saves.append(target)
        with suppress(OSError):  # a full disk, say, of which the save itself will tell
            open(note, "a").close()
    try:
        yield
    finally:
        with guard:
            saves.remove(target)
            if not saves:
                with suppress(OSError):
                    os.unlink(note)


def permissions(path):
    """Return those of the file at *path*, or of a new file."""
    try:
        return os.stat(path).st_mode & 0o7777
    except OSError:
        mask = os.umask(0o022)
        os.umask(mask)
        return 0o666 & ~mask


def quick(config):
    """Have kernels start, and pages connected to them, as the modules beside this file do it."""
    from importlib.metadata import EntryPoint

    from jupyter_client.provisioning import KernelProvisionerFactory

    KernelProvisionerFactory.provisioners["atoll-seed"] = EntryPoint(
        "atoll-seed", "seed_provisioner:SeedProvisioner", KernelProvisionerFactory.GROUP_NAME
    )
    config.KernelProvisionerFactory.default_provisioner_name = "atoll-seed"
    config.ServerApp.kernel_websocket_connection_class = "quick_connection.QuickConnection"


def belong(config):
    """Tell the runtime's server what its modules ask the environment for when they are imported.

    Where it is a fork they were imported before it, for nobody, and would have the server's cookies
    go to everybody's servers, its links let nobody in, and the Lab's settings be saved nowhere.
    """
    from jupyterlab.commands import get_user_settings_dir, get_workspaces_dir

    config.LabApp.user_settings_dir = get_user_settings_dir()
    config.LabApp.workspaces_dir = get_workspaces_dir()
    config.Session.username = os.environ.get("USER", "username")
    config.HubAuth.base_url = os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or "/"
    in_url = os.environ.get("JUPYTERHUB_ALLOW_TOKEN_IN_URL", "")
    config.HubAuth.allow_token_in_url = in_url == "1"


def patient():
    """Have the server wait for a hub that is being started again.

    It asks the hub whose a token is, every five minutes anew; JupyterHub's own code answers 500 at
    once when it gets no connection, of a page without a word.
    """
    import asyncio
    import time

    from jupyterhub.services import auth

    fetch = auth.fetch

    async def ask_again(url, **how):
        until = time.monotonic() + HUB_IS_BACK
        while True:
            try:
                return await fetch(url, **how)
            except Exception:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(0.2)

    auth.fetch = ask_again


def hospitable(config):
    """Have the server look at what guests ask for, and people edit a notebook at once if they may.

    What is only for that stays out of the home: a document is saved, as ever, a moment after it was
    changed.
    """
    from guests import minding
    from jupyterhub.singleuser import extension

    extension.JupyterHubIdentityProvider = minding(extension.JupyterHubIdentityProvider)
    if "ATOLL_TOGETHER" in os.environ:
        from documents import saved_at_the_end

        config.SQLiteYStore.db_path = os.path.join(tempfile.gettempdir(), "atoll-documents.db")
        sessions = os.path.join(tempfile.gettempdir(), "atoll-sessions.json")
        config.YDocExtension.session_store_path = sessions
        config.BaseFileIdManager.db_path = ":memory:"
        saved_at_the_end()


def neighbourly(config):
    """Have the server tell who else has a document of a volume open, as `neighbours` does it."""
    config.ServerApp.jpserver_extensions = {"neighbours": True}
    extensions = os.path.join(os.path.dirname(__file__), "labextensions")
    config.LabApp.extra_labextensions_path = [extensions]


c = get_config()  # noqa: F821 - Jupyter provides it
try:
    from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
except ImportError:  # a server of another time saves in its own way
    AsyncLargeFileManager = None
if AsyncLargeFileManager and importlib.util.find_spec("jupytext") is None:  # it has its own
    c.ServerApp.contents_manager_class = whole(AsyncLargeFileManager)
if sys.prefix != ENVIRONMENT:  # else the repository brings its own server
    sys.path.append(os.path.dirname(__file__))
    from jupyter_client.kernelspec import KernelSpecManager
    from kernelspecs import at_home

    c.ServerApp.kernel_spec_manager_class = at_home(KernelSpecManager)
    quick(c)
    belong(c)
    if "ATOLL_NEIGHBOURS" in os.environ:
        neighbourly(c)
    if "JUPYTERHUB_API_URL" in os.environ:
        patient()
        hospitable(c)
own_idle = int(os.environ.get("ATOLL_IDLE", "0"))  # seconds, where no hub looks after it
if own_idle:  # by default it waits for all kernels and terminals to end
    c.ServerApp.shutdown_no_activity_timeout = own_idle
    c.MappingKernelManager.cull_idle_timeout = own_idle
    c.MappingKernelManager.cull_interval = max(1, min(300, own_idle // 5))
    c.TerminalManager.cull_inactive_timeout = own_idle
lifetime = int(os.environ.get("ATOLL_LIFETIME", "0"))
if lifetime:
    ending = threading.Timer(lifetime, os.kill, (os.getpid(), signal.SIGTERM))
    ending.daemon = True
    ending.start()
idle = int(os.environ.get("ATOLL_IDLE_KERNELS", "0"))  # seconds
if idle:  # by default one that computes, or that a page is connected to, is not idle
    c.MappingKernelManager.cull_idle_timeout = idle
    c.MappingKernelManager.cull_interval = max(1, min(300, idle // 5))
