"""Questions: what a hook costs a call over HTTP, how many calls a second are durable, how soon strangers are served.

And what a tenant feels of another one's flood. All of a real `hookcell serve` on SQLite with `synchronous=FULL`, called
over connections of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import msgspec
import uvloop

from engine.app import Compiled
from engine.benchmarks import Figure
from engine.benchmarks.load import Client, Tally, endless, request
from engine.benchmarks.store import Server, fill, serving
from engine.points import point_named

BLOCKING, SECRET, QUEUED = "credentials-exchange", "pre-user-registration", "post-change-password"
TRIVIAL = {
    BLOCKING: 'def hook(client, scope, audience, context, cb): cb(None, {"scope": scope})',
    SECRET: 'def hook(user, context, cb): cb(None, {"user": {"user_metadata": {"hello": user.username}}})',
    QUEUED: "def hook(user, context, cb): cb()",
}
SLOW = "import time\ndef hook(client, scope, audience, context, cb):\n    time.sleep(0.2)\n    cb()\n"
_NO_LIMITS = {"calls_per_minute": 100_000_000, "queued_jobs": 10_000_000}  # what is measured is not the limits

_ROUNDS, _CALLS, _AT_ONCE = 9, 2_000, 16
_ENQUEUED, _ENQUEUING = 4_000, 64  # of a round, connections
_STRANGERS = 100
_FLOOD, _FLOODING = 2_000, 200  # calls, connections
_CALM = 400  # calls of the other tenant
_DRAINED_S = 120


def steps() -> int:
    """How often `measure` advances the progress bar."""
    return 3 + 3 * _ROUNDS


def measure(made: Compiled, advance: Callable[[], None]) -> list[Figure]:
    """Every figure of the triggers. `made`: the hook of tenants that the server has never seen."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        fill(data, _STRANGERS, made)
        advance()
        with serving(data, **_NO_LIMITS) as server, _constant() as constant, _runner() as runner:
            return runner.run(_measure(_Served.by(server), constant, advance))


class _Measured(TypedDict):
    measured: float
    detail: str


@dataclass(frozen=True, slots=True)
class _Served:
    """A server with the tenants that are called."""

    server: Server
    port: int
    calm: bytes  # a blocking call of a trivial hook
    idle: bytes  # the same, where there is none: it is answered with the point's default response
    secret: bytes  # the same of a point with secret fields: its record is written without them
    slow: bytes  # a blocking call of another tenant's slow hook
    queued: str  # token of a tenant with a hook of a point that nobody waits for

    @classmethod
    def by(cls, server: Server) -> _Served:
        """Makes them."""
        calm, secret, slow = (
            _call(name, point, _tenant(server, name, source, point))
            for name, point, source in (
                ("calm", BLOCKING, TRIVIAL[BLOCKING]),
                ("secret", SECRET, TRIVIAL[SECRET]),
                ("slow", BLOCKING, SLOW),
            )
        )
        queued = _tenant(server, "queued", TRIVIAL[QUEUED], QUEUED)
        idle = _call("idle", BLOCKING, _token(server, "idle"))
        return cls(server, server.connection.port or 0, calm, idle, secret, slow, queued)


def _call(tenant: str, point: str, token: str) -> bytes:
    return request(_path(tenant, point), token, msgspec.json.encode(point_named(point).sample))


def _path(tenant: str, point: str) -> str:
    return f"/v1/tenants/{tenant}/triggers/{point}"


def _tenant(server: Server, name: str, source: str, point: str) -> str:
    """A tenant with one hook; a token that may call its points."""
    token = _token(server, name)
    server.ask("PUT", f"/v1/tenants/{name}/hooks/hook/source?trigger_id={point}", source)
    return token


def _token(server: Server, name: str) -> str:
    """Of a new tenant."""
    server.ask("POST", "/v1/tenants", msgspec.json.encode({"name": name}))
    made = server.ask("POST", f"/v1/tenants/{name}/tokens", b'{"name": "bench", "scopes": ["run:triggers"]}')
    return str(made["token"])


async def _measure(served: _Served, constant: int, advance: Callable[[], None]) -> list[Figure]:
    strangers = await _first_calls(served)  # before anything else has slowed or warmed the server
    advance()
    judged, bare = await _blocking(served, served.calm, constant, advance)
    secret, _ = await _blocking(served, served.secret, constant, advance)
    flooded = await _flooded(served)
    advance()
    return [
        Figure(name="warm call over HTTP / a constant", unit="x", budget=0.6, at_least=True, **judged),
        Figure(name="the same of a point with secret fields", unit="x", budget=None, **secret),
        Figure(name="warm call over HTTP / a constant, nothing asked", unit="x", budget=None, **bare),
        await _enqueuing(served, advance),
        strangers,
        flooded,
    ]


async def _blocking(
    served: _Served, one: bytes, constant: int, advance: Callable[[], None]
) -> tuple[_Measured, _Measured]:
    """A trivial hook in a warm worker, over constants: of the same server, and of a bare one. All by turns.

    The same server answers a constant for a tenant without a hook: who asks, the limits and the arguments are looked
    at as for any call. The bare one answers from the same route and asks nothing.
    """
    over_same, over_bare, rates, p50s = [], [], [], []
    for each in (one, served.idle):
        await _rate(served.port, each, 0.2)
    for _ in range(_ROUNDS):
        bare, _ = await _rate(constant, one)
        same, _ = await _rate(served.port, served.idle)
        rate, p50 = await _rate(served.port, one)
        over_same.append(rate / same)
        over_bare.append(rate / bare)
        rates.append(rate)
        p50s.append(p50)
        advance()
    rate, p50 = statistics.median(rates), statistics.median(p50s)
    detail = f"{rate:.0f} calls/s at {_AT_ONCE} connections, p50 {p50:.1f} ms"
    return (
        {"measured": statistics.median(over_same), "detail": detail},
        {"measured": statistics.median(over_bare), "detail": "over a server that asks nobody who it is"},
    )


