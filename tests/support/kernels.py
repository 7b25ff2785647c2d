"""Kernels: runs a cell through a Jupyter server's REST interface and web socket, as a page does."""

import asyncio
import json
import uuid

import httpx2
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect


async def run_cell(base, code, *, headers, kernel="python3", seconds=90):
    """Run *code* in a new kernel of the server at *base* (ends in "/"); return what it printed.

    The value of an error is returned as "Name: text".
    """
    async with httpx2.AsyncClient(headers=headers, timeout=seconds) as http:
        made = await http.post(f"{base}api/kernels", json={"name": kernel})
        made.raise_for_status()
        url = f"ws{base[4:]}api/kernels/{made.json()['id']}/channels"
        socket = await websocket_connect(HTTPRequest(url, headers=headers))
        try:
            header = {
                "msg_id": uuid.uuid4().hex,
                "msg_type": "execute_request",
                "username": "",
                "session": uuid.uuid4().hex,
                "version": "5.3",
            }
            content = {"code": code, "silent": False, "allow_stdin": False}
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
            await socket.write_message(json.dumps({**message, "channel": "shell"}))
            said = ""
            async with asyncio.timeout(seconds):
                while True:
                    got = json.loads(await socket.read_message())
                    if got["parent_header"].get("msg_id") != header["msg_id"]:
                        continue
                    kind, content = got["msg_type"], got["content"]
                    if kind == "stream":
                        said += content["text"]
                    elif kind == "execute_result":
                        said += content["data"]["text/plain"]
                    elif kind == "error":
                        said += f"{content['ename']}: {content['evalue']}"
                    elif kind == "status" and content["execution_state"] == "idle":
                        break
        finally:
            await leave(socket)
        await http.delete(f"{base}api/kernels/{made.json()['id']}")
        return said.strip()


async def leave(socket):
    """Close a web socket, and wait until it is: else its connection is left to the collector."""
    socket.close()
    async with asyncio.timeout(10):
        while await socket.read_message() is not None:
            pass
