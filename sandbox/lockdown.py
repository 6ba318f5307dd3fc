"""The layers: what a worker loses before it reads a byte of a tenant. One layer, one function, one probe.

`LAYERS` is the whole wall in the order in which it is put up; each step uses calls that a later one forbids, and the
filter comes last. A probe tells whether its layer holds: it returns None, or what it found. The zygote puts on
once whatever a fork inherits, so that a worker starts in half the time; the rest each worker puts on itself.
A step that fails ends the process: fail closed. There is no switch; the operator may name a layer in
`allow_missing_layers`, and then that layer alone may be refused by the kernel.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

from sandbox import landlock, namespaces, seccomp, syscalls
from sandbox.wire import LAYER_EXIT, LAYER_NAMES

CHANNEL = seccomp.CHANNEL
STACK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the layers need to know."""

    uid: int  # whom a zygote started by root becomes
    memory_bytes: int  # address space of a worker over that of the zygote
    cpu_s: int  # processor seconds of a worker's whole life: more than its greatest age
    zygote_bytes: int  # address space of the zygote when its imports are done
    program: bytes  # the filter, built once


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing that is taken away."""

    name: str  # as in wire.LAYERS, which says what it stops
    put_on: Callable[[Setting], None]
    probe: Callable[[], str | None]
    zygote: bool  # put on in the zygote
    worker: bool  # put on in each worker


def lock_down(layers: tuple[Layer, ...], setting: Setting, allow_missing: frozenset[str] = frozenset()) -> None:
    """Put on `layers` in their order. A step that fails ends this process, with a status that names the layer."""
    for layer in layers:
        try:
            layer.put_on(setting)
        except (OSError, ValueError):
            if layer.name not in allow_missing:
                os._exit(LAYER_EXIT + LAYER_NAMES.index(layer.name))


def close_descriptors(_: Setting) -> None:
    """Close all but the channel: the control socket, the pidfds and channels of other workers, stdio."""
    syscalls.close_range(0, CHANNEL - 1)
    syscalls.close_range(CHANNEL + 1, 2**32 - 1)


def probe_descriptors() -> str | None:
    """Ask for the flags of every low descriptor."""
    alive = [number for number in range(1024) if number != CHANNEL and _is_open(number)]
    return f"descriptors {alive} are open" if alive else None


def clear_environment(_: Setting) -> None:
    """Forget the environment, Python's view and the C library's."""
    os.environ.clear()
    syscalls.clearenv()


def probe_environment() -> str | None:
    """Read both views."""
    return None if not os.environ and syscalls.environment_is_empty() else f"the environment holds {sorted(os.environ)}"


def limit_resources(setting: Setting) -> None:
    """Cap memory, processor time, descriptors, file size, core dumps, processes and queues, for good. See getrlimit(2).

    RLIMIT_AS counts address space: what the zygote has plus what a hook may add, so that a hook that asks for too much
    gets a MemoryError of its own and not the kernel's killer. RLIMIT_NPROC does not bind root: see become_unprivileged.
    RLIMIT_CPU is a backstop for a worker that nobody kills; the engine's deadline is the finer one.
    """
    for kind, value in _limits(setting).items():
        _, most = resource.getrlimit(kind)
        kept = value if most == resource.RLIM_INFINITY else min(value, most)  # the operator's may be tighter
        resource.setrlimit(kind, (kept, kept))
    resource.setrlimit(resource.RLIMIT_CPU, (setting.cpu_s, setting.cpu_s + 1))  # SIGXCPU, a second later SIGKILL


def _limits(setting: Setting) -> dict[int, int]:
    return {
        resource.RLIMIT_AS: setting.zygote_bytes + setting.memory_bytes,
        resource.RLIMIT_STACK: STACK_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: CHANNEL + 1,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }


def probe_resources() -> str | None:
    """Read each limit back, then try to raise one."""
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
        if resource.RLIM_INFINITY in resource.getrlimit(kind):
            return f"limit {kind} is not set"
    for kind, value in ((resource.RLIMIT_NOFILE, CHANNEL + 1), (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_FSIZE, 0)):
        if resource.getrlimit(kind) != (value, value):
            return f"limit {kind} is {resource.getrlimit(kind)}"
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    except (ValueError, OSError):
        return None
    return "a limit could be raised"


def drop_capabilities(_: Setting) -> None:
    """Empty the capability sets, those of our own user namespace included. See capabilities(7)."""
    syscalls.drop_capabilities()


def probe_capabilities() -> str | None:
    """Read the sets back."""
    held = syscalls.capabilities()
    return f"capability bits {held:#x} are held" if held else None


def forbid_tracing(_: Setting) -> None:
    """Clear `dumpable`: no ptrace, no /proc/PID/mem, no core. After the credentials, which reset it. See prctl(2)."""
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def probe_tracing() -> str | None:
    """Read the flag back."""
    return "the process is dumpable" if syscalls.prctl(syscalls.PR_GET_DUMPABLE) else None


def die_with_parent(_: Setting) -> None:
    """Have the kernel kill this process when its parent ends. After the credentials, which reset it. See prctl(2)."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def probe_parent_death() -> str | None:
    """Read the signal back."""
    number = ctypes.c_int(0)
    syscalls.prctl(syscalls.PR_GET_PDEATHSIG, ctypes.addressof(number))
    return None if number.value == signal.SIGKILL else f"the parent's death sends signal {number.value}"


