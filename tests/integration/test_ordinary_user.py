"""Everything about boxes, servers and the command line once more, without root."""

import os
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PARTS = ["tests/engines", "tests/cli", "--ignore=tests/cli/test_environments.py"]


@pytest.mark.timeout(900)
def test_an_ordinary_user_can_do_all_of_it():
    if os.getuid() != 0:
        return  # then all these tests have run as an ordinary user already
    script = TOP / "scripts" / "as-ordinary-user.sh"
    words = [
        script,
        "--develop",
        ".venv/bin/python",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        *PARTS,
    ]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    print(ran.stdout[-6000:], ran.stderr[-2000:])
    assert ran.returncode == 0
