"""Write the pages of docs/reference that the code itself can say: settings, errors, commands.

`make reference` writes them; tests/test_docs.py fails when they are not what the code says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from atoll import errors
from atoll.settings import Settings
from atoll.sign_in import KINDS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def settings_page() -> str:
    """Return the page of all settings."""
    lines = [
        "# Settings",
        "",
        "Atoll reads one file, `atoll.toml`, once when it starts: the one named by",
        "`$ATOLL_CONFIG`, else the one in the data folder, if there is one. Everything has a",
        "default; mistakes are reported all together, with “did you mean”.",
        "",
        "A size is a number with an optional K, M, G or T (powers of 1024), such as `2G`.",
        "A duration is a number of seconds, or a number with s, m, h or d, such as `30m` or `8h`.",
        "",
        "## At the top",
        "",
        *_HEAD,
        f"| `data` | path | {_DATA} | The data folder: everything is kept in it |",
    ]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            lines += ["", f"## `[{name}]`", "", _what_it_is_for(section), "", *_HEAD]
            lines += [_setting(key, one) for key, one in section.model_fields.items()]
        elif name == "sign_in":
            lines += _sign_in()
        elif get_origin(section) is dict:
            each = get_args(section)[1]
            lines += ["", f"## `[{name}.NAME]`", "", f"{field.description}.", "", *_HEAD]
            lines += [_setting(key, one) for key, one in each.model_fields.items()]
        elif name != "data":
            lines.append(_setting(name, field))
    return "\n".join([*lines, ""])


def errors_page() -> str:
    """Return the page of all error classes."""
    lines = [
        "# Errors",
        "",
        "Every error that Atoll raises on purpose is one of these. The class decides the HTTP",
        "status of a web answer and the exit code of a command; the message says what happened,",
        "the hint what to try next. Anything else that reaches you is a bug in Atoll.",
        "",
        "| error | HTTP status | exit code | what it means |",
        "| --- | --- | --- | --- |",
    ]
    for kind, depth in error_classes():
        name = f"{'— ' * depth}`{kind.__name__}`"
        meaning = (kind.__doc__ or "").partition("\n")[0].replace("``", "`")
        lines.append(f"| {name} | {kind.status} | {kind.exit_code} | {meaning} |")
    return "\n".join([*lines, ""])


def cli_page() -> str:
    """Return the page of all commands."""
    from atoll.cli import main

    lines = [
        "# Commands",
        "",
        "Every command answers `--help`. Exit codes are those of the [errors](errors.md); 0 is",
        "success, 2 also a mistake in the command line, 130 means that Ctrl-C stopped it before it",
        "had done what was asked. Ctrl-C at a server that runs ends `atoll run` as it should: 0.",
        "",
        "With `--json`, standard output holds JSON and nothing else. If something goes wrong, that",
        "is an object with `error`, `hint` and `exit_code`; standard error has the same in words.",
    ]
    for words, command in commands(main):
        if isinstance(command, click.Group) and not command.params:
            continue
        shown = [param for param in command.params if not getattr(param, "hidden", False)]
        places = [param for param in shown if isinstance(param, click.Argument)]
        usage = " ".join(
            [*words, *(param.make_metavar(click.Context(command)) for param in places)]
        )
        lines += ["", f"## `{usage}`", "", *_paragraphs(command.help or "")]
        options = [param for param in shown if isinstance(param, click.Option)]
        if options:
            lines += ["", "| option | what it does |", "| --- | --- |"]
            lines += [_option(param) for param in options]
    return "\n".join([*lines, ""])


def commands(group: click.Command, *words: str) -> Iterator[tuple[list[str], click.Command]]:
    """Yield every visible command below *group*, and itself, with the words that call it."""
    words = words or ("atoll",)
    yield list(words), group
    if isinstance(group, click.Group):
        for name, command in sorted(group.commands.items()):
            if not command.hidden:
                yield from commands(command, *words, name)


def error_classes(
    kind: type[errors.AtollError] = errors.AtollError, depth: int = 0
) -> Iterator[tuple[type[errors.AtollError], int]]:
    """Yield every error class of `atoll.errors`, in the order of the tree, and how deep it is."""
    yield kind, depth
    ours = [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    for sub in ours:
        yield from error_classes(sub, depth + 1)


PAGES = {"settings.md": settings_page, "errors.md": errors_page, "cli.md": cli_page}
_DATA = "`$ATOLL_DATA`, else `$XDG_DATA_HOME/atoll`, else `~/.local/share/atoll`"
_HEAD = ["| setting | type | default | what it is |", "| --- | --- | --- | --- |"]


def _sign_in() -> list[str]:
    """Return the section of which there is another one for each kind."""
    lines = ["", "## `[sign_in]`", "", "How people sign in, and who may. There is one `kind`:"]
    for kind in KINDS.values():
        title, _, rest = (kind.__doc__ or "").partition(": ")
        lines += ["", f"### {title}", "", rest[:1].upper() + rest[1:]]
        own = {name: field for name, field in kind.model_fields.items() if name != "kind"}
        lines += ["", *_HEAD, *(_setting(*one) for one in own.items())] if own else []
    return lines


def _setting(name: str, field: FieldInfo) -> str:
    default = "must be given"
    if field.default is None:
        default = "everybody's"
    elif not field.is_required():
        value = field.get_default(call_default_factory=True)
        default = f"`{json.dumps(value, ensure_ascii=False)}`"
    return f"| `{name}` | {_type(field)} | {default} | {field.description} |"


def _type(field: FieldInfo) -> str:
    for kind in ("size", "duration"):
        if any(f"parse_{kind}" in repr(one) for one in (*field.metadata, field.annotation)):
            return kind
    given = [one for one in get_args(field.annotation) if one is not NoneType]
    return _type_name(given[0] if field.default is None else field.annotation)


def _type_name(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return _type_name(get_args(kind)[0])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "table"
    if get_origin(kind) is list:
        return f"list of {_type_name(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        inner = get_args(kind)[1]
        inner = get_args(inner)[0] if get_origin(inner) is Annotated else inner
        tables = isinstance(inner, type) and issubclass(inner, BaseModel)
        return f"table of {'tables' if tables else _type_name(inner)}"
    if choices := get_args(kind):
        tables = any(get_origin(one) is Annotated for one in choices)  # of several kinds
        return "table" if tables else " or ".join(f"`{json.dumps(one)}`" for one in choices)
    names = {"str": "text", "bool": "`true` or `false`", "int": "whole number", "float": "number"}
    return names.get(kind.__name__, kind.__name__)


def _what_it_is_for(section: type[BaseModel]) -> str:
    words = (section.__doc__ or "").partition(": ")[2].strip()
    return words[:1].upper() + words[1:]


def _paragraphs(text: str) -> list[str]:
    """Return *text* as Markdown; what follows click's mark of a kept layout is a block of code."""
    prose, _, kept = text.partition("\b\n")
    lines = [line.strip() for line in prose.strip().splitlines()]
    block = [line.strip() for line in kept.strip().splitlines()]
    return [*lines, "", "```console", *(f"$ {line}" for line in block), "```"] if block else lines


def _option(param: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    metavar = "" if param.is_flag else f" {param.make_metavar(click.Context(click.Command('x')))}"
    return f"| {names}{metavar.replace('|', ' or ')} | {(param.help or '').replace('|', ' or ')} |"


if __name__ == "__main__":
    for file, page in PAGES.items():
        (FOLDER / file).write_text(page(), "utf-8")
        print(f"docs/reference/{file}")
