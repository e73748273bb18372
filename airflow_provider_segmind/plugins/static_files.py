"""An ASGI app that serves the files of the tab, from memory, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_ONE_YEAR = 365 * 24 * 3600


class StaticFiles:
    """
    Serves the scripts of a folder. The last part of a path names one; what is before it is ignored.

    The scripts are the same for everybody and hold no data, so nobody has to log in to get them. Airflow serves
    its own scripts in the same way. This is plain ASGI, because Airflow loads plugins in every process: a worker
    would import FastAPI for nothing.

    :param folder: A folder of an installed package.
    """

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder

    @cached_property
    def _contents(self) -> Mapping[str, bytes]:
        return {each.name: each.read_bytes() for each in self._folder.iterdir() if each.name.endswith(".js")}

    @cached_property
    def version(self) -> str:
        """A name for the contents: as a part of the address, it lets a browser keep them until they change."""
        digest = hashlib.sha256()
        for name, content in sorted(self._contents.items()):
            digest.update(name.encode() + b"\0" + content + b"\0")
        return digest.hexdigest()[:16]

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        content = self._contents.get(scope["path"].rpartition("/")[2])
        if content is None:
            await _answer(send, 404, b"Not found", "text/plain")
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, b"Method not allowed", "text/plain")
        else:
            body = content if scope["method"] == "GET" else b""
            keep = f"public, max-age={_ONE_YEAR}, immutable"
            await _answer(send, 200, body, "text/javascript; charset=utf-8", keep)


async def _answer(send: Send, status: int, body: bytes, content_type: str, keep: str = "no-store") -> None:
    headers = {"content-type": content_type, "cache-control": keep, "x-content-type-options": "nosniff"}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
