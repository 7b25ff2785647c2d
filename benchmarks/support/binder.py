"""A Binder: what repo2docker makes of a repository today, as nearly as can be had without Docker.

    .venv/bin/python benchmarks/support/binder.py REFERENCE --repo2docker WHAT

repo2docker itself (WHAT is what uv can install: a checkout, or a name and a version) looks at the
repository and says with which Python it would run which commands. Those are run as they stand, with
the pip, pipenv and postBuild of their own, on today's package index: no dates, no remedies, no
other Python where one does not serve. What is not a Binder's:

* No conda channel is asked. The packages that repo2docker's images begin with come in the versions
  of its own lock file from the Python index, as far as they are there. So do the names in an
  environment.yml, as Atoll substitutes them, in place of `mamba env update`.
* It runs in a box of Atoll's, on this machine's Python of that version (or the next, if it has
  none). Commands for root, which are those for apt.txt, are passed over.
* The notebooks are run and compared by the program that does so for `atoll check`: all columns of
  a table are judged alike. What they install themselves goes to their home.

Prints what `atoll check --json` prints.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from atoll.app import opened, this_platform
from atoll.cli.check import notebooks_of
from atoll.cli.common import Laptop, laptop, me
from atoll.cli.reports import Report, Trial, as_dict
from atoll.cli.run import understood
from atoll.disk import remove
from atoll.engines.local import sandbox
from atoll.engines.local.adding import our_binds
from atoll.engines.local.explanations import last_words
from atoll.engines.local.owners import build_owner, give
from atoll.engines.local.published import METADATA
from atoll.engines.local.pythons import Python, Pythons, prefix_binds
from atoll.engines.local.sandbox import HOME, Bind, Box
from atoll.engines.local.steps import ENV, HOME_PACKAGES
from atoll.engines.local.trials import LONGEST, try_notebooks
from atoll.engines.local.uv import PROGRAM, Index, operators_index, uv
from atoll.engines.local.workshop import Workshop, copy_tree, destroy, open_workshop
from atoll.environments import Environment, EnvKey, EnvSpec
from atoll.environments.conda import CONDA, ESSENCE, PIP, read_conda
from atoll.environments.pythons import show
from atoll.environments.substitutes import conda_names, from_pypi
from atoll.errors import AtollError, BuildFailed
from atoll.events import Event
from atoll.launching import Clock
from atoll.names import new_id
from atoll.servers import Limits, Network, ServerPlan
from atoll.settings import Settings, load_settings
from atoll.sources import Checkout
from atoll.volumes import Content

DAY = "binder"  # how the trial is called in a report
TASK, TOOLS = "/srv/task", "/srv/tools"  # in a box
CELL = 600.0  # seconds that a cell may take, as for `atoll check`
# What conda calls otherwise than the index, and the table that Atoll uses does not list.
OTHERWISE = {
    "brotli-python": "brotli",
    "jupyterhub-base": "jupyterhub",
    "nbconvert-core": "nbconvert",
}

# Run by Atoll's Python, in a box, in the repository: prints what repo2docker would do.
ASK = """
import json
from repo2docker.app import Repo2Docker

app = Repo2Docker()
packs = [one(base_image=app.base_image) for one in app.buildpacks]
pack = next((one for one in packs if one.detect()), None)
pack = pack or app.default_buildpack(base_image=app.base_image)
pack.platform = "linux/amd64"
pack.get_build_script_files()
scripts = [*pack.get_preassemble_scripts(), *pack.get_assemble_scripts()]
scripts += [["", f"chmod +x {one} && ./{one}"] for one in pack.get_post_build_scripts()]
told = {"pack": type(pack).__name__, "python": pack.python_version, "scripts": scripts}
print(json.dumps({**told, "conda": getattr(pack, "environment_yaml_path", None) or ""}))
"""
# The environment that an image begins with. uv makes none for Python 2.
BASE = """
set -e
if [ "$VERSION" = 2.7 ]; then
  "$UV" pip install --quiet --no-deps --python "$OURS" --target /tmp/tools virtualenv==16.7.12
  "$PYTHON" -E -s /tmp/tools/virtualenv.py --quiet --no-download --python "$PYTHON" /srv/env
  install() { /srv/env/bin/python -m pip install --quiet --no-deps --no-cache-dir "$@"; }
