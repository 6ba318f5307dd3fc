"""The egress broker of one job: every call of it comes here, is admitted or refused, answered and recorded.

The frames may come from a worker in hostile hands: what they say is checked as if nobody had looked at it before.
Redirects are not followed here: the worker's `requests` does, and each is a call of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from engine.egress import headers, record, urls
from engine.egress.policy import EgressPolicy, check_target
from engine.egress.refusals import Refused, Unanswered
from engine.egress.transport import Request, Response, Timings, Transport
from engine.mask import NOTHING, Mask
from engine.outcome import Exchange, to_microseconds
from sandbox import wire

_MOST_ASKED = 1000  # times for a call more than there may be: each costs everybody's time


class Broker:
    """Answers the calls of one job. Most jobs make none: `find_transport` is asked when one does."""

    def __init__(self, policy: EgressPolicy, find_transport: Callable[[], Transport], mask: Mask = NOTHING) -> None:
        self._policy = policy
        self._find_transport = find_transport
        self._mask = mask
        self._calls = 0
        self.exchanges: list[Exchange] = []  # at most one more than the policy's calls

    async def answer(self, call: wire.Http, end: float) -> wire.Answer:
        """The response, or why there is none, before `end` by the monotonic clock. Recorded, also when cancelled.

        Raises ProtocolError for whoever does not stop asking.
        """
        begun, timings = time.perf_counter(), Timings()  # an event loop's own time may be whole milliseconds
        came: Response | wire.Failed | None = None
        try:
            came = await self._find_transport().fetch(self._admit(call, end), timings)
        except Refused as refused:
            came = wire.Failed("refused", refused.rule, refused.said)
        except Unanswered as unanswered:
            came = wire.Failed(unanswered.kind, "", unanswered.said)
        finally:
            timings.total_ms = to_microseconds((time.perf_counter() - begun) * 1000)
            self._record(call, came, timings)
        return came if isinstance(came, wire.Failed) else _answered(came)

    def _admit(self, call: wire.Http, end: float) -> Request:
        """The call as a request that may be sent. Raises Refused."""
        self._calls += 1
        policy = self._policy
        if self._calls > policy.calls + _MOST_ASKED:
            raise wire.ProtocolError(f"it asked for {_MOST_ASKED} calls more than a job may make")
        if self._calls > policy.calls:
            raise Refused(
                "call-count", f"a job may make {policy.calls} calls; make fewer, or ask the operator for more"
            )
        headers.check_method(call.method)
        target = urls.parse(call.url)
        check_target(policy, target)
        headers.check_headers(call.headers)
        if len(call.body) > policy.request_bytes:
            said = f"a request body may have {policy.request_bytes} bytes; this one has {len(call.body)}"
            raise Refused("request-size", said)
        return Request(
            method=call.method,
            url=call.url,
            target=target,
            headers=call.headers,
            body=call.body,
            connect_s=_least(call.connect_ms, policy.exchange_ms),
            read_s=_least(call.read_ms, policy.exchange_ms),
            end=min(end, asyncio.get_running_loop().time() + policy.exchange_ms / 1000),
            response_bytes=policy.response_bytes,
        )

    def _record(self, call: wire.Http, came: Response | wire.Failed | None, timings: Timings) -> None:
        if len(self.exchanges) <= self._policy.calls:
            self.exchanges.append(record.exchange(call, came, timings, self._policy, self._mask))


def _least(asked_ms: int | None, most_ms: int) -> float:
    return (most_ms if asked_ms is None else min(asked_ms, most_ms)) / 1000


def _answered(response: Response) -> wire.Answered:
    return wire.Answered(response.status, response.reason, response.headers, response.body)
