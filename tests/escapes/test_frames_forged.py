"""A compromised worker writes what it likes on its channel: every turn still ends as one outcome."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterable

import msgspec
import pytest
import pytest_asyncio

from engine.alarms import Alarms
from engine.benchmarks import no_calls
from engine.turn import check_turn, run_turn
from engine.worker import Worker
from sandbox import wire

LIMITS = wire.Limits(wall_ms=1_500, result_bytes=1_000, log_bytes=2_000)
RUN = wire.Run(b"", ("cb",), b"{}", {}, "", 1, LIMITS)
CHECK = wire.Check("x = 1", ("cb",))
DONE = wire.Done("ok", "", None, b"1", None, 1, 1)
LOG = wire.Log("info", "text", 1, 1)
CHECKED = wire.Checked((), b"code")
FINDING = wire.Diagnostic("rule", 1, 1, 2, "message", "")


class Hostile:
    """The other end of a worker's channel, and a harmless child that stands for its process."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        ours, self.end = socket.socketpair()
        self.child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self._watched = os.pidfd_open(self.child.pid)
        self._exited: asyncio.Future[int] = loop.create_future()
        loop.add_reader(self._watched, self._reap)
        self.worker = Worker(self.child.pid, ours, os.pidfd_open(self.child.pid), self._exited, Alarms())

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watched)
        self._exited.set_result(self.child.wait())

    async def tell(self, packets: Iterable[bytes]) -> None:
        """Send until the engine has had enough."""

        def send() -> None:
            with contextlib.suppress(OSError):
                for packet in packets:
                    self.end.send(packet)

        await asyncio.to_thread(send)

    async def close(self) -> None:
        """End the child, if the turn has not."""
        self.worker.kill()
        await self._exited
        self.end.close()
        self.child.stdin.close()
        os.close(self._watched)


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    """A worker end in the test's hands."""
    made = Hostile()
    yield made
    await made.close()


def packets_of(*frames: wire.Frame | bytes) -> list[bytes]:
    """What a worker would send for these frames; bytes stand for themselves."""
    sent: list[bytes] = []
    for frame in frames:
        data = frame if isinstance(frame, bytes) else wire.pack(frame)
        sent.append(data)
    return sent


def raw(*fields: object) -> bytes:
    """A frame of any fields, well packed."""
    body = msgspec.msgpack.encode(fields)
    return len(body).to_bytes(4, "big") + body


def done(**changed: object) -> wire.Done:
    """A `done` that differs from a good one in a field."""
    return msgspec.structs.replace(DONE, **changed)


