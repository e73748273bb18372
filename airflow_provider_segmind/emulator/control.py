"""`/__emulator__`: looking into the emulator and steering it while it runs. Needs no key."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from airflow_provider_segmind.emulator.faults import FaultRule
from airflow_provider_segmind.emulator.state import STATE

routes = web.RouteTableDef()


async def _read_document(request: web.Request) -> Any:
    try:
        return json.loads(await request.read() or b"null")
    except ValueError as problem:
        raise _refusal("the body is not JSON") from problem


def _refusal(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": message}), content_type="application/json")


def _faults(request: web.Request) -> web.Response:
    return web.json_response([armed.as_json() for armed in request.app[STATE].faults.armed])


@routes.get("/__emulator__/health")
async def health(request: web.Request) -> web.Response:
    """Whether it is up, and how many jobs it has."""
    state = request.app[STATE]
    return web.json_response({"status": "ok", "jobs": len(state.jobs), "now": state.clock.now()})


@routes.get("/__emulator__/ledger")
async def ledger(request: web.Request) -> web.Response:
    """Every charge and refund."""
    state = request.app[STATE]
    return web.json_response(state.ledger.report(state.clock.now()))


@routes.get("/__emulator__/requests")
async def requests(request: web.Request) -> web.Response:
    """Counters and the last requests."""
    return web.json_response(request.app[STATE].requests.report())


@routes.get("/__emulator__/faults")
async def list_faults(request: web.Request) -> web.Response:
    """The armed rules and how often each fired."""
    return _faults(request)


@routes.post("/__emulator__/faults")
async def arm_faults(request: web.Request) -> web.Response:
    """Arm one rule or a list of rules, all or none of them."""
    document = await _read_document(request)
    try:
        rules = [FaultRule.from_json(each) for each in (document if isinstance(document, list) else [document])]
    except (ValueError, TypeError) as problem:
        raise _refusal(str(problem)) from problem
    for rule in rules:
        request.app[STATE].faults.arm(rule)
    return _faults(request)


@routes.delete("/__emulator__/faults")
async def clear_faults(request: web.Request) -> web.Response:
    """Disarm every rule."""
    request.app[STATE].faults.clear()
    return web.json_response([])


@routes.get("/__emulator__/world")
async def show_world(request: web.Request) -> web.Response:
    """What the emulated Segmind does where the evidence leaves it open."""
    return web.json_response(request.app[STATE].world.as_json())


@routes.post("/__emulator__/world")
async def change_world(request: web.Request) -> web.Response:
    """Change some fields of the world, all or none of them."""
    document = await _read_document(request)
    state = request.app[STATE]
    if not isinstance(document, dict):
        raise _refusal("expected an object with fields of the world")
    try:
        state.world = state.world.changed(document)
    except ValueError as problem:
        raise _refusal(str(problem)) from problem
    return web.json_response(state.world.as_json())


@routes.get("/__emulator__/keys")
async def list_keys(request: web.Request) -> web.Response:
    """Which keys are accepted, by their last four characters."""
    return web.json_response(request.app[STATE].keys.report())


@routes.post("/__emulator__/keys")
async def change_keys(request: web.Request) -> web.Response:
    """`{"revoke": key}` or `{"restore": key}`."""
    document = await _read_document(request)
    keys = request.app[STATE].keys
    actions = {"revoke": keys.revoke, "restore": keys.restore}
    if not isinstance(document, dict) or not document or not set(document) <= set(actions):
        raise _refusal('expected {"revoke": key} or {"restore": key}')
    for name, key in document.items():
        actions[name](str(key))
    return web.json_response(keys.report())


@routes.post("/__emulator__/clock")
async def advance_clock(request: web.Request) -> web.Response:
    """`{"advance": seconds}`: let jobs, retention and rate limits age without waiting."""
    document = await _read_document(request)
    clock = request.app[STATE].clock
    try:
        clock.advance(float(document["advance"]))
    except (TypeError, KeyError, ValueError) as problem:
        raise _refusal('expected {"advance": seconds}, not negative') from problem
    return web.json_response({"now": clock.now()})


@routes.post("/__emulator__/reset")
async def reset(request: web.Request) -> web.Response:
    """Forget everything, and return to the faults and the world that the emulator started with."""
    request.app[STATE].reset()
    return web.json_response({"status": "ok"})
