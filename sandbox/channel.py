"""The worker's end of its channel: blocking reads and writes of whole frames on the one descriptor it has."""

from __future__ import annotations

import io
import os
import select
import signal
from collections import deque
from collections.abc import Callable

import msgspec

from sandbox import wire

SOFT_STOP = signal.SIGUSR1  # the engine's word that a job's time is nearly up
_buffer = bytearray(wire.READ_BYTES)  # one a process, made before the fork: a worker touches only the pages it fills
_view = memoryview(_buffer)


class Channel:
    """Frames in, frames out. Made before the lockdown: opening a file object asks the kernel what a worker may not.

    A signal handler that wants to write waits, by `when_written`, until no frame is half out.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._file = io.FileIO(descriptor, "rb", closefd=False)
        self._incoming = select.poll()
        self._incoming.register(descriptor, select.POLLIN)
        self._reader = wire.FrameReader(wire.JOB_BYTES)
        self._bodies: deque[bytes] = deque()
        self._writing = False
        self._waiting: Callable[[], None] | None = None
        self.owed = False  # whether an answer is on its way that nobody waits for any more

    def receive(self, decoder: msgspec.msgpack.Decoder[wire.FrameType]) -> wire.FrameType:
        """The next frame. Raises EOFError when the engine has closed its end, ProtocolError on anything odd.

        The wait is a poll(2): who waits inside a read(2) is woken once more, for nothing, when the other end has read.
        """
        while not self._bodies:
            self._incoming.poll()
            length = self._file.readinto(_buffer)
            if not length:
                raise EOFError
            self._bodies.extend(self._reader.feed(_view[:length]))
        return wire.parse(self._bodies.popleft(), decoder)

    def send(self, frame: wire.Frame) -> None:
        """Write a whole frame."""
        self._write(wire.pack(frame))

    def _write(self, packed: bytes) -> None:
        """Also after an error, which the hook may catch, what waits for its end comes."""
        rest = memoryview(packed)
        self._writing = True
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        finally:
            self._writing = False
            then, self._waiting = self._waiting, None
            if then is not None:
                then()

    def exchange(self, call: wire.Http) -> wire.Answer:
        """Send a call and wait for its answer. The soft stop comes through: the wait is a poll(2).

        An error on the way, a RecursionError or a MemoryError of the hook's, leaves the answer `owed`: it would be read
        in the place of what comes next, so no other call follows, and no other job.
        """
        if self.owed:
            raise RuntimeError("an error has cut an earlier call short: no other can follow in this job")
        packed = wire.pack(call)
        self.owed = True  # before it is written: an error may follow on the write at once
        self._write(packed)
        answer = self.receive(wire.answers)
        self.owed = False
        return answer

    def when_written(self, then: Callable[[], None]) -> None:
        """Call `then` at once, or as soon as the frame under way is out."""
        if self._writing:
            self._waiting = then
        else:
            then()
