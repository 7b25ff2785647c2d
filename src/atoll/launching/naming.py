"""Naming: which server a launch leads to, so that two repositories' files are never mixed."""

from __future__ import annotations

from dataclasses import replace

from atoll.errors import BadRequest
from atoll.launching.requests import Existing, LaunchRequest
from atoll.names import LONGEST, LONGEST_TITLE, is_slug, new_id
from atoll.servers import Plans

MOST = 1000  # servers of one name and a number


async def name_for(plans: Plans, request: LaunchRequest) -> str:
    """Return the server's name: a kept server of one repository never gets another's files.

    Launching a repository again leads to the server that it has; a name that another
    repository's server has is numbered if we made it, and refused (`BadRequest`) if the person did.
    """
    wanted = request.wanted_name
    if not is_slug(wanted):
        message = f"“{wanted}” cannot be a server's name."
        raise BadRequest(message, hint="Use up to 30 of a-z, 0-9 and single hyphens.")
    if request.temporary and not request.name:
        return f"{wanted[: LONGEST - 9].rstrip('-')}-{new_id()[:8]}"
    kept = {
        name: plan.ref.repo.locator
        for name, (plan, _) in (await plans.latest(request.person.name)).items()
        if not plan.content.temporary
    }
    locator = request.repo.locator
    if request.name and (kept.get(wanted, locator) != locator):
        message = f"Your server “{wanted}” is of another repository, {kept[wanted]}."
        raise BadRequest(message, hint="Choose another name, or remove that server first.")
    if request.temporary and wanted in kept:
        message = f"You have a server “{wanted}” whose files are kept."
        raise BadRequest(message, hint="Choose another name for a temporary one.")
    names = [wanted, *(_numbered(wanted, n) for n in range(2, MOST))]
    # Its own comes first: a name before it may have become free since.
    mine = (name for name in names if kept.get(name) == locator)
    return next(mine, "") or next(name for name in names if name not in kept)


async def beside(plans: Plans, request: LaunchRequest) -> LaunchRequest:
    """Return *request* for a server of its own: where its name is taken, with a number.

    Its title, if it has one, gets the same number. Raises what `name_for` does.
    """
    taken = await plans.latest(request.person.name)
    own = replace(request, existing=Existing.LEAVE)
    if request.temporary or await name_for(plans, request) not in taken:
        return own
    names = ((n, _numbered(request.wanted_name, n)) for n in range(2, MOST))
    number, name = next((n, name) for n, name in names if name not in taken)
    title = f"{request.title[: LONGEST_TITLE - 4]} {number}" if request.title else ""
    return replace(own, name=name, title=title)


def _numbered(name: str, number: int) -> str:
    return f"{name[: LONGEST - 4].rstrip('-')}-{number}"
