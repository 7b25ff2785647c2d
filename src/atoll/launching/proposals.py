"""Proposals: what to install for a repository that does not say it, from what its code imports."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from atoll.disk import entries
from atoll.environments.imports import NAME, Proposal, propose
from atoll.environments.reading import listed
from atoll.sources import Checkout

ENTRIES = 20_000  # of the checkout that are looked at
LARGEST, MOST = 10 * 1024**2, 50 * 1024**2  # bytes of one file, and of all, that are read
NOTEBOOKS = (".ipynb",)
CODE = (*NOTEBOOKS, ".py")


def propose_for(checkout: Checkout) -> Proposal | None:
    """Return what the notebooks and scripts of *checkout* import; reads the disk."""
    found = _files(checkout)
    return propose(_read(found), found)


def notebooks_of(checkout: Checkout) -> Iterator[bytes]:
    """Yield the contents of the notebooks of *checkout*; reads the disk."""
    return (body for _, body in _read(_files(checkout), NOTEBOOKS))


def accepted(checkout: Checkout, proposal: Proposal) -> Checkout:
    """Return *checkout* as if *proposal* were its ``requirements.txt``, since its commit."""
    files = {**checkout.files, listed(checkout.files): proposal.text.encode()}
    return replace(checkout, files=files)


def said(proposal: Proposal) -> str:
    """Return one sentence about *proposal* for whoever launches without it."""
    names = ", ".join(sorted(proposal.packages))
    return (
        f"What its code imports could be taken instead: {names} "
        "(--infer, or the button on the launch’s page)."
    )


def forgotten(
    checkout: Checkout, failed: Mapping[str, str], installed: Container[str]
) -> tuple[str, ...]:
    """Return the packages that notebooks of *checkout* import and that are not *installed*.

    Those notebooks which *failed*, by their paths, each for want of a module. Reads the disk.
    """
    found = _files(checkout)
    theirs = {path: found[path] for path in failed if path in found}
    modules = "".join(f"import {one}\n" for one in failed.values() if NAME.fullmatch(one))
    proposal = propose([*_read(theirs), ("", modules.encode())], found)
    packages = proposal.packages if proposal else {}
    return tuple(sorted(one for one in packages if one not in installed))


def _files(checkout: Checkout) -> dict[str, os.DirEntry[str]]:
    """Return what is in *checkout* by its path, but for what is hidden."""
    return {
        path: entry
        for entry in islice(entries(checkout.path), ENTRIES)
        if not (path := entry.path[len(str(checkout.path)) + 1 :]).startswith(".")
        and "/." not in path
    }


def _read(
    found: dict[str, os.DirEntry[str]], endings: tuple[str, ...] = CODE
) -> Iterator[tuple[str, bytes]]:
    """Yield the code that can be read of *found*: plain files, no links; nobody changes them."""
    left = MOST
    for file in (found[path] for path in sorted(found) if path.endswith(endings)):
        size = file.stat(follow_symlinks=False).st_size
        if file.is_file(follow_symlinks=False) and size <= min(LARGEST, left):
            left -= size
            yield file.path, Path(file.path).read_bytes()
