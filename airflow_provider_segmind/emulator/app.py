"""The emulator as an aiohttp application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_segmind.emulator import control, errors, inference, platform, storage
from airflow_provider_segmind.emulator.faults import Endpoint
from airflow_provider_segmind.emulator.serving import endpoint
from airflow_provider_segmind.emulator.settings import Settings
from airflow_provider_segmind.emulator.state import STATE, EmulatorState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.typedefs import Handler

    from airflow_provider_segmind.emulator.answers import Answer
    from airflow_provider_segmind.emulator.serving import Call

_LARGEST_UPLOAD = 256 * 1024 * 1024


def create_app(settings: Settings | None = None, *, echo: bool = False) -> web.Application:
    """A local Segmind: gateway, platform, storage and files in one application.

    :param settings: How it behaves; by default like the real one, at its real speed.
    :param echo: Write a line per request to stderr.
    """
    app = web.Application(client_max_size=_LARGEST_UPLOAD)
    app[STATE] = EmulatorState(settings or Settings(), echo=echo)
    app.cleanup_ctx.append(_scratch_directory)
    app.add_routes(control.routes)
    app.add_routes(
        [
            web.post("/v2/{slug}", endpoint(Endpoint.SUBMIT, inference.submit)),
            web.get(
                "/v2/requests/{request_id}/status",
                endpoint(Endpoint.STATUS, inference.status),
                allow_head=False,
            ),
            web.get("/v2/requests/{request_id}", endpoint(Endpoint.RESULT, inference.result), allow_head=False),
            web.get(
                "/v1/requests/{request_id}",
                endpoint(Endpoint.LEGACY_POLL, inference.legacy_result),
                allow_head=False,
            ),
            web.get(
                "/v1/get-user-credits",
                endpoint(Endpoint.CREDITS, inference.credits_left),
                allow_head=False,
            ),
            web.post("/v1/{slug}", endpoint(Endpoint.SYNC, inference.run_sync)),
            web.post("/workflows/v2/{slug}", endpoint(Endpoint.SUBMIT, inference.submit_workflow)),
            web.post("/workflows/{slug}", endpoint(Endpoint.SUBMIT, inference.submit_workflow)),
            web.get(
                "/workflows/request/{request_id}",
                endpoint(Endpoint.LEGACY_POLL, inference.legacy_result),
                allow_head=False,
            ),
            web.get(
                "/inference-request/request-history",
                endpoint(Endpoint.HISTORY, platform.history),
                allow_head=False,
            ),
            web.get(
                "/inference-request/request-history/{request_id}",
                endpoint(Endpoint.HISTORY_ITEM, platform.history_item),
                allow_head=False,
            ),
            web.get(
                "/inference-request/generations",
                endpoint(Endpoint.GENERATIONS, platform.generations),
                allow_head=False,
            ),
            web.get(
                "/inference-model-information/list",
                endpoint(Endpoint.CATALOGUE, platform.catalogue, keyed=False),
                allow_head=False,
            ),
            web.post("/upload-asset", endpoint(Endpoint.UPLOAD, storage.upload)),
            web.get("/assets/{name}", endpoint(Endpoint.MEDIA, storage.asset, keyed=False)),
            web.get("/outputs/{name}", endpoint(Endpoint.MEDIA, storage.output, keyed=False)),
        ]
    )
    app.middlewares.append(_unrouted)
    return app


async def _nowhere(call: Call) -> Answer:
    missed = call.request.match_info.http_exception
    if isinstance(missed, web.HTTPMethodNotAllowed):
        return errors.method_not_allowed()
    return errors.not_found("")


_OTHER = endpoint(Endpoint.OTHER, _nowhere, keyed=False)


@web.middleware
async def _unrouted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what matches no route like the API does, and count it."""
    if request.match_info.http_exception is None or request.path.startswith("/__emulator__"):
        return await handler(request)
    return await _OTHER(request)


async def _scratch_directory(app: web.Application) -> AsyncIterator[None]:
    yield
    app[STATE].close()
