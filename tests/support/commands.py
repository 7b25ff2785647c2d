"""Commands: `atoll` in this process, since one of its own takes a processor for a second or two.

Not for what leaves children behind or is to hear signals.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from click.testing import CliRunner

from atoll.cli import main


def command(*words: object, env: Mapping[str, str], **how: Any) -> subprocess.CompletedProcess[str]:
    """Run ``atoll`` with *words*, and *env* over our variables; return what `subprocess.run` would."""
    said = [str(word) for word in words]
    ran = CliRunner(env=env).invoke(main, said, **how)
    if ran.exception and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return subprocess.CompletedProcess(said, ran.exit_code, ran.stdout, ran.stderr)
