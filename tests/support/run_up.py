"""What the tests run as a process of its own: `up` with a stand-in for Atoll's web service.

The argument is a settings file.
"""

import asyncio
import sys
from pathlib import Path

from atoll.errors import AtollError
from atoll.hub.places import find_places
from atoll.hub.supervisor import up
from atoll.settings import load_settings


def main() -> int:
    settings = load_settings(Path(sys.argv[1]))
    service = ("atoll.testing.runners", str(find_places(settings).web_socket))
    try:
        return asyncio.run(up(settings, say=lambda line: print(line, flush=True), service=service))
    except AtollError as error:
        print(f"{type(error).__name__}: {error} {error.hint}", flush=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
