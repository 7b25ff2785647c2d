# It is run by any Python and any Jupyter client that a repository brings, so it has no types.
# mypy: ignore-errors
"""Kernelspecs: which Python the kernels in a box run on."""

import os
import re
import sys

ENVIRONMENT = "/srv/env"


def at_home(base):
    """Return *base*, a kernelspec manager's class, for kernels that are not this Python's.

    A kernelspec that says just "python3" would get the Python that the server itself runs on,
    which in a box has none of the repository's packages.
    """

    class EnvironmentSpecs(base):
        def get_kernel_spec(self, kernel_name):
            spec = super().get_kernel_spec(kernel_name)
            ours = spec.resource_dir.startswith(sys.prefix + os.sep)
            if not ours and spec.argv and re.fullmatch(r"python(3(\.\d+)?)?", spec.argv[0]):
                spec.argv[0] = ENVIRONMENT + "/bin/python"
            return spec

    return EnvironmentSpecs