async def _rate(port: int, one: bytes, part: float = 1.0) -> tuple[float, float]:
    """(calls a second, p50 in milliseconds) of one round."""
    begun = time.perf_counter()
    tally = await Client(port, _AT_ONCE).send(itertools.repeat(one, int(_CALLS * part)))
    took_s = time.perf_counter() - begun
    return len(tally.only(200).took_ms) / took_s, statistics.median(tally.took_ms)


async def _first_calls(served: _Served) -> Figure:
    """One call each of tenants that this server has never heard of: their hooks, keys and tokens are in the store."""
    calls = (_call(f"tenant-{number}", SECRET, served.server.token) for number in range(_STRANGERS))
    took_ms = (await Client(served.port).send(calls)).only(200).took_ms
    detail = f"{_STRANGERS} tenants, one after the other; p95 {_p95(took_ms):.1f} ms"
    return Figure(
        name="first call of a stranger, p50", measured=statistics.median(took_ms), unit="ms", budget=5, detail=detail
    )


async def _flooded(served: _Served) -> Figure:
    """The p95 of one tenant's calls while another one floods, over the same before and after that."""
    quiet = [await _calm_p95(served)]
    tally = Tally()
    client = Client(served.port, _FLOODING, "127.0.0.3", patient=True)
    async with client.calling(itertools.islice(endless(served.slow), _FLOOD), tally):
        noisy = await _calm_p95(served)
    await Client(served.port, patient=True).send([served.slow])  # the hooks of those that were hung up on have ended
    quiet.append(await _calm_p95(served))
    refused = sum(tally.statuses.values()) - len(tally.took_ms)
    detail = (
        f"{noisy:.1f} ms beside {statistics.mean(quiet):.1f}; meanwhile {_FLOOD} calls of a 200 ms hook by "
        f"{_FLOODING} connections: {len(tally.took_ms)} answered, {refused} refused"
    )
    return Figure(
        name="p95 of a tenant, another floods / quiet",
        measured=noisy / statistics.mean(quiet),
        unit="x",
        budget=2,
        detail=detail,
    )


async def _calm_p95(served: _Served) -> float:
    tally = await Client(served.port, 1, "127.0.0.2").send(itertools.repeat(served.calm, _CALM))
    return _p95(tally.only(200).took_ms)


async def _enqueuing(served: _Served, advance: Callable[[], None]) -> Figure:
    """Calls that nobody waits for, each another one, until their 202: they are in the store then, and run meanwhile."""
    rates = []
    for number in range(_ROUNDS):
        calls = [_another(served.queued, number * _ENQUEUED + each) for each in range(_ENQUEUED)]
        begun = time.perf_counter()
        tally = await Client(served.port, _ENQUEUING).send(calls)
        rates.append(len(tally.only(202).took_ms) / (time.perf_counter() - begun))
        advance()
    begun = time.perf_counter()
    waiting = await asyncio.to_thread(_drained, served.server)
    detail = (
        f"{_ENQUEUING} connections, median of {_ROUNDS} rounds of {_ENQUEUED}; {min(rates):.0f} to {max(rates):.0f}; "
        + (f"all had run {time.perf_counter() - begun:.0f} s later" if not waiting else "some were waiting yet")
    )
    return Figure(
        name="durable calls acknowledged",
        measured=statistics.median(rates),
        unit="/s",
        budget=5_000,
        at_least=True,
        detail=detail,
    )


def _another(token: str, number: int) -> bytes:
    sample = point_named(QUEUED).sample
    body = sample | {"user": sample["user"] | {"id": f"{number:09}"}}
    return request(_path("queued", QUEUED), token, msgspec.json.encode(body))


def _drained(server: Server) -> bool:
    """Waits until nothing is queued; whether something still is."""
    server.connection.close()  # it has been silent for too long; the next question opens another
    until = time.monotonic() + _DRAINED_S
    while time.monotonic() < until:
        found = [
            server.ask("GET", f"/v1/tenants/queued/executions?limit=1&status={status}")["executions"]
            for status in ("queued", "running")
        ]
        if found == [[], []]:
            return False
        time.sleep(0.2)
    return True


def _p95(took_ms: list[float]) -> float:
    return statistics.quantiles(took_ms, n=20)[-1]


@contextlib.contextmanager
def _constant() -> Iterator[int]:
    """The port of a server that answers a constant."""
    command = [sys.executable, "-m", "engine.benchmarks.constant"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        yield int(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()


@contextlib.contextmanager
def _runner() -> Iterator[asyncio.Runner]:
    """uvloop, and woken only once a processor is free: this client shares the server's, as those of a network do not.

    Each answer would interrupt the server otherwise, in the middle of the next call. Source: sched(7), SCHED_BATCH.
    """
    policy, given = os.sched_getscheduler(0), os.sched_getparam(0)
    with contextlib.suppress(OSError):  # where it may not be set, it is measured as it is
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            yield runner
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, policy, given)
