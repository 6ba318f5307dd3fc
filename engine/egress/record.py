"""What is kept of an exchange: enough to see where a hook's time and calls went, and, by policy, to replay it.

What is kept is masked first (mask.py) and cut then, so that no cut leaves a part of a secret.
"""

from __future__ import annotations

import base64

from engine.egress.headers import METHODS
from engine.egress.policy import EgressPolicy
from engine.egress.transport import Response, Timings
from engine.mask import Mask
from engine.outcome import Exchange, Kept, Spans
from sandbox import wire

_URL_CHARS = 2048  # of a URL in the record
_METHOD_CHARS = 32
_HEADER_CHARS = 64 << 10  # of all headers together: a call that is refused may have any

_ABANDONED = wire.Failed("connection", "", "the job ended before the answer came")


def exchange(
    call: wire.Http, came: Response | wire.Failed | None, timings: Timings, policy: EgressPolicy, mask: Mask
) -> Exchange:
    """The record of one call and what came of it. None: its job ended first."""
    response = came if isinstance(came, Response) else None
    failed = None if isinstance(came, Response) else came or _ABANDONED
    kept = policy.keep_bodies == "all" or (policy.keep_bodies == "errors" and _is_error(response))
    return Exchange(
        method=call.method if call.method in METHODS else mask.text(call.method)[:_METHOD_CHARS],
        url=mask.url(call.url)[:_URL_CHARS],
        status=response.status if response else None,
        refused=failed.rule or None if failed else None,
        error=_error(came),
        message=mask.text(failed.message) if failed else "",
        sent_bytes=0 if failed and failed.rule else len(call.body),
        received_bytes=response.received_bytes if response else 0,
        ms=timings.total_ms,
        timings=Spans(
            dns_ms=timings.dns_ms,
            connect_ms=timings.connect_ms,
            tls_ms=timings.tls_ms,
            first_byte_ms=timings.first_byte_ms,
        ),
        request=_keep(call.headers, call.body, policy, mask) if kept else None,
        response=_keep(response.headers, response.body, policy, mask, response.reason) if kept and response else None,
    )


def _error(came: Response | wire.Failed | None) -> str | None:
    if came is None:
        return "abandoned"
    return came.kind if isinstance(came, wire.Failed) and not came.rule else None


def _is_error(response: Response | None) -> bool:
    return response is None or response.status >= 400


def _keep(headers: wire.Headers, body: bytes, policy: EgressPolicy, mask: Mask, reason: str = "") -> Kept:
    text, encoded = _as_text(mask.body(body, policy.kept_bytes))
    return Kept(
        headers=mask.headers(_bounded(headers)),
        body=text,
        base64=encoded,
        truncated=len(body) > policy.kept_bytes,
        reason=mask.text(reason),
    )


def _bounded(headers: wire.Headers) -> wire.Headers:
    left, kept = _HEADER_CHARS, []
    for name, value in headers:
        left -= len(name) + len(value)
        if left < 0:
            break
        kept.append((name, value))
    return tuple(kept)


def _as_text(cut: bytes) -> tuple[str, bool]:
    """A text, also where a character was cut through; else base64, and that it is."""
    try:
        return cut.decode(), False
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start > len(cut) - 4:
            return cut[: error.start].decode(), False
        return base64.b64encode(cut).decode(), True
