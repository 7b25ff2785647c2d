"""A repository's notebooks are run in a real box, by real kernels, and compared."""

import json

import nbformat
from nbformat import v4

from atoll.engines.local.trials import try_notebooks
from atoll.events import Event
from atoll.settings import Settings
from support.plans import make_plan


def notebook(*cells, kernel="python3"):
    """Return the text of a notebook of (source, printed text) pairs; ``None``: nothing stored."""
    code = []
    for source, printed in cells:
        stored = [v4.new_output("stream", name="stdout", text=printed)] if printed else []
        code.append(v4.new_code_cell(source, outputs=stored))
    spec = {"name": kernel, "display_name": "P", "language": "python"}
    return nbformat.writes(v4.new_notebook(cells=code, metadata={"kernelspec": spec}))


async def tried(tmp_path, files, *, seconds=30.0, whole=60.0, **more):
    plan = make_plan(tmp_path, files, temporary=True, **more)
    names = [name for name in files if name.endswith(".ipynb")]
    told: list[Event] = []
    found = await try_notebooks(Settings(data=tmp_path), plan, names, told.append, seconds, whole)
    assert [one.notebook for one in found] == names, told
    assert not any((tmp_path / "trials").iterdir())
    return found


async def test_each_notebook_is_the_same_differs_runs_or_fails(tmp_path):
    files = {
        "same.ipynb": notebook(("x = 1", None), ("print(x + 1)", "2\n")),
        "of/differs.ipynb": notebook(("print(open('data.txt').read())", "old"), ("print(1)", "1")),
        "of/data.txt": "new",
        "runs.ipynb": notebook(("x = 1", None), kernel="conda-env-thesis-py"),
        "fails.ipynb": notebook(("print(1)", "2"), ("import no_such.module", None), ("1", None)),
        "lost.ipynb": notebook(("open('gone.csv')", None)),
        "broken.ipynb": "{",
    }
    same, differs, runs, fails, lost, broken = await tried(tmp_path, files)
    assert (same.state, same.compared, same.cells, same.differences) == ("same", 1, 2, ())
    assert (differs.state, differs.differing, differs.compared) == ("differs", 1, 2)
    (difference,) = differs.differences
    assert (difference.cell, difference.why) == (0, "The printed text differs.")
    assert [difference.stored[0].value, difference.found[0].value] == ["old", "new\n"]
    assert (runs.state, runs.compared) == ("runs", 0)
    assert (fails.state, fails.cell, fails.missing_module) == ("fails", 1, "no_such")
    assert fails.error == "ModuleNotFoundError: No module named 'no_such'"
    assert fails.differing == 1  # of what was run before
    assert (lost.state, lost.missing_file) == ("fails", "gone.csv")
    assert broken.state == "fails"
    assert broken.error.startswith("It cannot be read")


async def test_an_error_that_is_stored_is_what_is_to_come_out(tmp_path):
    cell = v4.new_code_cell(
        "1 / 0", outputs=[v4.new_output("error", ename="ZeroDivisionError", evalue="")]
    )
    book = v4.new_notebook(cells=[cell, v4.new_code_cell("x = 1")])
    (one,) = await tried(tmp_path, {"a.ipynb": nbformat.writes(book)})
    assert one.state == "same"


async def test_a_cell_that_takes_too_long_and_a_kernel_that_dies_fail_alone(tmp_path):
    files = {
        "long.ipynb": notebook(("x = 1", None), ("import time; time.sleep(60)", None)),
        "dies.ipynb": notebook(("import os; os.kill(os.getpid(), 9)", None)),
        "same.ipynb": notebook(("print(1)", "1\n")),
    }
    long, dies, same = await tried(tmp_path, files, seconds=3.0)
    assert (long.state, long.cell, long.error) == ("fails", 1, "It took longer than 3 s.")
    assert (dies.state, dies.cell) == ("fails", 0)
    assert same.state == "same"


async def test_a_notebook_has_so_much_time_however_little_each_cell_takes(tmp_path):
    cells = [("import time; time.sleep(0.4)", None)] * 10
    (one,) = await tried(tmp_path, {"a.ipynb": notebook(*cells)}, whole=3.0)
    assert (one.state, one.error) == ("fails", "The notebook's time was up.")
    assert one.cell < 9


async def test_a_widget_of_long_ago_stops_nothing(tmp_path):
    opens = (
        "kernel = get_ipython().kernel\n"
        "kernel.session.send(kernel.iopub_socket, 'comm_open', {'comm_id': 'c', 'data': {},\n"
        "    'target_name': 'jupyter.widget'}, parent=kernel.get_parent())\n"
    )
    (one,) = await tried(tmp_path, {"a.ipynb": notebook((opens, None), ("print(1)", "1\n"))})
    assert (one.state, one.error) == ("same", "")


async def test_a_notebook_may_say_of_itself_what_it_likes_but_nothing_else(tmp_path):
    """It runs as the same user as what tells of it; so that is looked at as a stranger's."""
    forged = json.dumps({"notebook": "b.ipynb", "state": "<script>", "differences": "x"})
    kill = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"
    files = {
        "a.ipynb": notebook(
            (f"open('/srv/found/found.jsonl', 'w').write({forged!r})\n{kill}", None)
        ),
        "b.ipynb": notebook(("1", None)),
    }
    for one in await tried(tmp_path, files):
        assert one.state == "fails"
        assert one.error == "The box ended before it was done; it may have needed more memory."


async def test_it_reaches_nothing_of_the_host(tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    source = f"import os; print(os.path.exists({str(tmp_path / 'secret')!r}))"
    files = {"a.ipynb": notebook((source, "False\n"))}
    (one,) = await tried(tmp_path, files)
    assert (one.state, one.differences) == ("same", ())
