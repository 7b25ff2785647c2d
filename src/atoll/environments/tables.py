"""Tables: what a TOML or JSON file says, of the type that is expected there, or why it is not."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.environments.requirements import decode
from atoll.errors import BadSpecification

LONGEST = 5000  # letters of one text, which some of those who take it apart need long for


@dataclass(frozen=True, slots=True)
class Table:
    """A table (in JSON, an object) of the file *path*. What is missing is empty, of every type."""

    path: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __contains__(self, key: object) -> bool:
        """Say whether it has *key*."""
        return key in self.values

    def table(self, key: str) -> Table:
        """Return the table at *key*."""
        return Table(self.path, self._get(key, dict, "table"))

    def tables(self, key: str) -> list[Table]:
        """Return the list of tables at *key*."""
        return [Table(self.path, self._check(key, one, dict, "table")) for one in self._list(key)]

    def text(self, key: str) -> str:
        """Return the text at *key*."""
        found: str = self._get(key, str, "text")
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the list of texts at *key*."""
        return tuple(self._check(key, one, str, "text") for one in self._list(key))

    def flag(self, key: str) -> bool:
        """Return the true or false at *key*."""
        found: bool = self._get(key, bool, "true or false")
        return found

    def _list(self, key: str) -> list[Any]:
        found: list[Any] = self._get(key, list, "list")
        return found

    def _get(self, key: str, kind: type, name: str) -> Any:
        return self._check(key, self.values.get(key, kind()), kind, name)

    def _check(self, key: str, value: Any, kind: type, name: str) -> Any:
        if not isinstance(value, kind):
            article = "" if kind is bool else "a "
            raise BadSpecification(
                f"{self.path}: “{key[:40]}” is not {article}{name}.",
                hint="Have the tool that wrote the file write it anew.",
            )
        if isinstance(value, str) and len(value) > LONGEST:
            raise BadSpecification(
                f"{self.path}: “{key[:40]}” is longer than {LONGEST} letters.",
                hint="Is it what it says?",
            )
        return value


def read_toml(path: str, body: bytes) -> Table:
    """Read a TOML file, or raise `BadSpecification`."""
    try:
        return Table(path, tomllib.loads(decode(path, body)))
    except RecursionError as error:
        raise BadSpecification(f"{path} is nested too deeply.", hint=_WHOLE) from error
    except ValueError as error:  # of numbers with thousands of digits, too
        raise BadSpecification(f"{path} is not TOML: {error}.", hint=_WHOLE) from error


def read_json(path: str, body: bytes, *, comments: bool = False) -> Table:
    """Read a JSON file that holds an object, or raise `BadSpecification`.

    With *comments*, it may have ``//`` and ``/* */`` ones and a comma before a closing bracket.
    """
    text = decode(path, body)
    try:
        found = json.loads(_bare(text) if comments else text)
    except RecursionError as error:
        raise BadSpecification(f"{path} is nested too deeply.", hint=_WHOLE) from error
    except ValueError as error:
        raise BadSpecification(f"{path} is not JSON: {error}.", hint=_WHOLE) from error
    if not isinstance(found, dict):
        raise BadSpecification(f"{path} is not a JSON object.", hint=_WHOLE)
    return Table(path, found)


_WHOLE = "Was it cut short, or merged with its conflict marks left in?"
# Both match to their end also where that is missing: else a hostile file takes hours.
_STRING = r'"(?:[^"\\\n]++|\\.)*+"?'
_COMMENT = r"//[^\n]*|/\*.*?(?:\*/|\Z)"


def _bare(text: str) -> str:
    """Return JSON without comments and trailing commas; what is in a string stays."""
    kept = rf"({_STRING})|{_COMMENT}"
    bare = re.sub(kept, lambda found: found[1] or " ", text, flags=re.DOTALL)
    return re.sub(rf"({_STRING})|,(?=\s*[}}\]])", lambda found: found[1] or "", bare)
