"""One turn with a worker that is slow, stuck or hostile. The hostile ones are real processes that speak for themselves."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.alarms import Alarms
from engine.benchmarks import no_calls
from engine.outcome import Outcome
from engine.spawner import Spawner
from engine.turn import check_turn, run_turn
from engine.worker import Worker, WorkerGone
from sandbox import wire

PARAMETERS = ("user", "context", "cb")
ARGUMENTS = b'{"user": {}, "context": {"connection": {}}}'
CHECK = wire.Check("cb()\n", PARAMETERS)
LOG = wire.pack(wire.Log("info", "hello", 1, 0))
DONE = wire.Done("ok", "", None, b"1", None, 0, 0)


def job(code: bytes = b"", **limits: int) -> wire.Run:
    return wire.Run(code, PARAMETERS, ARGUMENTS, {}, "id", 1, wire.Limits(**limits))


async def compiled(spawner: Spawner, body: str) -> tuple[Worker, bytes]:
    """A worker and the code that it made of a hook."""
    worker = await spawner.fork()
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    outcome, code = await check_turn(worker, wire.Check(f"def hook(user, context, cb):\n{lines}", PARAMETERS), 30_000)
    assert ("ok", True) == (outcome.status, code is not None)
    return worker, code or b""


class Peer:
    """A process that is no worker, and the far end of the channel the engine believes to be one's."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        near, self.far = socket.socketpair()
        self.process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
        self._watched = os.pidfd_open(self.process.pid)
        self._exited: asyncio.Future[int] = loop.create_future()
        loop.add_reader(self._watched, self._ended)
        self.worker = Worker(self.process.pid, near, os.pidfd_open(self.process.pid), self._exited, Alarms())

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watched)
        os.close(self._watched)
        self._exited.set_result(self.process.wait())

    async def close(self) -> None:
        self.worker.kill()
        self.far.close()
        await self._exited
        assert 0 == len(self.worker.alarms), "a deadline of a turn that has ended"


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"\0\0\0\x01\xc1", "not a frame"),
        (b"\0\0\0\0", "not a frame"),
        (b"GET / HTTP/1.1\r\n\r\n", "a frame of"),
        ((5 << 20).to_bytes(4, "big"), "the most allowed is"),
        ((100_000).to_bytes(4, "big") + b"\x91" * 100_000, "not a frame"),
        (wire.pack(wire.Log("info", "a", 1, 0)).replace(b"info", b"hint"), "not a frame"),
        (wire.pack(wire.Ready(0)), "does not send ready"),
        (wire.pack(wire.Checked((), b"code")), "does not send checked"),
        (wire.pack(wire.Probed("landlock", True, "")), "does not send probed"),
        (wire.pack(DONE) + LOG, "after the end"),
        (wire.pack(DONE) * 2, "after the end"),
        (wire.pack(wire.Done("ok", "", None, None, None, 0, 0)), "only with it"),
        (wire.pack(wire.Done("raised", "", None, b"1", None, 0, 0)), "only with it"),
        (wire.pack(wire.Done("ok", "", None, b"{", None, 0, 0)), "no JSON"),
        (wire.pack(wire.Done("ok", "", None, b"[" * 100_000, None, 0, 0)), "no JSON"),
        (wire.pack(wire.Done("ok", "", None, b'"' + b"x" * (300 << 10) + b'"', None, 0, 0)), "too large"),
        (wire.pack(wire.Done("denied", "", None, None, b"{", 0, 0)), "an error that is no JSON"),
        (wire.pack(wire.Log("info", "x" * (70 << 10), 1, 0)), "more log than the limit"),
        (LOG * 20_000, "more log than the limit|flood"),
    ],
)
async def test_a_worker_that_breaks_the_protocol_has_crashed(peer: Peer, sent: bytes, fault: str) -> None:
    """It loses its own job and its life; the engine loses nothing."""
    turn = asyncio.create_task(run_turn(peer.worker, job(), 100, no_calls()))
    await asyncio.get_running_loop().run_in_executor(None, send_all, peer.far, sent)
    outcome = await turn

    assert "crashed" == outcome.status
    assert outcome.message.startswith("protocol: ")
    assert any(part in outcome.message for part in fault.split("|"))
    assert peer.worker.gone
    assert await peer.worker.exited == -signal.SIGKILL


