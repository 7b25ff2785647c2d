"""A CRAN on this machine, made by R itself: R packages that are small, or fail.

R comes from a layer of Debian packages, and works in a box. The index of one day is that of all.
"""

from __future__ import annotations

from http.server import SimpleHTTPRequestHandler

from atoll.engines.local.sandbox import Bind, Box, run
from support.serving import Served

MAKE = """
set -e
cd /srv/cran
mkdir -p src/contrib/Archive
for source in sources/*; do R CMD build --no-build-vignettes "$source"; done
for old in reef_0*.tar.gz; do mkdir -p src/contrib/Archive/reef; mv "$old" src/contrib/Archive/reef; done
mv *.tar.gz src/contrib
Rscript -e 'tools::write_PACKAGES("src/contrib", type = "source")'
"""


class Cran(Served):
    """Serves the packages that were added to it below ``/DAY``, until the end of the with block.

    ``pattern`` is its address for the settings.
    """

    def __init__(self, folder, host):
        self.folder = folder

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self):
                self.path = f"/{self.path.split('/', 2)[2]}"
                super().do_GET()

        super().__init__(Handler, host, directory=str(folder))
        self.pattern = f"{self.base}/{{day}}"

    def add(self, name, version, code, *, configure="", **fields):
        """Add the source of a package whose R code is *code*, all of which it exports."""
        place = self.folder / "sources" / f"{name}_{version}"
        (place / "R").mkdir(parents=True)
        (place / "DESCRIPTION").write_text(description(name, version, **fields))
        (place / "NAMESPACE").write_text('exportPattern(".")\n')
        (place / "R" / "code.R").write_text(code)
        if configure:
            (place / "configure").write_text(configure)
            (place / "configure").chmod(0o755)
        return self

    async def make(self, layer, owner):
        """Build what was added, with the R of *layer*."""
        said = []
        place = Bind(self.folder, "/srv/cran", writable=True)
        environ = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
        box = Box(("/bin/sh", "-c", MAKE), (place,), environ, owner=owner, layer=layer)
        assert await run(box, said.append, timeout=60) == 0, said


def description(name, version, **fields):
    """Return the DESCRIPTION of a package."""
    said = {"Package": name, "Version": version, "Title": "A Test", "Description": "It is a test."}
    said |= {"Author": "A", "Maintainer": "A <a@example.org>", "License": "BSD_3_clause", **fields}
    return "".join(f"{key}: {value}\n" for key, value in said.items())
