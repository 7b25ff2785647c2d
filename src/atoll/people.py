"""People: who is asking, the groups they bring, and what nobody can be called."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

VISITOR = "visitor-"  # how the names of those begin who have not signed in
OURS = (VISITOR, "service-", "atoll-")  # so do no names of people, however they sign in
LONGEST = 80  # bytes of a name; one may take three in the name of a folder, which has at most 255
# Letters and digits of any script, and what is in addresses for mail. Nothing that means something
# else in a URL, a path, a shell or a page, and nothing that one does not see.
NAME = re.compile(r"[^\W_](?:[\w.@+ -]*[\w.@+-])?")


@dataclass(frozen=True, slots=True)
class Person:
    """Someone the institution vouches for; on a laptop, whoever runs the command."""

    name: str
    groups: frozenset[str] = frozenset()
    admin: bool = False

    @property
    def visitor(self) -> bool:
        """Whether this is somebody who has not signed in: servers are temporary, keys in URLs."""
        return self.name.startswith(VISITOR)


def unfit(name: str) -> str:
    """Return why nobody who signs in can be called *name*, which is in lower case; "" if they can.

    It is half a sentence, such as “it is longer than 80 bytes”.
    """
    if len(name.encode("utf-8", "replace")) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    if name == "atoll" or name.startswith(OURS):
        return "names like that are Atoll's own"
    # Else two names that look the same could be those of two people.
    if not NAME.fullmatch(name) or unicodedata.normalize("NFKC", name) != name:
        return (
            "only letters, digits, spaces and . _ - @ + can be in it, and a letter or digit first"
        )
    return ""
