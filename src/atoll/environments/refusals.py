"""Refusals: files that are clear, but that no builder here can follow, and what to do instead."""

from __future__ import annotations

from atoll.errors import CannotBuildYet

_DOCKER = "needs the Docker engine, which comes later"
_JULIA = "lists Julia packages, and no builder here can make an environment of them yet"
_NIX = "is a Nix expression, and no builder here can evaluate one yet"
_INSTEAD = "a requirements.txt or environment.yml in a folder “binder” is taken in its place"

# By file: why not, and what to do.
_WHY = {
    "Dockerfile": (_DOCKER, f"Until then, {_INSTEAD}."),
    "Project.toml": (_JULIA, f"For the notebooks in Python, {_INSTEAD}."),
    "JuliaProject.toml": (_JULIA, f"For the notebooks in Python, {_INSTEAD}."),
    "REQUIRE": (_JULIA, f"For the notebooks in Python, {_INSTEAD}."),
    "default.nix": (_NIX, f"It would need the program nix-shell on this machine; {_INSTEAD}."),
    "flake.nix": (_NIX, f"It would need the program nix on this machine; {_INSTEAD}."),
}
_BUILDS = (
    "It builds environment.yml, requirements.txt, pyproject.toml, setup.py, install.R, apt.txt, "
    "postBuild and the lock files of uv, Pipenv, Poetry, PDM, pip, Pixi, conda-lock and renv."
)


def refused(path: str) -> CannotBuildYet:
    """Return the error to raise for the file *path*."""
    why, hint = _WHY.get(path.rpartition("/")[2], ("", ""))
    if why:
        return CannotBuildYet(f"The repository asks for {path}, which {why}.", hint=hint)
    return CannotBuildYet(
        f"The repository asks for {path}, which Atoll cannot build yet.", hint=_BUILDS
    )