else
  "$UV" venv --quiet --allow-existing --python "$PYTHON" /srv/env
  install() { "$UV" pip install --quiet --no-deps --python /srv/env/bin/python "$@"; }
fi
install -r /srv/task/base.txt || while read -r one; do
  install "$one" || echo "Left out: $one"
done < /srv/task/base.txt
for site in /srv/env/lib/python*/site-packages; do
  printf '%s\\n' "$HOME_PACKAGES" > "$site/zz-atoll-home.pth"
done
"""
MAMBA = """#!/bin/sh -e
# In place of mamba: an environment.yml's names, from the Python package index.
[ "$1 $2" = "env update" ] || exit 0
pip=/srv/env/bin/pip
[ ! -s /srv/task/names.txt ] || "$pip" install --no-cache-dir -r /srv/task/names.txt
[ -s /srv/task/pip.txt ] || exit 0
cd "$FOLDER"  # where conda writes the lines for pip, too
cp /srv/task/pip.txt condaenv.requirements.txt
"$pip" install --no-cache-dir -r condaenv.requirements.txt
rm condaenv.requirements.txt
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What repo2docker would do: with which Python, and the commands (user, shell) in their order.

    ``conda`` is the path of the environment.yml that it found, or "".
    """

    pack: str
    python: str
    scripts: tuple[tuple[str, str], ...]
    conda: str

    @property
    def commands(self) -> list[str]:
        """Those that are run here."""
        return [script for user, script in self.scripts if user != "root"]

    @property
    def notes(self) -> list[str]:
        """Which build pack it is, and what is passed over."""
        passed = (" ".join(script.split()) for user, script in self.scripts if user == "root")
        return [f"repo2docker’s {self.pack}.", *(f"Passed over: {one}" for one in passed)]


@dataclass(frozen=True, slots=True)
class Binder:
    """Makes environments below ``root``, where what all begin with is kept."""

    machine: Laptop
    root: Path
    repo2docker: str
    index: Index
    owner: int | None

    async def trial(self, checkout: Checkout, notebooks: list[str], patience: float) -> Trial:
        """Build what *checkout* asks for, and run *notebooks* there, *patience* seconds each."""
        workshop = open_workshop(self.root / "making", EnvKey(DAY), self.root, self.owner)
        try:
            copy_tree(checkout.path, workshop, self.owner)
            return await self._trial(checkout, workshop, notebooks, patience)
        except AtollError as error:
            return Trial(DAY, error=str(error))
        finally:
            destroy(workshop.root)

    async def _trial(
        self, checkout: Checkout, workshop: Workshop, notebooks: list[str], patience: float
    ) -> Trial:
        settings = self.machine.atoll.settings
        recipe = await self._ask(workshop)
        pythons = Pythons(settings.data / "pythons", self.owner)
        python, other = pythons.take(recipe.python, None, say)
        base = await self._base(python)
        names, pip, substitutes = substituted(checkout.files, recipe.conda)
        (workshop.spec / "names.txt").write_text(names)
        (workshop.spec / "pip.txt").write_text(pip)
        began = time.monotonic()
        try:
            async with asyncio.timeout(settings.builds.timeout):
                await self._install(workshop, recipe, base, python)
        except TimeoutError:
            message = f"It took longer than {settings.builds.timeout:.0f} seconds."
            raise BuildFailed(message) from None
        seconds = round(time.monotonic() - began, 1)
        (workshop.result / METADATA).write_text(json.dumps({"python_prefix": str(python.prefix)}))
        plan = plan_of(checkout, workshop.result, settings)
        found = await try_notebooks(settings, plan, notebooks, tell, CELL, patience)
        notes = tuple(filter(None, (*recipe.notes, other, *substitutes)))
        return Trial(DAY, python=python.version, notes=notes, notebooks=found, seconds=seconds)

    async def _ask(self, workshop: Workshop) -> Recipe:
        """Let repo2docker look at the repository; in a box, since its files are a stranger's."""
        tools = await asyncio.to_thread(self._tools)
        box = Box(
            (sys.executable, "-c", ASK),
            binds=(*our_binds(), Bind(tools, TOOLS), Bind(workshop.home, HOME)),
            environ={"PYTHONPATH": TOOLS, "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            owner=self.owner,
        )
        told = json.loads((await run(box))[-1])
        scripts = tuple((user, textwrap.dedent(text.strip("\n"))) for user, text in told["scripts"])
        return Recipe(told["pack"], told["python"], scripts, told["conda"])

    def _tools(self) -> Path:
        """Return the folder with repo2docker and what it needs; made once."""
        made = self.root / "repo2docker"
        if not made.exists():
            words = ["pip", "install", "--quiet", "--python", sys.executable, self.repo2docker]
            subprocess.run([uv(), *words, "--target", f"{made}-new"], check=True)
            Path(f"{made}-new").rename(made)
        return made

    async def _base(self, python: Python) -> Path:
        """Return the environment with *python* that every image begins with; made once."""
        version = show(python.minor)
        made, aside = self.root / f"base-{version}", self.root / "aside"
        if made.exists():
            return made
        if aside.exists():
            remove(aside)
        (aside / "env").mkdir(parents=True)
        give(aside / "env", self.owner)
        lock = next(self.root.glob(f"repo2docker/**/environment.py-{version}-linux-64.lock"))
        (aside / "base.txt").write_text(listed(lock.read_text()))
        (aside / "uv.toml").write_text(self.index.open().config)
        environ = {
            "HOME_PACKAGES": HOME_PACKAGES,
            "OURS": sys.executable,
            "PYTHON": str(python.program),
            "UV": PROGRAM,
            "UV_CONFIG_FILE": f"{TASK}/uv.toml",
            "UV_LINK_MODE": "copy",
            "VERSION": version,
        }
        box = self._box(aside / "env", aside, python, environ)
        binds = (*box.binds, *our_binds(), Bind(Path(uv()), PROGRAM))
        await run(replace(box, binds=binds, command=("/bin/sh", "-c", BASE)))
        (aside / "env").rename(made)
        return made

    async def _install(
        self, workshop: Workshop, recipe: Recipe, base: Path, python: Python
    ) -> None:
        """Run the commands of *recipe* in a copy of *base*."""
        copied = ["cp", "-a", "--reflink=auto", f"{base}/.", str(workshop.env)]
        await asyncio.to_thread(subprocess.run, copied, check=True)
        (workshop.spec / "mamba").write_text(MAMBA)
        (workshop.spec / "mamba").chmod(0o755)
        environ = {
            "CONDA_DIR": ENV,
            "FOLDER": str(Path(HOME, recipe.conda).parent),
            "HOME": HOME,
            "KERNEL_PYTHON_PREFIX": ENV,
            "MAMBA_EXE": f"{TASK}/mamba",
            "NB_PYTHON_PREFIX": ENV,
            "NB_USER": "jovyan",
            "PATH": f"{HOME}/.local/bin:{ENV}/bin:/usr/local/bin:/usr/bin:/bin",
            "PIPENV_PYPI_MIRROR": self.index.open().environ.get("PIP_INDEX_URL", ""),
            "REPO_DIR": HOME,
        }
        box = self._box(workshop.env, workshop.spec, python, environ)
        box = replace(box, binds=(*box.binds, Bind(workshop.home, HOME, writable=True)))
        for command in recipe.commands:
            await run(replace(box, command=("/bin/sh", "-c", command)))

    def _box(self, env: Path, task: Path, python: Python, environ: Mapping[str, str]) -> Box:
        """Return a box in which a repository's code may run, with the network of a server."""
        index = self.index.open()
        memory = int(self.machine.atoll.settings.builds.memory)
        ours = (Bind(env, ENV, writable=True), Bind(task, TASK), *prefix_binds(str(python.prefix)))
        return Box(
            (),
            binds=(*ours, *index.binds),
            environ={"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", **index.environ, **environ},
            network=Network.INTERNET,
            limits=Limits(cpus=64, memory=memory, processes=2048),
            owner=self.owner,
        )


async def run(box: Box) -> list[str]:
    """Run *box* to its end and return what it printed; raises `BuildFailed` with the reason."""
    told: list[str] = []

    def hear(line: str) -> None:
        told.append(line)
        say(line)

    if status := await sandbox.run(box, hear, timeout=LONGEST):
        raise BuildFailed(reason(told) or f"It ended with status {status}.")
    return told


def reason(told: list[str]) -> str:
    """Return the line of *told* that says best why a command failed."""
    errors = [line for line in told if line.startswith("ERROR: ")]
    theirs = [line for line in told if not line.lstrip().startswith("error: ")]  # no word of pip's
    return (errors[-1] if errors else last_words(theirs) or "".join(told[-1:]))[:300]


def listed(lock: str) -> str:
    """Return the Python packages of a conda *lock* of addresses, as lines for pip."""
    names = conda_names() | OTHERWISE
    found = re.findall(r"/([^/]+)-([^-/]+)-py[^-/]*\.(?:conda|tar\.bz2)", lock)
    return "".join(f"{names.get(name, name)}=={version}\n" for name, version in found)


def substituted(files: Mapping[str, bytes], path: str) -> tuple[str, str, tuple[str, ...]]:
    """Return what pip is to install for the environment.yml at *path*, if there is one.

    First what conda would, then the lines for pip; and notes about what was substituted how.
    """
    if not path:
        return "", "", ()
    told = read_conda(path, files[path])
    pip = "".join(f"{line}\n" for line in told.pip)
    asked = EnvSpec(CONDA, this_platform(), ((ESSENCE, told.essence), (PIP, pip.encode())))
    spec = from_pypi(asked)
    return dict(spec.files)[PIP].decode().removesuffix(pip), pip, spec.notes


def plan_of(checkout: Checkout, folder: Path, settings: Settings) -> ServerPlan:
    """Return what a server of *checkout* would be in the environment in *folder*."""
    defaults = settings.servers
    return ServerPlan(
        id=new_id(),
        owner=me(),
        name=DAY,
        ref=checkout.ref,
        environment=Environment(EnvKey(DAY), "local", str(folder)),
        content=Content(str(checkout.path), temporary=True),
        limits=Limits(defaults.cpus, int(defaults.memory), defaults.processes),
        network=Network(defaults.network),
    )


def say(line: str) -> None:
    """Show *line* to whoever waits."""
    print(line, file=sys.stderr, flush=True)


def tell(event: Event) -> None:
    """Show *event* to whoever waits."""
    say(event.message)


async def attempt(asked: argparse.Namespace) -> Report:
    """Do what is asked for."""
    settings = load_settings()
    machine = laptop(settings)
    root = settings.data / "binder"
    root.mkdir(exist_ok=True)
    owner = build_owner(settings)
    binder = Binder(machine, root, asked.repo2docker, operators_index(), owner)
    async with opened(machine.atoll):
        repo = understood(asked.reference).repo
        checkout = await machine.atoll.launcher.check_out(repo, tell, Clock())
        named = notebooks_of(checkout.path, "*.ipynb")[: asked.first]
        trial = await binder.trial(checkout, named, asked.notebook_timeout)
    ref = checkout.ref
    return Report(str(repo), ref.version, ref.date.isoformat(), (trial,), tuple(named))


def main() -> int:
    """Try one repository, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("reference")
    parser.add_argument("--repo2docker", required=True, metavar="WHAT")
    parser.add_argument("--first", type=int, metavar="N")
    parser.add_argument("--notebook-timeout", type=float, default=CELL, metavar="S")
    print(json.dumps(as_dict(asyncio.run(attempt(parser.parse_args()))), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