def send_all(channel: socket.socket, data: bytes) -> None:
    """Send what the engine still takes: it hangs up on the first fault."""
    try:
        channel.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\0\0\x01\xc1",
        wire.pack(DONE),
        LOG,
        wire.pack(wire.Checked((), None)),
        wire.pack(wire.Checked((), b"code")) * 2,
        wire.pack(wire.Checked((), b"code")) + LOG,
    ],
)
async def test_a_check_that_breaks_the_protocol_has_crashed(peer: Peer, sent: bytes) -> None:
    """There is no code of it to keep."""
    turn = asyncio.create_task(check_turn(peer.worker, CHECK, 60_000))
    peer.far.sendall(sent)
    outcome, code = await turn

    assert ("crashed", None) == (outcome.status, code)
    assert outcome.message.startswith("protocol: ")
    assert peer.worker.gone


async def test_a_frame_may_come_in_pieces(peer: Peer) -> None:
    """A socket keeps no boundaries."""
    turn = asyncio.create_task(run_turn(peer.worker, job(), 100, no_calls()))
    data = LOG + wire.pack(DONE)
    for place in range(0, len(data), 3):
        peer.far.sendall(data[place : place + 3])
        await asyncio.sleep(0)
    outcome = await turn

    assert ("ok", 1, ["hello"]) == (outcome.status, outcome.value(), [event.text for event in outcome.logs])
    assert not peer.worker.gone


async def test_a_hostile_clock_is_only_a_strange_time(peer: Peer) -> None:
    """The time of a log event is the worker's word."""
    turn = asyncio.create_task(run_turn(peer.worker, job(), 100, no_calls()))
    peer.far.sendall(wire.pack(wire.Log("info", "late", 1, 1 << 53)) + wire.pack(DONE))
    outcome = await turn

    assert ("ok", "9999-12-31T23:59:59.000Z") == (outcome.status, outcome.logs[0].at)


async def test_a_worker_that_exits_by_itself_has_crashed(peer: Peer) -> None:
    """Between jobs or in one: its status is told."""
    turn = asyncio.create_task(run_turn(peer.worker, job(), 100, no_calls()))
    signal.pidfd_send_signal(peer.worker.pidfd, signal.SIGTERM)
    await peer.worker.exited
    peer.far.shutdown(socket.SHUT_RDWR)
    outcome = await turn

    assert ("crashed", True) == (outcome.status, "signal 15" in outcome.message)
    assert peer.worker.lost


@pytest.mark.parametrize("status", ["out_of_memory", "timeout", "raised"])
async def test_a_worker_that_tells_an_end_is_no_lost_one_whatever_it_says_of_its_memory(
    peer: Peer, status: wire.Status
) -> None:
    turn = asyncio.create_task(run_turn(peer.worker, job(), 100, no_calls()))
    peer.far.sendall(wire.pack(wire.Done(status, "", None, None, None, 0, 0)))
    outcome = await turn

    assert (status, 0, False) == (outcome.status, outcome.usage.peak_bytes, peer.worker.lost)


async def test_a_worker_that_hangs_up_but_lives_on_has_crashed(peer: Peer) -> None:
    """It broke the protocol: that we had to kill it then must not be told as a lack of memory."""
    turn = asyncio.create_task(run_turn(peer.worker, job(), 100, no_calls()))
    peer.far.shutdown(socket.SHUT_RDWR)
    outcome = await turn

    assert "crashed" == outcome.status
    assert "memory" not in outcome.message


async def test_a_silent_worker_is_killed_at_the_deadline(peer: Peer) -> None:
    """It need not even be a worker."""
    outcome = await run_turn(peer.worker, job(wall_ms=200), 100, no_calls())

    assert "timeout" == outcome.status
    assert 195 <= outcome.usage.wall_ms < 30_000  # uvloop's clock goes by whole milliseconds, and stops in a round
    assert await peer.worker.exited in (-signal.SIGKILL, -signal.SIGUSR1)


async def test_a_hook_is_asked_to_stop_again_and_again(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes just before a sleep begins is not seen before that ends."""
    asked: list[Worker] = []

    def interrupt(worker: Worker) -> None:
        asked.append(worker)

    monkeypatch.setattr(Worker, "interrupt", interrupt)
    outcome = await run_turn(peer.worker, job(wall_ms=1_000), 100, no_calls())

    assert "timeout" == outcome.status
    assert 2 <= len(asked) <= 5
    assert {peer.worker} == set(asked)


async def test_what_a_worker_has_said_is_not_counted_once_it_was_heard(spawner_of: Any) -> None:
    """It may say as much with every job, all its life."""
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "console.log('x' * 1000)\ncb(None, 1)")
        for _ in range(3):
            assert "ok" == (await run_turn(worker, job(code), 100, no_calls())).status
        assert 0 == worker._pending_bytes


async def test_only_a_turn_that_is_alone_is_looked_out_for(spawner_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps the event loop busy meanwhile."""
    looked: list[Worker] = []

    def listen_briefly(worker: Worker) -> None:
        looked.append(worker)

    monkeypatch.setattr(Worker, "listen_briefly", listen_briefly)
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "cb()")
        for alone in (False, True, False):
            assert "ok" == (await run_turn(worker, job(code), 100, no_calls(), alone=alone)).status
        assert [worker] == looked


