"""How a job ended, as callers see it: the whole outcome, as `hookcell run --json` prints it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from sandbox.wire import Status


def lines_of(source: str) -> list[str]:
    """The lines of a source as Python counts them."""
    return re.split(r"\r\n|\r|\n", source)


def to_microseconds(milliseconds: float) -> float:
    """Times as they are told. `round` takes five times as long, several times for every call."""
    return int(milliseconds * 1000 + 0.5) / 1000


class LogEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line that the hook logged."""

    level: str  # info, warn, error
    text: str
    line: int | None  # of the hook's source
    at: str  # RFC 3339, UTC, milliseconds


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the job cost."""

    wall_ms: float  # by the engine's clock
    cpu_ms: float  # by the worker's word
    peak_bytes: int  # largest resident size of the worker, by its word


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that the policy refuses, or that a check warns of. `line` and `column` count from 1."""

    rule: str
    line: int
    column: int
    end: int
    message: str
    hint: str


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of the hook's source that an error passed through."""

    line: int
    function: str  # whose line it is; empty: the file itself
    source: str | None = None  # the text of that line


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One error of a chain, with its way through the hook, outermost call first."""

    message: str  # "KeyError: 'email'"
    steps: tuple[Step, ...] = ()


class Spans(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where the time of an exchange went, in milliseconds. None: there was no such step, as on a kept connection."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None  # from the request sent to the response's headers


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Headers and body of a request or a response, secrets masked; kept by policy."""

    headers: tuple[tuple[str, str], ...]
    body: str
    base64: bool = False  # whether `body` is, because it is no UTF-8
    truncated: bool = False  # whether there was more
    reason: str = ""  # of a response


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the hook's to another host, and what came of it."""

    method: str
    url: str  # secrets masked
    status: int | None = None  # of the response, if there was one
    refused: str | None = None  # the rule of the egress broker that refused it
    error: str | None = None  # how it failed otherwise: connect_timeout, read_timeout, connection, tls, broken, …
    message: str = ""  # why there was no response, as the hook was told
    sent_bytes: int = 0  # of the request's body
    received_bytes: int = 0  # of the response's body, as it came
    ms: float = 0.0  # from the call to its answer
    timings: Spans = Spans()
    request: Kept | None = None
    response: Kept | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended. Whatever a hook did is one of these; nothing it does raises in the engine."""

    status: Status
    message: str  # what happened and what to do; empty when `ok`
    line: int | None = None  # of the hook's source, where it ended
    source: str | None = None  # the text of that line
    result: msgspec.Raw = msgspec.Raw(b"null")  # JSON of what cb() was given, when `ok`
    error: msgspec.Raw = msgspec.Raw(b"null")  # {name, message, …}, when `denied` or `raised`
    logs: tuple[LogEvent, ...] = ()
    egress: tuple[Exchange, ...] = ()  # calls to other hosts, in order
    usage: Usage = Usage(wall_ms=0.0, cpu_ms=0.0, peak_bytes=0)
    diagnostics: tuple[Finding, ...] = ()  # when `rejected`
    warnings: tuple[Finding, ...] = ()  # of a check: they refuse nothing
    causes: tuple[Cause, ...] = ()  # when `raised`, or `denied` with what was raised: the error, then what led to it

    def json(self) -> bytes:
        """The whole outcome as JSON."""
        return msgspec.json.encode(self)

    def value(self) -> Any:
        """The result as Python data."""
        return msgspec.json.decode(self.result)
