"""R: which R, and which of its packages, a repository asks for.

Sources of the formats: ``runtime.txt`` and ``install.R`` are Binder's; ``DESCRIPTION`` is that of a
package ("Writing R Extensions", 1.1.1), ``renv.lock`` that of renv (its article "Lockfiles").
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date

from atoll.environments.r_scripts import NAME, OF_R, read_script
from atoll.environments.requirements import decode
from atoll.environments.tables import Table, read_json
from atoll.errors import BadSpecification

RUNTIME, SCRIPT, DESCRIPTION, LOCK = "runtime.txt", "install.R", "DESCRIPTION", "renv.lock"
ESSENCE = "r.json"  # in a specification: what its files ask of R
# R with the packages that come with it, what builds others from source, and the notebook's kernel.
DEBIAN = ("r-base", "r-base-dev", "r-cran-irkernel")
MOST = 2000  # packages of one file
_RUNTIME = re.compile(r"r(?:-(\d{1,2}(?:\.\d{1,3}){0,2}))?(?:-(\d{4}-\d{2}-\d{2}))?")
_VERSION = re.compile(r"\d{1,9}(?:[.-]\d{1,9}){0,9}")
_NEED = re.compile(rf"({NAME.pattern})\s*(?:\(\s*(>=|<=|==|!=|=|>|<)\s*({_VERSION.pattern})\s*\))?")
_FIELD = re.compile(r"([A-Za-z][\w.@/-]*):[ \t]*(.*)")
_FROM_CRAN = {"Repository", "CRAN"}
_COMPARES = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class RSpec:
    """What a build does about R.

    ``version`` is R's own ("4.2"), or ""; ``day`` is the CRAN snapshot's, as an ISO date.
    ``script`` is the text of ``install.R``, and ``wishes`` are packages that it names. ``needs``
    are those that ``DESCRIPTION`` names, with what their versions must be (">= 1.0"); with
    ``package``, it describes the repository itself; with ``remotes``, it says where some are.
    ``locked`` are the versions in ``renv.lock``; ``elsewhere`` are packages in it that are not
    CRAN's, for which ``lock`` has its text.
    """

    version: str = ""
    day: str = ""
    script: str = ""
    wishes: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    package: bool = False
    remotes: bool = False
    locked: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    lock: str = ""

    @property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The packages that may as well be the system's, with what their versions must be."""
        exact = {name: (f"== {version}",) for name, version in self.locked.items()}
        return {**dict.fromkeys(self.wishes, ()), **self.needs, **exact}

    def essence(self, day: date, *, asked: date | None) -> bytes:
        """Return the file of a specification that says all this: of the day *asked* for.

        Where nobody asked, it is of its own day, else of *day*.
        """
        own = self.day or day.isoformat()
        return json.dumps(asdict(replace(self, day=asked.isoformat() if asked else own))).encode()


@dataclass(slots=True)
class RFiles:
    """What files say of R: ``used`` are their paths; ``tree``, whether the content goes in."""

    spec: RSpec
    used: set[str]
    tree: bool = False
    notes: tuple[str, ...] = ()


def read_r(files: Mapping[str, bytes], folder: str, *, conda: str) -> RFiles | None:
    """Return what *files* ask of R, their specification being in *folder*; ``None``: nothing.

    *conda* is the path of an ``environment.yml`` beside them, or "": as in Binder, it is passed
    over for a ``DESCRIPTION`` at the top and for a ``runtime.txt`` with a date, and else rules.
    Raises `BadSpecification`.
    """
    above = f"{folder}/" if folder else ""
    runtime, script, lock = (f"{above}{name}" for name in (RUNTIME, SCRIPT, LOCK))
    asked = _read_runtime(runtime, files)
    described = None if folder else _read_description(files)
    if conda and not described and not (asked and asked.day):
        return None
    if not (asked or described or {script, lock} & files.keys()):
        return None
    found = RFiles(asked or RSpec(), {runtime} if asked else set())
    if conda:
        found.notes = (f"{conda} was passed over, as in Binder: the repository asks for R.",)
    if described:
        _take_description(found, *described)
    if script in files:
        _take_script(found, script, files[script])
    if lock in files:
        _take_lock(found, lock, files[lock])
    return found


def essence_of(files: Mapping[str, bytes]) -> RSpec | None:
    """Return what the *files* of a specification ask of R, if they do."""
    if ESSENCE not in files:
        return None
    told = json.loads(files[ESSENCE])
    needs = {name: tuple(constraints) for name, constraints in told["needs"].items()}
    lists = {name: tuple(told[name]) for name in ("wishes", "elsewhere")}
    return RSpec(**{**told, **lists, "needs": needs})


def asks_for_r(text: str) -> bool:
    """Say whether the *text* of a ``runtime.txt`` is about R."""
    return text.startswith("r-")


def debian_names(name: str) -> tuple[str, ...]:
    """Return what Debian calls the R package *name*, if it has it: of CRAN, of Bioconductor."""
    return tuple(f"r-{place}-{name.lower()}" for place in ("cran", "bioc"))


def upstream(version: str) -> str:
    """Return the R package's own version in that of its Debian package ("1:1.8-41+dfsg-2")."""
    bare = re.sub(r"^\d+:|-[^-]*$", "", version)
    found = _VERSION.match(bare)
    return found[0] if found else bare


def meets(version: str, constraints: tuple[str, ...]) -> bool:
    """Say whether *version* is as all of *constraints* (">= 1.0") want it, as R compares them."""
    for one in constraints:
        how, _, wanted = one.partition(" ")
        if not _COMPARES[how](_numbers(version), _numbers(wanted)):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(one) for one in re.findall(r"\d+", version))


