"""What the tests of the sandbox start: children that try one thing, zygotes with their workers, hooks run in place.

A child is a fresh process of one thread, so that no test forks pytest itself. Nothing outlives its test.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from oracle import plain_outcomes, serving

from sandbox import compiler, hook, require, wire
from sandbox.channel import Channel

settings.register_profile("shared-machine", deadline=None)  # a busy machine is no finding
settings.load_profile("shared-machine")

DEEDS = Path(__file__).with_name("deeds.py")
UID = 61_061  # whom children become under a pytest run by root
PARAMETERS = ("user", "context", "cb")
TRY_S = 20


def _in_child(deed: str, *layers: str, **arguments: Any) -> tuple[int, Any]:
    """(exit status, report) of a fresh child that put on `layers`, in that order, and then did `deed`."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as report:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-X", "utf8", DEEDS, str(writing), deed, json.dumps([layers, arguments])],
                pass_fds=[writing],
                env={"LC_ALL": "C.UTF-8", "PLANTED": "secret"},
                stdin=subprocess.DEVNULL,
                timeout=TRY_S,
                check=False,
            )
        finally:
            os.close(writing)
        said = report.read()
    return done.returncode, json.loads(said) if said else None


@pytest.fixture(scope="session")
def in_child() -> Callable[..., tuple[int, Any]]:
    """`in_child(deed, *layers, **arguments)` → (exit status or minus the signal, JSON it reported). See deeds.py."""
    return _in_child


