"""A little of `make soak`: few people, less than half a minute, and trouble all the while."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "scripts" / "soak.py"


@pytest.mark.timeout(600)
def test_a_while_of_use_and_trouble_loses_no_file_and_leaves_nothing(tmp_path):
    words = ["--minutes=0.3", "--people=4", "--pause=2", "--trouble=3", "--seed=1"]
    ran = subprocess.run(
        [sys.executable, SOAK, *words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    print(ran.stderr[-4000:])
    told = json.loads(ran.stdout)
    assert told["wrong"] == []
    assert told["servers"] > 0
    assert ran.returncode == 0
