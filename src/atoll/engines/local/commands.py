"""Commands: what runs in a server's box, and what it sees. Values only; nothing is started here.

Mostly the Lab runs from Atoll's own runtime, this very Python's, and only kernels come from the
repository's environment. A repository that brings its own Jupyter server gets that one; a small
proxy of the runtime's then stands before it and lets in only whom the hub lets in.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atoll.engines.local import debian, seccomp
from atoll.engines.local.forking import ALONE, OF_HUB
from atoll.engines.local.layers import KERNELS, layer_of
from atoll.engines.local.published import metadata
from atoll.engines.local.sandbox import HOME, Bind, Box
from atoll.errors import StartFailed
from atoll.folders import run_folder
from atoll.servers import ServerPlan
from atoll.settings import Settings

SOCKET = "lab.sock"
RUN = "/run/atoll"
INSIDE = Path(__file__).parent / "inside"
ENVIRONMENT = "/srv/env"
BRIDGE = (sys.executable, "-I", str(INSIDE / "bridge.py"))
TOGETHER = "ATOLL_TOGETHER"  # a variable that a server has if it is shared when it starts
FRONT, BACK = 8889, 8888  # ports inside the box, in a network that nobody else is in
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
START = 'if [ -x "$0" ]; then exec "./$0" "$@"; else exec bash "$0" "$@"; fi'


def content(plan: ServerPlan) -> Path:
    """Return the folder whose copy is the server's home: what postBuild left, or the checkout.

    What a postBuild left is of the environment's repository; of a pair's content it is no part.
    """
    made = None if plan.environment_ref else built_content(plan.environment.handle)
    return made or Path(plan.content.checkout)


def built_content(handle: str) -> Path | None:
    """Return the content as the build of the environment *handle* left it, if that changed it."""
    built = Path(handle) / "home"
    return built if handle and built.exists() else None


def box(
    settings: Settings,
    plan: ServerPlan,
    environ: Mapping[str, str],
    home: Path,
    sockets: Path,
    owner: int | None,
) -> Box:
    """Return the box of *plan*'s server, whose socket will be in *sockets*."""
    command = _lab(plan, environ)
    if plan.start:
        command = ["/bin/bash", "-c", START, plan.start, *command]
    if plan.script:
        command = ["/bin/bash", "-c", plan.script, "start", *command]
    environment = Path(plan.environment.handle)
    binds = [
        Bind(environment / "env", ENVIRONMENT),
        *(Bind(Path(one), one) for one in _pythons(environment)),
        *(Bind(Path(one), one) for one in runtime()),
        *(Bind(one / "env", str(one / "env")) for one in (layer(settings, plan),) if one),
        Bind(INSIDE, f"{RUN}/inside"),
        Bind(sockets, f"{RUN}/server", writable=True),
        Bind(home, HOME, writable=True),
    ]
    if _of_hub(environ):
        binds.append(Bind(run_folder(settings) / "hub", f"{RUN}/hub"))
    return Box(
        command=tuple(command),
        binds=tuple(binds),
        environ={**_environ(plan), **company(plan, environ), **environ},
        network=plan.network,
        limits=plan.limits,
        owner=owner,
        layer=debian.layer_of(_metadata(environment), settings.data),
        aside=plan.aside,
    )


def layer(settings: Settings, plan: ServerPlan) -> Path | None:
    """Return the kernel layer of *plan*'s environment, if it has one."""
    return layer_of(plan.environment.handle, settings.data / KERNELS)


def forked(plan: ServerPlan, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]] | None:
    """Return the application and the arguments of *plan*'s Lab if a fork can become it.

    ``None`` if not: a repository's own Jupyter server is in no memory of ours, and a start script
    starts the server itself.
    """
    started = plan.start or plan.script
    if plan.environment.own_lab or started or not seccomp.supported():
        return None
    _, app = OF_HUB if _of_hub(environ) else ALONE
    return app, _arguments(environ)


