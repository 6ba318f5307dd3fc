"""The engine's end of one worker: frames out, frames in, and the right to kill it.

Whatever comes is checked by `wire.parse` before anything looks at it. A worker that sends what it should not, or when
it should not, is killed; nobody repairs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections import deque

from sandbox import wire

_buffer = bytearray(wire.PACKET_BYTES)  # of every worker in turn: what is read is copied out at once
_view = memoryview(_buffer)
_MOST_PENDING = 4096  # frames not yet looked at: a turn looks at once, so more is a flood


class WorkerGone(Exception):
    """The worker's channel closed, or it broke the protocol (then `fault` says how)."""

    def __init__(self, fault: str | None) -> None:
        super().__init__(fault or "the channel closed")
        self.fault = fault


class Worker:
    """One worker process. `tenant` is set by the pool, once."""

    def __init__(self, pid: int, channel: socket.socket, pidfd: int, exited: asyncio.Future[int]) -> None:
        self.pid = pid  # in the zygote's pid namespace
        self.pidfd = pidfd
        self.exited = exited  # its exit code, or minus the signal that ended it
        self.born = time.monotonic()
        self.used = self.born  # when its last job ended
        self.jobs = 0
        self.peak_bytes = 0  # as it says itself: a lie is bounded by RLIMIT_AS
        self.blank_bytes = 0  # the same, when blank
        self.tenant: str | None = None
        self.gone = False
        self._fault: str | None = None
        self._channel = channel
        self._reader = wire.FrameReader(wire.REPLY_BYTES)
        self._frames: deque[wire.Reply] = deque()
        self._event: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        channel.setblocking(False)
        self._loop.add_reader(channel.fileno(), self._read)

    async def send(self, frame: wire.Frame) -> None:
        """Write a whole frame. Raises WorkerGone."""
        if self.gone:
            raise WorkerGone(self._fault)
        try:
            for packet in wire.packets(wire.pack(frame)):
                if not self._sent(packet):
                    await self._send(packet)
        except OSError:
            self._close(None)
            raise WorkerGone(self._fault) from None

    def _sent(self, packet: bytes | memoryview) -> bool:
        try:
            self._channel.send(packet)
        except BlockingIOError:
            return False
        return True

    async def _send(self, packet: bytes | memoryview) -> None:
        """One packet, when there is room. A worker that does not read is killed at the deadline: that wakes us too."""
        self._loop.add_writer(self._channel.fileno(), self._wake)
        while not self.gone:
            await self._woken()
            if not self.gone and self._sent(packet):
                self._loop.remove_writer(self._channel.fileno())
                return
        raise WorkerGone(self._fault)

    async def receive(self) -> wire.Reply:
        """The next frame. Raises WorkerGone. One caller at a time: the turn."""
        while not self._frames:
            if self.gone:
                raise WorkerGone(self._fault)
            await self._woken()
        return self._frames.popleft()

    async def _woken(self) -> None:
        """Wait until frames have come, there is room to send, or the worker is gone."""
        self._event = self._loop.create_future()
        await self._event

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that nobody asked for."""
        return not self._frames

    def interrupt(self) -> None:
        """Ask it to end its job by itself and say where it was: the soft stop."""
        self._signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it now. Safe to call twice, and after it has ended."""
        self._close(None)

    def _signal(self, number: int) -> None:
        if self.pidfd < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def _read(self) -> None:
        try:
            length = self._channel.recv_into(_buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            length = 0
        if not length:
            self._close(None)
            return
        try:
            for body in self._reader.feed(_view[:length]):
                self._frames.append(wire.parse(body, wire.replies))
        except wire.ProtocolError as error:
            self._break(str(error))
            return
        if len(self._frames) > _MOST_PENDING:
            self._break("a flood of frames")
            return
        self._wake()

    def _break(self, fault: str) -> None:
        self._close(fault)

    def _close(self, fault: str | None) -> None:
        """Kill and let go. A process that is already ending keeps the status it has."""
        if self.gone:
            return
        self.gone = True
        self._fault = fault
        self._signal(signal.SIGKILL)
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        os.close(self.pidfd)
        self.pidfd = -1
        self._wake()

    def _wake(self) -> None:
        if self._event is not None and not self._event.done():
            self._event.set_result(None)
