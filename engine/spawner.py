"""The engine's end of the zygote: starts it, asks it for workers, hears how they ended, replaces it when it is old.

The zygote is started by exec with an explicit environment, so that no secret of this process is in its memory.
A replaced zygote lives until its last worker has ended; a dead one is replaced at the next fork.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from engine.alarms import Alarms
from engine.errors import SandboxFailed
from engine.worker import Worker, WorkerGone
from sandbox import wire

_DESCRIPTORS = 2  # that come with a worker: its channel and its pidfd
_START_S = 30.0  # for a zygote to stand, on a loaded machine
_END_S = 5.0  # for a zygote whose control socket is closed to end
_FORK_S = 10.0  # for a worker to be ready, likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygoteSetting:
    """What a zygote is told."""

    worker_uid: int  # whom it becomes when the engine is root
    memory_bytes: int  # of a worker, over a blank one
    cpu_s: int  # processor seconds of a worker's whole life
    allow_missing_layers: frozenset[str]  # that the kernel may refuse
    command: tuple[str, ...] = ("sandbox.zygote",)  # module and its own arguments; the doctor has another


class Spawner:
    """Makes workers. One zygote is current; older ones end with their last worker."""

    def __init__(self, setting: ZygoteSetting) -> None:
        self._setting = setting
        self._current: _Zygote | None = None
        self._retired: list[_Zygote] = []  # those that may still have workers
        self._starting = asyncio.Lock()
        self._alarms: Alarms | None = None

    @property
    def alarms(self) -> Alarms:
        """Of its workers, and of who waits for them: those of the event loop that it is first asked on."""
        if self._alarms is None:
            self._alarms = Alarms()
        return self._alarms

    async def start(self) -> None:
        """Start the first zygote. Raises SandboxFailed."""
        await self._standing()

    async def fork(self, *, prober: bool = False) -> Worker:
        """A blank worker, locked down and ready. Raises SandboxFailed."""
        zygote = await self._standing()
        try:
            async with asyncio.timeout(_FORK_S):
                worker = await zygote.fork(prober=prober)
        except TimeoutError:
            zygote.close()
            raise SandboxFailed("the zygote did not answer in time; a fresh one takes over") from None
        try:
            async with asyncio.timeout(_FORK_S):
                first = await worker.receive()
        except TimeoutError:
            worker.kill()
            raise SandboxFailed("a worker was not ready in time") from None
        except WorkerGone:
            status = await ended(worker)
            raise SandboxFailed(
                _refusal(status) or f"a worker ended with status {status} before it was ready"
            ) from None
        except asyncio.CancelledError:
            worker.kill()
            raise
        if not isinstance(first, wire.Ready):
            worker.kill()
            raise SandboxFailed("a worker began with the wrong frame")
        worker.asked = False
        worker.blank_bytes = worker.peak_bytes = first.peak_bytes
        return worker

    @property
    def age_s(self) -> float:
        """Of the current zygote."""
        return time.monotonic() - self._current.born if self._current else 0.0

    async def rotate(self) -> None:
        """Let a fresh zygote make the workers from now on."""
        async with self._starting:
            fresh = await _Zygote.start(self._setting, self.alarms)
            old, self._current = self._current, fresh
            self._retired = [zygote for zygote in self._retired if zygote.alive]
            if old:
                self._retired.append(old)
                old.retire()

    async def close(self) -> None:
        """End every zygote and, with them, their workers."""
        zygotes = [*self._retired, *([self._current] if self._current else [])]
        for zygote in zygotes:
            zygote.close()
        for zygote in zygotes:
            await zygote.ended()

    async def _standing(self) -> _Zygote:
        if self._current and self._current.alive:
            return self._current
        async with self._starting:
            if not (self._current and self._current.alive):
                self._current = await _Zygote.start(self._setting, self.alarms)
            return self._current


class _Zygote:
    """One zygote process and the workers it made."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, alarms: Alarms) -> None:
        self.born = time.monotonic()
        self.alive = True
        self._process = process
        self._control = control
        self._alarms = alarms
        self._forks: deque[asyncio.Future[Worker]] = deque()
        self._workers: dict[int, Worker] = {}
        self._retired = False
        self._loop = asyncio.get_running_loop()
        self._standing: asyncio.Future[None] = self._loop.create_future()
        self._gone = self._loop.create_future()
        self._loop.add_reader(control.fileno(), self._read)

    @classmethod
    async def start(cls, setting: ZygoteSetting, alarms: Alarms) -> _Zygote:
        """Exec one and wait until it stands."""
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            with theirs:
                zygote = cls(_exec(setting, theirs.fileno()), ours, alarms)
        except OSError as error:
            raise SandboxFailed(f"a zygote cannot be started: {error.strerror}") from None
        try:
            async with asyncio.timeout(_START_S):
                await zygote._standing
        except BaseException as error:
            zygote.close()
            await zygote.ended()
            if isinstance(error, TimeoutError):
                raise SandboxFailed(f"the zygote did not stand within {_START_S:.0f} s") from None
            raise
        return zygote

    async def fork(self, *, prober: bool) -> Worker:
        """Ask for a worker. Raises SandboxFailed when the zygote is gone."""
        answer: asyncio.Future[Worker] = self._loop.create_future()
        self._forks.append(answer)
        try:
            self._control.send(wire.pack_control(wire.Fork(prober)))
        except OSError:
            self._lose()
        return await answer

    def retire(self) -> None:
        """End when the last worker has ended."""
        self._retired = True
        self._close_if_done()

    def close(self) -> None:
        """End now; the kernel ends the workers."""
        if self.alive:
            self._lose()

    def _end_of(self, pid: int, status: int) -> None:
        worker = self._workers.pop(pid, None)
        if worker is not None:
            worker.exited.set_result(status)

    def _close_if_done(self) -> None:
        if self._retired and not self._workers and not self._forks:
            self.close()

    async def ended(self) -> None:
        """Wait until the process has ended; kill it if it does not."""
        try:
            async with asyncio.timeout(_END_S):
                await asyncio.shield(self._gone)
        except TimeoutError:
            self._process.kill()
            await self._gone

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, wire.CONTROL_BYTES, _DESCRIPTORS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._lose()
            return
        self._hear(wire.parse(data, wire.reports), descriptors)

    def _hear(self, report: wire.Report, descriptors: list[int]) -> None:
        match report:
            case wire.Standing():
                self._standing.set_result(None)
            case wire.Forked() if len(descriptors) < _DESCRIPTORS:
                for descriptor in descriptors:  # this process may open no more of them: nothing can be made now
                    os.close(descriptor)
                self._lose()
            case wire.Forked(pid=pid):
                channel, pidfd = socket.socket(fileno=descriptors[0]), descriptors[1]
                self._workers[pid] = worker = Worker(pid, channel, pidfd, self._loop.create_future(), self._alarms)
                answer = self._forks.popleft()
                if answer.cancelled():
                    worker.kill()
                else:
                    answer.set_result(worker)
                self._close_if_done()
            case wire.Exited(pid=pid, status=status):
                self._end_of(pid, status)
                self._close_if_done()

    def _lose(self) -> None:
        """The control socket is closed, by us or by the zygote's death: nobody will answer any more."""
        self.alive = False
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        for worker in self._workers.values():
            worker.exited.set_result(None)
            worker.kill()
        self._workers.clear()
        pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(pidfd, self._reap, pidfd)

    def _reap(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        status = self._process.wait()
        fault = SandboxFailed(_refusal(status) or f"the zygote ended with status {status}")
        waiters: list[asyncio.Future[Any]] = [self._standing, *self._forks]
        for waiting in waiters:
            if not waiting.done():
                waiting.set_exception(fault)
                waiting.exception()  # it may be that nobody waits any more
        self._gone.set_result(None)


async def ended(worker: Worker) -> int | None:
    """How a worker whose channel is closed ended: its exit code, or minus the signal; None when nobody can know."""
    try:
        async with asyncio.timeout(_FORK_S):
            return await asyncio.shield(worker.exited)
    except TimeoutError:
        return None


def _exec(setting: ZygoteSetting, descriptor: int) -> subprocess.Popen[bytes]:
    module, *arguments = setting.command
    numbers = [descriptor, setting.worker_uid, setting.memory_bytes, setting.cpu_s]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [
            *(sys.executable, "-I", "-X", "utf8", "-m", module, *arguments),
            *(str(number) for number in numbers),
            *sorted(setting.allow_missing_layers),
        ],
        pass_fds=[descriptor],
        env={"LC_ALL": "C.UTF-8"},  # SECURITY: explicit; children inherit
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _refusal(status: int | None) -> str | None:
    """Which layer an exit status names."""
    layer = -1 if status is None else status - wire.LAYER_EXIT
    if not 0 <= layer < len(wire.LAYER_NAMES):
        return None
    name = wire.LAYER_NAMES[layer]
    return (
        f"the kernel refused the sandbox's layer {name!r}; permit it, "
        f"or accept its loss by HOOKCELL_ALLOW_MISSING_LAYERS='[\"{name}\"]' (docs/sandbox.md says what that means)"
    )
