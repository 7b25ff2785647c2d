"""Reports: what `atoll check` has found, for people, for programs, and as a page."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import click
from jinja2 import Environment, PackageLoader

from atoll.engines.local.trials import Found

STATES = ("same", "differs", "runs", "fails")
MARKS = {"same": "green", "differs": "yellow", "runs": "cyan", "fails": "red"}


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one environment: that as of *day* ("then", "today" or a date).

    ``error`` says why there is none; ``seconds`` is what building it took, or looking it up;
    ``notebooks`` are as `try_notebooks` returns them. ``missing`` are the packages that those
    which failed import and that are not in it, ``added`` those that were put into it unlisted.
    """

    day: str
    error: str = ""
    as_of: str = ""
    python: str = ""
    key: str = ""
    notes: tuple[str, ...] = ()
    notebooks: tuple[Found, ...] = ()
    seconds: float = 0.0
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Which environment it is, for a headline."""
        return f"As {self.day}" + (f", with {', '.join(self.added)}" if self.added else "")

    @property
    def counts(self) -> Counter[str]:
        """How many notebooks there are in each state."""
        return Counter(one.state for one in self.notebooks)


@dataclass(frozen=True, slots=True)
class Report:
    """What `atoll check` found of one version of a repository.

    ``notebooks`` are those that were to be run, which is more than were where nothing was built.
    """

    reference: str
    version: str
    date: str
    trials: tuple[Trial, ...]
    notebooks: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether anything did not run on the first day, with what was added if anything was."""
        last = [one for one in self.trials if one.day == self.trials[0].day][-1]
        return bool(last.error or last.counts["fails"])


def tell(report: Report) -> None:
    """Print *report* for people."""
    for trial in report.trials:
        of = f", packages of {trial.as_of}" if trial.as_of else ""
        click.echo(f"\n{trial.title}: " + (trial.error or f"Python {trial.python}{of}"))
        for note in trial.notes:
            click.echo(f"  {note}")
        for one in trial.notebooks:
            state = click.style(f"{one.state:10}", fg=MARKS[one.state])
            click.echo(f"  {state}{printable(one.notebook)}")
            if why := in_words(one):
                click.echo(f"            {printable(why)}")
        if trial.notebooks:
            counts = (f"{trial.counts[state]} {state}" for state in STATES if trial.counts[state])
            click.echo(f"  {', '.join(counts)}, of {len(trial.notebooks)}")
        if trial.missing:
            click.echo(f"  {lacking(trial)}")


def lacking(trial: Trial) -> str:
    """Return what is missing in a sentence."""
    hint = "" if trial.added else " (--add-missing builds with it)"
    return f"Missing, as far as imports say: {', '.join(trial.missing)}{hint}."


def in_words(one: Found) -> str:
    """Return what there is to say of a notebook beside its state, in a sentence."""
    if one.differences:
        first = one.differences[0]
        cells = f"{one.differing} of {one.compared} cells differ"
        told = f"{cells}; first cell {first.cell + 1}: {first.why}"
    else:
        told = ""
    if one.state != "fails":
        return told
    where = "" if one.cell is None else f"Cell {one.cell + 1}: "
    return where + one.error


def printable(text: str) -> str:
    """Return *text*, which is a repository's, without what a terminal would obey."""
    return "".join(one if one.isprintable() else "�" for one in text)


def as_dict(report: Report) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    trials = [
        {**asdict(one), "notebooks": [some.model_dump() for some in one.notebooks]}
        for one in report.trials
    ]
    return {**asdict(report), "trials": trials}


def render(report: Report) -> str:
    """Return a page of HTML with *report*, which needs nothing else and runs no script."""
    templates = Environment(loader=PackageLoader("atoll.cli", "."), autoescape=True)
    found = [{one.notebook: one for one in trial.notebooks} for trial in report.trials]
    return templates.get_template("check.html").render(
        report=report,
        paths=sorted(set().union(*found)),
        found=found,
        in_words=in_words,
        lacking=lacking,
        is_base64=is_base64,
    )


def is_base64(text: str) -> bool:
    """Say whether *text* can be nothing but base64."""
    return re.fullmatch(r"[A-Za-z0-9+/=\s]*", text) is not None
