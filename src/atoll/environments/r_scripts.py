"""R scripts: what an ``install.R`` can be told by without running it.

Both are guesses that do no harm: a package named in it that Debian has is there before it runs; and
a script that calls nothing but what installs packages does the same wherever it runs, so that
notebooks beside it may change and nothing is built again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,98}[A-Za-z0-9]")  # "Writing R Extensions", 1.1.1
# What comes with R itself, in every version, and needs no installation.
OF_R = {
    *("R", "base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods"),
    *("parallel", "splines", "stats", "stats4", "tcltk", "tools", "utils"),
}
_TOKEN = re.compile(
    r"""\#[^\n]*
    | (?P<text>"(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+')
    | (?P<name>[A-Za-z.][\w.]*+(?::::?[A-Za-z.][\w.]*+)?)
    | (?P<mark>[^\s])""",
    re.VERBOSE | re.DOTALL,
)
_LOADING = {"library", "require", "requireNamespace", "loadNamespace"}
# What installs packages from elsewhere, and what is found round it. Nothing that reads files.
_HARMLESS = {
    *("c", "if", "for", "while", "function", "library", "require", "requireNamespace"),
    *("loadNamespace", "suppressMessages", "suppressWarnings"),
    *("suppressPackageStartupMessages", "invisible", "print", "cat", "message", "paste"),
    *("paste0", "options", "getOption", "Sys.setenv", "Sys.getenv", "Sys.time"),
    *("installed.packages", "rownames", "row.names", "setdiff", "unique", "length"),
    *("lapply", "sapply", "vapply", "stopifnot", "is.element", "list", "character"),
    *("logical", "names", "nzchar", "any", "all", "is.null", "identical", "isTRUE"),
    *("tryCatch", "try", "stop", "warning", "quit", "q", "install.packages"),
    *("install_github", "install_gitlab", "install_bitbucket", "install_version"),
    *("install_cran", "install_bioc", "packageVersion", "R.Version", "version"),
    *("numeric_version", "package_version"),
}
_INSTALLERS = {"base", "utils", "remotes", "devtools"}
_ALSO = {"BiocManager::install", "IRkernel::installspec", "pacman::p_load"}
_READING = {
    *("source", "sys.source", "file", "readLines", "readRDS", "scan", "load", "eval"),
    *("parse", "system", "system2", "getwd", "setwd", "read.csv", "list.files", "local"),
    *("NULL", "install_local"),
}


@dataclass(frozen=True, slots=True)
class Script:
    """``names`` are packages that are named in it; ``alone``: it looks at no other file."""

    names: frozenset[str]
    alone: bool


def read_script(text: str) -> Script:
    """Look through the *text* of an R script."""
    tokens = [(kind, found[0]) for found in _TOKEN.finditer(text) if (kind := found.lastgroup)]
    tokens += [("mark", "")] * 2
    names: set[str] = set()
    alone = True
    for index, (kind, word) in enumerate(tokens[:-2]):
        if kind != "name":
            continue
        package, _, function = word.rpartition("::")
        names.add(package.rstrip(":"))
        called = tokens[index + 1][1] == "("
        if called:
            names |= _named(function, tokens, index + 2)
            alone = alone and (word in _ALSO or _is_harmless(package, function))
        alone = alone and (called or function not in _READING)
    return Script(frozenset(one for one in names if NAME.fullmatch(one) and one not in OF_R), alone)


def _is_harmless(package: str, function: str) -> bool:
    return function in _HARMLESS and (not package or package in _INSTALLERS)


def _named(function: str, tokens: list[tuple[str, str]], index: int) -> set[str]:
    """Return the packages named in a call of *function* whose arguments begin at *index*."""
    if function in _LOADING and tokens[index][0] in {"name", "text"}:
        return {tokens[index][1].strip("\"'")}
    if function == "install.packages" and tokens[index][0] == "text":
        return {tokens[index][1].strip("\"'")}
    names: set[str] = set()
    while function == "c" and tokens[index][0] == "text":  # a list of texts and nothing else
        names.add(tokens[index][1].strip("\"'"))
        if tokens[index + 1][1] == ")":
            return names
        if tokens[index + 1][1] != ",":
            return set()
        index += 2
    return set()
