"""Questions: how dear is a turn against a bare echo, how many fresh processes a second, how late is a deadline."""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import time
from collections.abc import Callable
from typing import Self

from engine.app import Engine
from engine.benchmarks import Figure, host_pid, no_calls
from engine.hook import Hook, Limits
from engine.points import point_named
from engine.turn import run_turn
from engine.worker import Worker
from sandbox import wire

POINT = "post-change-password"
TRIVIAL = 'def hook(user, context, cb): cb(None, {"hello": user.username})'
ENDLESS = (
    "def hook(user, context, cb):\n    while True: pass",
    "import itertools\ndef hook(user, context, cb):\n    sum(itertools.repeat(0))",
)
_ROUNDS, _ROUND = 15, 300
_PROCESSORS = sorted(os.sched_getaffinity(0))


async def warm_turn(engine: Engine, advance: Callable[[], None]) -> Figure:
    """The p50 of a warm turn of a trivial hook over the p50 of an echo of as many bytes by a bare process.

    Worker and echo stand on the same processor, which is not the engine's: as under load, and because a process that
    shares its processor with the one that calls it is woken at a tenth of the price. Both placements are told.
    """
    job = await _trivial_job(engine)
    with _Echo() as echo:
        async with engine.pool.lease("bench", reuse=True) as worker:
            answered = await _answer_bytes(worker, job)
            shared = [await _round(echo, worker, job, answered, apart=False) for _ in range(_ROUNDS)]
            apart = []
            for _ in range(_ROUNDS):
                apart.append(await _round(echo, worker, job, answered, apart=True))
                advance()
    os.sched_setaffinity(0, _PROCESSORS)
    ratio, turn, echoed = (statistics.median(column) for column in zip(*apart, strict=True))
    together, turn_together, _ = (statistics.median(column) for column in zip(*shared, strict=True))
    detail = f"{turn:.0f} µs over {echoed:.0f} µs; sharing one processor {together:.1f} x, {turn_together:.0f} µs"
    return Figure(name="warm turn / bare echo, p50", measured=ratio, unit="x", budget=4, detail=detail)


async def _round(
    echo: _Echo, worker: Worker, job: wire.Run, answered: int, *, apart: bool
) -> tuple[float, float, float]:
    """(ratio, microseconds of a turn, of an echo), each the median of one round."""
    here, there = _PROCESSORS[0], _PROCESSORS[-1 if apart else 0]
    for pid, processor in ((0, here), (echo.pid, there), (host_pid(worker), there)):
        os.sched_setaffinity(pid, {processor})
    sent = len(wire.pack(job))
    echoed = statistics.median(echo.measure(sent, answered) for _ in range(_ROUND))
    turn = statistics.median([await _measure_turn(worker, job) for _ in range(_ROUND)])
    return turn / echoed, turn, echoed


async def invocations(engine: Engine, advance: Callable[[], None]) -> Figure:
    """Runs a second when every run has a fresh process."""
    hook, sample = Hook(TRIVIAL, POINT, mode="invocation", tenant="bench"), point_named(POINT).sample
    await engine.run(hook, sample)
    rates = []
    for _ in range(5):
        begun = time.perf_counter()
        await asyncio.gather(*(_repeat(engine, hook, 100) for _ in range(4)))
        rates.append(400 / (time.perf_counter() - begun))
        advance()
    return Figure(
        name="runs in mode invocation", measured=statistics.median(rates), unit="/s", budget=500, at_least=True
    )


async def overshoot(engine: Engine, advance: Callable[[], None]) -> Figure:
    """How long after its deadline an endless hook's outcome is there: loops of Python and of C, by turns."""
    wall_ms = 200
    late = []
    for number in range(100):
        hook = Hook(ENDLESS[number % 2], POINT, tenant="bench", limits=Limits(wall_ms=wall_ms))
        outcome = await engine.run(hook, point_named(POINT).sample)
        assert outcome.status == "timeout", outcome
        late.append(outcome.usage.wall_ms - wall_ms)
        advance()
    soft, hard = statistics.median(late[0::2]), statistics.median(late[1::2])
    late.sort()
    detail = f"deadline {wall_ms} ms; median of loops of C {hard:.1f} ms, of Python {soft:.1f} ms"
    return Figure(name="deadline overshoot, p99", measured=late[98], unit="ms", budget=50, detail=detail)


async def _repeat(engine: Engine, hook: Hook, times: int) -> None:
    for _ in range(times):
        outcome = await engine.run(hook, point_named(POINT).sample)
        assert outcome.status == "ok", outcome


async def _trivial_job(engine: Engine) -> wire.Run:
    return await engine.job(Hook(TRIVIAL, POINT, tenant="bench"), point_named(POINT).sample)


async def _answer_bytes(worker: Worker, job: wire.Run) -> int:
    await worker.send(job)
    return len(wire.pack(await worker.receive()))


async def _measure_turn(worker: Worker, job: wire.Run) -> float:
    begun = time.perf_counter()
    outcome = await run_turn(worker, job, 100, no_calls(), alone=worker.brief)
    assert outcome.status == "ok", outcome
    return (time.perf_counter() - begun) * 1e6


class _Echo:
    """A process that answers each message with as many bytes as it is told to: the least a conversation can cost."""

    def __enter__(self) -> Self:
        self._ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._ours.close()
            _echo(theirs)
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        os.waitpid(self.pid, 0)

    def measure(self, sent: int, answered: int) -> float:
        """Microseconds of one exchange."""
        begun = time.perf_counter()
        self._ours.send(answered.to_bytes(4, "big") + bytes(sent - 4))
        self._ours.recv(1 << 16)
        return (time.perf_counter() - begun) * 1e6


def _echo(channel: socket.socket) -> None:
    while data := channel.recv(1 << 16):
        channel.send(bytes(int.from_bytes(data[:4], "big")))
    os._exit(0)
