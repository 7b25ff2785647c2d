"""A repository's own Lab: whether it can be started at all, tried once, when it has been built.

An old Jupyter server beside newer packages often ends at its first import. Found out only by
whoever launches it, that would be a server that never comes up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from atoll.engines.local.explanations import last_words
from atoll.engines.local.sandbox import Bind
from atoll.engines.local.steps import ENV, Steps
from atoll.servers import Network

LONGEST = "60"  # seconds that it may take to tell its version


async def starts(steps: Steps, variables: Mapping[str, str], notes: list[str]) -> bool:
    """Say whether the Lab in the environment of *steps* can tell its version.

    If not, a note says why, and that Atoll's is taken: the kernels are the repository's all the
    same. *variables* are those that activating the environment sets.
    """
    steps.say("Trying the repository's own JupyterLab")
    path = f"{ENV}/bin:/usr/local/bin:/usr/bin:/bin"
    box = steps.open_box({**variables, "PATH": path})
    seen = Bind(steps.workshop.env, ENV)
    box = replace(box, binds=(*box.binds, seen), network=Network.NONE, workdir="/tmp")  # noqa: S108 - the box's own
    told: list[str] = []
    words = ("timeout", LONGEST, f"{ENV}/bin/python", "-m", "jupyterlab", "--version")
    if not await steps.run(words, box, told):
        return True
    said = last_words(told)
    why = f" ({said})" if said else ""
    notes.append(f"Its own JupyterLab cannot be started{why}, so Atoll's Lab is used.")
    return False
