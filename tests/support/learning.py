"""Learning: a small learning platform that sends people to a tool, as LTI 1.3 has it.

It signs what it says of them with a key of its own, whose public half it publishes, and says it
only to whom it knows: https://www.imsglobal.org/spec/security/v1p0/#openid_connect_launch_flow
"""

from __future__ import annotations

import html
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = "atoll-at-the-platform"
CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
TEACHER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"


class Platform:
    """Runs on loopback. ``people`` are claims by login hint; ``said`` changes each token."""

    def __init__(self, callback: str, people: dict[str, dict]) -> None:
        self.callback, self.people = callback, people
        self.said: dict[str, object] = {}
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.signs = self.key
        self.broken = False
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                asked = {name: one[0] for name, one in parse_qs(url.query).items()}
                if url.path == "/keys":
                    self.answer("application/json", platform.keys())
                elif url.path == "/login":
                    self.answer("text/html", platform.form(asked))
                else:
                    self.send_error(404)

            def answer(self, kind: str, body: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Self:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def keys(self) -> str:
        if self.broken:
            return "<html>down</html>"
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]})

    def form(self, asked: dict[str, str]) -> str:
        """Return the page that sends its person on, for a request as the standard has it."""
        wanted = {"response_type": "id_token", "response_mode": "form_post", "scope": "openid"}
        wanted |= {"client_id": CLIENT, "redirect_uri": self.callback, "prompt": "none"}
        assert {name: asked.get(name) for name in wanted} == wanted
        fields = {"id_token": self.token(asked), "state": asked["state"]}
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
            for name, value in fields.items()
        )
        return f'<form method="post" action="{self.callback}">{inputs}</form>'

    def token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "nonce": asked["nonce"],
            CLAIM + "version": "1.3.0",
            CLAIM + "message_type": "LtiResourceLinkRequest",
            CLAIM + "deployment_id": "1",
            CLAIM + "target_link_uri": "https://hub.example.org/",
            CLAIM + "resource_link": {"id": "link-1"},
            CLAIM + "roles": [LEARNER],
            CLAIM + "context": {"id": "42", "label": "STAT-1", "title": "Statistics"},
            **self.people[asked["login_hint"]],
            **self.said,
        }
        return jwt.encode(said, self.signs, algorithm="RS256", headers={"kid": "one"})
