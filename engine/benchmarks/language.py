"""Questions: how long does the check of an ordinary hook take, and what do the guards cost a hook that loops.

The texts stand in language.yaml. A loop takes its own time, in a warm worker and in a plain Python process by turns, so
that what is compared is the same text on the same processor in the same second. Start-up and frames are not in it.
"""

from __future__ import annotations

import functools
import importlib.resources
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Self

import msgspec
import yaml

from engine.app import Engine
from engine.benchmarks import Figure, host_pid, no_calls
from engine.hook import Hook
from engine.points import point_named
from engine.turn import run_turn
from engine.worker import Worker
from sandbox import wire

POINT = "post-change-password"
_CHECKS = 40
_ROUNDS = 9
_LAST_PROCESSOR = max(os.sched_getaffinity(0))

# Put after a loop's text it makes a program that runs the hook once for every line it reads.
_PLAIN_END = """
import sys
for line in sys.stdin:
    hook({}, {}, lambda error=None, response=None: print(response, flush=True))
"""


class Loop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text that takes its own time."""

    name: str
    source: str
    budget: float | None = None  # times plain Python


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What language.yaml holds."""

    ordinary: str
    loops: tuple[Loop, ...]


@functools.cache
def texts() -> Texts:
    """The texts, read once."""
    text = importlib.resources.files(__package__).joinpath("language.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), Texts)


def steps() -> int:
    """How often the two measurements call `advance`."""
    return 1 + len(texts().loops)


def ordinary(number: int) -> str:
    """The ordinary hook, sixty lines. The last one differs by `number`: an engine checks the same text only once."""
    return f"{texts().ordinary}# {number}\n"


async def checking(engine: Engine, advance: Callable[[], None]) -> Figure:
    """Policy, warnings and compiling of sixty lines by a warm worker, from the engine's call to its outcome."""
    took_ms = []
    for number in range(_CHECKS):
        hook = Hook(ordinary(number), POINT, tenant="bench")
        begun = time.perf_counter()
        outcome = await engine.check(hook)
        took_ms.append((time.perf_counter() - begun) * 1000)
        assert outcome.status == "ok", outcome
    advance()
    detail = f"median of {_CHECKS} checks of 60 lines; the slowest {max(took_ms):.1f} ms"
    return Figure(name="compile + check", measured=statistics.median(took_ms), unit="ms", budget=15, detail=detail)


async def guards(engine: Engine, advance: Callable[[], None]) -> list[Figure]:
    """What each loop takes in a worker over what it takes in plain Python."""
    sample = point_named(POINT).sample
    jobs = [await engine.job(Hook(loop.source, POINT, tenant="bench"), sample) for loop in texts().loops]
    figures = []
    async with engine.pool.lease("bench", reuse=True) as worker:
        os.sched_setaffinity(host_pid(worker), {_LAST_PROCESSOR})
        for loop, job in zip(texts().loops, jobs, strict=True):
            figures.append(await _compare(loop, worker, job))
            advance()
    return figures


async def _compare(loop: Loop, worker: Worker, job: wire.Run) -> Figure:
    """The median of the rounds' ratios. Before the first round each has run once: both are warm."""
    with Plain(loop.source) as plain:
        plain.measure()
        await _guarded(worker, job)
        rounds = [(await _guarded(worker, job), plain.measure()) for _ in range(_ROUNDS)]
    ratio = statistics.median(guarded / bare for guarded, bare in rounds)
    guarded_ms, bare_ms = (statistics.median(column) / 1e6 for column in zip(*rounds, strict=True))
    detail = f"{guarded_ms:.1f} ms over {bare_ms:.1f} ms"
    return Figure(name=f"{loop.name} / plain Python", measured=ratio, unit="x", budget=loop.budget, detail=detail)


async def _guarded(worker: Worker, job: wire.Run) -> int:
    """Nanoseconds, as the hook took them in the worker."""
    outcome = await run_turn(worker, job, 100, no_calls())
    assert outcome.status == "ok", outcome
    return msgspec.json.decode(outcome.result, type=int)


class Plain:
    """A plain Python process, on the worker's processor, that runs one loop as often as it is asked to."""

    def __init__(self, source: str) -> None:
        self._command = [sys.executable, "-I", "-c", source + _PLAIN_END]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603 - our own text
        os.sched_setaffinity(self._process.pid, {_LAST_PROCESSOR})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def measure(self) -> int:
        """Nanoseconds, as the hook took them."""
        assert self._process.stdin is not None, "it was asked for"
        assert self._process.stdout is not None, "it was asked for"
        self._process.stdin.write(b"\n")
        return int(self._process.stdout.readline())
