"""Pupils: people who sign in, launch and update by the pages that browsers get, without a browser.

A class has thirty of them, and thirty browsers would be a test of the machine.
"""

from __future__ import annotations

import json
from functools import cached_property
from html.parser import HTMLParser

import httpx2

from support.real_atoll import RealAtoll
from support.stories import PASSWORD

PATIENCE = 120  # seconds for any answer; the machine may be busy


class Form(HTMLParser):
    """The fields that the form with this id, or that has this action, is sent with."""

    def __init__(self, text: str, which: str) -> None:
        super().__init__()
        self.which, self.fields = which, {}
        self._inside, self._name = False, ""
        self.feed(text)
        assert self.fields, f"there is no form {which} in {text}"

    def handle_starttag(self, tag, attrs):
        has = dict(attrs)
        if tag == "form":
            self._inside = self.which in {has.get("id"), has.get("action")}
        name = has.get("name") or ""
        if not self._inside or ("disabled" in has):
            return
        if tag == "input" and name:
            if has.get("type") not in {"checkbox", "radio"} or "checked" in has:
                self.fields[name] = has.get("value") or ""
        elif tag in {"select", "textarea"}:
            self._name = name
        elif tag == "option" and ("selected" in has or self._name not in self.fields):
            self.fields[self._name] = has.get("value") or ""

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "form"


class Pupil:
    """One of them, at *one* hub, who works in the server *server*."""

    def __init__(self, one: RealAtoll, name: str, server: str) -> None:
        self.one, self.name, self.server = one, name, server
        self.prefix = f"{one.home}/services/atoll/"
        self.home = one.places.data / "volumes" / name / server / "home"
        self.http = httpx2.Client(follow_redirects=True, timeout=PATIENCE, trust_env=False)

    def launch(self, link: str) -> None:
        """Follow *link*, sign in on the way, and press Launch."""
        form = self.http.get(link)
        fields = {"username": self.name, "password": PASSWORD}
        mark = next(one.value for one in self.http.cookies.jar if one.name == "_xsrf")
        page = self.http.post(str(form.url), data={**fields, "_xsrf": mark})
        self._follow(self._send(page, "launch", "launches"))

    def update(self) -> None:
        """Press Update on “My servers”, and Update it where one is asked."""
        address = f"/services/atoll/servers/{self.server}/update"
        launch = self._send(self.http.get(f"{self.prefix}servers"), address, address[16:])
        asked = self._follow(launch, "asking")
        address = f"/services/atoll/launches/{asked.url.path.rpartition('/')[2]}/answer"
        self._follow(self._send(asked, address, address[16:], how="update"))

    @cached_property
    def token(self) -> dict[str, str]:
        return {"Authorization": f"token {self.one.person(self.name)}"}

    def save(self, path: str, notebook: dict) -> int:
        """Save a notebook as the Lab does, and return the status."""
        url = f"{self.one.home}/user/{self.name}/{self.server}/api/contents/{path}"
        body = {"type": "notebook", "content": notebook}
        return self.http.put(url, json=body, headers=self.token).status_code

    def read(self, path: str) -> str:
        url = f"{self.one.home}/user/{self.name}/{self.server}/files/{path}"
        return self.http.get(url, headers=self.token).text

    def _send(self, page: httpx2.Response, form: str, to: str, **more: str) -> httpx2.Response:
        fields = Form(page.raise_for_status().text, form).fields
        headers = {"Origin": self.one.home}
        sent = self.http.post(f"{self.prefix}{to}", data={**fields, **more}, headers=headers)
        assert "/launches/" in sent.url.path, sent.text
        return sent

    def _follow(self, launch: httpx2.Response, end: str = "ready") -> httpx2.Response:
        """Wait until the launch, whose page is shown, is over; return its page then."""
        page = str(launch.url).partition("#")[0]
        with self.http.stream("GET", f"{page}/events") as stream:
            told = [json.loads(line[6:]) for line in stream.iter_lines() if line[:6] == "data: "]
        assert told[-1].get("state") == end, told
        return self.http.get(page)
