"""The seam between the broker and where answers come from: the network, the mocks of a case, a recorded execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.egress.urls import Target
from sandbox.wire import Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One checked request. What of it may be sent has been decided; where it goes, the transport still checks."""

    method: str
    url: str  # as the hook wrote it, for recorded answers
    target: Target
    headers: Headers  # without those that are the broker's to set: Host, Content-Length, Connection, …
    body: bytes
    connect_s: float  # until connected, from the start: name, TCP and TLS together
    read_s: float  # from then on until the last byte
    end: float  # by the monotonic clock: not a moment later, whatever the two say
    response_bytes: int  # the most that a response may be, decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One whole response."""

    status: int
    reason: str
    headers: Headers  # as they came, in latin-1
    body: bytes  # decoded
    received_bytes: int  # of the body, as it came


@dataclass(slots=True)
class Timings:
    """Where the time of an exchange went, in milliseconds. None: there was no such step."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None  # from the request sent to the response's first line and headers
    total_ms: float = 0.0  # set by the broker


class Transport(Protocol):
    """Where answers come from."""

    async def fetch(self, request: Request, timings: Timings) -> Response:
        """The response. Fills in `timings`. Raises Refused, Unanswered; leaves nothing behind if cancelled."""
