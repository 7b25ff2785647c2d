# It runs inside Jupyter Server, whose classes have no types.
# mypy: ignore-errors
"""Neighbours: tells people that somebody else has their document open, in a server of their own.

Pages say here which documents they have open; what is in a volume is noted where the other servers
that write to that volume see it (`atoll.engines.local.neighbours`), and the page hears who else has
noted the same. A note is nothing but digests of paths: whatever others write into theirs, it is
compared and never shown.

Nothing is locked. The Lab itself asks before it saves over what somebody else has saved.
"""

import hashlib
import json
import os
import time
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

LASTS = 60  # seconds for which a note counts, and what a page has said
LARGEST = 64 * 1024  # bytes that are read of a note
PAGES, DOCUMENTS, LONGEST = 50, 500, 4096  # of a server, of a page, and characters of a path
NAME, FILE = 20, 24  # characters of a name that are shown: the Lab cuts off what has more than 140
ASKED = "Who saves last is asked before overwriting."
REPLACED = "What they save replaces what is here."  # so jupyter-collaboration does it


class Neighbours:
    """What this server's pages have open, and what the others have noted.

    *notes* is what the runner told: by mount point, the path of this server's note without its
    ending. *home* is what paths start from.
    """

    def __init__(self, notes, home, then=ASKED):
        self.notes, self.home, self.then = notes, home, then
        self.pages = {}  # of each: when it spoke, and by path the note and digest of its documents

    def hear(self, page, paths):
        """Note that *page* has *paths* open; return sentences, by path, where others have, too."""
        now = time.monotonic()
        known = [(one, said) for one, said in self.pages.items() if now - said[0] < LASTS]
        self.pages = dict(known[-PAGES:])
        self.pages.pop(page, None)
        mine = {path: place for path in paths if (place := self._place(path))}
        self.pages[page] = (now, mine)
        for note in self.notes.values():
            self._write(note)
        others = {note: self._others(note) for note, _ in mine.values()}
        return {
            path: self._sentence(path, who, note)
            for path, (note, digest) in mine.items()
            if (who := [who for who, digests in others[note] if digest in digests])
        }

    def _place(self, path):
        """Return the note of the volume that *path* is in, and its digest there, or ``None``."""
        try:
            real = os.path.realpath(os.path.join(self.home, path.lstrip("/")))
            for point, note in self.notes.items():
                if real.startswith(f"{point}/"):
                    inner = os.fsencode(real.removeprefix(f"{point}/"))
                    return note, hashlib.sha256(inner).hexdigest()
        except ValueError:  # no path has a zero byte, or half a character
            pass
        return None

    def _write(self, note):
        documents = [place for _, mine in self.pages.values() for place in mine.values()]
        said = " ".join(sorted({digest for its, digest in documents if its == note})).encode()
        with open(f"{note}.open", "r+b", buffering=0) as file:
            file.write(said)
            file.truncate()

    def _others(self, note):
        """Return who else has noted something lately, each with the digests."""
        folder, mine = os.path.split(note)
        found = []
        for name in os.listdir(folder):
            server, ending = os.path.splitext(name)
            if ending == ".open" and server != mine:
                try:
                    found.append((_who(os.path.join(folder, server)), _digests(folder, name)))
                except (OSError, ValueError):  # it ends, or begins, just now
                    continue
        return found

    def _sentence(self, path, others, note):
        me = _who(note)["owner"]
        theirs = sorted({who["owner"] for who in others} - {me})
        file = _shown(os.path.basename(path), FILE)
        if not theirs:
            server = _shown(min(who["server"] for who in others), NAME)
            return f"You have {file} open in your server “{server}”, too. {self.then}"
        who, more = _shown(theirs[0], NAME), len(theirs) - 1
        if more:
            who += f" and {more} other{'s' * (more > 1)}"
        has = "have" if more else "has"
        return f"{who} {has} {file} open in their own server, too. {self.then}"


def _who(server):
    with open(f"{server}.who", encoding="utf-8") as file:
        return json.load(file)


def _digests(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        if abs(time.time() - os.fstat(file.fileno()).st_mtime) > LASTS:
            return set()
        return set(file.read(LARGEST).decode("ascii", "replace").split())


def _shown(text, most):
    """Return *text* with what does not print made visible, and no longer than *most*."""
    plain = "".join(one if one.isprintable() else "\ufffd" for one in text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


class NeighboursHandler(APIHandler):
    """Hears what a page has open, and answers who else has."""

    auth_resource = "contents"
    _track_activity = False  # an open page alone keeps no server from being idle

    @web.authenticated
    @authorized
    def post(self):
        """Answer with ``said``, sentences by path, and ``share``, where a server is shared."""
        asked = self.get_json_body()
        page, paths = (asked.get(key) if isinstance(asked, dict) else None for key in KEYS)
        if not (isinstance(page, str) and isinstance(paths, list) and len(paths) <= DOCUMENTS):
            raise web.HTTPError(400, "Say which page it is, and which documents it has open.")
        if not all(isinstance(one, str) and len(one) <= LONGEST for one in (page, *paths)):
            raise web.HTTPError(400, "Paths are texts, and not that long.")
        said = self.settings["atoll_neighbours"].hear(page, paths)
        guest = hasattr(self, "guest_level")
        self.finish(json.dumps({"said": said, "share": "" if guest else _sharing()}))


KEYS = ("page", "open")


def _sharing():
    """Return the address of the hub's page where this server's owner shares it, or ""."""
    server = os.environ.get("JUPYTERHUB_SERVER_NAME", "")
    base = os.environ.get("JUPYTERHUB_BASE_URL", "/")
    return f"{base}services/atoll/servers/{quote(server)}/people" if server else ""


def _jupyter_server_extension_points():
    return [{"module": "neighbours"}]


def _load_jupyter_server_extension(server):
    settings = server.web_app.settings
    notes = json.loads(os.environ["ATOLL_NEIGHBOURS"])
    then = REPLACED if "ATOLL_TOGETHER" in os.environ else ASKED
    settings["atoll_neighbours"] = Neighbours(notes, server.root_dir, then)
    address = url_path_join(settings["base_url"], "atoll/neighbours")
    server.web_app.add_handlers(".*$", [(address, NeighboursHandler)])
