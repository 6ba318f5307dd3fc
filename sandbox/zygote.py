"""The zygote: a warm Python process that workers are forked from. Runs no tenant code; holds no key.

    1  the engine execs it: `python -I`, an empty environment, one inherited descriptor, the control socket
    2  it imports everything a worker will need, while it still has files
    3  it gives up root, the host's namespaces and its files; workers are born without them
    4  it tells the engine that it stands
    5a engine → fork                     one message each, answered in order
    5b zygote: socketpair, fork; the child locks itself down and serves its end of the pair (worker.py)
    5c zygote → forked + channel + pidfd
    6  zygote → exited, for every child that ends, with its status
    7  the control socket closes: the zygote exits, and with it, as first process of its pid namespace, every worker

Alive in every fork, and harmless in a tenant's hands: imported modules, the shared facades, zone data, the filter.
The control socket and the other workers' channels are alive for an instant and closed before the worker reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import resource
import select
import socket
import sys

from sandbox import lockdown, probes, seccomp, syscalls, warmth, wire, worker
from sandbox.channel import Channel
from sandbox.lockdown import LAYERS, Layer, Setting

_EVENTS = 64


def main() -> None:
    """Serve the engine until it closes the control socket."""
    control, setting, allowed = prepare(sys.argv[1:])
    Zygote(control, LAYERS, setting, allowed).serve()


def prepare(arguments: list[str]) -> tuple[socket.socket, Setting, frozenset[str]]:
    """Steps 1 and 2. `arguments`: the control socket, uid, memory in bytes, processor seconds, layers that may miss."""
    if os.uname().machine != syscalls.MACHINE:
        sys.exit(f"the sandbox knows the system calls of {syscalls.MACHINE} only; this is {os.uname().machine}")
    descriptor, uid, memory_bytes, cpu_s, *allowed = arguments
    control = _keep_clear_of_channel(int(descriptor))
    warmth.warm_up()
    setting = Setting(
        uid=int(uid),
        memory_bytes=int(memory_bytes),
        cpu_s=int(cpu_s),
        zygote_bytes=_address_space(),
        program=seccomp.build_filter(),
    )
    return control, setting, frozenset(allowed)


def _keep_clear_of_channel(descriptor: int) -> socket.socket:
    """The control socket on another number than a worker's channel, where a placeholder stands until the fork."""
    control = socket.socket(fileno=fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lockdown.CHANNEL + 1))
    os.close(descriptor)
    os.dup2(os.open(os.devnull, os.O_RDWR), lockdown.CHANNEL)
    return control


class Zygote:
    """The control socket, the children that live, and what each fork needs."""

    def __init__(
        self, control: socket.socket, layers: tuple[Layer, ...], setting: Setting, allowed: frozenset[str]
    ) -> None:
        self._control = control
        self._own_layers = tuple(layer for layer in layers if layer.zygote)
        self._worker_layers = tuple(layer for layer in layers if layer.worker)
        self._channel = Channel(lockdown.CHANNEL)  # for every child, each after its fork; made once, not per fork
        self._allowed = allowed
        self._setting = setting
        self._children: dict[int, int] = {}  # pidfd → pid

    def serve(self) -> None:
        """Lock the zygote itself, then fork and reap until the engine goes."""
        self._poll = select.epoll()
        lockdown.lock_down(self._own_layers, self._setting, self._allowed)
        self._poll.register(self._control.fileno(), select.EPOLLIN)
        gc.collect()
        gc.freeze()
        self._report(wire.Standing())
        while True:
            for descriptor, _ in self._poll.poll(maxevents=_EVENTS):
                if descriptor == self._control.fileno():
                    self._obey()
                else:
                    self._reap(descriptor)

    def _obey(self) -> None:
        try:
            data = self._control.recv(wire.CONTROL_BYTES)
        except ConnectionResetError:  # the engine went with a report unread
            data = b""
        if not data:
            os._exit(0)
        order = wire.parse(data, wire.orders)
        ours, theirs = socket.socketpair()
        pid = syscalls.fork()
        if pid == 0:
            self._become_child(theirs.fileno(), prober=order.prober)
        pidfd = os.pidfd_open(pid)
        theirs.close()
        self._children[pidfd] = pid
        self._poll.register(pidfd, select.EPOLLIN)
        self._report(wire.Forked(pid), ours.fileno(), pidfd)
        ours.close()

    def _become_child(self, descriptor: int, *, prober: bool) -> None:
        with contextlib.suppress(OSError):  # as under SCHED_IDLE, which nobody unprivileged leaves
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # waking it takes the processor from nobody
        os.dup2(descriptor, lockdown.CHANNEL)
        start = probes.start if prober else worker.start
        start(self._channel, self._worker_layers, self._setting, self._allowed)

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._report(wire.Exited(pid, os.waitstatus_to_exitcode(status)))

    def _report(self, report: wire.Report, *descriptors: int) -> None:
        try:
            socket.send_fds(self._control, [wire.pack_control(report)], list(descriptors))
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - pathlib is not needed in a zygote
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
