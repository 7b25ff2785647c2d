"""Engine: the door through which the local engine comes in."""

from __future__ import annotations

from dataclasses import dataclass

from atoll.engines.local.builder import LocalBuilder
from atoll.engines.local.named_volumes import LocalFiles
from atoll.engines.local.runner import LocalRunner
from atoll.settings import Settings


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Builds with uv and runs with bubblewrap; no Docker and no root are needed."""

    builder: LocalBuilder
    runner: LocalRunner
    files: LocalFiles


def open_engine(settings: Settings) -> LocalEngine:
    """Return the engine that keeps its things in ``settings.data``."""
    runner = LocalRunner(settings)
    return LocalEngine(LocalBuilder(settings), runner, LocalFiles(settings, runner.records))
