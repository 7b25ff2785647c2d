"""What the tests run as a process of its own: `up` with a stand-in for Atoll's web service.

The arguments are a settings file and, where the real service is wanted, its module.
"""

import sys
from pathlib import Path

from atoll.errors import AtollError
from atoll.hub.preparation import become_supervisor, claim
from atoll.settings import load_settings


def main() -> int:
    settings = load_settings(Path(sys.argv[1]))
    try:
        places = claim(settings)
        service = sys.argv[2:] or ("atoll.testing.runners", str(places.web_socket))
        become_supervisor(settings, places, service=service)
    except AtollError as error:
        print(f"{type(error).__name__}: {error} {error.hint}", flush=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
