"""What `atoll up` knows reaches the supervisor that it becomes, whole and unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from atoll.hub.orders import Orders, Part
from atoll.hub.places import Places

STRANGE = os.fsdecode(b"\xff \n\xc3\xa9")  # what an environment may hold


def orders(**environ: str) -> Orders:
    def part(name):
        return Part(name, ["run", name], environ, Path(f"/run/{name}.sock"))

    return Orders(
        Places(Path("/data"), Path("/run"), "::1", 80, "/"),
        *map(part, ("proxy", "hub", "service")),
        companions=(part("beside"),),
        secrets=("s" * 200_000,),
        welcome=("Hello",),
    )


def test_they_are_read_as_they_were_written():
    given = orders(ODD=STRANGE)
    assert Orders.read(given.write()) == given


def test_another_program_can_read_them_and_its_children_cannot():
    code = (
        "import subprocess, sys; from atoll.hub.orders import Orders; number = int(sys.argv[1]);"
        "asked = [sys.executable, '-c', f'open({number})'];"
        "assert subprocess.run(asked, stderr=-3).returncode;"
        "print(Orders.read(number).welcome[0])"
    )
    descriptor = orders().write()
    command = [sys.executable, "-P", "-c", code, str(descriptor)]
    said = subprocess.run(command, pass_fds=[descriptor], capture_output=True, check=True).stdout
    os.close(descriptor)
    assert said == b"Hello\n"