def forbid_new_privileges(_: Setting) -> None:
    """No exec can ever add a privilege; landlock and the filter demand it. See prctl(2)."""
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)


def probe_new_privileges() -> str | None:
    """Read the flag back."""
    return None if syscalls.prctl(syscalls.PR_GET_NO_NEW_PRIVS) else "no_new_privs is not set"


def probe_unprivileged() -> str | None:
    """Look at the ids, then try to be root."""
    if 0 in (*os.getresuid(), *os.getresgid()):
        return "the worker is root"
    try:
        os.setresuid(0, 0, 0)
    except OSError:
        return None
    return "the worker could become root"


def probe_namespaces() -> str | None:
    """Our parent must be the first process of its namespace, and not even this host's loopback may be routed to."""
    if os.getppid() != 1:
        return "the worker sees the host's processes"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("127.0.0.1", 9))  # a datagram socket: asks the route, sends nothing
        except OSError:
            return None
    return "the worker is on the host's network"


def probe_root() -> str | None:
    """Look for what every Linux has. stat(2) is not landlock's to refuse."""
    found = [path for path in ("/proc", "/etc", "/usr", "/dev", "/tmp") if os.path.exists(path)]  # noqa: PTH110, S108 - pathlib opens more
    return f"the worker sees {', '.join(found)}" if found else None


def probe_landlock() -> str | None:
    """Open the root folder, whatever it is: only landlock refuses that with EACCES."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
    except OSError as error:
        return None if error.errno == errno.EACCES else f"the root folder: {error.strerror}"
    return "the worker can open the root folder"


def probe_filter() -> str | None:
    """Ask who our parent is: a harmless call that is not on the list, so that only its being here is a finding."""
    os.getppid()
    return "a system call outside the list went through"


LAYERS = (
    Layer(
        "unprivileged",
        lambda setting: namespaces.become_unprivileged(setting.uid),
        probe_unprivileged,
        zygote=True,
        worker=False,
    ),
    Layer("namespaces", lambda _: namespaces.leave_host_namespaces(), probe_namespaces, zygote=True, worker=False),
    Layer("empty_root", lambda _: namespaces.empty_root(), probe_root, zygote=True, worker=False),
    Layer("environment", clear_environment, probe_environment, zygote=True, worker=False),
    Layer("capabilities", drop_capabilities, probe_capabilities, zygote=True, worker=False),
    Layer("dumpable", forbid_tracing, probe_tracing, zygote=True, worker=False),
    Layer("no_new_privs", forbid_new_privileges, probe_new_privileges, zygote=True, worker=False),
    Layer("descriptors", close_descriptors, probe_descriptors, zygote=False, worker=True),
    Layer("rlimits", limit_resources, probe_resources, zygote=False, worker=True),
    Layer("parent_death", die_with_parent, probe_parent_death, zygote=True, worker=True),
    Layer("landlock", lambda _: landlock.restrict_self(), probe_landlock, zygote=False, worker=True),
    Layer("seccomp", lambda setting: seccomp.install(setting.program), probe_filter, zygote=False, worker=True),
)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
