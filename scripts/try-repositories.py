"""Open public repositories through Atoll's own pages, in a real browser, and note what happens.

    python scripts/try-repositories.py LIST COPIES REPORT [--data FOLDER]

LIST has lines of ``owner/name commit`` (as benchmarks/revival.txt); COPIES says where a copy of
each is, such as ``/srv/copies/{owner}+{name}/repo``. A hub of its own is started; then one person
signs in, pastes each repository into the launch page, with its first notebook to open, and waits
until the Lab shows it with a kernel at rest. REPORT (JSON) grows with each; those that are in it
already are left out, so that an interrupted run goes on. Pictures lie beside it; --data names the
hub's folder, if it is to stay. Prints a table at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from playwright.sync_api import Error, Page

from support.chromium import chromium
from support.hub import eventually
from support.real_atoll import RealAtoll

BUILD, LAB, KERNEL = 900_000, 60_000, 60_000  # milliseconds to wait for each
OLD_IDLE = ".jp-Toolbar-kernelStatus.jp-CircleIcon"  # before JupyterLab 3


@dataclass
class Tried:
    """What became of one repository; ``seconds`` from the button to the Lab or to the failure."""

    repository: str
    commit: str
    notebook: str
    state: str = "failed"  # failed, launched, lab (it answers), notebook (it is shown), kernel
    seconds: float = 0.0
    said: str = ""


def main() -> None:
    """Try them all."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("list", type=Path)
    asked.add_argument("copies")
    asked.add_argument("report", type=Path)
    asked.add_argument("--data", type=Path)
    options = asked.parse_args()
    report = options.report
    tried = [Tried(**one) for one in json.loads(report.read_text())] if report.exists() else []
    known = {one.repository for one in tried}
    wanted = [one for one in listed(options.list) if one[0] not in known]
    allow = [options.copies.partition("{")[0]]
    with chromium() as browser, hub(allow, options.data) as atoll:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        sign_in(page, atoll)
        for repository, commit in wanted:
            owner, name = repository.split("/")
            copy = options.copies.format(owner=owner, name=name)
            one = Tried(repository, commit, first_notebook(copy, commit))
            attempt(page, atoll, f"{copy}@{commit}", one)
            page.screenshot(path=report.with_name(f"{owner}+{name}.png"))
            stop_all(atoll)
            tried.append(one)
            report.write_text(json.dumps([asdict(one) for one in tried], indent=1))
            print(f"{one.state:10} {one.seconds:6.1f} s {repository} {one.said}", file=sys.stderr)
    print(table(tried))


def listed(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the repositories and commits of the list at *path*."""
    for line in path.read_text().splitlines():
        if words := line.partition("#")[0].split():
            yield words[0], words[1]


def first_notebook(copy: str, commit: str) -> str:
    """Return the path of the first notebook of *commit*, or ""."""
    command = ["git", "-C", copy, "ls-tree", "-rz", "--name-only", commit]
    paths = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
    return next((path for path in sorted(paths) if path.endswith(".ipynb")), "")


@contextlib.contextmanager
def hub(allow: list[str], data: Path | None) -> Iterator[RealAtoll]:
    """Run a hub that may fetch from the folders *allow*, in the folder *data* or a passing one."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        one = RealAtoll(data or Path(folder), sources={"allow": allow})
        one.start()
        try:
            yield one
        finally:
            one.end()


def sign_in(page: Page, atoll: RealAtoll) -> None:
    """Sign in as the administrator, as its first page asks for."""
    page.goto(atoll.home)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password", exact=False).first.fill(atoll.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Open a repository").wait_for()


def attempt(page: Page, atoll: RealAtoll, reference: str, one: Tried) -> None:
    """Launch *reference* and note in *one* how far it comes."""
    page.goto(f"{atoll.home}/services/atoll/")
    page.get_by_label("Repository", exact=True).fill(reference)
    page.get_by_label("Open", exact=True).fill(one.notebook)
    begun = time.monotonic()
    page.get_by_role("button", name="Launch", exact=True).click()
    try:
        enter(page)
        one.seconds = round(time.monotonic() - begun, 1)
        if "/user/" not in page.url:
            one.said = " ".join(page.locator(".note.bad").first.inner_text().split())
            return
        one.state = "launched"
        page.locator("#jp-main-dock-panel, #main").first.wait_for(timeout=LAB)
        one.state = "lab"
        page.locator(".jp-Notebook").first.wait_for(timeout=LAB)
        one.state = "notebook"
        idle = page.get_by_text("| Idle").or_(page.locator(OLD_IDLE))
        idle.first.wait_for(timeout=KERNEL)
        one.state = "kernel"
    except Error as error:
        one.said = one.said or error.message.partition("\n")[0]


def enter(page: Page) -> None:
    """Wait until a launch is over: in the Lab, or on its page with what went wrong.

    Where packages are proposed to a repository that names none, they are accepted.
    """
    wait_until_over(page)
    if accept := page.get_by_role("button", name="Start it anew with these packages").all():
        accept[0].click()
        wait_until_over(page)


def wait_until_over(page: Page) -> None:
    """Wait until the page is the Lab's, or says how the launch has ended."""
    until = time.monotonic() + BUILD / 1000
    while time.monotonic() < until:
        if "/user/" in page.url or page.locator(".note.bad, [data-over]").count():
            return
        page.wait_for_timeout(200)
    raise Error("The launch did not end.")


def stop_all(atoll: RealAtoll) -> None:
    """Stop every server, so that the next one has the machine for itself."""
    for person, name in atoll.servers():
        atoll.api("DELETE", f"users/{person}/servers/{name}")
    eventually(lambda: not atoll.servers())


def table(tried: list[Tried]) -> str:
    """Return what happened as a table in Markdown."""
    lines = ["| repository | came to | seconds | what it said |", "|---|---|---|---|"]
    lines += [
        f"| {one.repository} | {one.state} | {one.seconds:.0f} | {one.said} |" for one in tried
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
