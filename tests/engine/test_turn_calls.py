"""Calls within a turn: answered in turn, given up when the worker stops waiting, and no way to a longer life."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from engine.alarms import Alarms
from engine.egress.broker import Broker
from engine.egress.policy import EgressPolicy
from engine.egress.transport import Request, Response, Timings
from engine.turn import run_turn
from engine.worker import Worker
from sandbox import wire

CALL = wire.Http("GET", "https://api.example.com/", (), b"")
DONE = wire.Done("ok", "", None, b"1", None, 0, 0)
STOPPED = wire.Done("timeout", "it was at line 3", 3, None, None, 0, 0)
HELLO = Response(status=200, reason="OK", headers=(("A", "b"),), body=b"hello", received_bytes=5)


class Held:
    """A transport that answers when it is let to, and tells what became of each call."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.ended = asyncio.Event()
        self.ends: list[float] = []

    async def fetch(self, request: Request, _: Timings) -> Response:
        self.ends.append(request.end)
        self.asked.set()
        try:
            await self.let.wait()
        finally:
            self.ended.set()
        return HELLO


class Peer:
    """A worker's channel in the hands of the test, and a process that stands for it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self._process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
        self._watched = os.pidfd_open(self._process.pid)
        self.exited: asyncio.Future[int | None] = self._loop.create_future()
        self._loop.add_reader(self._watched, self._reap)
        self.worker = Worker(self._process.pid, near, os.pidfd_open(self._process.pid), self.exited, Alarms())
        self._reader = wire.FrameReader(wire.JOB_BYTES)
        self._bodies: list[bytes] = []

    def _reap(self) -> None:
        self._loop.remove_reader(self._watched)
        os.close(self._watched)
        self.exited.set_result(self._process.wait())

    async def tell(self, *frames: wire.Frame) -> None:
        await self._loop.sock_sendall(self.far, b"".join(map(wire.pack, frames)))

    async def hear(self) -> wire.Answer:
        """The next answer; the job before it is passed over."""
        while not self._bodies:
            self._bodies += self._reader.feed(await self._loop.sock_recv(self.far, wire.READ_BYTES))
            self._bodies = [body for body in self._bodies if body[1:5] != b"\xa3run"]
        return wire.parse(self._bodies.pop(0), wire.answers)

    async def first_bytes(self) -> None:
        """Read the job and the beginning of the answer, and no more."""
        while len(data := await self._loop.sock_recv(self.far, wire.READ_BYTES)) < wire.READ_BYTES // 2:
            assert data

    async def close(self) -> None:
        self.worker.kill()
        self.far.close()
        await self.exited


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    yield made
    await made.close()


@pytest.fixture
async def held() -> Held:
    return Held()


def start(peer: Peer, held: Held, wall_ms: int = 60_000, calls: int = 20) -> tuple[asyncio.Task, Broker]:
    job = wire.Run(b"", ("cb",), b"{}", {}, "id", 1, wire.Limits(wall_ms=wall_ms))
    broker = Broker(EgressPolicy(calls=calls), lambda: held)
    return asyncio.create_task(run_turn(peer.worker, job, 100, broker)), broker


async def test_each_call_is_answered_before_the_job_goes_on(peer: Peer, held: Held) -> None:
    turn, _ = start(peer, held)
    held.let.set()
    for _ in range(3):
        await peer.tell(CALL)
        assert wire.Answered(200, "OK", (("A", "b"),), b"hello") == await peer.hear()
    await peer.tell(DONE)
    outcome = await turn

    assert ("ok", [200, 200, 200]) == (outcome.status, [each.status for each in outcome.egress])
    assert not peer.worker.gone


async def test_a_worker_that_is_stopped_within_a_call_ends_it(peer: Peer, held: Held) -> None:
    """The soft stop comes while the worker waits: it tells where the hook was, and nobody answers."""
    turn, _ = start(peer, held)
    await peer.tell(CALL)
    await held.asked.wait()
    await peer.tell(STOPPED)
    outcome = await turn

    assert ("timeout", 3, ["abandoned"]) == (outcome.status, outcome.line, [each.error for each in outcome.egress])
    assert held.ended.is_set()


async def test_a_stop_that_comes_with_the_call_itself_is_heard(peer: Peer, held: Held) -> None:
    turn, _ = start(peer, held)
    await peer.tell(CALL, STOPPED)
    outcome = await turn

    assert ("timeout", False) == (outcome.status, held.asked.is_set())


@pytest.mark.parametrize("frame", [CALL, DONE, wire.Log("info", "a", 1, 0)], ids=lambda frame: type(frame).__name__)
@pytest.mark.parametrize("together", [True, False])
async def test_a_worker_that_goes_on_before_its_answer_has_crashed(
    peer: Peer, held: Held, frame: wire.Frame, *, together: bool
) -> None:
    turn, _ = start(peer, held)
    if together:
        await peer.tell(CALL, frame)
    else:
        await peer.tell(CALL)
        await held.asked.wait()
        await peer.tell(frame)
    outcome = await turn

    assert ("crashed", "protocol: it went on before its call was answered") == (outcome.status, outcome.message)
    assert -signal.SIGKILL == await peer.exited


async def test_a_worker_that_dies_within_a_call_ends_it(peer: Peer, held: Held) -> None:
    turn, _ = start(peer, held)
    await peer.tell(CALL)
    await held.asked.wait()
    os.kill(peer._process.pid, signal.SIGKILL)
    peer.far.shutdown(socket.SHUT_RDWR)
    outcome = await turn

    assert ("out_of_memory", ["abandoned"]) == (outcome.status, [each.error for each in outcome.egress])
    assert held.ended.is_set()


async def test_the_deadline_ends_a_call_whose_worker_does_nothing(peer: Peer, held: Held) -> None:
    turn, _ = start(peer, held, wall_ms=300)
    await peer.tell(CALL)
    outcome = await turn

    assert ("timeout", ["abandoned"]) == (outcome.status, [each.error for each in outcome.egress])
    assert held.ended.is_set()


async def test_a_call_ends_early_enough_for_the_hook_to_cope(peer: Peer, held: Held) -> None:
    begun = time.monotonic()
    turn, _ = start(peer, held, wall_ms=5_000)
    await peer.tell(CALL)
    await held.asked.wait()
    latest = time.monotonic() + 5 - 0.1 - 0.25
    turn.cancel()
    await asyncio.wait([turn])

    assert begun + 4 < held.ends[0] <= latest


async def test_a_cancelled_turn_ends_its_call_and_its_worker(peer: Peer, held: Held) -> None:
    turn, broker = start(peer, held)
    await peer.tell(CALL)
    await held.asked.wait()
    turn.cancel()
    await asyncio.wait([turn])

    assert (True, ["abandoned"]) == (turn.cancelled(), [each.error for each in broker.exchanges])
    assert held.ended.is_set()
    assert -signal.SIGKILL == await peer.exited


async def test_a_thousand_calls_are_answered_as_refused_and_recorded_once(peer: Peer, held: Held) -> None:
    turn, _ = start(peer, held, calls=2)
    held.let.set()
    rules = []
    for _ in range(1_000):
        await peer.tell(CALL)
        rules.append(getattr(await peer.hear(), "rule", None))
    await peer.tell(DONE)
    outcome = await turn

    assert ([None, None], {"call-count"}) == (rules[:2], set(rules[2:]))
    assert 3 == len(outcome.egress)


async def test_what_breaks_in_the_engine_within_a_call_leaves_no_worker_in_the_middle_of_a_job(peer: Peer) -> None:
    class Broken:
        async def fetch(self, _: Request, __: Timings) -> Response:
            raise RuntimeError("a bug of ours")

    job = wire.Run(b"", ("cb",), b"{}", {}, "id", 1, wire.Limits())
    turn = asyncio.create_task(run_turn(peer.worker, job, 100, Broker(EgressPolicy(), Broken)))
    await peer.tell(CALL)

    with pytest.raises(RuntimeError, match="a bug of ours"):
        await turn
    assert peer.worker.gone


async def test_who_asks_a_thousand_times_more_has_crashed(peer: Peer, held: Held) -> None:
    turn, _ = start(peer, held, calls=0)
    for _ in range(1_000):
        await peer.tell(CALL)
        await peer.hear()
    await peer.tell(CALL)
    outcome = await turn

    assert ("crashed", 1) == (outcome.status, len(outcome.egress))
    assert outcome.message == "protocol: it asked for 1000 calls more than a job may make"


async def test_who_writes_instead_of_reading_an_answer_is_ended_before_it_fills_the_memory(peer: Peer) -> None:
    """The turn is busy with the answer, and looks at nothing that comes."""
    large = Response(status=200, reason="", headers=(), body=bytes(2 << 20), received_bytes=0)

    class Answering:
        async def fetch(self, _: Request, __: Timings) -> Response:
            return large

    job = wire.Run(b"", ("cb",), b"{}", {}, "id", 1, wire.Limits(wall_ms=60_000))
    turn = asyncio.create_task(run_turn(peer.worker, job, 100, Broker(EgressPolicy(), Answering)))
    await peer.tell(CALL)
    await peer.first_bytes()
    told = 0
    with contextlib.suppress(OSError):
        while True:
            await peer.tell(wire.Log("info", "x" * 1_000_000, 1, 0))
            told += 1
    outcome = await turn

    assert ("crashed", "protocol: a flood of frames") == (outcome.status, outcome.message)
    assert told < 20


@pytest.mark.parametrize(
    "call",
    [
        wire.Http("G" * 65, "u", (), b""),
        wire.Http("GET", "u" * 65_537, (), b""),
        wire.Http("GET", "u", (("", ""),) * 1_001, b""),
    ],
)
async def test_a_call_over_the_bounds_of_its_frame_is_a_crash(peer: Peer, held: Held, call: wire.Http) -> None:
    turn, _ = start(peer, held)
    await peer.tell(call)

    assert "crashed" == (await turn).status
    assert not held.asked.is_set()


@pytest.mark.parametrize(
    "body",
    [
        b"\x91\xa4http",
        b"\x95\xa4http\xa3GET\xa1u\x90\xa1b",
        b"\x95\xa4http\xa3GET\xa1u\x91\x91\xa1a\xc4\x00",
        b"\x95\xa4http\xa3GET\x01\x90\xc4\x00",
        b"\x97\xa4http\xa3GET\xa1u\x90\xc4\x00\xff\xc0",
        b"\x97\xa4http\xa3GET\xa1u\x90\xc4\x00\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xc0",
        wire.pack(wire.Answered(200, "", (), b""))[4:],
        wire.pack(wire.Failed("refused", "port", ""))[4:],
    ],
)
async def test_a_call_that_is_no_frame_is_a_crash(peer: Peer, held: Held, body: bytes) -> None:
    turn, _ = start(peer, held)
    await asyncio.get_running_loop().sock_sendall(peer.far, len(body).to_bytes(4, "big") + body)
    outcome = await turn

    assert ("crashed", True) == (outcome.status, outcome.message.startswith("protocol: not a frame"))
    assert not held.asked.is_set()
