"""Python 2: environments for Python 2.7, which uv does not know, by what served it to the last.

virtualenv 16 makes the environment, and the pip in it installs, all in one box in which a
repository's code may run, and nothing of it in the shared cache. pip sees the package index of the
day through `inside/dated_index.py`. The Lab is Atoll's own, as everywhere: only the kernel is old.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from packaging.utils import canonicalize_name

from atoll.engines.local.adding import our_binds, our_python
from atoll.engines.local.commands import INSIDE, RUN
from atoll.engines.local.corrections import cutoff
from atoll.engines.local.explanations import Explanation, Kind, last_words
from atoll.engines.local.locks import Lock, Pin
from atoll.engines.local.sandbox import Bind, Box
from atoll.engines.local.scripts import HOME_PACKAGES
from atoll.engines.local.solving import check
from atoll.engines.local.steps import CACHE, OUT, Steps
from atoll.engines.local.workshop import read_written
from atoll.errors import BuildFailed

# The last that runs on Python 2.7; it has pip 20.3.4, setuptools 44.1.1 and wheel for it inside.
VIRTUALENV = "virtualenv==16.7.12"
LAST = date(2020, 1, 1)  # by then, most of what was ever made for Python 2 came ready made
TOOLS = "tools"  # below `OUT`
FETCH = """
exec "$UV" pip install --quiet --no-deps --no-build --python "$PYTHON" --target "$1" "$2"
"""
MAKE = """
exec "$PYTHON" -E -s "$1/virtualenv.py" --quiet --no-download --python "$PYTHON" /srv/env
"""
# Where a package cannot be built, what most builds of then found there comes first.
INSTALL = """
set -e
pip() {
  /srv/env/bin/python -m pip "$@"
}
install() {
  pip install --prefer-binary --no-cache-dir --progress-bar off --no-warn-script-location "$@"
}
if [ "$#" -gt 0 ] && ! install "$@"; then
  echo "Trying again with numpy and Cython first"
  install numpy Cython
  install "$@"
fi
install ipykernel
pip freeze --all > /srv/out/frozen.txt
"""
SETTLE = """
set -e
site=/srv/env/lib/python2.7/site-packages
printf '%s\\n' "$HOME_PACKAGES" > "$site/zz-atoll-home.pth"
module=ipykernel
[ ! -e "$site/ipykernel_launcher.py" ] || module=ipykernel_launcher
for name in python2 python3; do  # whatever a notebook says, there is this one only
  folder=/srv/env/share/jupyter/kernels/$name
  mkdir -p "$folder"
  rm -f "$folder/kernel.json"
  cat > "$folder/kernel.json" << END
{
 "argv": ["/srv/env/bin/python", "-m", "$module", "-f", "{connection_file}"],
 "display_name": "Python 2 (ipykernel)",
 "language": "python"
}
END
done
"""


async def install(steps: Steps, notes: list[str]) -> Lock:
    """Make the environment of *steps* and install what is asked for; return what it has then.

    What of its day cannot be built any more is tried as of the last day of Python 2: see *notes*.
    """
    if {"pyproject.toml", "uv.lock"} & dict(steps.spec.files).keys():
        raise BuildFailed(
            "For Python 2, Atoll reads lists of packages and setup.py, and nothing newer.",
            hint="Write what is needed into a requirements.txt.",
        )
    if steps.sealed:
        raise BuildFailed(
            "Packages for Python 2 are installed by pip, which needs a network that builds lack.",
            hint="See `atoll doctor` for what the network of builds needs.",
        )
    steps.say("uv does not know Python 2: pip installs as it did then")
    check(await _fetch_tools(steps))
    environ = {"HOME_PACKAGES": HOME_PACKAGES, "PIP_NO_PYTHON_VERSION_WARNING": "1"}
    box = steps.open_box({**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}, env=True)
    check(await _run(steps, ("/bin/sh", "-c", MAKE, "make", f"{OUT}/{TOOLS}"), box))
    words = [word for one in steps.inputs() for word in ("--requirement", one)]
    command = ("/bin/sh", "-c", INSTALL, "install", *words)
    day = steps.spec.as_of
    problem = await _run(steps, *_on(day, command, box))
    if problem and problem.kind is Kind.BUILD and day and day < LAST:
        steps.say(f"{problem.message} Trying again with packages of {LAST}")
        if await _run(steps, *_on(LAST, command, box)) is None:
            notes.append(f"Not all of that day can be built: packages are those of {LAST}.")
            problem = None
    check(problem)
    check(await _run(steps, ("/bin/sh", "-c", SETTLE), box))
    return read_frozen(read_written(steps.workshop.out, "frozen.txt"))


def read_frozen(body: bytes) -> Lock:
    """Return what ``pip freeze`` tells; it is a box's word, of which only names are taken."""
    pins = []
    for line in body.decode("utf-8", "replace").splitlines():
        if found := re.fullmatch(r"([\w.-]+)==([\w.+!-]+)", line.strip()):
            pins.append(Pin(canonicalize_name(found[1]), found[2], wheel=True))
        elif found := re.match(r"([\w.-]+) @ |-e .*?([\w.-]+)$", line.strip()):
            name = canonicalize_name(found[1] or found[2])
            pins.append(Pin(name, "", wheel=False, direct=True, editable=bool(found[2])))
    return Lock(tuple(sorted(pins, key=lambda pin: pin.name)))


