"""How a Jupyter server in a box gets through to a kernel: without losing its first words.

Before it lets a page talk to a kernel, Jupyter Server asks that something until an answer comes
through the subscription to what it prints. It asks at once, when the subscription is not
there yet, and again only half a second later; and it does not ask a kernel that computes, which
one that has just started seems to do for a moment: then what it says first is lost. A kernel that
is a fork is there so soon that both are common.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

SUBSCRIBED = 0.02  # seconds that a subscription usually takes
MOMENT = 0.5  # seconds after which a kernel that computes really does


class QuickConnection(ZMQChannelsWebsocketConnection):
    """A page's connection to a kernel."""

    def nudge(self) -> asyncio.Future[None]:
        """Return what is done once the kernel is heard."""
        return asyncio.ensure_future(self._nudge_in_a_moment())

    async def _nudge_in_a_moment(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + MOMENT
        await asyncio.sleep(SUBSCRIBED)
        manager: Any = self.kernel_manager
        while getattr(manager, "execution_state", None) == "busy" and loop.time() < until:
            await asyncio.sleep(SUBSCRIBED / 2)
        iopub = self.channels.get("iopub")
        if iopub is not None and not iopub.closed():  # else the page has gone
            await super().nudge()
