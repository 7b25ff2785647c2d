import asyncio

import httpx2
import pytest

from atoll.errors import StartFailed, Unreachable
from atoll.web import recent
from atoll.web.hub_api import HubApi


def hub(status, message):
    def answer(_):
        return httpx2.Response(status, json={"status": status, "message": message})

    transport = httpx2.MockTransport(answer)
    return HubApi(httpx2.AsyncClient(transport=transport, base_url="http://hub"))


async def test_what_a_hub_says_while_it_is_ended_is_put_into_words():
    ending = hub(500, "Internal Server Error")
    with pytest.raises(StartFailed, match=r"^JupyterHub could not start the server.$") as caught:
        await ending.start("ada", "course", "plan")
    assert "Try again" in caught.value.hint
    with pytest.raises(Unreachable, match=r"^JupyterHub could not stop the server.$") as caught:
        await ending.stop("ada", "course")
    assert "Try again" in caught.value.hint


async def test_what_a_hub_says_of_a_failure_is_passed_on():
    with pytest.raises(StartFailed, match=r"^The disk is full.$"):
        await hub(500, "The disk is full.").start("ada", "course", "plan")
    with pytest.raises(Unreachable, match=r"^JupyterHub could not stop the server: It is gone.$"):
        await hub(400, "It is gone").stop("ada", "course")


async def test_after_a_stop_of_ours_nothing_older_is_believed(monkeypatch):
    monkeypatch.setattr(recent, "QUICK", 0.001)
    running = {"ready": True}

    async def answer(request):
        await asyncio.sleep(0.05)
        if request.method == "DELETE":
            running["ready"] = False
        server = {"name": "course", **running}
        return httpx2.Response(200, json={"name": "ada", "servers": {"course": server}})

    transport = httpx2.MockTransport(answer)
    api = HubApi(httpx2.AsyncClient(transport=transport, base_url="http://hub"))
    await api.user_soon("ada")
    assert (await api.user_soon("ada")).late
    await api.stop("ada", "course")
    found = await api.user_soon("ada")
    assert found.said.servers["course"].state == "stopped"
