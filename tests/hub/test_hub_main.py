"""`python -m atoll.hub` is JupyterHub, and leaves out only what nobody asked for."""

from __future__ import annotations

import subprocess
import sys

import jupyterhub

from atoll.hub.__main__ import UNUSED

OTHERS = ("oauthenticator", "nativeauthenticator", "ldapauthenticator")  # ways nobody chose here
CONFIG = f"""
import importlib, sys
print([name for name in {UNUSED + OTHERS} if name in sys.modules])
for name in {UNUSED}:
    print(importlib.import_module(name).__name__)
"""


def hub(*arguments, where=None):
    command = [sys.executable, "-P", "-m", "atoll.hub", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=where).stdout


def test_it_is_jupyterhub():
    assert hub("--version").strip() == jupyterhub.__version__


def test_what_it_leaves_out_an_operators_configuration_can_still_have(tmp_path):
    (tmp_path / "config.py").write_text(CONFIG)
    said = hub("-f", "config.py", "--show-config", where=tmp_path).splitlines()
    assert said[: 1 + len(UNUSED)] == ["[]", *UNUSED]
