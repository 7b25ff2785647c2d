"""Atoll's web service on stand-ins: a hub, a source, a builder and a store that are not real."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atoll.allowances import Allowances
from atoll.app import Atoll, Engine, Store, volume_rules
from atoll.environments import Environments
from atoll.launching import Launcher
from atoll.settings import Settings, settings_from
from atoll.sources import Source
from atoll.stores.sql import open_store
from atoll.testing.engines import FakeEngine
from atoll.testing.sources import FakeSource
from atoll.testing.stores import MemoryStore
from atoll.volumes.keeper import Keeper
from atoll.web.app import make_app, make_site
from atoll.web.site import Place, Site
from support.hub_stand_in import SERVICE_TOKEN, HubStandIn

REPO = "https://github.com/ada/engine"
PLACE = Place(base="/", prefix="/services/atoll/", client_id="service-atoll", secret=SERVICE_TOKEN)


@dataclass
class Service:
    """The parts, so that a test can turn their screws."""

    hub: HubStandIn
    source: FakeSource
    engine: FakeEngine
    store: MemoryStore
    settings: Settings
    site: Site

    @property
    def app(self):
        return make_app(self.site)


def make_service(
    folder: Path,
    *,
    place: Place = PLACE,
    real: Source | None = None,
    stored: bool = False,
    **tables,
) -> Service:
    """Put a service together, on a *real* source if one is given; *tables* are ``atoll.toml``'s.

    With *stored* it keeps what is to be kept in a real database.
    """
    settings = settings_from({"data": str(folder), **tables})
    store = open_store(settings) if stored else MemoryStore()
    hub, engine = HubStandIn(), FakeEngine()
    source = FakeSource(folder / "checkouts", {REPO: {"requirements.txt": b"six==1.16.0\n"}})
    hub.add("ada", admin=True)
    hub.add("bob")
    site = make_site(wired(settings, store, engine, real or source), hub.api(), place)
    return Service(hub, source, engine, store, settings, site)


def wired(settings: Settings, store: Store, engine: Engine, source: Source) -> Atoll:
    """Return an installation of these parts."""
    environments = Environments(engine.builder, store.shelf, grace=settings.builds.grace)
    quota = Allowances(settings, store.rulings).quota
    keeper = Keeper(store.volumes, engine.files, volume_rules(settings), quota)
    launcher = Launcher(
        source,
        environments,
        store.plans,
        "x86_64-linux-glibc",
        keeper=keeper,
        homes=engine.runner,
    )
    parts = (store, launcher, engine.builder, engine.runner)
    return Atoll(settings, source, environments, *parts, uploads=source, keeper=keeper)
