"""Clients: other people's programs that speak to a Binder, brought from npm once and kept."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

from support import npm

CLIENTS = Path(__file__).parent.parent / "browser" / "clients"
KEPT = Path(__file__).parent.parent / "artefacts" / "clients"
# thebe's own bundle is whole; installing it would bring a thousand packages that it has inside.
THEBE = "thebe@0.9.3"
THEBE_SHA512 = (
    "Rb/7kVhtlffXra3kIe7OuIGE7awsm2/fGWxw21DiNfnWLnUQiDl9AWqYdshPwZPG/5DzLpsJRPix2xtCPtJmQQ=="
)
NPM = ("npm", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


def binderhub_client() -> list[str]:
    """Return the command that runs `stream.mjs` with ``@jupyterhub/binderhub-client``."""
    return [npm.node(), str(npm.installed(CLIENTS) / "stream.mjs")]


def thebe() -> Path:
    """Return the folder of thebe's bundle, ``index.js`` and what that loads."""
    kept = KEPT / "thebe"
    with npm.lock():
        if not kept.exists():
            half = kept.with_name("thebe-half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            name = npm.run([*NPM, "pack", THEBE, "--pack-destination", str(half)], CLIENTS).strip()
            archive = half / name.splitlines()[-1]
            digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            assert digest == THEBE_SHA512, f"{THEBE} is not what it was: {digest}"
            subprocess.run(["tar", "-xzf", archive, "-C", half], check=True)
            half.rename(kept)
    return kept / "package" / "lib"
