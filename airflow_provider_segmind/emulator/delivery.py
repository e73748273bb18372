"""Turning an answer into bytes on a connection, whole, slow, in part or not at all."""

from __future__ import annotations

import asyncio

from aiohttp import web

from airflow_provider_segmind.emulator.answers import Answer

_PIECES = 16
_CHUNK = 64 * 1024
_LEFT_CHECK_SECONDS = 0.05

HUGE_HEAD, HUGE_TAIL = b'{"status": "PROCESSING", "padding": "', b'"}'


async def deliver(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send the answer as it is."""
    headers = {**answer.headers, "Content-Type": answer.content_type}
    if answer.file is not None and answer.status == 200:
        return web.FileResponse(answer.file, headers=headers)
    return web.Response(status=answer.status, body=await content(answer), headers=headers)


async def content(answer: Answer) -> bytes:
    """The bytes of the answer's body."""
    return answer.body if answer.file is None else await asyncio.to_thread(answer.file.read_bytes)


async def deliver_trickling(request: web.Request, answer: Answer, pause: float) -> web.StreamResponse:
    """Send the body in pieces with a pause of `pause` seconds before each."""
    body = await content(answer)
    response = await _start_response(request, answer, len(body))
    step = max(1, -(-len(body) // _PIECES))
    for start in range(0, len(body), step):
        await asyncio.sleep(pause)
        if left(request):
            break
        await response.write(body[start : start + step])
    return response


async def deliver_half(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Announce the whole body, send half of it and close the connection."""
    body = await content(answer)
    response = await _start_response(request, answer, len(body))
    await response.write(body[: len(body) // 2])
    return hang_up(request, response)


async def deliver_huge(request: web.Request, status: int, size: int) -> web.StreamResponse:
    """Stream a valid JSON document of `size` bytes."""
    response = await _start_response(request, Answer(status), size)
    await response.write(HUGE_HEAD)
    remaining = size - len(HUGE_HEAD) - len(HUGE_TAIL)
    while remaining > 0 and not left(request):
        await response.write(b"x" * min(_CHUNK, remaining))
        remaining -= _CHUNK
    await response.write(HUGE_TAIL)
    return response


async def wait_until_left(request: web.Request) -> web.StreamResponse:
    """Say nothing for as long as the client stays."""
    while not left(request):  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(_LEFT_CHECK_SECONDS)
    return web.Response()


def hang_up(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Close the TCP connection without another byte."""
    if request.transport is not None:
        request.transport.close()
    return response or web.Response()


def left(request: web.Request) -> bool:
    """Whether the client has closed the connection."""
    return request.transport is None or request.transport.is_closing()


async def _start_response(request: web.Request, answer: Answer, length: int) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status, headers={**answer.headers, "Content-Type": answer.content_type}
    )
    response.content_length = length
    await response.prepare(request)
    return response
