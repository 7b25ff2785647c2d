"""So that ``python -m atoll.cli`` is ``atoll``."""

from atoll.cli import main

main()
