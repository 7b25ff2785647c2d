"""The jupyterhub_config.py of test hubs: plans are started by `TinyRunner`, the rest is real."""

from atoll.app import Atoll
from atoll.settings import load_settings
from atoll.stores.sql import open_store
from atoll.testing.engines import FakeFiles
from atoll.testing.runners import TinyRunner
from atoll.volumes.keeper import Keeper


def wiring():
    settings = load_settings()
    folder = settings.data / "tiny"
    folder.mkdir(exist_ok=True)
    runner = TinyRunner(folder, ("No network helper here.",))
    store = open_store(settings)
    parts = (None, None, store, None, None, runner)
    return Atoll(settings, *parts, uploads=None, keeper=Keeper(store.volumes, FakeFiles()))


c = get_config()  # noqa: F821 - JupyterHub's
c.AtollSpawner.wiring = wiring