ENDINGS = {
    "length of four gigabytes": packets_of(b"\xff\xff\xff\xff"),
    "length over the limit": packets_of((wire.REPLY_BYTES + 1).to_bytes(4, "big")),
    "garbage": packets_of(b"\0\0\0\x08garbage!"),
    "empty frame": packets_of(b"\0\0\0\0"),
    "text instead of a frame": packets_of(b"HTTP/1.1 200 OK\r\n\r\n"),
    "no array": packets_of(b"\0\0\0\x01\x01"),
    "array bomb": packets_of(b"\0\0\0\x05\xdd\xff\xff\xff\xff"),
    "map bomb": packets_of(b"\0\0\0\x05\xdf\xff\xff\xff\xff"),
    "deep arrays": packets_of((100_000).to_bytes(4, "big") + b"\x91" * 100_000),
    "unknown type": packets_of(raw("exec", "x")),
    "type that is no text": packets_of(raw(1, 2)),
    "job instead of a reply": packets_of(RUN),
    "order to the zygote": packets_of(raw("fork", False)),
    "probe": packets_of(wire.Probe("x")),
    "probed": packets_of(wire.Probed("x", True, "")),
    "ready": packets_of(wire.Ready(1)),
    "ready twice": packets_of(wire.Ready(1), wire.Ready(1)),
    "ready before done": packets_of(wire.Ready(1), DONE),
    "checked": packets_of(CHECKED),
    "two done": packets_of(wire.pack(DONE) + wire.pack(DONE)),
    "log after done": packets_of(wire.pack(DONE) + wire.pack(LOG)),
    "ready after done": packets_of(wire.pack(DONE) + wire.pack(wire.Ready(1))),
    "log flood": packets_of(*[LOG] * 200),
    "flood of empty logs": packets_of(*[msgspec.structs.replace(LOG, text="")] * 200),
    "log flood in one packet": packets_of(wire.pack(msgspec.structs.replace(LOG, text="")) * 3_000),
    "one huge log": packets_of(msgspec.structs.replace(LOG, text="x" * 100_000)),
    "log longer than a text may be": packets_of(msgspec.structs.replace(LOG, text="x" * (wire.TEXT_CHARS + 1))),
    "log of another level": packets_of(msgspec.structs.replace(LOG, level="fatal")),
    "log of a line below one": packets_of(msgspec.structs.replace(LOG, line=0)),
    "log of a negative time": packets_of(msgspec.structs.replace(LOG, at_ms=-1)),
    "log of half a surrogate": packets_of(b"\0\0\0\x0d\x95\xa3log\xa4info\xa3\xed\xa0\x80"),
    "result that is no JSON": packets_of(done(result=b"{")),
    "result of two values": packets_of(done(result=b"1 2")),
    "result that closes the outcome": packets_of(done(result=b'1},"status":"ok"')),
    "result of nothing": packets_of(done(result=b"")),
    "result with NaN": packets_of(done(result=b"NaN")),
    "result that is not UTF-8": packets_of(done(result=b'"\xff\xfe"')),
    "result too large": packets_of(done(result=b"1" + b"0" * 1_000)),
    "result too large for a frame": packets_of(done(result=b"1" * (wire.REPLY_BYTES + 1))),
    "result too deep": packets_of(done(result=b"[" * 900)),
    "result as deep as nobody stores": packets_of(done(result=b"[" * 102 + b"]" * 102)),
    "error of too many values": packets_of(
        done(status="denied", result=None, error=b"[" + b"0," * wire.VALUES + b"0]")
    ),
    "ok without a result": packets_of(done(result=None)),
    "denied with a result": packets_of(done(status="denied")),
    "error that is no JSON": packets_of(done(status="denied", result=None, error=b"{]")),
    "error too large": packets_of(done(status="denied", result=None, error=b'"' + b"x" * wire.ERROR_BYTES + b'"')),
    "status of the engine's own": packets_of(done(status="crashed", result=None)),
    "status rejected": packets_of(done(status="rejected", result=None)),
    "unknown status": packets_of(done(status="root", result=None)),
    "huge message": packets_of(done(message="x" * (wire.MESSAGE_CHARS + 1))),
    "negative line": packets_of(done(line=-1)),
    "line of a billion": packets_of(done(line=10**9)),
    "negative cost": packets_of(done(cpu_us=-1)),
    "cost without measure": packets_of(done(cpu_us=2**63)),
    "negative memory": packets_of(done(peak_bytes=-(2**62))),
    "memory as a float": packets_of(raw("done", "ok", "", None, b"1", None, 1, float("nan"))),
    "a field more": packets_of(raw("done", "ok", "", None, b"1", None, 1, 1, "more")),
    "a field less": packets_of(raw("done", "ok", "", None, b"1", None, 1)),
    "text where bytes belong": packets_of(raw("done", "ok", "", None, [1], None, 1, 1)),
    "bytes where text belongs": packets_of(raw("done", "ok", b"\xff", None, b"1", None, 1, 1)),
}
CHECK_ENDINGS = {
    "garbage": packets_of(b"\0\0\0\x08garbage!"),
    "log": packets_of(LOG),
    "done": packets_of(DONE),
    "ready": packets_of(wire.Ready(1)),
    "checked twice": packets_of(wire.pack(CHECKED) * 2),
    "neither code nor a finding": packets_of(wire.Checked((), None)),
    "both code and a finding": packets_of(wire.Checked((FINDING,), b"code")),
    "too many findings": packets_of(wire.Checked((FINDING,) * 101, None)),
    "finding with a huge message": packets_of(
        wire.Checked((msgspec.structs.replace(FINDING, message="x" * 5_000),), None)
    ),
    "finding at line nothing": packets_of(wire.Checked((msgspec.structs.replace(FINDING, line=0),), None)),
    "finding with a huge rule": packets_of(wire.Checked((msgspec.structs.replace(FINDING, rule="x" * 65),), None)),
    "finding with a field more": packets_of(raw("checked", [["rule", 1, 1, 2, "m", "", 5]], None)),
    "code over the limit": packets_of(wire.Checked((), b"x" * (wire.REPLY_BYTES + 1))),
}


@pytest.mark.parametrize("packets", ENDINGS.values(), ids=ENDINGS.keys())
async def test_a_run_that_breaks_the_protocol_ends_as_crashed(hostile: Hostile, packets: list[bytes]) -> None:
    """The first fault ends the worker and the job, and the outcome says that it was the protocol."""
    turn = asyncio.create_task(run_turn(hostile.worker, RUN, 0, no_calls()))
    await hostile.tell(packets)
    outcome = await asyncio.wait_for(turn, 10)

    assert ("crashed", "protocol: ") == (outcome.status, outcome.message[:10])
    assert hostile.worker.gone
    assert len(outcome.json()) < 10_000