def explain(lines: Sequence[str], as_of: date | None) -> Explanation:
    """Say in a sentence why pip failed, which printed *lines*."""
    text = "\n".join(lines)
    none = r"No matching distribution found for (.+?)(?: \(from|$)"
    if missing := re.findall(none, text, re.MULTILINE):
        of = f" of {as_of:%Y-%m-%d} or before" if as_of else ""
        message = f"There is no version {missing[-1].strip()}{of} for Python 2.7 on the index."
        return Explanation(Kind.UNSOLVABLE, message, "Check the version.")
    if re.search(r"The package index did not answer|Max retries exceeded", text):
        message = "The package index did not answer."
        return Explanation(Kind.UNREACHABLE, message, "Try again later.")
    named = re.findall(r"Failed building wheel for (\S+)|/pip-install-[^/]+/([^/]+)/", text)
    what = f"“{next(filter(None, named[-1]))}”" if named else "A package"
    said = last_words([line for line in lines if not line.lstrip().startswith("ERROR:")])
    message = f"{what} could not be built from source: {said or 'its setup.py failed.'}"
    return Explanation(Kind.BUILD, message, "The log shows the whole output of its build.")


def _on(day: date | None, command: tuple[str, ...], box: Box) -> tuple[tuple[str, ...], Box]:
    """Return *command* and *box* so that the package index is as it was on *day*."""
    if day is None:
        return command, box
    binds = (*box.binds, *our_binds(), Bind(INSIDE, f"{RUN}/inside"))
    program = (sys.executable, "-I", f"{RUN}/inside/dated_index.py", cutoff(day))
    return (*program, *command), replace(box, binds=binds)


async def _fetch_tools(steps: Steps) -> Explanation | None:
    """Bring virtualenv; uv unpacks it, and none of it is run here."""
    ours = replace(steps, python=our_python(), binds=our_binds())
    place = f"{CACHE}/making/{steps.workshop.root.name}/out/{TOOLS}"
    box = Box(
        (),
        binds=(*ours.always(steps.index), Bind(steps.cache, CACHE, writable=True)),
        environ={**ours.environ(steps.index), "UV_LINK_MODE": "copy"},
        workdir="/tmp",  # noqa: S108 - the box's own
        owner=steps.owner,
        limits=steps.limits(),
        host_network=True,
    )
    told: list[str] = []
    status = await steps.run(("/bin/sh", "-c", FETCH, "fetch", place, VIRTUALENV), box, told)
    return steps.explained(told, status) if status else None


async def _run(steps: Steps, command: tuple[str, ...], box: Box) -> Explanation | None:
    told: list[str] = []
    status = await steps.run(command, box, told)
    if not status:
        return None
    return steps.killed(status) or explain(told, steps.spec.as_of)
