"""Conda: what an ``environment.yml`` asks for.

Sources of the format: conda's documentation, "Creating an environment file manually" and "Package
match specifications". Nothing here solves anything or knows what a version means; it tells what
is asked for from what changes nothing, and refuses what no channel can give.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import yaml

from atoll.environments.requirements import decode
from atoll.errors import BadSpecification, CannotBuildYet

CONDA = "conda"  # the kind of a specification that is made by conda packages
FILES = ("environment.yml", "environment.yaml")  # the first that is there is taken
PIP = "environment-pip.txt"  # in a specification of this kind: the file with its lines for pip
ESSENCE = "conda.json"  # in a specification of this kind: the file with everything else
NO_DEFAULTS = "nodefaults"  # in a list of channels: only these
LARGEST = 256 * 1024  # bytes; what conda writes itself has a tenth of it
MOST = 20_000  # values of one file, those that aliases repeat counted again
DEEPEST = 6  # lists in lists: what has a meaning has two

_KNOWN = frozenset({"name", "channels", "dependencies", "prefix", "variables", "platforms"})
_NAME = r"(?=[0-9_.-]*[A-Za-z])[A-Za-z0-9_][A-Za-z0-9_.-]*"
_DEPENDENCY = re.compile(
    rf"(?:(?P<channel>[^\s:\[\]]+)::)?(?P<name>{_NAME})(?P<rest>[\s=<>!~\[].*)?"
)
_PACKAGE = re.compile(r"https?://\S+\.(?:conda|tar\.bz2)(?:#\S+)?")
_CHANNEL = re.compile(r"[A-Za-z0-9_][\w.-]*(?:/[\w.-]+)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PINNED = re.compile(r"\s*={0,2}\s*(\d+\.\d+)(?:[.*=\s][^,|]*)?")


@dataclass(frozen=True, slots=True)
class CondaFile:
    """What an ``environment.yml`` says: channels, match specifications and the rest, as written.

    ``pip`` are the lines of its ``pip:`` part. ``unknown`` are the keys that mean nothing.
    """

    channels: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def essence(self) -> bytes:
        """All that changes an environment but the lines for pip; `essence_of` reads it."""
        told = {"channels": self.channels, "dependencies": self.dependencies}
        return json.dumps({**told, "variables": self.variables}, sort_keys=True).encode()

    @property
    def python(self) -> str:
        """The minor version of Python that is pinned ("3.9"), or ""."""
        found = (parts(one) for one in self.dependencies)
        pins = (_PINNED.fullmatch(rest) for _, name, rest in found if name == "python")
        return next((pin[1] for pin in pins if pin), "")

    @property
    def sources(self) -> tuple[str, ...]:
        """All channels: those listed, and those that single dependencies name."""
        named = (parts(one)[0] for one in self.dependencies)
        return tuple(dict.fromkeys((*self.channels, *filter(None, named))))


def read_conda(path: str, body: bytes) -> CondaFile:
    """Read an ``environment.yml``, or raise `BadSpecification` that says where it is wrong."""
    table = _load(path, body)
    if table is None:
        return CondaFile()
    if not isinstance(table, dict):
        raise BadSpecification(
            f"{path} is not a mapping of “dependencies” and the like.", hint=_EXAMPLE
        )
    return read_table(path, table)


def read_table(path: str, table: Mapping[str, Any]) -> CondaFile:
    """Read what an ``environment.yml`` says from its *table*, or raise `BadSpecification`."""
    lines, pip = _dependencies(path, table.get("dependencies"))
    return CondaFile(
        channels=tuple(dict.fromkeys(_channels(path, table.get("channels")))),
        dependencies=tuple(dict.fromkeys(lines)),
        pip=tuple(pip),
        variables=_variables(path, table.get("variables")),
        unknown=tuple(sorted(str(key)[:40] for key in table.keys() - _KNOWN)),
    )


def essence_of(files: Mapping[str, bytes]) -> CondaFile:
    """Return what the *files* of a specification of the kind `CONDA` say, but the pip lines."""
    told = json.loads(files[ESSENCE])
    return CondaFile(tuple(told["channels"]), tuple(told["dependencies"]), (), told["variables"])


def parts(dependency: str) -> tuple[str, str, str]:
    """Split a match specification into channel (or ""), name in lower case, and what follows."""
    found = _DEPENDENCY.fullmatch(dependency)
    if not found:  # the address of one package
        return "", dependency, ""
    return found["channel"] or "", found["name"].lower(), (found["rest"] or "").strip()


def is_address(text: str) -> bool:
    """Say whether a channel or dependency is an address, rather than a name."""
    return "://" in text


_EXAMPLE = "It looks like “dependencies:” and below it, indented by two spaces, “- numpy=1.26”."


def _load(path: str, body: bytes) -> Any:
    """Return the content of a YAML file: dictionaries, lists and the scalars' own text.

    Not as Python sees it: “3.10” stays what the author wrote, and an alias cannot make more of a
    file than `MOST` values.
    """
    if len(body) > LARGEST:
        raise BadSpecification(f"{path} is larger than {LARGEST >> 10} KB.")
    try:
        node = yaml.compose(decode(path, body), Loader=yaml.SafeLoader)
        return None if node is None else _Values(path).of(node, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark else ""
        if "'\\t'" in str(error.problem):
            message = f"{path}{line}: there is a tab where YAML wants spaces."
            raise BadSpecification(message, hint="Indent with spaces only.") from error
        message = f"{path}{line}: this is not YAML: {error.problem}."
        raise BadSpecification(message, hint=_EXAMPLE) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadSpecification(f"{path} is not YAML.", hint=_EXAMPLE) from error


@dataclass(slots=True)
class _Values:
    """The values of one file; ``count`` is how many there have been."""

    path: str
    count: int = 0

    def of(self, node: yaml.Node, depth: int) -> Any:
        self.count += 1
        if self.count > MOST or depth > DEEPEST:
            raise BadSpecification(f"{self.path} says more than any environment needs.")
        if isinstance(node, yaml.SequenceNode):
            return [self.of(one, depth + 1) for one in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        return None if node.tag == "tag:yaml.org,2002:null" else _Text(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = self.of(key, depth + 1)
            if not isinstance(name, str):
                message = f"{self.path}, line {key.start_mark.line + 1}: this is no name."
                raise BadSpecification(message, hint=_EXAMPLE)
            if name in found:
                message = f"{self.path}, line {key.start_mark.line + 1}: “{name}” is there twice."
                raise BadSpecification(message, hint="Make one of the two.")
            found[name] = self.of(value, depth + 1)
        return found


class _Text(str):
    """A scalar's text, and the line that it stands in."""

    line: int
    __slots__ = ("line",)

    def __new__(cls, node: yaml.Node) -> Self:
        text = super().__new__(cls, node.value)
        text.line = node.start_mark.line + 1
        return text


