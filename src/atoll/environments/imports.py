"""Imports: what notebooks and scripts import, and which packages that probably means. Pure.

For repositories without a file that says so. The code is a stranger's, and looked at in a service:
it is only cut into tokens, since Python's parser may crash on what was made for that; so Python 2
is read as well. What a package is called of which one knows how it is imported is told by a short
table of ours, then by the one that `conda-pypi` ships; else both names are taken for the same.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name

CELL = re.compile(r"\s*%%(\w+)")
TIMED = {"time", "timeit", "capture", "prun", "python", "python3", "py"}  # their cells are Python
MAGIC = re.compile(r"[%!?]|[\w, ]+=\s*[%!]|\S+\?$")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")

# What came with Python once, or comes with what every environment has.
_ALWAYS = frozenset(
    """
    __builtin__ __main__ BaseHTTPServer ConfigParser Cookie HTMLParser Queue SimpleHTTPServer
    SocketServer StringIO Tkinter UserDict asynchat asyncore cPickle cStringIO commands cookielib
    distutils exceptions htmlentitydefs httplib imp md5 sets sha smtpd thread tkFileDialog
    urllib2 urlparse xmlrpclib IPython ipykernel ipython_genutils jupyter_client jupyter_core
    nbformat traitlets google.colab
    """.split()  # noqa: SIM905 - nobody reads a list of forty lines
)
_OURS = {  # the best known, which the other table lacks or has several of
    "Bio": "biopython",
    "MySQLdb": "mysqlclient",
    "OpenGL": "PyOpenGL",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",  # the other needs a display's libraries
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "google.cloud.bigquery": "google-cloud-bigquery",
    "google.cloud.storage": "google-cloud-storage",
    "google.protobuf": "protobuf",
    "keras": "keras",
    "keras_preprocessing": "keras-preprocessing",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    "mpl_toolkits.basemap": "basemap",
    "netCDF4": "netcdf4",
    "osgeo": "gdal",
    "pkg_resources": "setuptools",
    "psycopg2": "psycopg2-binary",
    "pylab": "matplotlib",
    "ruamel": "ruamel-yaml",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "tables": "tables",
    "yaml": "pyyaml",
}
MOST = 500_000  # characters of code that are looked at
# “google” is how the modules of many packages begin, and a package that none of them is.
PACKAGE = re.compile(r"(?!google$)[a-z0-9]+(?:-[a-z0-9]+)*")
_TABLE = ("conda_pypi", "grayskull_pypi_mapping.json")
HEAD = "# What the notebooks and scripts here import, as Atoll read it. Check it.\n"


@dataclass(frozen=True, slots=True)
class Proposal:
    """The packages that code imports, by name, each with the module that it was named for."""

    packages: Mapping[str, str]

    @property
    def text(self) -> str:
        """A ``requirements.txt`` of them; without versions, as the index of a day has them."""
        return HEAD + "".join(f"{_line(*one)}\n" for one in sorted(self.packages.items()))


def propose(files: Iterable[tuple[str, bytes]], paths: Iterable[str]) -> Proposal | None:
    """Return what the notebooks and scripts *files* import, ``None`` if that is nothing.

    *paths* are all files of the repository: what is there is no package of the index.
    """
    own = {name for path in paths if path.endswith(".py") for name in _modules(path)}
    unneeded = own | _ALWAYS | sys.stdlib_module_names
    found: dict[str, str] = {}
    left = MOST
    for path, body in files:
        for code in _code_of(path, body):
            left -= len(code)
            for module in sorted(imports_of(code)) if left >= 0 else ():
                if unneeded.isdisjoint(_prefixes(module)):
                    found.setdefault(*_package(module))
    good = {name: module for name, module in found.items() if PACKAGE.fullmatch(name)}
    return Proposal(good) if good else None


def imports_of(code: str) -> set[str]:
    """Return the modules that *code* imports, dotted as they stand there, but for relative ones."""
    found: set[str] = set()
    line: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.NEWLINE or token.string in {";", ":"}:
                found |= _imported(line)
                line = []
            elif token.type in {tokenize.NAME, tokenize.OP}:
                line.append(token.string)
    except (tokenize.TokenError, SyntaxError, RecursionError, ValueError):
        pass  # it ends in the middle of something, or is no Python from here on
    return found | _imported(line)


def cells_of(notebook: bytes) -> list[str]:
    """Return the code cells of a Python *notebook*, none of another language's or a broken one."""
    try:
        told = json.loads(notebook)
        meta = told.get("metadata", {})
        language = meta.get("kernelspec", {}).get("language") or meta.get("language_info", {}).get(
            "name"
        )
        if str(language or "python").lower() not in {"python", "python2", "python3", "ipython"}:
            return []
        sheets = told.get("worksheets") or [told]  # until version 4 of the format
        cells = [cell for sheet in sheets for cell in sheet.get("cells", ())]
        code = [one.get("source", one.get("input", "")) for one in cells if _is_code(one)]
        return ["".join(one) for one in code]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return []


