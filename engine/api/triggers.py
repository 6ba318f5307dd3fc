"""POST /v1/tenants/{tenant}/triggers/{trigger_id}: an application's event, for the hooks that its tenant has.

The one route that is asked all the time. It is answered in front of FastAPI, whose machinery costs more than all the
rest of a call: with the same checks in the same order as any other route, and the same answers where one fails.
FastAPI has the route for the OpenAPI document, and for those who ask with another method.
"""

from __future__ import annotations

import asyncio
import math
import re
from typing import Annotated, Any

from fastapi import Body, Header, Path, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api import execution_shapes as shapes
from engine.api.authentication import Remembered
from engine.api.bodies import DECODERS, StrictRequest
from engine.api.hanging_up import Awaited, deadline_of
from engine.api.headers import ALWAYS, WithHeaders
from engine.api.replies import answer_of
from engine.api.route import Guard, asked_tenant, check_scope, check_type, make_router, needs
from engine.api.services import Services
from engine.errors import Refusal
from engine.invocation import Ended
from engine.points import Point, point_named
from engine.scopes import OPERATOR
from engine.standings import Standing
from tenants.records import Tenant

router = make_router(prefix="/v1/tenants/{tenant}", tags=["triggers"])

_PATH = re.compile(r"/v1/tenants/([^/]+)/triggers/([^/]+)")
_GUARD = Guard(scopes=(OPERATOR, "run:triggers"))
_KEY = re.compile(r"[!-~]{1,255}")
_WAIT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")
_LARGE_BYTES = 16 << 10  # of arguments that take no time worth a thread
_JSON = "application/json; charset=utf-8"
_HEADERS = [(b"content-type", _JSON.encode()), *ALWAYS]
_LOOKED_AT = frozenset({b"authorization", b"content-type", b"idempotency-key", b"prefer"})


class Triggers:
    """An ASGI app that answers the trigger route, and passes on whatever else is asked."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._remembered = Remembered()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        asked = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if asked is None:
            await self._app(scope, receive, send)
            return
        try:
            status, answer = await self._answer(scope, receive, asked[1], asked[2])
        except Exception as error:  # noqa: BLE001 - whatever it was, it is answered as anywhere else
            await WithHeaders(answer_of(error))(scope, receive, send)
            return
        if scope.get("state", {}).get("headers"):
            await WithHeaders(Response(answer, status, media_type=_JSON))(scope, receive, send)
        else:
            headers = [*_HEADERS, (b"content-length", b"%d" % len(answer))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Scope, receive: Receive, tenant_name: str, trigger_id: str) -> tuple[int, bytes]:
        """Status and JSON."""
        services, headers = self._services, _headers(scope)
        tenant = await self._tenant(scope, headers.get(b"authorization", []), tenant_name)
        services.admission.count(tenant)
        point = point_named(trigger_id)
        key, wait_s = _key(headers.get(b"idempotency-key"), point), _wait_s(headers.get(b"prefer"))
        meanwhile = _Meanwhile(services.engine.alarms.loop)
        arguments = await self._arguments(scope, receive, headers.get(b"content-type"), point)
        revision = None if meanwhile.over() else tenant.revision
        if not point.blocking:
            standing = services.standings.known(tenant.id, revision) or await services.standings.of(tenant.id)
            return await _enqueued(services, standing, point, arguments, key)
        deadline = deadline_of(services.config, wait_s)
        with Awaited(receive, services.engine.alarms):
            ended, _ = await services.calls.call(tenant, point, arguments, deadline=deadline, revision=revision)
        return 200, _told(point, ended)

    async def _tenant(self, scope: Scope, authorization: list[str], asked: str) -> Tenant:
        """Whose hooks are to run. Raises Refusal 400, 401, 403, 429, Missing."""
        services, own = self._services, None
        address = scope["client"][0] if scope.get("client") else ""
        try:
            token, own = await self._remembered.who(services, authorization, address)
        finally:
            if own is None:  # it is not known whose they are, or they are an operator's
                scope.setdefault("state", {})["headers"] = services.rates.of_address(address)
        tenant = await asked_tenant(services, own, asked)
        check_scope(token, _GUARD)
        assert tenant is not None, "the path names one"
        return tenant

    async def _arguments(self, scope: Scope, receive: Receive, type_: list[str] | None, point: Point) -> bytes:
        """The body, which fits the point. Raises Refusal 413, 415, BadArguments, ClientDisconnect."""
        most = self._services.config.arguments_bytes
        raw = await _body(scope, receive, most)
        if raw:
            check_type(type_[0] if type_ else "")
        if len(raw) <= _LARGE_BYTES:
            return point.encode_arguments(raw, most)
        return await asyncio.get_running_loop().run_in_executor(DECODERS, point.encode_arguments, raw, most)


class _Meanwhile:
    """Whether anything else ran since this was made: then what was read before may be otherwise now.

    The body of nearly every call is there with its headers, and awaiting it waits for nothing. One that is sent later
    may come after a change that was acknowledged before it.
    """

    __slots__ = ("_handle", "_over")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._over = False
        self._handle = loop.call_soon(self._end)

    def over(self) -> bool:
        """Ask once."""
        self._handle.cancel()
        return self._over

    def _end(self) -> None:
        self._over = True


def _headers(scope: Scope) -> dict[bytes, list[str]]:
    """Those that this route looks at, by name in lower case, as the server gives it."""
    found: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        if name in _LOOKED_AT:
            found.setdefault(name, []).append(value.decode("latin-1"))
    return found


async def _body(scope: Scope, receive: Receive, most: int) -> bytes:
    """Mostly it comes in one piece. Raises Refusal 413, ClientDisconnect."""
    first = await receive()
    if first["type"] == "http.request" and not first.get("more_body", False) and len(first["body"]) <= most:
        body: bytes = first["body"]
        return body
    pieces = [first]

    async def again() -> Message:
        return pieces.pop() if pieces else await receive()

    request = StrictRequest(scope, again)
    request.body_bytes = most
    return await request.body()


async def _enqueued(
    services: Services, standing: Standing, point: Point, arguments: bytes, key: str | None
) -> tuple[int, bytes]:
    hook_ids = tuple(ready.record.id for ready in standing.of_point(point.id))
    enqueued = await services.queue.enqueue(standing.tenant, point, arguments, hook_ids, key)
    return 202, b'{"execution_id":"%b","status":"queued"}' % enqueued.id.encode()


def _told(point: Point, ended: Ended) -> bytes:
    """The answer of a blocking point: the hooks' JSON as it is."""
    if ended.error is None:
        return b'{"execution_id":"%b","status":"success","data":%b}' % (ended.id.encode(), ended.response)
    fail = point.fail.encode()
    return b'{"execution_id":"%b","status":"error","data":%b,"fail":"%b"}' % (ended.id.encode(), ended.error, fail)


