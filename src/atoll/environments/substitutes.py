"""Substitutes: a conda specification's names as Python's package index has them.

For where no conda channel can be reached: better most of an environment, said so, than none. Which
package is called what is told by the table that conda's own project `conda-pypi` ships; it lists
the names that differ and most of those that do not. Only conda has compilers, system libraries,
R and other languages: those are left out, and named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files as resources

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from atoll.environments import EnvSpec
from atoll.environments.conda import ESSENCE, PIP, essence_of, parts
from atoll.environments.conda_locks import lock_in
from atoll.environments.reading import PYTHON
from atoll.environments.requirements import names_of
from atoll.errors import ChannelsUnreachable

_HINT = "The operator can name channels that can be reached: [builds] conda_mirrors."
_TABLE = ("conda_pypi", "grayskull_pypi_mapping.json")

# What the table leaves open: two names to choose from, or variants of one package.
_ALSO = {
    "keras-gpu": "keras",
    "opencv": "opencv-python-headless",  # the other needs a display's libraries
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "pyqt": "pyqt5",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "ruamel_yaml": "ruamel-yaml",
    "tensorflow-gpu": "tensorflow",
}
# What no Python package is, though something may be called so on the index.
_ONLY_CONDA = re.compile(
    r"r-.*|lib.*|_.*|perl-.*|bioconductor-.*|font-.*|fonts-.*|xorg-.*|cuda.*|cudnn|nccl|.*_linux-\d+"
    r"|.*-cos\d-.*|texlive.*|sysroot.*|binutils.*|ld_impl.*|kernel-headers.*|m2w64-.*|vs20.*|xeus.*"
    r"|xtensor.*|nb_conda.*|.*-compiler|.*-cpp|mkl.*|qt|qt-.*|openmpi.*|mpich.*|llvm.*|intel-.*"
)
_ONLY_CONDA_NAMES = frozenset(
    """
    anaconda bash bcftools bedtools bison blas blast boost bowtie2 bwa bzip2 ca-certificates
    cairo cbc cdo cling coincbc compilers conda conda-build cppzmq curl cxxopts doxygen eigen
    expat fastqc ffmpeg fftw firefox flex fontconfig freetype gcc gdal geckodriver geos gfortran
    ghostscript giflib git git-lfs glib glpk gmp go gobject-introspection graphviz gsl gxx gzip
    hdf4 hdf5 hisat2 htslib icu imagemagick ipopt jpeg jq julia make mamba maven micromamba
    mongodb mpi mysql nano nco ncurses netcdf-fortran ninja-base nodejs nomkl npm octave
    openblas openjdk openssl pandoc pango parallel patchelf perl pixman pkg-config poppler
    postgresql proj proj4 python_abi r readline redis-server root rsync rust samtools scala scip
    singularity sqlite star suitesparse swig tar tbb tectonic tk tree udunits2 unzip vim wget
    wgrib2 xz yarn zip zlib zstd
    """.split()  # noqa: SIM905 - nobody reads a list of two hundred lines
)


@dataclass(slots=True)
class _Taken:
    """What has become of the dependencies so far."""

    lines: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # for people
    left: list[str] = field(default_factory=list)
    unpinned: list[str] = field(default_factory=list)


def from_pypi(spec: EnvSpec, names: Mapping[str, str] | None = None) -> EnvSpec:
    """Return *spec*, of the kind `conda.CONDA`, as one that lists packages of the Python index.

    It has a key of its own, and notes that say what was taken under which name, and what was left
    out. *names* are PyPI's names by conda's; without them, those of the table are read. Raises
    `ChannelsUnreachable` where only conda has all that is asked for.
    """
    files = dict(spec.files)
    lock = files.pop(lock_in(files), None)  # of packages that the Python index does not have
    asked = essence_of(files)
    if lock is not None and not asked.dependencies and PIP not in files:
        message = "None of the conda channels can be reached, and only a lock says what to install."
        raise ChannelsUnreachable(message, hint=_HINT)
    table = conda_names() if names is None else names
    by_pip = names_of(files)
    taken = _Taken()
    python = ""
    for one in asked.dependencies:
        _, name, rest = parts(one)
        if name == "python":
            python = _python(rest)
        else:
            _take(taken, name, rest, table, by_pip)
    if taken.left and not taken.names and not by_pip:
        message = "None of the conda channels can be reached, and only conda has"
        raise ChannelsUnreachable(f"{message} {', '.join(taken.left)}.", hint=_HINT)
    listed = "".join(f"{line}\n" for line in taken.lines).encode()
    files[PIP] = listed + files.get(PIP, b"")
    return replace(
        spec,
        kind=PYTHON,
        python=python,
        files=tuple(sorted(files.items())),
        notes=(*spec.notes, *_notes(taken)),
    )


def is_substitute(spec: EnvSpec) -> bool:
    """Say whether *spec* was made by `from_pypi`."""
    return spec.kind == PYTHON and ESSENCE in dict(spec.files)


def conda_names() -> dict[str, str]:
    """Return what conda packages are called on PyPI, by conda's names, as far as they differ."""
    package, file = _TABLE
    told = json.loads(resources(package).joinpath(file).read_bytes())
    found: dict[str, str] = {}
    for one in told.values():
        conda, pypi = str(one["conda_name"]), str(one["pypi_name"])
        if canonicalize_name(conda) != canonicalize_name(pypi):
            found[conda] = pypi
    return found


