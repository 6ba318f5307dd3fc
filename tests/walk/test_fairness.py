"""What one tenant's flood is to another tenant: over HTTP, with `hookcell serve` as an operator starts it."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import uvloop
from serving import Serving

from engine.benchmarks.load import Client, Tally, request
from engine.points import point_named

POINT = "credentials-exchange"
AT_ONCE = "def hook(client, scope, audience, context, cb):\n    cb()\n"
SLOW = "import time\ndef hook(client, scope, audience, context, cb):\n    time.sleep(0.2)\n    cb()\n"
FLOOD, FLOODING = 2_000, 200  # calls, connections
CALLS, MOST_S = 100, 0.8  # of the other tenants, one after the other: a round ends with whichever comes first
ROUNDS, TRIES = 3, 3
MOST = 2.0  # times the p95 of the quiet
FLOOR_MS = 3.0  # a quiet p95 below this counts as this: two processes of a busy machine take turns of a few ms
PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Called:
    """A server and calls of its tenants: `calm` has its workers for itself, `fresh` needs a new one at each call."""

    port: int
    calm: bytes
    fresh: bytes
    flood: bytes

    @classmethod
    def of(cls, server: Serving) -> Called:
        """Makes the tenants."""
        calls = (
            call_of(server, "calm", AT_ONCE, mode="tenant"),
            call_of(server, "fresh", AT_ONCE, mode="invocation"),
            call_of(server, "flood", SLOW),
        )
        return cls(int(server.url.rpartition(":")[2]), *calls)


def call_of(server: Serving, name: str, source: str, **settings: Any) -> bytes:
    """A call of the hook of a new tenant."""
    token = server.tenant(name, **settings)
    path = f"/v1/tenants/{name}"
    made = server.ask("PUT", f"{path}/hooks/it/source", token, content=source, params={"trigger_id": POINT})
    assert 201 == made.status_code, made.text
    return request(f"{path}/triggers/{POINT}", token, msgspec.json.encode(point_named(POINT).sample))


def while_there_is_time(call: bytes) -> Iterable[bytes]:
    """So many calls, or as many as are asked for within the time."""
    until = time.monotonic() + MOST_S
    return itertools.takewhile(lambda _: time.monotonic() < until, itertools.repeat(call, CALLS))


async def p95s(called: Called) -> list[float]:
    """Milliseconds, of either tenant that does not flood."""
    found = []
    for call in (called.calm, called.fresh):
        tally = await Client(called.port, 1, "127.0.0.2").send(while_there_is_time(call))
        took_ms = sorted(tally.only(200).took_ms)
        found.append(took_ms[len(took_ms) * 95 // 100])
    return found


async def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        await asyncio.sleep(0.01)


async def one_round(called: Called) -> list[float]:
    """The p95 of either tenant beside a flood, over those of the quiet before and after it."""
    before, tally = await p95s(called), Tally()
    flood = Client(called.port, FLOODING, "127.0.0.3", patient=True)
    async with flood.calling(itertools.repeat(called.flood, FLOOD), tally):
        await until(lambda: tally.statuses[200] and tally.statuses[429], "more calls than may be under way")
        answered = tally.statuses[200]
        beside = await p95s(called)
        await until(lambda: tally.statuses[200] > answered, "another answer: it floods to the end")
    await Client(called.port, patient=True).send([called.flood])  # those that were hung up on have ended
    after = await p95s(called)
    return [noisy / max((one + other) / 2, FLOOR_MS) for noisy, one, other in zip(beside, before, after, strict=True)]


async def measure(server: Serving) -> list[list[float]]:
    """Each try's medians, up to the first that is good."""
    called = Called.of(server)
    await p95s(called)  # the first calls of all
    tries: list[list[float]] = []
    while len(tries) < TRIES and not (tries and max(tries[-1]) <= MOST):
        rounds = [await one_round(called) for _ in range(ROUNDS)]
        tries.append([statistics.median(each) for each in zip(*rounds, strict=True)])
    return tries


@pytest.mark.slow
def test_a_tenant_that_floods_does_not_slow_down_another_ones_calls(serve: Callable[..., Serving]) -> None:
    """2,000 calls of a 200 ms hook by 200 connections that do not give up: others' p95 is at most twice the quiet one.

    The best of three tries, because this machine may do something else at the same time.
    """
    server = serve()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tries = runner.run(measure(server))

    assert max(tries[-1]) <= MOST, f"(warm worker, new worker) / quiet, of each try: {tries}"