def _key(sent: list[str] | None, point: Point) -> str | None:
    """Raises Refusal 400 for one that is none, or that a blocking point cannot keep its word about."""
    if sent is None:
        return None
    if point.blocking:
        told = f"Idempotency-Key is for non-blocking points; {point.id} is answered at once, and run each time"
        raise _bad_header(told)
    if len(sent) > 1 or not _KEY.fullmatch(sent[0]):
        raise _bad_header("Idempotency-Key must be 1 to 255 visible ASCII characters, and stand there once")
    return sent[0]


def _wait_s(sent: list[str] | None) -> float:
    """How long the client wants to wait: `Prefer: wait=2.5`; other wishes are passed over. RFC 7240."""
    if sent is None:
        return math.inf
    wanted = [
        value.partition(";")[0].partition("=")[2].strip().strip('"')
        for field in sent
        for value in field.split(",")
        if value.partition(";")[0].partition("=")[0].strip().lower() == "wait"
    ]
    if not wanted:
        return math.inf
    if len(wanted) > 1 or not _WAIT.fullmatch(wanted[0]) or not float(wanted[0]):
        raise _bad_header("Prefer: wait=SECONDS must be a number above 0 with 3 decimals at most, and stand there once")
    return float(wanted[0])


def _bad_header(said: str) -> Refusal:
    return Refusal(400, "invalid_headers", f"Header validation error: '{said}'.")


_EXCHANGE = "credentials-exchange"
_ID = "01KACT8J9R0Q2T7Y4W5E6D8F1G"
_ARGUMENTS = {"client": {"id": "x7Yk"}, "audience": "https://api.example.com/", "scope": ["read:things"], "context": {}}
_REFUSED = {"name": "InvalidScopeError", "message": "not for this client", "statusCode": 400, "error": "invalid_scope"}
_ANSWERS = {
    "success": {"value": {"execution_id": _ID, "status": "success", "data": {"scope": ["read:things"]}}},
    "error": {"value": {"execution_id": _ID, "status": "error", "data": _REFUSED, "fail": "closed"}},
}
_BLOCKING = {"description": "Blocking: what came of it", "content": {"application/json": {"examples": _ANSWERS}}}
_QUEUED = {"model": shapes.Queued, "description": "Non-blocking: it is durable, and will be run at least once"}


@router.post(
    "/triggers/{trigger_id}",
    response_model=shapes.Success | shapes.Failure,
    responses={200: _BLOCKING, 202: _QUEUED},
    summary="Trigger an extensibility point",
)
@needs(*_GUARD.scopes)
async def trigger(
    trigger_id: Annotated[str, Path(max_length=256, description="The extensibility point.", examples=[_EXCHANGE])],
    arguments: Annotated[dict[str, Any], Body(description="The point's arguments.", examples=[_ARGUMENTS])],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Non-blocking: the same key and body are one invocation. 1 to 255 visible ASCII characters.",
        ),
    ] = None,
    prefer: Annotated[
        str | None,
        Header(
            alias="Prefer",
            description="`wait=SECONDS`: an earlier deadline than the engine's own.",
            examples=["wait=2.5"],
        ),
    ] = None,
) -> Response:
    """Runs the enabled hooks of the point, in their order, until one ends with an error.

    A blocking point answers 200 with what came of it, an error of a hook's included; without a hook, with its default
    response. A client that hangs up ends the run. A non-blocking one answers 202 once the invocation is durable.
    429 names the limit of the tenant that is reached: `jobs_at_once`, `calls_per_minute`, `queued_jobs`.
    """
    raise NotImplementedError(trigger_id, arguments, idempotency_key, prefer)  # Triggers has answered