def runtime() -> list[str]:
    """Return the folders outside ``/usr`` that this Python and its packages are in."""
    return _outside_usr(
        {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    )


def _pythons(environment: Path) -> list[str]:
    """Return the folders outside ``/usr`` that the environment's Python is in."""
    prefix = _metadata(environment).get("python_prefix") or ""
    return [one for one in _outside_usr({prefix}) if one not in (*runtime(), ENVIRONMENT)]


def _variables(environment: Path) -> dict[str, str]:
    """Return what activating the environment sets, if it is one of conda's."""
    known = _metadata(environment).get("environ", {})
    return {str(name): str(value) for name, value in known.items()}


def _metadata(environment: Path) -> dict[str, Any]:
    try:
        return metadata(str(environment))
    except FileNotFoundError as error:  # after a restore, for one
        message = "The environment of this server is not here any more."
        hint = "Start it on “My servers”, or launch it again: then it is built again."
        raise StartFailed(message, hint=hint) from error


def _outside_usr(folders: set[str]) -> list[str]:
    return sorted(one for one in folders if one and not one.startswith("/usr/") and one != "/usr")


def everywhere() -> dict[str, str]:
    """Return the variables that are the same in every server, Binder's names among them."""
    local = f"{HOME}/.local/bin"
    return {
        "HOME": HOME,
        "USER": "jovyan",
        "NB_USER": "jovyan",
        "NB_UID": "1000",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "PATH": f"{local}:{ENVIRONMENT}/bin:{SYSTEM_PATH}",
        "VIRTUAL_ENV": ENVIRONMENT,
        "REPO_DIR": HOME,
        "NB_PYTHON_PREFIX": ENVIRONMENT,
        "KERNEL_PYTHON_PREFIX": ENVIRONMENT,
        "JUPYTER_PATH": f"{ENVIRONMENT}/share/jupyter",
        "JUPYTER_CONFIG_PATH": f"{RUN}/inside:{ENVIRONMENT}/etc/jupyter",
        "JUPYTER_RUNTIME_DIR": "/tmp/jupyter-runtime",  # noqa: S108 - the box's own
        "XDG_CACHE_HOME": f"{HOME}/.cache",
        "PIP_PREFIX": f"{HOME}/.local",  # the environment is read-only; see `scripts.HOME_PACKAGES`
        "NPM_CONFIG_PREFIX": f"{HOME}/.local",
        "PYTHONUNBUFFERED": "1",
    }


def _environ(plan: ServerPlan) -> dict[str, str]:
    return {
        **_variables(Path(plan.environment.handle)),
        **everywhere(),
        "CPU_LIMIT": str(plan.limits.cpus),
        "MEM_LIMIT": str(plan.limits.memory),
        "OMP_NUM_THREADS": str(max(1, round(plan.limits.cpus))),
        "ATOLL_REFERENCE": str(plan.ref.repo),
        "ATOLL_VERSION": plan.ref.version,
        "ATOLL_ENVIRONMENT": plan.environment.key,
    }


def company(plan: ServerPlan, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what switches editing one notebook at once on in a server that is shared, or off.

    It takes time at each start, and memory: only who is not alone is to pay for it. A repository's
    own Lab has what its author gave it.
    """
    if plan.environment.own_lab:
        return {}
    where = "together" if TOGETHER in environ else "alone"
    return {"JUPYTER_CONFIG_PATH": f"{RUN}/inside/{where}:{everywhere()['JUPYTER_CONFIG_PATH']}"}


def _of_hub(environ: Mapping[str, str]) -> bool:
    return "JUPYTERHUB_API_TOKEN" in environ


def _base(environ: Mapping[str, str]) -> str:
    return environ.get("JUPYTERHUB_SERVICE_PREFIX") or environ.get("ATOLL_BASE_URL") or "/"


def _lab(plan: ServerPlan, environ: Mapping[str, str]) -> list[str]:
    if plan.environment.own_lab:
        return _own_lab(environ)
    module, _ = OF_HUB if _of_hub(environ) else ALONE
    return [sys.executable, "-P", "-m", module, *_arguments(environ)]


def _arguments(environ: Mapping[str, str]) -> tuple[str, ...]:
    return (
        f"--ServerApp.sock={RUN}/server/{SOCKET}",
        *_options("ServerApp", environ),
        "--ServerApp.root_dir=" + HOME,
        "--FileContentsManager.delete_to_trash=False",
        "--LabApp.collaborative=False",
        "--LabApp.extension_manager=readonly",  # what it would install into is read-only
    )


def _own_lab(environ: Mapping[str, str]) -> list[str]:
    """Run the environment's server on a port of the box, and bridge to it from the socket."""
    hub = _of_hub(environ)
    server = [f"{ENVIRONMENT}/bin/python", "-m", "jupyterlab"]
    for app in ("ServerApp", "NotebookApp"):  # before and after the server was split from Notebook
        server += [f"--{app}.port={BACK}", f"--{app}.ip=127.0.0.1", *_options(app, environ)]
        server += [f"--{app}.port_retries=0"]
        server += [f"--{app}.token=", f"--{app}.password="] if hub else []
    reach = BACK
    if hub:  # whoever gets past the proxy has been let in by the hub
        reach = FRONT
        proxy = [sys.executable, f"{RUN}/inside/front.py", "--absolute-url"]
        proxy += ["--address=127.0.0.1", f"--port={FRONT}", f"--server-port={BACK}"]
        server = [*proxy, "--", *server]
    bridge = [sys.executable, "-I", f"{RUN}/inside/bridge.py"]
    return [*bridge, f"unix:{RUN}/server/{SOCKET}", f"tcp:127.0.0.1:{reach}", "--", *server]


def _options(app: str, environ: Mapping[str, str]) -> list[str]:
    origin = environ.get("ATOLL_ALLOW_ORIGIN", "")
    options = [
        f"--{app}.base_url={_base(environ)}",
        f"--{app}.open_browser=False",
        f"--{app}.allow_remote_access=True",  # the Host header is the hub's; a token still guards
    ]
    if origin == "*":
        options.append(f"--{app}.allow_origin=*")
    elif origin:
        sites = "|".join(re.escape(site) for site in origin.split())
        options.append(f"--{app}.allow_origin_pat=(?:{sites})\\Z")
    return options
