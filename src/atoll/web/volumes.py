"""Volumes: the page of a person's volumes, its forms, and the same for programs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.access import HUB, Deed, Kind, Party
from atoll.errors import BadRequest, NotFound, Refused, TooLarge
from atoll.people import Person
from atoll.quantities import parse_size
from atoll.volumes import Volume, written
from atoll.volumes.facts import facts, listed
from atoll.volumes.keeper import Keeper
from atoll.web.acts import note_act
from atoll.web.hub_api import Bearer
from atoll.web.now_and_then import now_and_then
from atoll.web.pages import page
from atoll.web.sign_in import LARGEST_FORM, SignInNeeded, person_of, posted, session_of
from atoll.web.site import site_of

Fields = Mapping[str, Any]
CLEARING = 3600  # seconds between two looks at what was deleted


async def _make(keeper: Keeper, person: Person, sent: Fields) -> Volume:
    text, description = text_of(sent, "volume"), text_of(sent, "description")
    return await keeper.make(person, text, quota=_size(sent), description=description)


async def _change(keeper: Keeper, person: Person, sent: Fields) -> Volume:
    description = text_of(sent, "description") if "description" in sent else None
    text = text_of(sent, "volume")
    return await keeper.change(person, text, quota=_size(sent), description=description)


async def _share(keeper: Keeper, person: Person, sent: Fields) -> Volume:
    text, whom = text_of(sent, "volume"), text_of(sent, "whom")
    return await keeper.share(person, text, whom, writable=said_yes(sent, "write"))


async def _unshare(keeper: Keeper, person: Person, sent: Fields) -> Volume:
    return await keeper.unshare(person, text_of(sent, "volume"), text_of(sent, "whom"))


async def _snapshot(keeper: Keeper, person: Person, sent: Fields) -> Volume:
    made, _ = await keeper.snapshot(person, text_of(sent, "volume"), text_of(sent, "name"))
    return made


async def _hand_over(keeper: Keeper, person: Person, sent: Fields) -> Volume:
    return await keeper.hand_over(person, text_of(sent, "volume"), text_of(sent, "whom"))


async def _delete(keeper: Keeper, person: Person, sent: Fields) -> Volume:
    return await keeper.delete(person, text_of(sent, "volume"), now=said_yes(sent, "now"))


async def _restore(keeper: Keeper, person: Person, sent: Fields) -> Volume:
    return await keeper.restore(person, text_of(sent, "volume"))


# What can be done, and how a page says that it was.
DEEDS: Mapping[str, tuple[Callable[[Keeper, Person, Fields], Awaitable[Volume]], str]] = {
    "make": (_make, "was made"),
    "change": (_change, "was changed"),
    "share": (_share, "is shared"),
    "unshare": (_unshare, "is not shared with them any more"),
    "snapshot": (_snapshot, "was made, as a snapshot"),
    "hand-over": (_hand_over, "was handed over"),
    "delete": (_delete, "was deleted"),
    "restore": (_restore, "was restored"),
}


async def show_volumes(request: Request) -> Response:
    """GET volumes."""
    session = await session_of(request)
    person, keeper = signed_in(session.person), site_of(request).atoll.keeper
    query, allowances = request.query_params, site_of(request).atoll.allowances
    _, done = DEEDS.get(query.get("done", ""), (None, ""))
    most = await allowances.quota(Party(Kind.PERSON, person.name), person)
    theirs = (await allowances.quotas(person)).items()
    return page(
        request,
        session,
        "volumes.html",
        rows=await listed(keeper, person),
        rules=keeper.rules,
        most=most,
        groups={str(group): quota for group, quota in theirs if quota != most},
        written=written,
        done=done,
        what=query.get("volume", "")[:100],
    )


async def show_choices(request: Request) -> Response:
    """GET volumes/choices: what the Launch page offers to mount, for its script."""
    session = await session_of(request)
    person = signed_in(session.person)
    rows = await listed(site_of(request).atoll.keeper, person)
    there = [row for row in rows if Deed.READ in row["may"] and row["bytes"] is not None]
    return JSONResponse([_choice(row, person) for row in there])


def _choice(row: Fields, person: Person) -> dict[str, Any]:
    owner = "yours" if row["owner"] == person.name else f"of {row['owner']}"
    if row["owner"] == str(HUB):
        owner = "of this hub"
    return {
        "volume": row["volume"],
        "whole": f"{row['owner']}/{row['volume'].rpartition('/')[2]}",
        "said": f"{row['volume']}, {owner}, {written(row['bytes'])}",
        "write": Deed.WRITE in row["may"],
    }


async def do(request: Request) -> Response:
    """POST volumes/DEED: a form of that page."""
    session, sent = await posted(request)
    name = request.path_params["deed"]
    person = signed_in(session.person)
    done = await _deed(name)(site_of(request).atoll.keeper, person, sent)
    await _note(request, person, name, done, sent)
    told = urlencode({"done": name, "volume": done.name})
    return RedirectResponse(f"{site_of(request).place.prefix}volumes?{told}", 303)


async def list_for_programs(request: Request) -> Response:
    """GET api/volumes; with ``?all``, everybody's, for operators."""
    person = await by_token(request)
    keeper = site_of(request).atoll.keeper
    rows = await listed(keeper, person, everybodys="all" in request.query_params)
    return JSONResponse(rows)