def _take(taken: _Taken, name: str, rest: str, table: Mapping[str, str], by_pip: set[str]) -> None:
    """Take one dependency, if the Python index may have it."""
    if not re.fullmatch(r"[a-z0-9_.-]+", name):  # the address of one package
        taken.left.append(name.rpartition("/")[2])
        return
    if name in _ONLY_CONDA_NAMES or _ONLY_CONDA.fullmatch(name):
        taken.left.append(name)
        return
    theirs = canonicalize_name(_ALSO.get(name) or table.get(name) or name)
    taken.names.append(name if canonicalize_name(name) == theirs else f"{name} (as {theirs})")
    if theirs in by_pip:  # then that line says which
        return
    version = specifier(rest)
    if version is None:
        taken.unpinned.append(name)
    taken.lines.append(f"{theirs}{version or ''}")


def specifier(rest: str) -> str | None:
    """Return what follows a name in a match specification as a version specifier of PEP 440.

    Builds are dropped; of alternatives the last is taken. Returns "" for any version, and ``None``
    for one that only conda can read.
    """
    text = rest
    if inner := re.fullmatch(r"(.*?)\[(.*)\]", text):
        found = re.search(r"version\s*=+\s*(?:'([^']*)'|\"([^\"]*)\"|([^,\]]*))", inner[2])
        text = inner[1] or next((one for one in (found.groups() if found else ()) if one), "")
    text = re.sub(r"\s*([,|]|[=<>!~]+)\s*", r"\1", text.strip()).partition(" ")[0]
    if built := re.fullmatch(r"(={0,2}[^=<>!~,|]+)=[^=<>!~,|]*", text):
        text = built[1]
    clauses = [_clause(one) for one in text.rpartition("|")[2].split(",") if one]
    joined = ",".join(one for one in clauses if one)
    try:
        SpecifierSet(joined)
    except InvalidSpecifier:
        return None
    return joined


def _clause(text: str) -> str:
    """Translate one clause: “=1.2” means what starts so, a bare “1.2” that very version."""
    found = re.fullmatch(r"(===|==|~=|!=|<=|>=|<|>|=)?(.*?)(\.?\*)?", text)
    operator, version, star = found.groups() if found else ("", text, "")
    if not version:
        return ""
    if operator == "=" or (star and operator in {None, "", "=="}):
        fuzzy = f"=={version}.*"
        return fuzzy if re.fullmatch(r"[\d.]+", version) else f"=={version}"
    if operator == "!=" and star:
        return f"!={version}.*"
    return f"{operator or '=='}{version}"


def _python(rest: str) -> str:
    """Return the version or range of Python that *rest* asks for, as a specification has it."""
    wanted = specifier(rest) or ""
    one = re.fullmatch(r"==(\d+\.\d+)(?:\.(?:\*|\d+(?:\.\*)?))?", wanted)
    return one[1] if one else wanted


def _notes(taken: _Taken) -> tuple[str, ...]:
    notes = ["No conda channel could be reached, so that this is not quite what was asked for."]
    if taken.names:
        notes[0] += f" Taken from the Python package index: {', '.join(taken.names)}."
    if taken.left:
        notes.append(f"Left out, as only conda has it: {', '.join(taken.left)}.")
    if taken.unpinned:
        notes.append(f"Taken in any version: {', '.join(taken.unpinned)}.")
    return tuple(notes)