def _is_code(cell: Mapping[str, object]) -> bool:
    return cell.get("cell_type") == "code"


def _code_of(path: str, body: bytes) -> list[str]:
    """Return the pieces of code in a file that may import something."""
    if path.endswith(".ipynb"):
        pieces = [_without_magics(cell) for cell in cells_of(body)]
    else:
        pieces = [body.decode("utf-8", "replace")]
    return [piece for piece in pieces if "import" in piece]


def _without_magics(cell: str) -> str:
    """Return *cell* with ``pass`` in place of what only IPython understands."""
    if magic := CELL.match(cell):
        cell = cell.partition("\n")[2] if magic[1] in TIMED else ""
    return "\n".join(map(_without_magic, cell.split("\n")))


def _without_magic(line: str) -> str:
    code = line.strip()
    return line[: len(line) - len(line.lstrip())] + "pass" if MAGIC.match(code) else line


def package_of(module: str) -> str:
    """Return the package that *module* is probably of."""
    return _package(module)[0]


def _imported(line: list[str]) -> set[str]:
    """Return what one statement, as tokens, imports."""
    if line[:1] == ["from"] and "import" in line:
        at = line.index("import")
        source, names = "".join(line[1:at]), _listed(line[at + 1 :])
        modules = {source, *(f"{source}.{name}" for name in names)}
    else:
        modules = _listed(line[1:]) if line[:1] == ["import"] else set()
    return {one for one in modules if NAME.fullmatch(one)}


def _listed(tokens: list[str]) -> set[str]:
    """Return the names in a list such as ``a.b as c, d``, perhaps in parentheses."""
    parts = " ".join(token for token in tokens if token not in {"(", ")"}).split(",")
    return {part.partition(" as ")[0].replace(" ", "") for part in parts}


def _prefixes(module: str) -> list[str]:
    """Return *module* and all that it is in, as ``a.b.c``, ``a.b`` and ``a``."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]


def _modules(path: str) -> set[str]:
    """Return the names under which the file *path* could be imported from somewhere near it."""
    pure = PurePosixPath(path)
    return {pure.stem, *pure.parts[:-1]}


def _package(module: str) -> tuple[str, str]:
    """Return the package that *module* is probably of, and the part of its name that says so."""
    for known in _prefixes(module):
        if known in _OURS:
            return canonicalize_name(_OURS[known]), known
    top = module.partition(".")[0]
    names = _others().get(top, frozenset())
    own = canonicalize_name(top)
    return (next(iter(names)) if len(names) == 1 and own not in names else own), top


@cache
def _others() -> dict[str, frozenset[str]]:
    """Return the packages of the index by how they are imported, as far as they are listed."""
    package, file = _TABLE
    found: dict[str, set[str]] = {}
    for one in json.loads(resources(package).joinpath(file).read_bytes()).values():
        found.setdefault(str(one["import_name"]), set()).add(canonicalize_name(one["pypi_name"]))
    return {module: frozenset(names) for module, names in found.items()}


def _line(package: str, module: str) -> str:
    same = canonicalize_name(module) == package
    return package if same else f"{package}  # imported as {module}"