async def do_for_programs(request: Request) -> Response:
    """POST api/volumes/DEED: the same, with a token and a JSON object."""
    person, sent, name = (
        await by_token(request),
        await object_of(request),
        request.path_params["deed"],
    )
    done = await _deed(name)(site_of(request).atoll.keeper, person, sent)
    await _note(request, person, name, done, sent)
    return JSONResponse(facts(done, person))


async def _note(request: Request, person: Person, deed: str, done: Volume, sent: Fields) -> None:
    detail = {name: str(sent[name]) for name in ("whom", "write", "now", "quota") if sent.get(name)}
    await note_act(request, person.name, deed.replace("-", " "), "volume", str(done), detail=detail)


def _deed(name: str) -> Callable[[Keeper, Person, Fields], Awaitable[Volume]]:
    if name not in DEEDS:
        message = "That cannot be done with volumes."
        raise NotFound(message, hint=f"There are {', '.join(DEEDS)}.")
    return DEEDS[name][0]


def clearing_up(keeper: Keeper) -> AbstractAsyncContextManager[None]:
    """Remove now and then, for as long as the service runs, what was deleted long enough ago."""
    return now_and_then("clear volumes up", keeper.clear_up, CLEARING)


async def by_token(request: Request) -> Person:
    """Return whose token a program sent; a cookie is not enough, as any page could send it."""
    return (await token_of(request))[0]


async def token_of(request: Request) -> tuple[Person, Bearer]:
    """Return whose token a program sent, and what that may do, or raise `Refused`."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    found = None
    if kind.lower() in {"bearer", "token"}:
        found = await person_of(site_of(request), token.strip())
    if found is None:
        raise Refused(
            "A program needs a token.",
            hint="Send “Authorization: Bearer TOKEN” with a token from the Tokens page.",
        )
    return found


def signed_in(person: Person | None) -> Person:
    """Return *person*, or raise `SignInNeeded` for a visitor."""
    if person is None or person.visitor:
        raise SignInNeeded
    return person


async def object_of(request: Request) -> Fields:
    """Return the JSON object that a program sent, or raise `BadRequest` or `TooLarge`."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise TooLarge("This is more than a request can hold.")
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON.") from error
    if not isinstance(sent, dict):
        raise BadRequest("The body is not a JSON object.")
    return sent


def text_of(sent: Fields, name: str) -> str:
    """Return the text *name* of what was *sent*, "" if there is none, or raise `BadRequest`."""
    value = sent.get(name, "")
    if not isinstance(value, str):
        raise BadRequest(f"“{name}” is to be text.")
    return value.strip()


def said_yes(sent: Fields, name: str) -> bool:
    """Say whether *name* is ticked in what was *sent*, by a form or a program."""
    return sent.get(name, False) in (True, "yes")


def _size(sent: Fields) -> int | None:
    value = sent.get("quota")
    if value in (None, ""):
        return None
    try:
        return parse_size(value)
    except ValueError as error:
        raise BadRequest(f"{error}.") from None
