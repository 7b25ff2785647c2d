"""What is worked out before the fork: the same answers as without, and every step can be taken.

Each test is a program of its own, as the steps change libraries for good. What a forked Lab is
then made of is compared with a plain one in test_forked_lab.py.
"""

import subprocess
import sys

ROUTES = ["/api/kernels/(?P<kernel_id>\\w+-\\w+)$", "/files/(.*)$", "/?$", "/api$", "/.*/$"]


def run(code, environ=None):
    """Run the Python *code* with everything warmed; return what it printed."""
    begin = f"from atoll.engines.local.forking.warming import warm\nassert warm({ROUTES}) == []\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", begin + code],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **(environ or {})},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_step_fits_the_libraries_that_are_installed():
    assert run("print('warm')") == "warm"


def test_a_library_that_has_changed_is_left_as_it_is():
    code = """
import jupyter_lsp.serverextension
from atoll.engines.local.forking import warming
del jupyter_lsp.serverextension.initialize
print(warming.warm([]))
"""
    assert "languages: AttributeError" in run(code)


def test_entry_points_are_those_that_there_are():
    code = """
import importlib, importlib.metadata as warm, sys
ask = [{"group": "console_scripts"}, {"group": "none"}, {"group": "jupyter_serverproxy_servers"}]
ours = [sorted(map(str, warm.entry_points(**one))) for one in ask]
sys.path.append("/nowhere")  # then the files are read
print(ours == [sorted(map(str, warm.entry_points(**one))) for one in ask] and len(ours[0]) > 10)
"""
    assert run(code) == "True"


def test_routes_lead_where_they_led():
    code = f"""
from types import SimpleNamespace
from tornado import routing
plain = routing.PathMatches.__mro__[1]
paths = ["/user/a.b/one", "/user/a.b/one/", "/user/a.b/one/api", "/user/a.b/one/apix", "/", "/api",
         "/user/a.b/two/api", "/user/a.b/one/api/kernels/x-y", "/user/a.b/one/files/a/b", ""]
for route in {ROUTES}:
    pattern = "/user/a.b/one" + route
    for path in paths:
        asked = SimpleNamespace(path=path)
        assert routing.PathMatches(pattern).match(asked) == plain(pattern).match(asked), path
print(type(routing.PathMatches("/user/a.b/one/files/(.*)").regex).__name__,
      routing.PathMatches("/user/a.b/one/files/(.*)").reverse("x"),
      type(routing.PathMatches("/elsewhere").regex).__name__)
"""
    said = run(code, {"JUPYTERHUB_SERVICE_PREFIX": "/user/a.b/one/"})
    assert said == "After /user/a.b/one/files/x Pattern"


def test_language_servers_are_looked_for_when_they_are_asked_for():
    code = """
import asyncio, logging
from types import SimpleNamespace
from jupyter_lsp import serverextension
from jupyter_lsp.manager import LanguageServerManager
from tornado.ioloop import IOLoop

async def main():
    manager = LanguageServerManager(autodetect=False)
    app = SimpleNamespace(
        language_server_manager=manager, io_loop=IOLoop.current(), log=logging.getLogger()
    )
    await serverextension.initialize(app, "")
    print(manager._ready, *await asyncio.gather(manager.ready(), manager.ready()), manager._ready)

asyncio.run(main())
"""
    assert run(code) == "False True True True"
