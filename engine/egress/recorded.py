"""Answers that are there already: the mocks of a case file, or what an execution was answered when it ran.

A mock answers the first call that it matches and that no mock before it answers; then it is used up. A call that no
mock matches has no connection, and is remembered: its case fails, also when the hook copes with it.
"""

from __future__ import annotations

import asyncio
import base64
import http
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn, cast, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.egress.headers import FIELD_NAME
from engine.egress.refusals import Refused, Unanswered
from engine.egress.transport import Request, Response, Timings
from engine.errors import BadInput
from engine.outcome import Exchange
from sandbox.wire import FailureKind, Headers

_SHOWN_CHARS = 500  # of a URL or a body, where a fault tells of it
_URL = re.compile(r"https?://[^/?#\s]+/[^#\s]*", re.ASCII)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TYPES = {"json": "application/json", "text": "text/plain; charset=utf-8", "base64": "application/octet-stream"}
_FAILURES: dict[str, tuple[FailureKind, str]] = {
    "timeout": ("read_timeout", "the mock does not answer in time"),
    "connect_timeout": ("connect_timeout", "the mock takes no connection in time"),
    "connection": ("connection", "the mock refuses the connection"),
    "tls": ("tls", "the mock has no valid certificate"),
}


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which call a mock answers; what is not set is not looked at."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    url: str  # as it is sent, with its query; with a * at its end, every URL that begins so
    json: Any = UNSET  # what the body says, exactly
    text: str | UnsetType = UNSET  # the body itself, exactly
    headers: dict[str, str] = {}  # among those of the call, in whatever case

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.url):
            raise ValueError(f"{self.url!r} is no URL as it is sent: write https://HOST/PATH, without a fragment")
        if "*" in self.url[:-1]:
            raise ValueError(f"{self.url!r} never matches; a star stands at the end of a URL")
        if self.json is not UNSET and self.text is not UNSET:
            raise ValueError("json and text both say what the body is; write one of them")
        _canonical(self.json)

    def calls(self, method: str, url: str) -> bool:
        """Whether that is its method and its URL."""
        if method != self.method:
            return False
        return url.startswith(self.url[:-1]) if self.url.endswith("*") else url == self.url

    def misfit(self, request: Request) -> str:
        """What of a call with its method and URL is otherwise; empty when nothing is."""
        sent = {name.lower(): value for name, value in request.headers}
        for name, value in self.headers.items():
            if sent.get(name.lower()) != value:
                return f"{name}: expected {value!r}, sent {sent.get(name.lower())!r}"
        if self.text is not UNSET and request.body != self.text.encode():
            return f"text: expected {_clip(repr(self.text))}, sent {_clip(repr(_text(request.body)))}"
        if self.json is not UNSET and _canonical_body(request.body) != _canonical(self.json):
            return f"json: expected {_clip(_text(_canonical(self.json)))}, sent {_clip(_text(request.body))}"
        return ""


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a mock answers, or how it fails to."""

    status: Annotated[int, Meta(ge=200, le=599)] | UnsetType = UNSET  # 200
    headers: dict[str, str | Annotated[list[str], Meta(min_length=1)]] | UnsetType = UNSET  # a list: each in its turn
    json: Any = UNSET
    text: str | UnsetType = UNSET
    base64: str | UnsetType = UNSET
    delay: Annotated[float, Meta(ge=0, le=600)] = 0  # in seconds, before it answers or fails
    error: Literal["timeout", "connect_timeout", "connection", "tls"] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if len(self._bodies()) > 1:
            raise ValueError(f"{' and '.join(self._bodies())} each say what the body is; write one of them")
        if self.error is not UNSET and (self._bodies() or not self.status is self.headers is UNSET):
            raise ValueError("a reply with an error has no status, headers or body: there is no response")
        for name, value in self._headers():
            if not (FIELD_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
                raise ValueError(f"{name!r}: {value!r} is no header")
        self._body()

    def answer(self) -> Response:
        """The response. Raises Unanswered when it is an error."""
        if self.error is not UNSET:
            raise Unanswered(*_FAILURES[self.error])
        own = self._headers()
        body = self._body()
        usual = [("Content-Length", str(len(body))), *(("Content-Type", _TYPES[kind]) for kind in self._bodies())]
        named = {name.lower() for name, _ in own}
        headers = (*(pair for pair in usual if pair[0].lower() not in named), *own)
        return _response(self.status or 200, headers, body)

    def _headers(self) -> Headers:
        given = (self.headers or {}).items()
        return tuple((name, each) for name, value in given for each in ([value] if isinstance(value, str) else value))

    def _bodies(self) -> list[str]:
        return [name for name in _TYPES if getattr(self, name) is not UNSET]

    def _body(self) -> bytes:
        if self.base64 is not UNSET:
            try:
                return base64.b64decode(self.base64, validate=True)
            except ValueError:
                raise ValueError(f"{_clip(repr(self.base64))} is not base64") from None
        if self.text is not UNSET:
            return self.text.encode()
        return b"" if self.json is UNSET else msgspec.json.encode(self.json)


class Mock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer that is there for calls to come."""

    when: When
    reply: Reply = Reply()
    times: Annotated[int, Meta(ge=1, le=1000)] = 1  # it answers so many calls, and must


