"""The engine's end of one worker: frames out, frames in, and the right to kill it.

Whatever comes is bounded as it comes, and checked by `wire.parse` before anything looks at it. A worker that sends what
it should not, or when it should not, is killed; nobody repairs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from engine.alarms import Alarms
from sandbox import wire

BRIEF_S = 0.000_25  # a turn of a small hook, on a processor of its own that first has to wake
_LINGER_S = 0.5  # from hanging up to having ended
_MOST_PENDING = 4096  # frames not yet looked at: a turn looks at once, so more is a flood
_MOST_PENDING_BYTES = 2 * wire.REPLY_BYTES  # of them together: the largest, and all the log there may be


_NOTHING = memoryview(b"")


class _Buffer(threading.local):
    """What is read into, and copied out of at once: of every worker in turn, of one event loop, which is one thread."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(wire.READ_BYTES))


_buffer = _Buffer()


class WorkerGone(Exception):
    """The channel is closed. Why: see `fault`, `killed` and `hung_up` of the worker, and how it `exited`."""


class Worker:
    """One worker process. `tenant` is set by the pool, once."""

    def __init__(
        self, pid: int, channel: socket.socket, pidfd: int, exited: asyncio.Future[int | None], alarms: Alarms
    ) -> None:
        self.pid = pid  # in the zygote's pid namespace
        self.alarms = alarms  # of its turns' deadlines
        self.pidfd = pidfd
        self.exited = exited  # its exit code, or minus the signal that ended it; None when nobody can know
        self.born = time.monotonic()
        self.used = self.born  # when its last job ended
        self.jobs = 0
        self.brief = False  # whether its last turn was short
        self.peak_bytes = 0  # as it says itself: a lie is bounded by RLIMIT_AS
        self.blank_bytes = 0  # the same, when blank
        self.tenant: str | None = None
        self.asked = True  # whether it may speak: it was given something to answer, first to be ready
        self.gone = False  # its channel is closed
        self.fault: str | None = None  # how it broke the protocol
        self.hung_up = False  # it closed its end by itself
        self.lost = False  # before it had told how its job ended
        self.killed = False  # by us, before it had ended
        self._channel = channel
        self._reader = wire.FrameReader(wire.REPLY_BYTES)
        self._bodies: deque[bytes] = deque()  # of frames, each parsed when it is looked at
        self._pending_bytes = 0  # of these, and of the one that is not yet whole
        self._event: asyncio.Future[None] | None = None
        self._then: Callable[[], object] | None = None
        self._loop = alarms.loop
        channel.setblocking(False)
        self._loop.add_reader(channel.fileno(), self._read)

    async def send(self, frame: wire.Frame) -> None:
        """Write a whole frame. Raises WorkerGone."""
        await self.send_rest(self.offer(frame))

    def offer(self, frame: wire.Frame) -> memoryview:
        """Write what of a frame there is room for, nearly always all; return the rest. Raises WorkerGone."""
        if self.gone:
            raise WorkerGone
        self.asked = True
        packed = wire.pack(frame)
        written = self._write(packed)
        return memoryview(packed)[written:] if written < len(packed) else _NOTHING

    async def send_rest(self, rest: memoryview) -> None:
        """Write what `offer` left. A worker that does not read is killed at the deadline, which ends this too."""
        if not rest:
            return
        self._loop.add_writer(self._channel.fileno(), self._wake)
        while rest:
            self._event = self._loop.create_future()
            await self._event
            if self.gone:
                raise WorkerGone
            rest = rest[self._write(rest) :]
        self._loop.remove_writer(self._channel.fileno())

    def _write(self, data: bytes | memoryview) -> int:
        """How many bytes there was room for."""
        try:
            return self._channel.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._hang_up()
            raise WorkerGone from None

    def listen_briefly(self) -> None:
        """Look, for a moment and without sleeping, for what comes next: being woken costs more than a short turn.

        For a turn that is alone in its engine, on a worker whose last turn was this short: nobody else waits. The
        yield lets a worker on the same processor run.
        """
        end = time.perf_counter() + BRIEF_S
        while not self._bodies and not self.gone and time.perf_counter() < end:
            os.sched_yield()
            self._read()

    async def receive(self) -> wire.Reply:
        """The next frame. Raises WorkerGone. One caller at a time: the turn."""
        while not self._bodies:
            if self.gone:
                raise WorkerGone
            self._event = self._loop.create_future()
            await self._event
        body = self._bodies.popleft()
        self._pending_bytes -= wire.PREFIX_BYTES + len(body)
        try:
            return wire.parse(body, wire.replies)
        except wire.ProtocolError as error:
            self._break(str(error))
            raise WorkerGone from None

    def when_heard(self, then: Callable[[], object] | None) -> None:
        """Call `then` when the next frame comes or the worker is gone; None: no longer."""
        self._then = then

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that nobody asked for."""
        return not self._bodies

    @property
    def has_ended(self) -> bool:
        """Whether the frame that ends a run has come already."""
        return bool(self._bodies) and wire.is_done(self._bodies[-1])

    def interrupt(self) -> None:
        """Ask it to end its job by itself and say where it was: the soft stop."""
        self._signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it now. Safe to call twice, and after it has ended."""
        self.killed = self.killed or not self.exited.done()
        self._signal(signal.SIGKILL)
        self._close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def _signal(self, number: int) -> None:
        if self.pidfd < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def _read(self) -> None:
        try:
            view = _buffer.view
            length = self._channel.recv_into(view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            length = 0
        if not length:
            self._hang_up()
            return
        if not self.asked:
            self._break("it spoke unasked")
            return
        try:
            bodies = self._reader.feed(view[:length])
        except wire.ProtocolError as error:
            self._break(str(error))
            return
        self._bodies += bodies
        self._pending_bytes += length
        if len(self._bodies) > _MOST_PENDING or self._pending_bytes > _MOST_PENDING_BYTES:
            self._break("a flood of frames")
            return
        self._wake()

    def _break(self, fault: str) -> None:
        self.fault = fault
        self.kill()

    def _hang_up(self) -> None:
        """The worker closed its end: it is ending, and its status will tell why. One that lingers is killed."""
        self.hung_up = True
        self._close()
        self._loop.call_later(_LINGER_S, self.kill)

    def _close(self) -> None:
        if self.gone:
            return
        self.gone = True
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._wake()

    def _wake(self) -> None:
        if self._then is not None:
            self._then()
        if self._event is not None and not self._event.done():
            self._event.set_result(None)
