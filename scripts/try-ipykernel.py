"""Run ipykernel's own tests in a box, once with kernels that start plainly, once with forks.

    .venv/bin/python scripts/try-ipykernel.py [--requirement ipykernel==7.4.0] CHECKOUT [-- PYTEST…]

CHECKOUT is a checkout of ipykernel's repository, from which `tests` and `pyproject.toml` are
taken; nothing of it is kept. Prints what differs, and how many kernels were forks; ends with 1 if
anything differs. It takes some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.forks import ForkServer
from support.kernels import run_cell
from support.nurseries import TOKEN, Class
from support.plans import make_plan

NEEDS = ("pytest", "pytest-asyncio", "pytest-timeout", "flaky", "psutil", "matplotlib", "trio")
# In the box: has jupyter_client ask the seed first, and counts. In a plain box nobody answers.
CONFTEST = """
import sys
from importlib.metadata import EntryPoint
from jupyter_client.provisioning import KernelProvisionerFactory
sys.path.append("/run/atoll/inside")
import seed_provisioner
forked = []
asked = seed_provisioner.seeded
def seeded(cmd, **how):
    kernel = asked(cmd, **how)
    forked.append(kernel is not None)
    return kernel
seed_provisioner.seeded = seeded
KernelProvisionerFactory.provisioners["seed"] = EntryPoint(
    "seed", "seed_provisioner:SeedProvisioner", KernelProvisionerFactory.GROUP_NAME)
KernelProvisionerFactory.instance().default_provisioner_name = "seed"
def pytest_sessionfinish():
    open("forked.txt", "w").write(f"{sum(forked)} of {len(forked)}")
"""
CELL = """
import subprocess, sys
words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no",
         "--junitxml=results.xml", "-o", "asyncio_default_fixture_loop_scope=function",
         *{more!r}]
with open("output.txt", "w") as said:
    subprocess.run(words, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
print("done")
"""


def main() -> int:
    """Run both, and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--requirement", default="ipykernel")
    parser.add_argument("--at", default="2026-11-01", help="day of the package index")
    parser.add_argument("pytest", nargs="*", help="more words for pytest")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="try-ipykernel-") as folder:
        forks = ForkServer(Path(folder, "forks"))
        needs = "".join(f"{one}\n" for one in (said.requirement, *NEEDS))
        school = Class(Path(folder, "school"), forks, {"requirements.txt": needs}, at=said.at)
        try:
            plain = asyncio.run(run(school, said, "plain"))
            school.ready()
            forked = asyncio.run(run(school, said, "forked"))
        finally:
            school.close()
            forks.close()
    differ = [
        {"test": name, "plain": plain["tests"].get(name), "forked": forked["tests"].get(name)}
        for name in sorted(plain["tests"].keys() | forked["tests"].keys())
        if plain["tests"].get(name) != forked["tests"].get(name)
    ]
    told = {
        "tests": len(plain["tests"]),
        **{f"{kind} plain": count(plain, kind) for kind in ("passed", "failed", "skipped")},
        **{f"{kind} forked": count(forked, kind) for kind in ("passed", "failed", "skipped")},
        "kernels forked": [plain["kernels"], forked["kernels"]],
        "differ": differ,
    }
    print(json.dumps(told, indent=1))
    return bool(differ)


async def run(school: Class, said: argparse.Namespace, name: str) -> dict[str, Any]:
    """Run the tests in a box; return how each ended, and how many kernels were forks."""
    plan = make_plan(school.site.settings.data, {"conftest.py": CONFTEST}, name=name)
    content = Path(plan.content.checkout)
    shutil.copytree(said.checkout / "tests", content / "tests")
    shutil.copy(said.checkout / "pyproject.toml", content)
    plan = replace(plan, environment=school.environment)
    async with school.opened(name, plan) as base:
        await run_cell(base, CELL.format(more=said.pytest), headers=TOKEN, seconds=1800)
        home = school.home(name)
        print("\n".join((home / "output.txt").read_text().splitlines()[-3:]), file=sys.stderr)
        tests = {
            f"{case.get('classname')}.{case.get('name')}": next(
                (one.tag for one in case if one.tag in {"failure", "error", "skipped"}), "passed"
            )
            for case in ET.parse(home / "results.xml").iter("testcase")  # noqa: S314 - our own
        }
        return {"tests": tests, "kernels": (home / "forked.txt").read_text()}


def count(told: dict[str, Any], kind: str) -> int:
    """Return how many of the tests ended so."""
    kinds = {"failure", "error"} if kind == "failed" else {kind}
    return sum(one in kinds for one in told["tests"].values())


if __name__ == "__main__":
    sys.exit(main())
