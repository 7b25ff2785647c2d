"""Conda locks: files that say which very conda packages an environment has.

They are YAML of up to megabytes. So nobody but a build takes them apart, in a box
(`engines/local/conda_locks.py`); a specification carries them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

PIXI_LOCK = "pixi.lock"  # of a pixi.toml
CONDA_LOCK = "conda-lock.yml"  # of an environment.yml, or all that there is
NAMES = (PIXI_LOCK, CONDA_LOCK)


def lock_in(files: Mapping[str, bytes]) -> str:
    """Return the name of the lock among the *files* of a specification, or ""."""
    return next((name for name in NAMES if name in files), "")
