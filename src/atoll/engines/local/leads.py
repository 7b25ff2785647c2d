"""Leads: where a specification takes packages from, besides the operator's own indexes."""

from __future__ import annotations

from collections.abc import Mapping

from atoll.engines.local.conda_channels import leads_away
from atoll.environments import EnvSpec
from atoll.environments.conda import CONDA, essence_of
from atoll.environments.projects import lock_leads_away, lock_needs_tree, read_project
from atoll.environments.requirements import names_addresses, names_indexes, names_places
from atoll.settings.sections import BuildSettings


def places_of(spec: EnvSpec, builds: BuildSettings) -> tuple[bool, bool]:
    """Say whether *spec* names package indexes, and whether it names addresses of any kind."""
    files = dict(spec.files)
    project = files.get("pyproject.toml")
    read = read_project("pyproject.toml", project) if project else None
    own = names_indexes(files) or bool(read and read.indexes)
    elsewhere = own or names_addresses(files) or bool(read and read.remote)
    elsewhere = elsewhere or ("uv.lock" in files and lock_leads_away(files["uv.lock"]))
    if spec.kind == CONDA:
        elsewhere = elsewhere or leads_away(essence_of(files), builds)
    return own, elsewhere


def has_packages(files: Mapping[str, bytes]) -> bool:
    """Say whether the specification *files* take packages from the repository itself."""
    project = files.get("pyproject.toml")
    return (
        names_places(files)
        or bool(project and read_project("pyproject.toml", project).local)
        or ("uv.lock" in files and lock_needs_tree(files["uv.lock"]))
    )