class OneWorker:
    """The engine's end of one worker, or prober: blocking, with a deadline on every wait."""

    def __init__(self, pid: int, descriptors: list[int]) -> None:
        self.pid = pid  # in its own pid namespace
        channel, self.pidfd = descriptors
        self.channel = socket.socket(fileno=channel)
        self.channel.settimeout(TRY_S)
        self._reader = wire.FrameReader(wire.REPLY_BYTES)
        self._bodies: list[bytes] = []

    def send(self, frame: wire.Frame) -> None:
        """Write a whole frame."""
        self.write(wire.pack(frame))

    def write(self, data: bytes) -> None:
        """Any bytes."""
        self.channel.sendall(data)

    def receive(self) -> wire.Reply:
        """The next frame. Raises EOFError."""
        while not self._bodies:
            data = self.channel.recv(wire.READ_BYTES)
            if not data:
                raise EOFError
            self._bodies = self._reader.feed(data)
        return wire.parse(self._bodies.pop(0), wire.replies)

    def finish(self, job: wire.Job) -> tuple[wire.Reply, list[wire.Log]]:
        """(the ending frame, what was logged before it) of one job."""
        self.send(job)
        return self.listen()

    def listen(self) -> tuple[wire.Reply, list[wire.Log]]:
        """The same, of the job under way."""
        logs = []
        while isinstance(frame := self.receive(), wire.Log):
            logs.append(frame)
        return frame, logs

    def run(self, source: str, **job: Any) -> tuple[wire.Reply, list[wire.Log]]:
        """Run a hook. `job`: fields of wire.Run."""
        return self.finish(make_job(source, **job))

    def signal(self, number: int) -> None:
        """Send a signal to this process and no other."""
        signal.pidfd_send_signal(self.pidfd, number)

    def ended(self) -> bool:
        """Wait until the process has ended; false when it has not within the deadline."""
        return bool(select.select([self.pidfd], [], [], TRY_S)[0])

    def close(self) -> None:
        """Let go of the descriptors."""
        self.channel.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class RealZygote:
    """A zygote started as the engine starts it, and all that came of it."""

    def __init__(self, memory_bytes: int) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(TRY_S)
        self._workers: list[OneWorker] = []
        self._exits: dict[int, int] = {}  # heard of, and not asked for yet
        numbers = (theirs.fileno(), UID, memory_bytes, 60)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", "-m", "sandbox.zygote", *map(str, numbers)],
                pass_fds=[theirs.fileno()],
                env={"LC_ALL": "C.UTF-8", "PLANTED": "secret"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def hear(self) -> tuple[wire.Report, list[int]]:
        """The next report with its descriptors. Raises EOFError."""
        data, descriptors, _, _ = socket.recv_fds(self.control, wire.CONTROL_BYTES, 2)
        if not data:
            raise EOFError
        return wire.parse(data, wire.reports), descriptors

    def order(self, *, prober: bool = False) -> None:
        """Ask for a worker; the answer is still to be heard."""
        self.control.send(wire.pack_control(wire.Fork(prober)))

    def forked(self) -> OneWorker:
        """The worker that the next report is about."""
        report, descriptors = self.hear()
        while isinstance(report, wire.Exited):
            self._exits[report.pid] = report.status
            report, descriptors = self.hear()
        assert isinstance(report, wire.Forked)
        self._workers.append(OneWorker(report.pid, descriptors))
        return self._workers[-1]

    def fork(self, *, prober: bool = False) -> OneWorker:
        """A worker that is ready."""
        self.order(prober=prober)
        worker = self.forked()
        assert isinstance(worker.receive(), wire.Ready)
        return worker

    def exit_of(self, worker: OneWorker) -> int:
        """What the zygote says of that worker's end."""
        while worker.pid not in self._exits:
            report, _ = self.hear()
            assert isinstance(report, wire.Exited)
            self._exits[report.pid] = report.status
        return self._exits.pop(worker.pid)

    def close(self) -> None:
        """End it, and with it its workers."""
        self.control.close()
        for worker in self._workers:
            worker.close()
        try:
            self.process.wait(TRY_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture
def new_zygote() -> Iterator[Callable[..., RealZygote]]:
    """`new_zygote(memory_bytes=…)` → a zygote that stands. For tests that end it."""
    with contextlib.ExitStack() as stack:

        def start(memory_bytes: int = 64 << 20) -> RealZygote:
            zygote = RealZygote(memory_bytes)
            stack.callback(zygote.close)
            assert (wire.Standing(), []) == zygote.hear()
            return zygote

        yield start


@pytest.fixture(scope="session")
def zygote() -> Iterator[RealZygote]:
    """One zygote for all tests that leave it as it was: each hears of its own worker's end before it goes."""
    made = RealZygote(64 << 20)
    assert (wire.Standing(), []) == made.hear()
    yield made
    made.close()


@pytest.fixture
def worker(zygote: RealZygote) -> Iterator[OneWorker]:
    """A blank worker."""
    made = zygote.fork()
    yield made
    with contextlib.suppress(ProcessLookupError):
        made.signal(signal.SIGKILL)
    zygote.exit_of(made)


def make_job(source: str, **job: Any) -> wire.Run:
    """A job of `source`, compiled here. `job`: fields of wire.Run; `arguments` as Python data."""
    checked = compiler.check(source, PARAMETERS)
    assert checked.code is not None, checked.diagnostics
    arguments = json.dumps(job.pop("arguments", {"user": {"name": "Ann"}, "context": {}})).encode()
    defaults = {"secrets": {}, "execution_id": "e1", "seed": 1, "limits": wire.Limits()}
    return wire.Run(**{"code": checked.code, "parameters": PARAMETERS, "arguments": arguments} | defaults | job)


@pytest.fixture(scope="session")
def hook_job() -> Callable[..., wire.Run]:
    """`hook_job(source, **fields of wire.Run)` → the job."""
    return make_job


@pytest.fixture(scope="session")
def facades() -> None:
    """The shared facades, as a zygote builds them."""
    require.load_facades()


@pytest.fixture
def run_here(facades: None) -> Iterator[Callable[..., tuple[wire.Done, list[wire.Log]]]]:
    """`run_here(source, **fields of wire.Run)` → (how it ended, what it logged), without a worker around it."""
    assert facades is None  # they are built
    ours, theirs = socket.socketpair()
    channel = Channel(theirs.fileno())
    reader = wire.FrameReader(wire.REPLY_BYTES)

    def run(source: str, **job: Any) -> tuple[wire.Done, list[wire.Log]]:
        done = hook.run(make_job(source, **job), channel)
        channel.send(done)
        frames: list[wire.Reply] = []
        while not (frames and isinstance(frames[-1], wire.Done)):
            frames += [wire.parse(body, wire.replies) for body in reader.feed(ours.recv(wire.READ_BYTES))]
        return done, [frame for frame in frames if isinstance(frame, wire.Log)]

    with ours, theirs:
        yield run


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[str, str]]:
    """The server's address, and the same on another host."""
    with serving() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def expected(hosts: tuple[str, str]) -> dict[str, Any]:
    """What plain `requests` makes of each call."""
    return plain_outcomes(*hosts)