def _text(path: str, body: bytes) -> str:
    """Return *body* as text: R's own files may well be in Latin-1."""
    try:
        return decode(path, body)
    except BadSpecification:
        if b"\0" in body:
            raise
        return body.decode("latin-1")


def _read_runtime(path: str, files: Mapping[str, bytes]) -> RSpec | None:
    text = decode(path, files[path]).strip() if path in files else ""
    if not asks_for_r(text):
        return None
    found = _RUNTIME.fullmatch(text)
    try:
        day = date.fromisoformat(found[2]).isoformat() if found and found[2] else ""
    except ValueError:
        found = None
    if not found:
        raise BadSpecification(
            f"{path} says “{text[:40]}”, which is not a version of R and a date.",
            hint="Write one line such as r-4.2-2023-01-31, r-4.2 or r-2023-01-31.",
        )
    return RSpec(version=found[1] or "", day=day)


def _read_description(
    files: Mapping[str, bytes],
) -> tuple[dict[str, tuple[str, ...]], bool, bool] | None:
    """Return the packages needed, whether it is a package's, and whether it says where some are.

    ``None`` where there is no such file, or one that is not R's.
    """
    if DESCRIPTION not in files:
        return None
    fields, odd = _fields(_text(DESCRIPTION, files[DESCRIPTION]))
    if not {"Package", "Depends", "Imports"} & fields.keys():
        return None
    if odd:
        raise BadSpecification(
            f"{DESCRIPTION}, line {odd} is neither a field nor indented, as more of one is.",
            hint="See “The DESCRIPTION file” in R's manual “Writing R Extensions”.",
        )
    needs: dict[str, tuple[str, ...]] = {}
    for name in ("Depends", "Imports", "LinkingTo"):
        for one in filter(None, map(str.strip, fields.get(name, "").split(","))):
            found = _NEED.fullmatch(one)
            if not found and one != "R" and not one.startswith(("R ", "R(")):
                message = f"{DESCRIPTION}, {name}: “{one[:60]}” is not a package's name."
                raise BadSpecification(message, hint="Write, for example, dplyr (>= 1.0.0).")
            if found and found[1] not in OF_R:
                more = (f"{found[2]} {found[3]}",) if found[2] else ()
                needs[found[1]] = (*needs.get(found[1], ()), *more)
    _check_count(DESCRIPTION, needs)
    return needs, {"Package", "Version"} <= fields.keys(), "Remotes" in fields


def _take_description(
    found: RFiles, needs: dict[str, tuple[str, ...]], package: bool, remotes: bool
) -> None:
    found.used.add(DESCRIPTION)
    found.tree = package or remotes
    wishes = ("remotes",) if remotes else ()
    found.spec = replace(found.spec, needs=needs, package=package, remotes=remotes, wishes=wishes)


def _take_script(found: RFiles, path: str, body: bytes) -> None:
    text = _text(path, body).replace("\r\n", "\n")
    script = read_script(text)
    _check_count(path, script.names)
    found.used.add(path)
    found.tree = found.tree or not script.alone
    wishes = tuple(sorted({*found.spec.wishes, *script.names}))
    found.spec = replace(found.spec, script=text, wishes=wishes)


def _take_lock(found: RFiles, path: str, body: bytes) -> None:
    """Take what the lock lists; beside a script, only the version of R."""
    lock = _read_lock(path, body)
    found.used.add(path)
    version = found.spec.version or lock.version
    if SCRIPT in {one.rpartition("/")[2] for one in found.used}:
        note = f"{path} was not restored: {SCRIPT} says what to install."
        found.notes = (*found.notes, note)
        found.spec = replace(found.spec, version=version)
    else:
        found.spec = replace(
            found.spec,
            version=version,
            locked=lock.locked,
            elsewhere=lock.elsewhere,
            lock=lock.lock,
        )


def _fields(text: str) -> tuple[dict[str, str], int]:
    """Return the fields of a Debian control file, and the number of a line that is odd, or 0."""
    fields: dict[str, str] = {}
    name, odd = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        found = _FIELD.fullmatch(line)
        if found:
            name = found[1]
            fields[name] = found[2]
        elif name and line[:1].isspace():
            fields[name] += f" {line.strip()}"
        elif line.strip():
            odd = odd or number
    return fields, odd


def _read_lock(path: str, body: bytes) -> RSpec:
    told = read_json(path, body)
    packages = told.table("Packages")
    _check_count(path, packages.values)
    locked, elsewhere = {}, []
    for name in packages.values:
        one = packages.table(name)
        version = _checked(path, name, one)
        if one.text("Source") in _FROM_CRAN:
            locked[name] = version
        elif name not in OF_R:
            elsewhere.append(name)
    text = decode(path, body) if elsewhere else ""
    version = told.table("R").text("Version")
    if version and not _VERSION.fullmatch(version):
        raise BadSpecification(f"{path}: “{version[:40]}” is not a version of R.")
    return RSpec(version=version, locked=locked, elsewhere=tuple(sorted(elsewhere)), lock=text)


def _checked(path: str, name: str, one: Table) -> str:
    version = one.text("Version")
    if not (NAME.fullmatch(name) and _VERSION.fullmatch(version)):
        raise BadSpecification(
            f"{path}: “{name[:40]}” in version “{version[:40]}” is no R package.",
            hint="Have renv write the file anew: renv::snapshot().",
        )
    return version


def _check_count(path: str, names: Collection[str]) -> None:
    if len(names) > MOST:
        raise BadSpecification(f"{path} names more than {MOST} packages.")
