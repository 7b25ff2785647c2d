"""What providers may say of themselves and of people, well or badly."""

from __future__ import annotations

import functools
import http.server
import json
import threading

import pytest
from tornado.web import HTTPError

from atoll.hub.groups import fit
from atoll.hub.oauth import Oidc
from support.hub import free_port


class Quiet(http.server.BaseHTTPRequestHandler):
    def __init__(self, told, *more) -> None:
        self.told = told
        super().__init__(*more)

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        status, body = self.told(f"http://{self.headers['Host']}", self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def provider():
    """Serve what *told* says of an address and a path; give what JupyterHub asks it with."""
    servers = []

    def serve(told, **more):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, told))
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        return Oidc(authority=url, login_service="Example University", **more)

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def about(url, **more):
    names = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
    return {"issuer": url, **{name: f"{url}/{name}/?x=1" for name in names}, **more}


async def test_addresses_are_those_that_the_provider_says(provider):
    asked = []

    def told(url, path):
        asked.append(path)
        return 200, json.dumps(about(url, issuer=f"{url}/")).encode()

    one = provider(told)
    await one.prepare()
    await one.prepare()
    assert asked == ["/.well-known/openid-configuration"]
    assert one.token_url == f"{one.authority}/token_endpoint/?x=1"
    assert one.userdata_url.endswith("/userinfo_endpoint/?x=1")


@pytest.mark.parametrize(
    ("status", "told", "said"),
    [
        (200, {"issuer": "https://evil.example.org"}, "calls itself something else"),
        (200, {"token_endpoint": "http://id.example.org/"}, "has no token_endpoint that can be"),
        (200, {"token_endpoint": None}, "has no token_endpoint that can be"),
        (200, {"userinfo_endpoint": 7}, "has no userinfo_endpoint that can be"),
        (200, [], "calls itself something else"),
        (200, "", "answered something that is not JSON"),
        (302, {}, "did not accept this sign-in"),
        (404, {}, "did not accept this sign-in"),
        (500, {}, "does not answer"),
    ],
)
async def test_a_provider_that_cannot_be_believed_is_refused_in_words(provider, status, told, said):
    def answer(url, _):
        if told == "":
            return status, b"<html>"
        return status, json.dumps(about(url, **told) if isinstance(told, dict) else told).encode()

    with pytest.raises(HTTPError) as caught:
        await provider(answer).prepare()
    assert caught.value.status_code == 502
    assert said in str(caught.value)


async def test_a_provider_that_is_not_there_is_asked_again_the_next_time():
    one = Oidc(authority=f"http://127.0.0.1:{free_port()}", login_service="Example University")
    for _ in range(2):
        with pytest.raises(HTTPError, match="Example University does not answer"):
            await one.prepare()


@pytest.mark.parametrize(
    ("claims", "claim", "name"),
    [
        ({"preferred_username": "ada"}, "preferred_username", "ada"),
        ({"sub": 7}, "sub", "7"),
        ({"email": "a@example.org", "email_verified": True}, "email", "a@example.org"),
        ({"email": "a@example.org", "email_verified": False}, "email", ""),
        ({"email": "a@example.org", "email_verified": "true"}, "email", ""),
        ({"email": "a@example.org"}, "email", ""),
        ({"sub": True}, "sub", ""),
        ({"sub": ["ada"]}, "sub", ""),
        ({"sub": " "}, "sub", ""),
        ({}, "sub", ""),
        ([], "sub", ""),
        (None, "sub", ""),
    ],
)
def test_a_name_is_what_the_claim_says_and_of_mail_what_was_verified(claims, claim, name):
    one = Oidc(username_claim=claim, login_service="Example University")
    if name:
        assert one.user_info_to_username(claims) == name
    else:
        with pytest.raises(HTTPError):
            one.user_info_to_username(claims)


@pytest.mark.parametrize(
    ("claim", "claims", "groups"),
    [
        ("groups", {"groups": ["a", "b"]}, {"a", "b"}),
        ("groups", {"groups": "admins"}, {"admins"}),  # not its letters
        ("groups", {"groups": None}, set()),
        ("groups", {}, set()),
        ("groups", {"groups": [1, None, "", " ", ["x"], "a\u202eb", "x" * 256, "ok"]}, {"ok"}),
        ("realm_access.roles", {"realm_access": {"roles": ["x"]}}, {"x"}),
        ("realm_access.roles", {"realm_access": "x"}, set()),
        ("https://example.org/groups", {"https://example.org/groups": ["x"]}, {"x"}),
    ],
)
async def test_groups_are_what_the_claim_holds(claim, claims, groups):
    one = Oidc(groups_claim=claim, manage_groups=True)
    assert await one.get_user_groups({"oauth_user": claims}) == groups


def test_what_is_no_list_is_no_groups():
    assert fit(7) == fit(None) == fit({}) == set()
