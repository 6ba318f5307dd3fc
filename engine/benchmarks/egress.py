"""Questions: how dear is a call from within a hook, and do hooks that wait for slow servers slow those that do not."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Self

import msgspec

from engine.app import Engine
from engine.benchmarks import Figure
from engine.benchmarks.language import Plain
from engine.config import Config
from engine.hook import Hook
from engine.points import point_named

POINT = "post-change-password"
TRIVIAL = 'def hook(user, context, cb): cb(None, {"hello": user.username})'
CALLING = """
import requests, time
def hook(user, context, cb):
    with requests.Session() as session:
        session.get(URL)
        begun = time.perf_counter_ns()
        for _ in range(CALLS):
            reply = session.get(URL)
        taken = time.perf_counter_ns() - begun
    assert (reply.status_code, len(reply.content)) == (200, 1024)
    cb(None, taken)
"""
WAITING = """
import requests
def hook(user, context, cb):
    requests.get(URL)
"""
_ROUNDS, _CALLS = 9, 50
_SLOW, _TENANTS, _TURNS = 200, 20, 5
_QUICK = 200  # runs of a round


def steps() -> int:
    """How often the two advance."""
    return _ROUNDS + _TURNS


def config() -> Config:
    """Room for hooks that wait, and for those that do not."""
    return Config(
        workers=_SLOW + 20,
        workers_per_tenant=_SLOW // _TENANTS + 2,
        waiting=_SLOW,
        wait_ms=60_000,
        egress_calls=_CALLS + 1,
        egress_at_once=_SLOW // _TENANTS,
        egress_exchange_ms=120_000,
        wall_ms=120_000,
        egress_exceptions=("127.0.0.1",),
    )


async def calling(engine: Engine, advance: Callable[[], None]) -> Figure:
    """A GET of 1 KiB with a Session over a kept connection: within a hook, over the same text in plain Python."""
    sample = point_named(POINT).sample
    ratios, hooked, bare = [], [], []
    with _Server() as server:
        source = f"URL = {server.url('/quick')!r}\nCALLS = {_CALLS}\n{CALLING}"
        with Plain(source) as plain:
            plain.measure()
            for _ in range(_ROUNDS):
                outcome = await engine.run(Hook(source, POINT, tenant="bench"), sample)
                assert outcome.status == "ok", outcome
                hooked.append(msgspec.json.decode(outcome.result, type=int) / _CALLS / 1000)
                bare.append(plain.measure() / _CALLS / 1000)
                ratios.append(hooked[-1] / bare[-1])
                advance()
    detail = f"{statistics.median(hooked):.0f} µs over {statistics.median(bare):.0f} µs"
    return Figure(
        name="GET of 1 KiB in a hook / plain requests",
        measured=statistics.median(ratios),
        unit="x",
        budget=3,
        detail=detail,
    )


async def waiting(engine: Engine, advance: Callable[[], None]) -> Figure:
    """The p50 of a trivial hook while 200 others wait for an answer, over that with their workers idle; by turns."""
    rounds = []
    with _Server() as server:
        for _ in range(_TURNS):
            rounds.append(await _busy_and_quiet(engine, server))
            advance()
    busy, quiet = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(busy / quiet for busy, quiet in rounds)
    detail = f"{busy:.0f} µs over {quiet:.0f} µs"
    return Figure(
        name="hook without HTTP, 200 waiting / none, p50", measured=ratio, unit="x", budget=1.5, detail=detail
    )


async def _busy_and_quiet(engine: Engine, server: _Server) -> tuple[float, float]:
    """Microseconds of a trivial hook, the median: while the others wait, and when they have ended."""
    source = f"URL = {server.url('/slow')!r}\n{WAITING}"
    hooks = [Hook(source, POINT, tenant=f"slow-{number % _TENANTS}") for number in range(_SLOW)]
    sample = point_named(POINT).sample
    runs = [asyncio.create_task(engine.run(hook, sample)) for hook in hooks]
    await asyncio.to_thread(server.wait_for, _SLOW)
    busy = await _quick(engine)
    await asyncio.to_thread(server.let_go)
    outcomes = await asyncio.gather(*runs)
    assert {len(outcome.egress) for outcome in outcomes} == {1}, outcomes[0]
    return busy, await _quick(engine)


async def _quick(engine: Engine) -> float:
    """Microseconds of a trivial hook's run, the median."""
    hook, sample = Hook(TRIVIAL, POINT, tenant="quick"), point_named(POINT).sample
    taken = []
    for _ in range(_QUICK):
        begun = time.perf_counter()
        outcome = await engine.run(hook, sample)
        taken.append((time.perf_counter() - begun) * 1e6)
        assert outcome.status == "ok", outcome
    return statistics.median(taken[_QUICK // 10 :])


class _Server:
    """A process that answers /quick at once with 1 KiB and /slow only when it is let go; it keeps connections."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "engine.benchmarks.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._port = int(self._ask(""))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def url(self, path: str) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}{path}"

    def wait_for(self, number: int) -> None:
        """Return when so many requests of /slow wait."""
        self._ask(f"{number}\n")

    def let_go(self) -> None:
        """Answer who waits."""
        self._ask("go\n")

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        return self._process.stdout.readline()