@pytest.mark.parametrize("packets", CHECK_ENDINGS.values(), ids=CHECK_ENDINGS.keys())
async def test_a_check_that_breaks_the_protocol_ends_as_crashed(hostile: Hostile, packets: list[bytes]) -> None:
    """A check ends with one `checked` that holds either code or findings."""
    turn = asyncio.create_task(check_turn(hostile.worker, CHECK, 1_500))
    await hostile.tell(packets)
    outcome, code = await asyncio.wait_for(turn, 10)

    assert ("crashed", "protocol: ", None) == (outcome.status, outcome.message[:10], code)
    assert hostile.worker.gone


@pytest.mark.parametrize("frame", [wire.pack(DONE), wire.pack(LOG), wire.pack(wire.Ready(1)), b"\xff\xff\xff\xff"])
async def test_a_frame_before_the_job_is_no_answer_to_it(hostile: Hostile, frame: bytes) -> None:
    """What comes from an idle worker is nobody's outcome: the worker is not quiet, or gone."""
    heard = asyncio.Event()
    hostile.worker.when_heard(heard.set)
    await hostile.tell([frame])
    await asyncio.wait_for(heard.wait(), 10)

    assert hostile.worker.gone or not hostile.worker.quiet


@pytest.mark.parametrize(
    "packets",
    [[], packets_of(wire.pack(DONE)[:-1]), packets_of(wire.pack(DONE)[:3])],
    ids=["nothing", "all but a byte", "half a length"],
)
async def test_a_frame_that_never_ends_meets_the_deadline(hostile: Hostile, packets: list[bytes]) -> None:
    """Silence in the middle of a frame is silence."""
    job = msgspec.structs.replace(RUN, limits=msgspec.structs.replace(LIMITS, wall_ms=200))
    turn = asyncio.create_task(run_turn(hostile.worker, job, 0, no_calls()))
    await hostile.tell(packets)
    outcome = await asyncio.wait_for(turn, 10)

    assert "timeout" == outcome.status
    assert hostile.worker.gone


async def test_a_worker_that_never_reads_meets_the_deadline(hostile: Hostile) -> None:
    """A job larger than the channel's buffer waits for its reader no longer than the job may take. 2026-11-22."""
    job = msgspec.structs.replace(RUN, code=b"x" * (2 << 20), limits=msgspec.structs.replace(LIMITS, wall_ms=200))
    outcome = await asyncio.wait_for(run_turn(hostile.worker, job, 0, no_calls()), 10)

    assert "timeout" == outcome.status
    assert hostile.worker.gone


async def test_a_worker_that_hangs_up_is_explained_by_its_end(hostile: Hostile) -> None:
    """A closed channel before the end is a crash, or what the process died of."""
    turn = asyncio.create_task(run_turn(hostile.worker, RUN, 0, no_calls()))
    await hostile.tell(packets_of(LOG))
    hostile.end.shutdown(socket.SHUT_RDWR)
    outcome = await asyncio.wait_for(turn, 10)

    assert outcome.status in ("crashed", "out_of_memory")
    assert ["text"] == [event.text for event in outcome.logs]


async def test_frames_in_tiny_packets_are_read_as_one(hostile: Hostile) -> None:
    """How a frame is cut does not matter: each byte may come alone."""
    turn = asyncio.create_task(run_turn(hostile.worker, RUN, 0, no_calls()))
    await hostile.tell([bytes([byte]) for byte in wire.pack(LOG) + wire.pack(DONE)])
    outcome = await asyncio.wait_for(turn, 10)

    assert ("ok", 1, 1) == (outcome.status, outcome.value(), len(outcome.logs))


async def test_a_clock_of_the_far_future_is_cut(hostile: Hostile) -> None:
    """A log event's time is a date whatever the worker claims."""
    turn = asyncio.create_task(run_turn(hostile.worker, RUN, 0, no_calls()))
    await hostile.tell(packets_of(msgspec.structs.replace(LOG, at_ms=1 << 53), DONE))
    outcome = await asyncio.wait_for(turn, 10)

    assert ("ok", "9999-12-31T") == (outcome.status, outcome.logs[0].at[:11])


async def test_an_error_in_a_log_text_forges_no_line(hostile: Hostile) -> None:
    """The outcome is one line of JSON, also when a worker puts line ends between the tokens of a result."""
    turn = asyncio.create_task(run_turn(hostile.worker, RUN, 0, no_calls()))
    await hostile.tell(packets_of(msgspec.structs.replace(LOG, text="a\nb"), done(result=b'[1,\n{"a":\r\n2}]')))
    outcome = await asyncio.wait_for(turn, 10)

    assert b"\n" not in outcome.json()
