"""Write a migration: the difference between the tables in the code and those of the last one.

    make migration NAME="servers get a colour"

It is made on an empty SQLite file. Read what it wrote: a renamed column looks like two changes.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from atoll.stores.sql.migrating import configuration, connected, migrate


def write(message: str) -> Path:
    """Write the migration called *message* and return its file."""
    with tempfile.TemporaryDirectory() as folder:
        url = make_url(f"sqlite:///{folder}/empty.sqlite")
        migrate(url)
        with connected(url) as connection:
            config = configuration(connection)
            number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
            made = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
    old = Path(made.path)
    words = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    return old.rename(old.with_name(f"m{number:04}_{words}.py"))


if __name__ == "__main__":
    print(write(" ".join(sys.argv[1:]) or "change"))
