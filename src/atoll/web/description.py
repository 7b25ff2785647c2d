"""Description: the service's addresses as OpenAPI 3.1, for programs that read that.

It is made of the routes themselves and of the table of who may use them, so that it has all of
them and nothing else; only what is sent and answered is written down here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from atoll import __version__
from atoll.access import DOORS, By, Deed, Door
from atoll.access import Level as Depth
from atoll.allowances import NAMES
from atoll.launching import Existing
from atoll.launching.wishes import Wishes
from atoll.messages import Level
from atoll.web.launch_form import LaunchForm
from atoll.web.site import site_of
from atoll.web.volumes import DEEDS

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
PAGE, JSON, STREAM = "text/html", "application/json", "text/event-stream"
PLAIN, SVG = "text/plain", "image/svg+xml"
FORM = "application/x-www-form-urlencoded"
EVENT: Schema = {"type": "object", "properties": {"data": TEXT, "event": TEXT, "id": TEXT}}


def _object(names: Mapping[str, Schema], *, whole: bool = True) -> Schema:
    required = {"required": list(names)} if whole else {}
    return {"type": "object", "properties": dict(names), **required}


def _texts(*names: str) -> dict[str, Schema]:
    return dict.fromkeys(names, TEXT)


ERROR = _object(_texts("error", "hint", "message") | {"ok": {"const": False}})
OK: Schema = {"type": "boolean"}
SHARES = {"type": "array", "items": _object({"whom": TEXT, "write": {"type": "boolean"}})}
SIZE: Schema = {"type": ["integer", "null"], "minimum": 0}
VOLUME = _object(
    {
        **_texts("volume", "owner", "description", "made"),
        "quota": SIZE,
        "shares": SHARES,
        "snapshot": {"type": "boolean"},
        "deleted": {"type": ["string", "null"]},
        "may": {"type": "array", "items": {"enum": [deed.value for deed in Deed]}},
    }
)
LISTED = _object(
    {**VOLUME["properties"], "bytes": SIZE, "servers": {"type": "array", "items": TEXT}}
)
CHOICE = _object(_texts("volume", "whole", "said") | {"write": {"type": "boolean"}})
WISHES = _texts(*(one.name for one in fields(Wishes)))
TOLD: Schema = {"type": ["string", "number", "boolean", "array", "null"], "items": {}}
LAUNCH = _texts(*(one.name for one in fields(LaunchForm)))
SENT_TO_VOLUMES: dict[str, Schema] = {
    **_texts("volume", "whom", "name", "description"),
    "quota": {"type": ["string", "integer", "null"]},
    "write": {"type": ["boolean", "string"]},
    "now": {"type": ["boolean", "string"]},
}
SENT_TO_PEOPLE: dict[str, Schema] = {
    **_texts("whom", "link", "volumes"),
    "level": {"enum": [level.value for level in Depth]},
    "days": {"type": ["string", "integer"]},
    "end": {"type": ["boolean", "string"]},
}
LET_IN = _object({"whom": TEXT, "level": TEXT})
LINKS = _object(_texts("id", "level", "until") | {"used": {"type": "integer"}})
PEOPLE = _object(
    _texts("owner", "server")
    | {
        "people": {"type": "array", "items": LET_IN},
        "links": {"type": "array", "items": LINKS},
        "at_once": {"type": "boolean"},
        "copies": TEXT,
        "copies_running": {"type": "integer"},
    }
)
MESSAGE = _object(
    _texts("whom", "server", "text", "level", "by", "at")
    | {"number": {"type": "integer"}, "until": {"type": ["string", "null"]}}
)
SENT_LIMITS: dict[str, Schema] = _texts("whom", *NAMES, *(f"was_{name}" for name in NAMES))
SENT_MESSAGE = {**_texts("whom", "text", "until"), "level": {"enum": [*Level]}}
NUMBER: dict[str, Schema] = {"number": {"type": ["string", "integer"]}}
SENT_END = {**NUMBER, "at": TEXT}
COSTS, ACTS = _texts("month", "by"), _texts("who", "what", "since", "before", "after")
MY_LAUNCH = _object(
    _texts("id", "state", "name", "version", "url", "error", "hint", "kind", "proposal")
    | {
        "changes": {"type": "array", "items": _object(_texts("what", "was", "now"))},
        "renewal": {"type": "object", "required": ["count", "said", "changes"]},
    }
)
MY_SERVER = _object(
    _texts(
        *(
            "name",
            "title",
            "state",
            "repository",
            "environment",
            "version",
            "launched",
            "since",
            "url",
        )
    )
    | {"bytes": SIZE, "temporary": {"type": "boolean"}}
)
SEEN = _object(
    {
        "person": TEXT,
        "servers": {"type": "array", "items": MY_SERVER},
        "shared": {"type": "array", "items": {"type": "object"}},
        "volumes": {"type": "array", "items": LISTED},
        "limits": {"type": "array", "items": _object(_texts("name", "value", "source"))},
    }
)
STARTED = _object({"name": TEXT, "launch": {"anyOf": [MY_LAUNCH, {"type": "null"}]}})
TICK: Schema = {"type": ["boolean", "string"]}
EXISTING: Schema = {"enum": [one.value for one in Existing]}
LINK = {**_texts("urlpath", "labpath", "filepath", "content", "rebuild"), **WISHES}

# What is sent, beside the path: in the query of a GET, else in the body.
SENT: Mapping[str, Mapping[str, Schema]] = {
    "GET ": LAUNCH,
    "GET recognise": LAUNCH,
    "GET v2/{rest:path}": LINK,
    "GET /build/{rest:path}": {**LINK, "build_only": TEXT, "existing": EXISTING},
    "GET launches/{launch}/events": _texts("seen"),
    "GET servers": _texts("done"),
    "GET volumes": _texts("done", "volume"),
    "GET api/volumes": _texts("all"),
    "GET admin": _texts("person", "stopped"),
    "GET admin/costs": COSTS,
    "GET admin/costs.csv": COSTS,
    "GET admin/log": ACTS,
    "GET admin/limits": _texts("of", "done"),
    "GET admin/messages": _texts("done"),
    "POST admin/stop": _texts("server"),
    "POST admin/see-as": _texts("person"),
    "POST admin/limits": SENT_LIMITS,
    "POST admin/messages": SENT_MESSAGE,
    "POST admin/messages/end": SENT_END,
    "POST messages/dismiss": {**NUMBER, "next": TEXT},
    "GET api/admin/{view}": {**COSTS, **ACTS, "of": TEXT},
    "POST api/admin/stop": _texts("server"),
    "POST api/admin/see-as": _texts("person"),
    "POST api/admin/limits": SENT_LIMITS,
    "POST api/admin/messages": SENT_MESSAGE,
    "POST api/admin/messages/end": SENT_END,
    "GET sign-in": _texts("next"),
    "GET oauth_callback": _texts("code", "state"),
    "POST launches": {**LAUNCH, "trust": TEXT},
    "POST api/launches": {
        **_texts("repository", "version", "opening"),
        **dict.fromkeys(WISHES, TOLD),
        "existing": EXISTING,
        **dict.fromkeys(("retry", "infer", "rebuild", "no_volumes"), TICK),
    },
    "POST api/launches/{launch}/cancel": {},
    "POST api/launches/{launch}/answer": {"how": {"enum": ["update", "new", "leave"]}},
    "POST api/servers/{server}/start": {},
    "POST api/servers/{server}/stop": {},
    "POST api/servers/{server}/restart": {},
    "POST api/servers/{server}/update": {"version": TEXT, "look": TICK},
    "POST api/servers/{server}/delete": {},
    "POST launches/{launch}/answer": {"how": {"enum": ["update", "new"]}},
    "POST trusted/drop": _texts("what"),
    "POST servers/{server}/title": _texts("title"),
    "POST api/servers/{server}/title": _texts("title"),
    "GET servers/{server}/people": _texts("done"),
    "GET shared/{owner}/{server}/people": _texts("done"),
    "POST servers/{server}/people/{deed}": SENT_TO_PEOPLE,
    "POST shared/{owner}/{server}/people/{deed}": SENT_TO_PEOPLE,
    "POST api/servers/{owner}/{server}/people/{deed}": SENT_TO_PEOPLE,
    "POST volumes/{deed}": SENT_TO_VOLUMES,
    "POST api/volumes/{deed}": SENT_TO_VOLUMES,
}
# What is answered where all is well and it is not a page: the kind, and of JSON what is in it.
ANSWERED: Mapping[str, tuple[str, Schema]] = {
    "GET recognise": (JSON, {"type": "object"}),
    "PUT uploads/{name}": (JSON, _object({"ok": OK, "reference": TEXT})),
    "GET launches/{launch}/events": (STREAM, EVENT),
    "GET launches/{launch}/log": (PLAIN, TEXT),
    "GET launches/{launch}/requirements.txt": (PLAIN, TEXT),
    "GET servers/states": (JSON, {"type": "object", "additionalProperties": TEXT}),
    "GET api/volumes": (JSON, {"type": "array", "items": LISTED}),
    "GET volumes/choices": (JSON, {"type": "array", "items": CHOICE}),
    "POST api/volumes/{deed}": (JSON, VOLUME),
    "GET admin/costs.csv": ("text/csv", TEXT),
    "GET api/admin/{view}": (JSON, {"type": "array", "items": {"type": "object"}}),
    "POST api/admin/stop": (JSON, _object({"stopped": {"type": "array", "items": TEXT}})),
    "POST api/admin/see-as": (JSON, SEEN),
    "POST api/admin/limits": (
        JSON,
        {"type": "array", "items": _object(_texts("whom", "name", "value", "by", "at"))},
    ),
    "POST api/admin/messages": (JSON, MESSAGE),
    "POST api/admin/messages/end": (JSON, MESSAGE),
    "GET api/me": (
        JSON,
        _object(_texts("name", "atoll") | {"admin": OK, "interface": {"type": "integer"}}),
    ),
    "POST api/launches": (JSON, MY_LAUNCH),
    "GET api/launches/{launch}": (JSON, MY_LAUNCH),
    "GET api/launches/{launch}/events": (STREAM, EVENT),
    "POST api/launches/{launch}/cancel": (JSON, MY_LAUNCH),
    "POST api/launches/{launch}/answer": (JSON, MY_LAUNCH),
    "GET api/servers": (JSON, {"type": "array", "items": MY_SERVER}),
    "GET api/servers/{server}/log": (PLAIN, TEXT),
    "POST api/servers/{server}/start": (JSON, STARTED),
    "POST api/servers/{server}/restart": (JSON, STARTED),
    "POST api/servers/{server}/stop": (JSON, _object({"name": TEXT})),
    "POST api/servers/{server}/update": (JSON, MY_LAUNCH),
    "POST api/servers/{server}/delete": (JSON, _object({"name": TEXT})),
    "POST api/servers/{server}/title": (JSON, _object(_texts("name", "title"))),
    "GET api/shared": (JSON, {"type": "array", "items": {"type": "object"}}),
    "GET api/servers/{owner}/{server}/people": (JSON, PEOPLE),
    "POST api/servers/{owner}/{server}/people/{deed}": (JSON, PEOPLE),
    "GET openapi.json": (JSON, {"type": "object", "required": ["openapi", "paths"]}),
    "GET metrics": (PLAIN, TEXT),
    "GET /metrics": (PLAIN, TEXT),
    "GET /build/{rest:path}": (STREAM, EVENT),
    "GET /badge_logo.svg": (SVG, TEXT),
    "GET /badge.svg": (SVG, TEXT),
    "GET /health": (JSON, _object({"ok": OK, "checks": {"type": "array"}})),
    "GET /health/live": (JSON, _object({"ok": OK})),
    "GET /health/ready": (JSON, _object({"ok": OK})),
    "GET /versions": (JSON, _object(_texts("builder", "binderhub", "atoll"), whole=False)),
    "GET /api/repoproviders": (JSON, {"type": "array", "items": {"type": "object"}}),
}
SECURITY: Mapping[By, list[dict[str, list[str]]]] = {
    By.NOTHING: [],
    By.SESSION: [{"session": []}],
    By.FORM: [{"session": []}],
    By.TOKEN: [{"token": []}],
}
SCHEMES = {
    "session": {"type": "apiKey", "in": "cookie", "name": "atoll-session"},
    "token": {"type": "http", "scheme": "bearer", "description": "A token of JupyterHub's."},
}


async def show_description(request: Request) -> Response:
    """GET openapi.json: all addresses of the service, as OpenAPI."""
    return JSONResponse(described(request.app.routes, site_of(request).place.base))


def described(routes: Iterable[BaseRoute], base: str = "/") -> Schema:
    """Return the document about *routes*, those of `doors.door`, of a hub at *base*."""
    paths: dict[str, Schema] = {}
    for route in routes:
        if isinstance(route, Route):
            method, _, _ = route.name.partition(" ")
            path = "/" + re.sub(r":path\}", "}", route.path).removeprefix(base)
            paths.setdefault(path, {})[method.lower()] = _operation(route, DOORS[route.name])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Atoll", "version": __version__},
        "servers": [{"url": base.rstrip("/") or "/"}],
        "paths": paths,
        "components": {"securitySchemes": SCHEMES},
    }


def _operation(route: Route, known: Door) -> Schema:
    method, _, path = route.name.partition(" ")
    named = [_parameter("path", name, {}) for name in re.findall(r"\{(\w+)", path)]
    sent = SENT.get(route.name, {})
    if method == "GET":
        named += [_parameter("query", name, schema) for name, schema in sent.items()]
    if known.by is By.FORM and method == "PUT":
        named.append(_parameter("header", "X-Form-Token", {}))
    return {
        "summary": _summary(route),
        "description": _who(known),
        "parameters": named,
        **_body(method, known, sent),
        "responses": _answers(route.name),
        "security": SECURITY[known.by],
    }


def _answers(row: str) -> Schema:
    """Return what is answered where all is well, where something is wrong, and in between."""
    kind, schema = ANSWERED.get(row, (PAGE, TEXT))
    well = {"content": {kind: {"schema": schema}}}
    wrong = {JSON: {"schema": ERROR}, PAGE: {"schema": TEXT}}
    if kind == STREAM:
        wrong[STREAM] = {"schema": EVENT}
    answers: Schema = {
        "200": {"description": "What was asked for.", **well},
        "3XX": {"description": "Where it goes on."},
        "default": {"description": "What is wrong; a page for a browser.", "content": wrong},
    }
    if row.startswith("OPTIONS"):
        answers["204"] = {"description": "What a page's script may ask."}
    if "health" in row:
        answers["503"] = {"description": "Something is not well.", **well}
    return answers


def _parameter(where: str, name: str, schema: Schema) -> Schema:
    choices = {"enum": list(DEEDS)} if name == "deed" else {}
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": {**TEXT, **schema, **choices},
    }


def _body(method: str, known: Door, sent: Mapping[str, Schema]) -> Schema:
    if method == "PUT":
        content: Schema = {"application/octet-stream": {"schema": {}}}
    elif method == "POST":
        mine = {**sent, **(_texts("form_token") if known.by is By.FORM else {})}
        schema = {"schema": _object(mine, whole=False)}
        content = {(FORM if known.by is By.FORM else JSON): schema}
    else:
        return {}
    return {"requestBody": {"required": True, "content": content}}


def _summary(route: Route) -> str:
    first = (route.endpoint.__doc__ or "").strip().partition("\n")[0]
    said = first.partition(": ")[2] or first
    return said[:1].upper() + said[1:]


def _who(known: Door) -> str:
    who = ", ".join(sorted(role.value for role in known.whose or known.to))
    return f"For {who}. Shown by: {known.by.value}."