@dataclass(slots=True)
class _Entry:
    name: str  # "GET https://…"
    calls: Callable[[str, str], bool]
    misfit: Callable[[Request], str]
    answer: Callable[[], Response]  # raises Refused, Unanswered
    times: int = 1
    delay: float = 0
    used: int = 0

    @property
    def left(self) -> bool:
        return self.used < self.times


class Recorded:
    """A transport that answers out of a list, each answer once, in the order of the list where more than one fits."""

    def __init__(self, mocks: Iterable[Mock] = (), *, mask: Callable[[str], str] = str) -> None:
        self._entries = [_mocked(mock) for mock in mocks]
        self._mask = mask  # of the URLs that are looked for
        self.unmatched: list[str] = []  # what a call was that nothing answered, and what would have been answered

    @classmethod
    def replaying(cls, exchanges: Iterable[Exchange], mask: Callable[[str], str] = str) -> Recorded:
        """What an execution was answered. `mask`: as the record masks URLs. Raises BadInput where no body was kept.

        The answers are as masked as the record is; what a broker refuses by itself never comes to be asked for.
        """
        recorded = cls(mask=mask)
        recorded._entries += [_replayed(number, exchange) for number, exchange in enumerate(exchanges, 1)]
        return recorded

    @property
    def unused(self) -> list[str]:
        """What of the list was not called, or not as often as it must be."""
        return [
            f"{entry.name} was called {entry.used} of {entry.times} times"
            if entry.used
            else f"{entry.name} was never called"
            for entry in self._entries
            if entry.left
        ]

    async def fetch(self, request: Request, timings: Timings) -> Response:
        """What the list has for this call."""
        entry = self._take(request)
        if entry.delay:
            await _wait(entry.delay, request)
        response = entry.answer()
        if len(response.body) > request.response_bytes:
            raise Refused("response-size", f"the response is larger than {request.response_bytes} bytes")
        timings.first_byte_ms = entry.delay * 1000
        if request.method == "HEAD":
            return _response(response.status, response.headers, b"", response.reason)
        return response

    def _take(self, request: Request) -> _Entry:
        url = self._mask(request.url).partition("#")[0]
        near = [entry for entry in self._entries if entry.left and entry.calls(request.method, url)]
        for entry in near:
            if not entry.misfit(request):
                entry.used += 1
                return entry
        name = f"{request.method} {_clip(url)}"
        left = [f"{entry.name} ({entry.misfit(request)})" if entry in near else entry.name for entry in self._left()]
        rest = f"the mocks left are: {', '.join(left)}" if left else "no mock is left"
        self.unmatched.append(f"{name} matches no mock; {rest}")
        raise Unanswered("connection", f"no mock of this case answers {name}")

    def _left(self) -> list[_Entry]:
        return [entry for entry in self._entries if entry.left]


def _mocked(mock: Mock) -> _Entry:
    when, reply = mock.when, mock.reply
    name = f"{when.method} {_clip(when.url)}"
    return _Entry(name, when.calls, when.misfit, reply.answer, mock.times, reply.delay)


def _replayed(number: int, exchange: Exchange) -> _Entry:
    def calls(method: str, url: str) -> bool:
        return (exchange.method, exchange.url.partition("#")[0]) == (method, url)

    name = f"{exchange.method} {exchange.url}"
    return _Entry(name, calls, lambda _: "", _kept_answer(f"exchange {number}, {name}", exchange))


def _kept_answer(name: str, exchange: Exchange) -> Callable[[], Response]:
    kept, status = exchange.response, exchange.status
    if status is None:
        return lambda: _fail(exchange)
    if kept is None or kept.truncated:
        raise BadInput(f"{name} cannot be replayed: its response was not kept whole; see keep_bodies and kept_bytes")
    body = base64.b64decode(kept.body) if kept.base64 else kept.body.encode()
    response = _response(status, kept.headers, body, kept.reason)
    return lambda: response


def _fail(exchange: Exchange) -> NoReturn:
    if exchange.refused:
        raise Refused(exchange.refused, exchange.message)
    kind = exchange.error if exchange.error in get_args(FailureKind) else "connection"  # a call that was given up
    raise Unanswered(cast("FailureKind", kind), exchange.message)


async def _wait(delay: float, request: Request) -> None:
    """As long as the mock takes, or as the call may: then it is too late."""
    most = max(0.0, min(request.read_s, request.end - asyncio.get_running_loop().time()))
    await asyncio.sleep(min(delay, most))
    if delay > most:
        raise Unanswered("read_timeout", f"no answer within {most:.3g} s")


def _response(status: int, headers: Headers, body: bytes, reason: str | None = None) -> Response:
    if reason is None:
        reason = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else ""
    return Response(status=status, reason=reason, headers=headers, body=body, received_bytes=len(body))


def _canonical(value: Any) -> bytes:
    """JSON to compare by: true is not 1, and the order of names is nothing. Raises ValueError for what is no JSON."""
    if value is UNSET:
        return b""
    try:
        return msgspec.json.encode(value, order="sorted")
    except (TypeError, RecursionError) as error:
        raise ValueError(f"this is no JSON: {error}") from None


def _canonical_body(body: bytes) -> bytes | None:
    try:
        return _canonical(msgspec.json.decode(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _clip(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
