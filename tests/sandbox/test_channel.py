"""Whole frames over a channel that gives them in any pieces, and that takes them one packet at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import wire
from sandbox.channel import Channel

CHECK = wire.Check("x = 1\n", ("user", "cb"))
CALL = wire.Http("GET", "http://a.example", (), b"")
ANSWER = wire.Answered(200, "OK", (), b"")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """(the engine's socket, a worker's socket)."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def take(ours: socket.socket) -> bytes:
    """All that is still to come, up to the end."""
    got = bytearray()
    while packet := ours.recv(wire.READ_BYTES):
        got += packet
    return bytes(got)


@given(st.data())
def test_frames_are_put_together_from_any_pieces(data: Any) -> None:
    jobs = [CHECK, wire.Probe("a"), wire.Check("é" * 50, ())]
    stream = b"".join(map(wire.pack, jobs))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        while stream:
            size = data.draw(st.integers(1, len(stream)), label="piece")
            ours.send(stream[:size])
            stream = stream[size:]
        channel = Channel(theirs.fileno())

        assert jobs == [channel.receive(wire.jobs) for _ in jobs]


def test_a_frame_larger_than_its_buffer_is_read_whole(pair: Any) -> None:
    ours, theirs = pair
    large = wire.Check("x" * 150_000, ())
    ours.sendall(wire.pack(large))

    assert large == Channel(theirs.fileno()).receive(wire.jobs)


def test_a_frame_is_sent_as_it_is_packed(pair: Any) -> None:
    ours, theirs = pair
    Channel(theirs.fileno()).send(CHECK)

    assert wire.pack(CHECK) == ours.recv(1000)  # one packet


def test_the_end_of_the_stream_is_an_eof_error(pair: Any) -> None:
    ours, theirs = pair
    ours.close()
    with pytest.raises(EOFError):
        Channel(theirs.fileno()).receive(wire.jobs)


def test_the_end_of_the_stream_inside_a_frame_is_an_eof_error(pair: Any) -> None:
    ours, theirs = pair
    ours.sendall(wire.pack(CHECK)[:-1])
    ours.close()
    with pytest.raises(EOFError):
        Channel(theirs.fileno()).receive(wire.jobs)


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", wire.pack(wire.Ready(1)), bytes(4)])
def test_what_is_no_job_is_a_protocol_error(pair: Any, sent: Any) -> None:
    ours, theirs = pair
    ours.sendall(sent)
    with pytest.raises(wire.ProtocolError):
        Channel(theirs.fileno()).receive(wire.jobs)


@pytest.fixture
def interrupts() -> Iterator[Callable[[Callable[[], None]], None]]:
    """`interrupts(handler)`: call it again and again by a signal, as the soft stop comes in the middle of a write."""
    before = signal.getsignal(signal.SIGALRM)

    def start(handler: Any) -> None:
        def come_again(*_: Any) -> None:
            handler()
            signal.setitimer(signal.ITIMER_REAL, 0.001)  # never inside itself

        signal.signal(signal.SIGALRM, come_again)
        signal.setitimer(signal.ITIMER_REAL, 0.001)

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _drain(ours: socket.socket, into: bytearray) -> None:
    with contextlib.suppress(BlockingIOError):
        into += ours.recv(wire.READ_BYTES, socket.MSG_DONTWAIT)


def test_a_frame_that_a_signal_interrupts_comes_out_whole(pair: Any, interrupts: Any) -> None:
    ours, theirs = pair
    got = bytearray()
    log = wire.Log("info", "x" * 1_000_000, None, 0)
    interrupts(lambda: _drain(ours, got))
    Channel(theirs.fileno()).send(log)
    signal.setitimer(signal.ITIMER_REAL, 0)
    theirs.close()

    assert wire.pack(log) == got + take(ours)


def test_a_wait_that_signals_interrupt_goes_on(pair: Any, interrupts: Any) -> None:
    ours, theirs = pair
    came: list[int] = []

    def send_at_last() -> None:
        came.append(1)
        if len(came) == 3:
            ours.sendall(wire.pack(CHECK))

    interrupts(send_at_last)

    assert CHECK == Channel(theirs.fileno()).receive(wire.jobs)
    assert len(came) >= 3


def test_what_is_to_follow_comes_once_and_after_the_frame_under_way(pair: Any, interrupts: Any) -> None:
    """As the soft stop does it: what follows is itself a frame."""
    ours, theirs = pair
    got = bytearray()
    log, last = wire.Log("info", "x" * 1_000_000, None, 0), wire.Ready(7)
    channel = Channel(theirs.fileno())
    asked: list[int] = []

    def stop() -> None:
        _drain(ours, got)
        if got and not asked:  # the frame is under way
            asked.append(len(got))
            channel.when_written(lambda: channel.send(last))

    interrupts(stop)
    channel.send(log)
    signal.setitimer(signal.ITIMER_REAL, 0)
    theirs.close()

    assert asked[0] < len(wire.pack(log))
    assert wire.pack(log) + wire.pack(last) == got + take(ours)


def test_what_is_to_follow_comes_at_once_when_nothing_is_under_way(pair: Any) -> None:
    _, theirs = pair
    called = []
    Channel(theirs.fileno()).when_written(lambda: called.append(1))

    assert called == [1]


@pytest.fixture
def cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next write goes through, and an error follows at once."""
    write = os.write

    def once(descriptor: int, data: Any) -> int:
        monkeypatch.setattr(os, "write", write)
        write(descriptor, data)
        raise MemoryError

    monkeypatch.setattr(os, "write", once)


@pytest.mark.usefixtures("cut_short")
def test_an_error_within_the_write_of_a_call_leaves_its_answer_owed(pair: Any) -> None:
    _, theirs = pair
    channel = Channel(theirs.fileno())
    with pytest.raises(MemoryError):
        channel.exchange(CALL)

    assert channel.owed
    with pytest.raises(RuntimeError, match="no other can follow"):
        channel.exchange(CALL)


def test_a_call_that_cannot_be_packed_owes_nothing(pair: Any) -> None:
    ours, theirs = pair
    channel = Channel(theirs.fileno())
    with pytest.raises(TypeError):
        channel.exchange(wire.Http("GET", "http://a.example", (), object()))  # type: ignore[arg-type]
    ours.sendall(wire.pack(ANSWER))

    assert ANSWER == channel.exchange(CALL)
    assert not channel.owed


def test_what_waits_for_a_write_comes_also_when_it_fails(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, theirs = pair
    channel = Channel(theirs.fileno())
    came: list[str] = []

    def fail(*_: Any) -> int:
        channel.when_written(lambda: came.append("waited"))
        raise MemoryError

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(MemoryError):
        channel.send(CHECK)
    channel.when_written(lambda: came.append("at once"))

    assert ["waited", "at once"] == came


def test_it_leaves_the_descriptor_open(pair: Any) -> None:
    _, theirs = pair
    channel = Channel(theirs.fileno())
    del channel

    os.fstat(theirs.fileno())
