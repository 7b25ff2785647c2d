# It changes a class of jupyter-collaboration's, which has no types that we could follow.
# mypy: ignore-errors
"""Documents that several people edit: what is not saved yet when the server ends is saved then.

jupyter-collaboration saves a second after the last change and, told to end, forgets about that; and
as long as somebody has a document open, its clearing up never comes to an end.
"""

import asyncio
import threading
from contextlib import suppress
from queue import Full

PATIENCE = 5  # seconds for the last saves


def saved_at_the_end():
    """Have the extension save what is waiting, and leave the rest to the end of the process."""
    from jupyter_server_ydoc.app import YDocExtension

    async def stop_extension(self):
        waiting = [
            room
            for room in self.ywebsocket_server.rooms.values()
            if (saving := getattr(room, "_saving_document", None)) and not saving.done()
        ]
        saves = [save for room in waiting if (save := room._save_to_disc())]  # noqa: SLF001
        if saves:
            await asyncio.wait(saves, timeout=PATIENCE)
        for thread in threading.enumerate():
            if type(thread).__name__ == "WorkerThread" and hasattr(thread, "queue"):
                with suppress(Full):  # else the interpreter waits for anyio's threads for ever
                    thread.queue.put_nowait(None)

    YDocExtension.stop_extension = stop_extension
