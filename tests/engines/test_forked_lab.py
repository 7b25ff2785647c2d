"""A Lab that is a fork is, trait by trait and address by address, the Lab that a plain start makes."""

import json

import pytest

from atoll.engines.local import commands
from atoll.engines.local.commands import INSIDE, RUN
from atoll.engines.local.neighbours import VARIABLE
from atoll.engines.local.sandbox import Bind
from support.boxes import in_box
from support.plans import make_plan

HUB = {  # as the hub tells a server
    "JUPYTERHUB_ALLOW_TOKEN_IN_URL": "1",
    "JUPYTERHUB_API_TOKEN": "s3cret",
    "JUPYTERHUB_API_URL": "http+unix://%2Ftmp%2Fhub.sock/hub/api",
    "JUPYTERHUB_BASE_URL": "/",
    "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada-one",
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers"]',
    "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/one/",
    "JUPYTERHUB_SERVICE_URL": "http+unix:///user/ada/one/",
    "JUPYTERHUB_USER": "ada",
}
LAB = """
import gc, http.server, json, os, socketserver, threading

class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    do_POST = do_GET
    def log_message(self, *said): pass

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

hub = Server("/tmp/hub.sock", Hub)
threading.Thread(target=hub.serve_forever, daemon=True).start()
from jupyter_client.session import Session
from jupyterhub.singleuser.extension import JupyterHubSingleUser
from tornado.routing import Router
from traitlets import HasTraits
gc.collect()
before = [one for one in gc.get_objects() if isinstance(one, HasTraits)]  # kept, or their ids are given again
server = JupyterHubSingleUser.initialize_server(argv=%s)
talk = Session(parent=server)  # what a kernel is spoken to in
SIMPLE = (str, int, float, bool, bytes, type(None))

def simple(value):
    if isinstance(value, dict):
        return all(map(simple, value)) and all(map(simple, dict.values(value)))
    return all(map(simple, value)) if isinstance(value, (list, tuple)) else isinstance(value, SIMPLE)

def routes(router):
    for rule in getattr(router, "rules", ()):
        pattern = getattr(rule.matcher, "regex", None)
        yield [pattern and pattern.pattern, getattr(rule.target, "__name__", "")]
        yield from routes(rule.target)

def traits(one):
    for name in sorted(one.trait_names()):
        try:
            value = getattr(one, name)
        except Exception as error:
            value = repr(error)
        if simple(value):
            yield f"{type(one).__name__}.{name}", value

def named(value):
    return repr(value) if isinstance(value, bytes) else type(value).__name__

def say(kind, found):
    print(json.dumps([kind, found], default=named))

gc.collect()  # or what was needed for a moment is found as well, now and then
for one in gc.get_objects():
    if isinstance(one, HasTraits) and not any(one is old for old in before):
        for name, value in traits(one):
            say(name, value)
for found in routes(server.web_app.default_router):
    say("route", found)
for name, value in server.web_app.settings.items():
    say("setting " + name, value if simple(value) else type(value).__name__)
say("extensions", [[name, one.enabled] for name, one in server.extension_manager.extensions.items()])
say("linked", server.extension_manager.linked_extensions)
say("kernels", server.kernel_spec_manager.get_all_specs())
hub_auth = server.identity_provider.hub_auth
say("cookies", [hub_auth.cookie_path, hub_auth.allow_token_in_url])
raise SystemExit(0)
"""
# Whose values are no two servers': secrets, names with a process's number or the hour in them.
OWN = {"cookie_secret", "key", "session", "bsession", "secret", "pid", "version_hash", "info_file"}
OWN |= {"browser_open_file", "browser_open_file_to_run"}
# And what depends on what a program has imported before, or on the moment.
OWN |= {"flags", "handlers", "_ready", "static_immutable_cache"}
OWN |= {"JupyterHubHTTPClient"}  # is made with the first thing that a server says to the hub
OWN |= {"BaseJSONConfigManager", "ConfigManager"}  # each reads a file, and goes when it may


@pytest.fixture
def lab(request, tmp_path, fork_server):
    """Return what makes a Lab, in a fork or not, and tells what it is like."""
    home = tmp_path / "home"
    home.mkdir()
    plan = make_plan(tmp_path, {"a.txt": "x"})
    hub = HUB | getattr(request, "param", {})
    environ = {**commands.everywhere(), **hub, **commands.company(plan, hub)}
    _, (_, *arguments) = commands.forked(plan, environ)  # without the socket's place

    async def ask(run):
        binds = [Bind(INSIDE, f"{RUN}/inside")]
        code = LAB % repr([*arguments, "--ServerApp.sock=/tmp/lab.sock"])
        status, said = await run(code, home=home, binds=binds, environ=environ)
        assert status == 0, said
        return [json.loads(line) for line in said.splitlines() if line.startswith('["')]

    return ask


def common(told):
    """Return what two servers of the same plan have in common."""
    return sorted(
        json.dumps(one, sort_keys=True)
        for one in told
        if not set(one[0].replace(".", " ").split()) & OWN
    )


KINDS = {"alone": {}, "together": {commands.TOGETHER: "1"}, "neighbours": {VARIABLE: "{}"}}


@pytest.mark.parametrize("lab", KINDS.values(), ids=KINDS, indirect=True)
async def test_a_forked_lab_is_what_a_plain_one_is(lab, fork_server, request):
    plain, forked = common(await lab(in_box)), common(await lab(fork_server.run))
    assert sorted(set(forked) ^ set(plain)) == []
    assert len(forked) > 500
    together = "together" in request.node.name
    asked = any("atoll/neighbours" in one for one in forked)
    assert asked == ("neighbours" in request.node.name)
    for extension in ("jupyter_server_ydoc", "jupyter_server_fileid"):
        assert any(f'["{extension}", {json.dumps(together)}]' in one for one in forked)


async def test_a_forked_lab_is_its_persons_only(lab, fork_server):
    told = dict(one for one in await lab(fork_server.run) if one[0] != "route")
    assert told["cookies"] == ["/user/ada/one/", True]
    assert told["LabApp.user_settings_dir"] == "/home/jovyan/.jupyter/lab/user-settings"
    assert told["LabApp.workspaces_dir"] == "/home/jovyan/.jupyter/lab/workspaces"
    assert told["Session.username"] == "jovyan"


async def test_no_two_forked_labs_share_a_secret(lab, fork_server):
    one, other = [dict(await lab(fork_server.run)) for _ in range(2)]
    for name in ("ServerApp.cookie_secret", "Session.key", "Session.session"):
        assert one[name] != other[name]
