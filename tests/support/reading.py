"""Reading: the specification of a repository that has just these files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from atoll.environments.reading import read_spec
from atoll.sources import Checkout, RepoRef, ResolvedRef

COMMIT_DAY = datetime(2022, 5, 17, 23, 59, tzinfo=UTC)


def checkout(files, *, tree="t1", changed=None, when=COMMIT_DAY):
    ref = ResolvedRef(RepoRef("git", "https://example.org/r"), "c" * 40, tree, when)
    body = {k: v if isinstance(v, bytes) else v.encode() for k, v in files.items()}
    return Checkout(ref, Path("/nowhere"), body, changed or {})


def spec(files, *, at="", platform="p", **more):
    return read_spec(checkout(files, **more), platform=platform, at=at)
