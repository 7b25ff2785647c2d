"""Plans for tests of servers: real boxes, with an environment that holds nothing of its own.

Kernels and the Lab come from this very Python's packages, so nothing is built.
"""

import json
from datetime import UTC, datetime

from atoll.environments import Environment, EnvKey
from atoll.names import new_id
from atoll.people import Person
from atoll.servers import Limits, Network, ServerPlan
from atoll.sources import RepoRef, ResolvedRef
from atoll.volumes import Content


def bare_environment(data, key="bare"):
    """Make the folder of an environment without packages; return the `Environment`."""
    folder = data / "environments" / key
    if not folder.exists():
        (folder / "env" / "share" / "jupyter").mkdir(parents=True)
        (folder / "atoll.json").write_text(json.dumps({"python_prefix": ""}))
        (folder / "lock.txt").write_text("")
    return Environment(EnvKey(key), "local", str(folder), "3.11")


def make_plan(data, files, *, owner="ada", name="first", temporary=False, start="", **more):
    """Return a plan for a server whose content is *files*, by name."""
    checkout = data / "checkouts" / new_id()
    for path, text in files.items():
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(text)
    checkout.mkdir(parents=True, exist_ok=True)
    return ServerPlan(
        id=new_id(),
        owner=Person(owner),
        name=name,
        ref=ResolvedRef(RepoRef("git", "https://example.org/r"), "c0ffee", "t", datetime.now(UTC)),
        environment=bare_environment(data),
        content=Content(str(checkout), temporary=temporary),
        start=start,
        limits=more.pop("limits", Limits(memory=1024**3)),
        network=more.pop("network", Network.NONE),
        **more,
    )