async def test_a_check_without_end_is_a_finding_about_the_source(peer: Peer) -> None:
    """Compiling runs nothing of a hook, so its time is the source's fault."""
    outcome, code = await check_turn(peer.worker, CHECK, 200)

    assert ("rejected", None) == (outcome.status, code)
    assert "takes too much time" in outcome.message
    assert ["too-complex"] == [finding.rule for finding in outcome.diagnostics]


async def test_a_worker_that_is_gone_takes_no_frame(peer: Peer) -> None:
    """Both directions say so."""
    peer.worker.kill()
    peer.worker.kill()
    with pytest.raises(WorkerGone):
        await peer.worker.send(CHECK)
    with pytest.raises(WorkerGone):
        await peer.worker.receive()


async def test_a_worker_takes_a_frame_that_is_larger_than_the_sockets_buffer(spawner_of: Any) -> None:
    """The write goes on while the event loop does other things."""
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "cb(None, len(user.text))")
        arguments = b'{"user": {"text": "' + b"x" * 1_000_000 + b'"}, "context": {}}'
        outcome = await run_turn(
            worker, wire.Run(code, PARAMETERS, arguments, {}, "id", 1, wire.Limits()), 100, no_calls()
        )

        assert ("ok", 1_000_000) == (outcome.status, outcome.value())


async def test_a_hook_stuck_in_c_overshoots_its_deadline_by_little(spawner_of: Any) -> None:
    """The kill is the engine's own; a generous bound, for any machine."""
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "sum(range(10 ** 13))")
        outcome = await run_turn(worker, job(code, wall_ms=400), 100, no_calls())

        assert ("timeout", None) == (outcome.status, outcome.line)
        assert 395 <= outcome.usage.wall_ms < 5_000
        assert await worker.exited == -signal.SIGKILL


async def test_a_soft_stop_comes_before_the_deadline_and_ends_the_worker(spawner_of: Any) -> None:
    """At half the time at the earliest. The worker says where it was and exits; it is not used again."""
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "while True:\n    pass")
        outcome = await run_turn(worker, job(code, wall_ms=6_000), 10_000, no_calls())

        assert ("timeout", True) == (outcome.status, outcome.line in (2, 3))
        assert 3_000 <= outcome.usage.wall_ms < 6_000
        assert worker.gone
        await worker.exited


async def test_without_a_grace_time_there_is_no_soft_stop(spawner_of: Any) -> None:
    """The operator may do without; the line is then unknown."""
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "while True:\n    pass")
        outcome = await run_turn(worker, job(code, wall_ms=300), 0, no_calls())

        assert "timeout" == outcome.status
        assert outcome.usage.wall_ms >= 300


async def test_a_soft_stop_waits_for_the_log_event_under_way(spawner_of: Any, until: Any) -> None:
    """Half a frame followed by the end would look like a broken protocol."""
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "text = 'x' * 1_000_000\nwhile True:\n    print(text)")
        turn = asyncio.create_task(run_turn(worker, job(code, wall_ms=60_000, log_bytes=2 << 20), 100, no_calls()))
        await asyncio.sleep(0)  # the job is on its way
        channel = worker._channel.fileno()
        asyncio.get_running_loop().remove_reader(channel)  # nobody reads, so the worker is held inside its frame
        await until(lambda: unread(channel) > 100_000, "half a frame")
        worker.interrupt()
        asyncio.get_running_loop().add_reader(channel, worker._read)
        outcome = await turn

        assert ("timeout", 4) == (outcome.status, outcome.line)
        assert [1_000_000] == [len(event.text) for event in outcome.logs]


def unread(channel: int) -> int:
    """Bytes that wait in a socket. See tcp(7), SIOCINQ."""
    return int.from_bytes(fcntl.ioctl(channel, termios.FIONREAD, bytes(4)), sys.byteorder)


