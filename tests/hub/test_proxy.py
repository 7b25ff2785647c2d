"""The proxy that comes along: how it gets into a wheel, and that it runs without any Node.js."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from atoll.errors import Lacking
from atoll.hub.proxy import proxy_command

ROOT = Path(__file__).parents[2]


def test_the_proxy_runs_on_a_machine_without_nodejs(tmp_path):
    done = subprocess.run(
        [*proxy_command(), "--version"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("5.")


def test_a_proxy_that_is_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(Lacking, match="proxy") as caught:
        proxy_command(tmp_path)
    assert "Install Atoll again" in caught.value.hint


def test_a_wheel_brings_the_proxy_its_templates_and_its_licences_along(tmp_path):
    subprocess.run(
        ["uv", "build", "--wheel", "--out-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = "atoll/hub/proxy/node_modules"
    assert f"{modules}/configurable-http-proxy/bin/configurable-http-proxy" in names
    assert "atoll/hub/templates/page.html" in names
    lock = json.loads((ROOT / "src/atoll/hub/proxy/package-lock.json").read_text())
    wanted = {path for path in lock["packages"] if path}
    assert {f"atoll/hub/proxy/{path}/package.json" for path in wanted} <= names
    assert wheel.stat().st_size < 5_000_000


def test_the_lock_file_names_no_registry_and_has_every_checksum():
    lock = json.loads((ROOT / "src/atoll/hub/proxy/package-lock.json").read_text())
    packages = [one for path, one in lock["packages"].items() if path]
    assert packages
    assert all("resolved" not in one for one in packages)
    assert all(one["integrity"].startswith("sha512-") for one in packages)
