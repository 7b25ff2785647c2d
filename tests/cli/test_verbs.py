"""Every command, tried by another account of the machine on somebody's data folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import reference

from atoll.access import VERBS, Role
from atoll.cli import main
from atoll.errors import Refused
from support.strangers import BUG, try_all

SECRET = "what-only-its-owner-may-read"
TAKEN = {"backup": "{own}/backup.tar", "restore": "{own}/some.tar", "check": "{own}"}


@pytest.fixture(scope="module")
def folders():
    """A data folder that is somebody's, and a folder of the stranger's own, where both can go."""
    base = Path(tempfile.mkdtemp(prefix="atoll-strangers-"))
    base.chmod(0o755)
    data, own = base / "data", base / "own"
    for one in (data, data / "secrets", own):
        one.mkdir(mode=0o700)
    (data / "atoll.toml").write_text(f"# {SECRET}\n")
    (data / "secrets" / "cookie").write_text(SECRET)
    (own / "some.tar").write_bytes(b"")
    if os.getuid() == 0:
        os.chown(own, 65534, 65534)
    else:
        data.chmod(0)  # to its own owner it is as closed as another's
    yield data, own
    data.chmod(0o700)
    shutil.rmtree(base)


def verbs():
    """Return every command and its arguments, that does something itself."""
    for words, command in reference.commands(main):
        if not hasattr(command, "commands"):
            arguments = [one for one in command.params if one.param_type_name == "argument"]
            yield " ".join(words[1:]), [one.name for one in arguments if one.required]


def test_the_table_has_every_command_and_no_other():
    assert {verb for verb, _ in verbs()} == set(VERBS)


def asked_for(data: Path, own: Path):
    """Return each verb with its words and its environment, the folder named in either way."""
    (own / "mine.toml").write_text(f'data = "{data}"\n')
    (own / "mine.toml").chmod(0o644)
    environ = {"HOME": str(own), "XDG_RUNTIME_DIR": ""}
    for verb, arguments in verbs():
        given = [TAKEN.get(verb, "x").format(own=own) for _ in arguments]
        sure = ["--yes"] if verb in {"remove", "volumes hand-over", "volumes delete"} else []
        words = [*verb.split(), *given, *sure]
        yield verb, words, environ | {"ATOLL_DATA": str(data)}
        yield verb, ["--config", str(own / "mine.toml"), *words], environ


def test_nobody_else_reads_or_changes_a_data_folder_by_any_command(folders):
    data, own = folders
    asked = list(asked_for(data, own))
    answers = try_all([(words, environ) for _, words, environ in asked])
    wrong = []
    for (verb, words, _), (status, told) in zip(asked, answers, strict=True):
        may = Role.STRANGER in VERBS[verb]
        if SECRET in told or status == BUG or (not may and status != Refused.exit_code):
            wrong.append(f"{words}: {status} {told[-300:]}")
    assert wrong == []
    assert not (own / "backup.tar").exists()
