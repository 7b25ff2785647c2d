"""Metrics: how many, how long, how often, for Prometheus.

Where the meaning is BinderHub's, so are name, labels and buckets: dashboards keep working.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from starlette.requests import Request
from starlette.responses import Response

from atoll import __version__
from atoll.accounting import LaunchRecord, Records
from atoll.errors import Refused
from atoll.launching.desk import Launch, Launches, State
from atoll.web.hub_api import HubApi

BUILD_BUCKETS = (60, 120, 300, 600, 1800, 3600, 7200, float("inf"))
LAUNCH_BUCKETS = (2, 5, 10, 20, 30, 60, 120, 300, 600, float("inf"))
TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Meters:
    """All of the service's meters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.build_time = Histogram(
            "binderhub_build_time_seconds",
            "How long builds took",
            ["status"],
            buckets=BUILD_BUCKETS,
            registry=registry,
        )
        self.launch_time = Histogram(
            "binderhub_launch_time_seconds",
            "How long servers took to start",
            ["status", "retries"],
            buckets=LAUNCH_BUCKETS,
            registry=registry,
        )
        labels = ["status", "provider", "repo"]
        self.builds = Counter(
            "binderhub_build_count", "Builds by repository", labels, registry=registry
        )
        self.launches = Counter(
            "binderhub_launch_count", "Launches by repository", labels, registry=registry
        )
        self.building = Gauge(
            "binderhub_inprogress_builds", "Launches being prepared", registry=registry
        )
        self.starting = Gauge(
            "binderhub_inprogress_launches", "Servers being started", registry=registry
        )
        self.version = Gauge("atoll_info", "Atoll's version", ["version"], registry=registry)
        self.version.labels(__version__).set(1)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def count(self, record: LaunchRecord) -> None:
        """Take one finished launch in."""
        where = {"provider": record.provider, "repo": record.spec.rsplit("/", 1)[0]}
        status = "success" if record.status == "success" else "failure"
        built = "start" in record.seconds or status == "success"
        if "build" in record.seconds and not record.cached:
            outcome = "success" if built else "failure"
            self.build_time.labels(outcome).observe(record.seconds["build"])
            self.builds.labels(status=outcome, **where).inc()
        if "start" in record.seconds:
            retries = "0" if status == "success" else "-1"
            self.launch_time.labels(status, retries).observe(record.seconds["start"])
        self.launches.labels(status=status, **where).inc()


@dataclass(frozen=True, slots=True)
class CountedRecords:
    """Records that are counted as they are added."""

    records: Records
    meters: Meters

    async def add(self, record: LaunchRecord) -> None:
        """Keep and count *record*."""
        self.meters.count(record)
        await self.records.add(record)

    async def newest(self, *, limit: int = 100, person: str = "") -> list[LaunchRecord]:
        """Return the newest, as they were kept."""
        return await self.records.newest(limit=limit, person=person)


@dataclass(frozen=True, slots=True)
class CountedLaunches:
    """Launches whose states the gauges follow."""

    launches: Launches
    meters: Meters
    states: dict[str, State] = field(default_factory=dict)

    async def put(self, launch: Launch) -> None:
        """Remember *launch*, and in which state it is."""
        if launch.state.over:
            self.states.pop(launch.id, None)
        else:
            self.states[launch.id] = launch.state
        now = list(self.states.values())
        self.meters.building.set(now.count(State.PREPARING))
        self.meters.starting.set(now.count(State.STARTING))
        await self.launches.put(launch)

    async def get(self, launch_id: str) -> Launch | None:
        """Return it as it was kept."""
        return await self.launches.get(launch_id)

    async def unfinished(self) -> list[Launch]:
        """Return what is not over."""
        return await self.launches.unfinished()

    async def newest(self, person: str, *, limit: int = 20) -> list[Launch]:
        """Return the newest, as they were kept."""
        return await self.launches.newest(person, limit=limit)


async def show_metrics(request: Request) -> Response:
    """GET metrics: for a token with the scope ``read:metrics``, as at JupyterHub's own.

    The proxy makes every request look local, so that asking from this machine proves nothing.
    """
    site: Any = request.app.state.site
    await check_token(site.hub, request.headers)
    return Response(generate_latest(site.meters.registry), media_type=TYPE)


async def check_token(hub: HubApi, headers: Mapping[str, str]) -> None:
    """Raise `Refused` unless *headers* bring a token that may read metrics."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    bearer = await hub.bearer(token.strip()) if kind.lower() in {"bearer", "token"} else None
    if bearer is None or not bearer.may("read:metrics"):
        raise Refused(
            "Metrics are for monitoring.",
            hint="Send “Authorization: Bearer TOKEN” with a token that has the scope read:metrics.",
        )
