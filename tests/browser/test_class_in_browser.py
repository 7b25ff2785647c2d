"""A class: one link for all, a volume that they read, homes of their own, and then a correction."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from support.chromium import check_everywhere
from support.gitservers import make_repo
from support.stories import hub_beside, notebook, signed_in, tell

STUDENTS = ("sam", "sue")
SAVE = """([path, body]) => {
    const token = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)[1];
    const how = {method: "PUT", body: JSON.stringify(body), headers: {"X-XSRFToken": token}};
    return fetch(`api/contents/${path}`, how).then((answer) => answer.status);
}"""


def lesson(formula):
    """Return a notebook whose last cell has *formula*."""
    sources = ("# Means", "data = [1, 2, 3]", "# your answer", formula)
    return notebook(*sources)


def files(formula):
    """Return the repository of the course with that lesson, as texts by path."""
    return {"runtime.txt": "python-3.11\n", "lesson.ipynb": json.dumps(lesson(formula))}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The real Atoll, the folder of the course's repository, and its address."""
    repositories = {"course": files("sum(data) / len(data) - 1")}
    limits = {"stat-1": {"max_memory": "1G", "per_person": 1}}
    groups = {"stat-1": [*STUDENTS]}
    with hub_beside(
        tmp_path_factory, repositories, *STUDENTS, hub_groups=groups, groups=limits
    ) as (one, folder, base):
        yield one, folder / "course", f"{base}/course"


def save(page, one, path, body):
    """Write a file as the person of *page* does, from a page of their own server."""
    owner = page.url.split("/user/")[1].split("/")[0]
    base = f"{one.home}/user/{owner}/course/"
    status = page.evaluate(SAVE.replace("`api/", f"`{base}api/"), [path, body])
    assert status in {200, 201}


def prepare(page, one, repository):
    """As the teacher: make a volume for the class, and put something into it."""
    page.goto(f"{one.home}/services/atoll/volumes")
    page.get_by_label("Name").fill("material")
    page.keyboard.press("Enter")
    page.get_by_text("Volume material was made.").wait_for()
    page.get_by_text("Share, copy, delete").click()
    page.get_by_label("Share with material").fill("@stat-1")
    page.get_by_label("Share with material").press("Enter")
    page.get_by_text("may read it").first.wait_for()
    page.goto(one.home)
    page.get_by_label("Repository", exact=True).fill(repository)
    page.get_by_text("Advanced").click()
    page.get_by_role("button", name="Add a volume").click()
    page.get_by_label("Volume 1", exact=True).select_option("material")
    page.get_by_label("Folder for volume 1").fill("data")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url("**/user/admin/course/lab**")
    save(page, one, "data/numbers.csv", {"type": "file", "format": "text", "content": "1,2\n"})


def test_a_class_gets_its_material_and_then_a_correction(browser, course):
    one, folder, repository = course
    teacher = signed_in(browser, one, "admin")
    prepare(teacher, one, repository)
    asks = "volumes=admin/material:data:ro&urlpath=lab/tree/lesson.ipynb"
    link = f"{one.home}/v2/git/{quote(repository, safe='')}/HEAD?{asks}"
    students = {name: signed_in(browser, one, name) for name in STUDENTS}
    for name, page in students.items():
        page.goto(link)
        page.get_by_text("admin/material").first.wait_for()
        tell(page, f"class-link-{name}")
        page.get_by_role("button", name="Launch", exact=True).click()
        page.wait_for_url(f"**/user/{name}/course/lab/tree/lesson.ipynb")
        home = one.places.data / "volumes" / name / "course" / "home"
        answered = json.loads((home / "lesson.ipynb").read_text())
        answered["cells"][2]["source"] = f"# the answer of {name}"
        save(page, one, "lesson.ipynb", {"type": "notebook", "content": answered})
        shared = page.request.get(f"{one.home}/user/{name}/course/files/data/numbers.csv")
        assert shared.text() == "1,2\n"
        with pytest.raises(AssertionError):  # they only read it
            save(page, one, "data/mine.csv", {"type": "file", "format": "text", "content": "x"})

    make_repo(folder, files("sum(data) / len(data)"))
    for name, page in students.items():
        page.goto(f"{one.home}/services/atoll/servers")
        page.get_by_role("button", name="Update course").click()
        page.get_by_text("both changes are taken").wait_for()
        check_everywhere(page, f"class-correction-{name}")
        tell(page, f"class-correction-{name}")
        page.get_by_role("button", name="Update it").click()
        page.wait_for_url(f"**/user/{name}/course/lab**")
        home = one.places.data / "volumes" / name / "course" / "home"
        cells = json.loads((home / "lesson.ipynb").read_text())["cells"]
        found = ["".join(cell["source"]) for cell in cells]
        assert found[2:] == [f"# the answer of {name}", "sum(data) / len(data)"]
        page.goto(f"{one.home}/user/{name}/course/lab/tree/lesson.ipynb")
        page.get_by_text("sum(data) / len(data)", exact=True).wait_for()
        tell(page, f"class-corrected-{name}")
        assert one.server(name, "course")["ready"]  # it ran on
    for page in (teacher, *students.values()):
        page.context.close()