def _where(path: str, value: object) -> str:
    return f"{path}, line {value.line}" if isinstance(value, _Text) else path


def _list(path: str, key: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise BadSpecification(f"{path}: “{key}” is not a list.", hint=_EXAMPLE)
    return value


def _channels(path: str, value: Any) -> Iterator[str]:
    for one in _list(path, "channels", value):
        if not isinstance(one, str) or not one.strip():
            raise BadSpecification(f"{path}: “channels” has something that is no channel.")
        yield _channel(path, one)


def _channel(path: str, written: str) -> str:
    text = written.strip().rstrip("/")
    where = _where(path, written)
    if is_address(text):
        scheme = text.partition("://")[0].lower()
        if scheme in {"http", "https"} and not re.search(r"[\s\x00-\x1f]", text):
            return text
        message = f"{where}: “{text[:80]}” is a channel that Atoll cannot fetch."
        raise BadSpecification(message, hint="Name it, or write its address with https://.")
    if text == "local" or text.startswith((".", "/", "~")):
        message = f"{where}: “{text[:80]}” is a channel on somebody's own disk."
        raise CannotBuildYet(message, hint="Name channels that can be fetched.")
    if not _CHANNEL.fullmatch(text) or ".." in text:
        raise BadSpecification(f"{where}: “{text[:80]}” is not the name of a channel.")
    return text


def _dependencies(path: str, value: Any) -> tuple[list[str], list[str]]:
    """Return the match specifications, and the lines for pip."""
    lines: list[str] = []
    pip: list[str] = []
    for one in _list(path, "dependencies", value):
        if isinstance(one, dict):
            pip += _pip(path, one)
        elif isinstance(one, str):
            lines.append(_dependency(path, one))
        elif one is not None:
            raise BadSpecification(f"{path}: “dependencies” has a list in the list.", hint=_EXAMPLE)
    return lines, pip


def _pip(path: str, table: dict[str, Any]) -> Iterator[str]:
    if other := sorted(table.keys() - {"pip"}):
        raise BadSpecification(
            f"{_where(path, other[0])}: “{other[0][:40]}:” means nothing among the dependencies; "
            "only “pip:” may be there.",
            hint="A version is written “- numpy=1.26”, without a colon.",
        )
    for line in _list(path, "pip", table.get("pip")):
        if not isinstance(line, str):
            raise BadSpecification(f"{path}: “pip:” has something that is no line for pip.")
        yield from str(line).splitlines()


def _dependency(path: str, written: str) -> str:
    text = re.sub(r"\s+", " ", written.partition(" #")[0]).strip()
    if _PACKAGE.fullmatch(text):
        return text
    found = _DEPENDENCY.fullmatch(text)
    if not found:
        message = f"{_where(path, written)}: “{text[:80]}” is not a package."
        hint = "Write a name, and a version if need be: numpy, numpy=1.26, numpy>=1.20,<2."
        raise BadSpecification(message, hint=hint)
    if found["channel"]:
        _channel(_where(path, written), found["channel"])
    return text


def _variables(path: str, value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadSpecification(f"{path}: “variables” is not a mapping of names to values.")
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name):
            raise BadSpecification(f"{_where(path, name)}: “{name[:40]}” cannot be a variable.")
        if isinstance(text, dict | list) or "\0" in str(text):
            raise BadSpecification(f"{_where(path, name)}: the variable {name} is no text.")
    return {str(name): str(text or "") for name, text in value.items()}