async def test_a_soft_stop_does_not_hit_the_next_job(spawner_of: Any) -> None:
    """A job that ends just before its deadline leaves a worker that goes on."""
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "cb()")
        assert "ok" == (await run_turn(worker, job(code), 100, no_calls())).status
        worker.interrupt()  # late: nothing is under way
        outcomes = [await run_turn(worker, job(code), 100, no_calls()) for _ in range(3)]

        assert ["ok"] * 3 == [outcome.status for outcome in outcomes]


async def test_a_cancelled_turn_ends_its_worker(spawner_of: Any) -> None:
    """Nobody waits for the job any more."""
    async with spawner_of() as spawner:
        worker, code = await compiled(spawner, "while True:\n    pass")
        turn = asyncio.create_task(run_turn(worker, job(code, wall_ms=600_000), 100, no_calls()))
        await asyncio.sleep(0)  # the job is on its way
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn

        assert worker.gone
        assert await worker.exited == -signal.SIGKILL


async def test_a_cancelled_check_ends_its_worker(spawner_of: Any) -> None:
    """Likewise."""
    async with spawner_of() as spawner:
        worker = await spawner.fork()
        turn = asyncio.create_task(check_turn(worker, CHECK, 600_000))
        await asyncio.sleep(0)  # the job is on its way
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn

        assert worker.gone


async def test_a_worker_at_its_processor_limit_is_a_timeout(spawner_of: Any) -> None:
    """The kernel's limit is a backstop behind the engine's deadline; it must not be told as a lack of memory."""
    async with spawner_of(cpu_s=1) as spawner:
        worker, code = await compiled(spawner, "while True:\n    pass")
        outcome = await run_turn(worker, job(code, wall_ms=120_000), 100, no_calls())

        assert "timeout" == outcome.status
        assert "processor time" in outcome.message


async def test_the_usage_of_a_job_does_not_count_the_one_before(spawner_of: Any) -> None:
    """Processor time is of this job; waiting costs nothing."""
    async with spawner_of() as spawner:
        worker, busy = await compiled(spawner, "for n in range(3_000_000):\n    pass\ncb()")
        outcome, idle = await check_turn(worker, wire.Check("cb()\n", PARAMETERS), 30_000)
        assert "ok" == outcome.status
        first: Outcome = await run_turn(worker, job(busy), 100, no_calls())
        second: Outcome = await run_turn(worker, job(idle or b""), 100, no_calls())

        assert first.usage.cpu_ms > second.usage.cpu_ms
        assert second.usage.peak_bytes >= first.usage.peak_bytes > 0


async def test_a_short_turn_that_is_alone_ends_without_the_event_loop(peer: Peer) -> None:
    """The answer is there when the engine looks: nothing else has run in between."""
    ran: list[int] = []
    asyncio.get_running_loop().call_soon(ran.append, 1)
    peer.worker.brief = True
    peer.far.send(wire.pack(DONE))
    outcome = await run_turn(peer.worker, job(), 100, no_calls(), alone=True)

    assert ("ok", []) == (outcome.status, ran)


@pytest.mark.parametrize("sent", [b"", LOG, wire.pack(DONE)[:7]], ids=["nothing", "a log", "half an end"])
async def test_a_turn_that_only_began_shortly_has_its_deadline(peer: Peer, sent: bytes) -> None:
    """What comes in the first moment is no reason to wait for ever."""
    peer.worker.brief = True
    peer.far.send(sent)
    outcome = await asyncio.wait_for(run_turn(peer.worker, job(wall_ms=200), 100, no_calls(), alone=True), 10)

    assert "timeout" == outcome.status
    assert not peer.worker.brief or peer.worker.gone


async def test_a_worker_that_reads_nothing_is_ended_by_the_deadline(peer: Peer) -> None:
    """A job larger than the channel's buffer waits for room, and not for ever."""
    outcome = await asyncio.wait_for(run_turn(peer.worker, job(b"x" * (2 << 20), wall_ms=200), 100, no_calls()), 10)

    assert ("timeout", True) == (outcome.status, peer.worker.gone)


async def test_a_worker_that_speaks_unasked_is_ended_at_once(peer: Peer) -> None:
    """Between jobs it has nothing to say: what it sent would only fill the engine's memory."""
    peer.far.send(wire.pack(DONE))
    outcome = await run_turn(peer.worker, job(), 100, no_calls())
    peer.far.send(LOG)
    await asyncio.wait_for(asyncio.shield(peer.worker.exited), 10)

    assert ("ok", "it spoke unasked") == (outcome.status, peer.worker.fault)
    assert peer.worker.quiet
