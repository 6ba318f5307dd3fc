"""GET /v1/tenants/{tenant}/log-events: what hooks write to their console, and how invocations end, as it happens.

Server-sent events of this node, kept nowhere: engine/live.py. A follower is never waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import HTTPConnection

from engine.api.authentication import authenticate
from engine.api.route import Caller, Calling, make_router, needs
from engine.api.services import Served, Services
from engine.errors import EngineError
from engine.live import Follower, Told
from engine.scopes import OPERATOR
from tenants.errors import StoreError

router = make_router(prefix="/v1/tenants/{tenant}", tags=["logs"])

_HEARTBEAT_S = 15.0
_RETRY_MS = 1_000  # what a client waits before it connects again
_SAID = {
    "missed": "Some events cannot be had any more.",
    "dropped": "What is told was not read fast enough; connect again to go on.",
    "closed": "The token is no longer valid, or the server cannot say so now.",
}
_LINE = {
    "execution_id": "01KACT8J9R0Q2T7Y4W5E6D8F1G",
    "trigger_id": "post-change-password",
    "hook": "welcome",
    "level": "info",
    "text": "mail sent",
    "line": 7,
    "at": "2026-11-18T07:30:00.000Z",
}
_END = {
    "execution_id": "01KACT8J9R0Q2T7Y4W5E6D8F1G",
    "trigger_id": "post-change-password",
    "hook": None,
    "status": "success",
    "message": "",
    "at": "2026-11-18T07:30:00.100Z",
}


def _sse(kind: str, event: Mapping[str, Any], last_id: str) -> bytes:
    """One event: its JSON has no line ends in it."""
    return b"event: %b\ndata: %b\nid: %b\n\n" % (kind.encode(), msgspec.json.encode(event), last_id.encode())


_EXAMPLE = (_sse("log", _LINE, "9f2c01d3a4b5-1") + _sse("end", _END, "9f2c01d3a4b5-2")).decode()
_STREAM = {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}}


class EventStream(StreamingResponse):
    """Server-sent events, as the HTML standard has them."""

    media_type = "text/event-stream"


@router.get(
    "/log-events",
    response_class=EventStream,
    responses={200: {"content": _STREAM, "description": "Events, without end"}},
    summary="Follow what hooks print",
)
@needs(OPERATOR, "read:logs")
async def follow_log_events(
    request: Request,
    caller: Calling,
    services: Served,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            max_length=256,
            description="To go on behind that event.",
            examples=["9f2c01d3a4b5-2"],
        ),
    ] = None,
) -> Response:
    """Server-sent events: `log`, a console line, and `end`, how an attempt ended; as they happen on this server.

    `missed`: there were more than are kept; `dropped`, `closed`: the last event, connect again. A line without an
    event comes every 15 seconds.
    """
    follower = services.live.follow(caller.owner.id, last_event_id)
    return EventStream(_events(services, request, caller, follower))


async def _events(
    services: Services, request: HTTPConnection, caller: Caller, follower: Follower
) -> AsyncIterator[bytes]:
    """What is sent, piece by piece."""
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + _HEARTBEAT_S
    with follower:
        yield b"retry: %d\nid: %b\n\n" % (_RETRY_MS, follower.last_id.encode())
        while True:
            if loop.time() >= beat_at:  # also where an event waits already, and no timeout would ever come
                if not await _may_still(services, request, caller):
                    yield _sse("closed", {"message": _SAID["closed"]}, follower.last_id)
                    return
                beat_at = loop.time() + _HEARTBEAT_S
                yield b": \n\n"
            try:
                async with asyncio.timeout_at(beat_at):
                    told = await anext(follower, None)
            except TimeoutError:
                continue
            if told is None:
                return
            yield _told(told)


async def _may_still(services: Services, request: HTTPConnection, caller: Caller) -> bool:
    """Whether the token is valid yet, and its tenant there."""
    try:
        await authenticate(services, request.headers.getlist("authorization"), caller.address)
        return await services.revisions.of(caller.owner.id) is not None
    except (EngineError, StoreError):
        return False


def _told(told: Told) -> bytes:
    return _sse(told.kind, told.event or {"message": _SAID[told.kind]}, told.id)
