"""The worker: locked down, it says so, then does one job after another until its channel closes or it is killed.

The soft stop: shortly before a job's deadline the engine sends SIGUSR1; the handler, which the zygote installed, tells
where the hook is stuck and ends the process. A hook cannot swallow it: nothing is raised. A hook that sits inside one
long C call is not reached by it; the engine's SIGKILL comes at the deadline all the same.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

from sandbox import compiler, hook, lockdown, wire
from sandbox.channel import SOFT_STOP, Channel
from sandbox.console import line_of


class SoftStop:
    """Ends the job under way when its time is nearly up. One for the life of the process."""

    def __init__(self) -> None:
        self._channel: Channel | None = None

    def install(self) -> None:
        """Take the signal. In the zygote, once: a locked worker may not call sigaction(2)."""
        signal.signal(SOFT_STOP, self._on_signal)

    def guard(self, channel: Channel | None) -> None:
        """A job begins on `channel`, or, with None, has ended."""
        self._channel = channel

    def _on_signal(self, _: int, frame: FrameType | None) -> None:
        channel = self._channel
        if channel is None:
            return
        line = line_of(frame)
        where = f": it was at line {line}" if line else ""
        done = hook.ended("timeout", f"the hook did not finish in time{where}", line=line)
        channel.when_written(lambda: _tell_and_end(channel, done))


soft_stop = SoftStop()
rehearsals: list[wire.Run] = []  # jobs that say and leave nothing; put here in the zygote, once


def rehearse(channel: Channel) -> None:
    """Do what a tenant's job does, before there is one.

    The pages of memory that a job writes to are the worker's own then: the kernel copies each at the first write after
    a fork, which takes the first job longer than all the rest of it.
    """
    for job in rehearsals:
        done = hook.run(job, channel)
        if done.status != "ok" or done.spent:
            raise RuntimeError(f"a rehearsal ended as {done.status}: {done.message}")
    hook.forget()


def serve(channel: Channel) -> None:
    """Do jobs until the engine closes the channel, then raise EOFError."""
    rehearse(channel)
    channel.send(wire.Ready(hook.begin()))
    while True:
        job = channel.receive(wire.jobs)
        soft_stop.guard(channel)
        match job:
            case wire.Run():
                reply: wire.Frame = hook.run(job, channel)
            case wire.Check():
                reply = compiler.check(job.source, job.parameters, job.dependencies, job.advice, job.modules)
            case _:
                raise wire.ProtocolError(f"a worker does not do {type(job).__name__}")
        soft_stop.guard(None)
        channel.send(reply)


def start(
    channel: Channel, layers: tuple[lockdown.Layer, ...], setting: lockdown.Setting, allowed: frozenset[str]
) -> None:
    """Become a worker; called in the forked child, and never returns."""
    try:
        lockdown.lock_down(layers, setting, allowed)
        serve(channel)
    except EOFError:
        os._exit(0)
    finally:
        os._exit(1)


def _tell_and_end(channel: Channel, done: wire.Done) -> None:
    soft_stop.guard(None)
    channel.send(done)
    os._exit(0)
