"""Attempts that must fail: what native code in a worker would try. For `hookcell doctor` and the start of the engine.

A prober is a real worker up to the last layer but one: then it may look at itself, which a worker cannot any more. With
the filter on as well it tries its one attempt by ctypes and raw system calls, past everything Python says about it.
An attempt fails by errno or by death; if it succeeds, the wall has a hole. Signals are sent as signal 0 only.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

from sandbox import lockdown, syscalls, wire
from sandbox.channel import Channel

_AT_FDCWD = -100
_O_CREAT_RDWR = 0o102
_BUFFER = ctypes.create_string_buffer(4096)
_PATH = b"/etc/passwd"


def _open(path: bytes, flags: int = 0) -> tuple[object, ...]:
    return (257, _AT_FDCWD, path, flags, 0o600)


# name → (what it would gain, system call number, arguments). Numbers: <asm/unistd_64.h>.
ATTEMPTS: dict[str, tuple[str, tuple[object, ...]]] = {
    "open_file": ("read a file of the host", _open(_PATH)),
    "open_proc": ("read what the kernel says of processes", _open(b"/proc/self/status")),
    "open_shm": ("share memory through a file", _open(b"/dev/shm/hookcell-probe", _O_CREAT_RDWR)),
    "open_root": ("list the root folder", _open(b"/", 0o200000)),
    "open_legacy": ("open by the old call", (2, _PATH, 0, 0)),
    "openat2": ("open by the newest call", (437, _AT_FDCWD, _PATH, _BUFFER, 24)),
    "creat": ("make a file", (85, b"/hookcell-probe", 0o600)),
    "mkdir": ("make a folder", (83, b"/hookcell-probe", 0o700)),
    "rename": ("rename a file", (82, b"/a", b"/b")),
    "symlink": ("make a link", (88, b"/etc", b"/hookcell-probe")),
    "chmod": ("change a file's mode", (90, b"/", 0o777)),
    "stat": ("learn whether a file exists", (4, b"/", _BUFFER)),
    "mount": ("mount a file system", (165, b"none", b"/", b"tmpfs", 0, None)),
    "chroot": ("change its root", (161, b"/")),
    "open_by_handle_at": ("open a file by handle", (304, 3, _BUFFER, 0)),
    "fsopen": ("make a file system", (430, b"tmpfs", 0)),
    "socket_inet": ("make a TCP socket", (41, 2, 1, 0)),
    "socket_unix": ("make a unix socket", (41, 1, 1, 0)),
    "socket_netlink": ("talk to the kernel's network", (41, 16, 3, 0)),
    "socket_raw": ("forge packets", (41, 2, 3, 255)),
    "socketpair": ("make a pair of sockets", (53, 1, 1, 0, _BUFFER)),
    "connect": ("reconnect its channel", (42, 3, b"\x01\x00/x", 5)),
    "bind": ("rebind its channel", (49, 3, b"\x01\x00/x", 5)),
    "sendmsg": ("send a descriptor over its channel", (46, 3, _BUFFER, 0)),
    "recvmsg": ("receive a descriptor over its channel", (47, 3, _BUFFER, 0x40)),
    "execve": ("start a program", (59, b"/bin/true", None, None)),
    "execveat": ("start a program by descriptor", (322, 3, b"", None, None, 0x1000)),
    "clone3": ("make a process by the newest call", (435, _BUFFER, 88)),
    "unshare_user": ("make a user namespace, and be root in it", (272, 0x10000000)),
    "setns": ("enter another namespace", (308, 3, 0)),
    "kill_first": ("signal the zygote", (62, 1, 0)),
    "kill_all": ("signal every process it can see", (62, -1, 0)),
    "tgkill": ("signal a thread of the zygote", (234, 1, 1, 0)),
    "pidfd_open": ("hold another process", (434, 1, 0)),
    "ptrace": ("trace the zygote", (101, 0x4206, 1, 0, 0)),
    "process_vm_readv": ("read the zygote's memory", (310, 1, _BUFFER, 1, _BUFFER, 1, 0)),
    "memfd_create": ("make a file without a path", (319, b"probe", 0)),
    "memfd_secret": ("make hidden memory", (447, 0)),
    "shmget": ("share memory by key", (29, 4242, 4096, 0o1600)),
    "msgget": ("share a queue by key", (68, 4242, 0o1600)),
    "semget": ("share a semaphore by key", (64, 4242, 1, 0o1600)),
    "mq_open": ("share a queue by name", (240, b"probe", 0o102, 0o600, None)),
    "io_uring_setup": ("do I/O past the filter", (425, 4, _BUFFER)),
    "bpf": ("load a program into the kernel", (321, 0, _BUFFER, 72)),
    "perf_event_open": ("watch the processor", (298, _BUFFER, 0, -1, -1, 0)),
    "userfaultfd": ("hold the kernel at a page fault", (323, 0)),
    "keyctl": ("read the kernel's keyring", (250, 0, -3, 0)),
    "add_key": ("put a key into the kernel", (248, b"user", b"probe", b"x", 1, -3)),
    "setresuid": ("be root", (117, 0, 0, 0)),
    "capset": ("ask for capabilities", (126, _BUFFER, _BUFFER)),
    "prctl_dumpable": ("be traceable again", (157, 4, 1, 0, 0, 0)),
    "prctl_name": ("change anything by prctl", (157, 15, b"probe", 0, 0, 0)),
    "setrlimit": ("change a limit", (160, 7, ctypes.create_string_buffer(b"\x10" + b"\0" * 7 + b"\x10" + b"\0" * 7))),
    "prlimit64": ("read or change a limit", (302, 0, 7, None, _BUFFER)),
    "seccomp_filter": ("change its filter", (317, 2, 0, _BUFFER)),
    "personality": ("change how it is executed", (135, 0xFFFFFFFF)),
    "mmap_executable": ("make code at run time", (9, None, 4096, 7, 0x22, -1, 0)),
    "mmap_too_much": ("take all memory", (9, None, 1 << 40, 3, 0x22, -1, 0)),
    "read_stdin": ("read another descriptor", (0, 0, _BUFFER, 1)),
    "write_stderr": ("write to another descriptor", (1, 2, b"x", 1)),
    "poll_two": ("wait for more than its channel", (7, _BUFFER, 2, 0)),
    "dup": ("copy its channel", (32, 3)),
    "fcntl_dup": ("copy its channel by fcntl", (72, 3, 0, 0)),
    "eventfd": ("make a descriptor", (290, 0, 0)),
    "timer_create": ("arm a timer", (222, 1, None, _BUFFER)),
    "inotify_init": ("watch files", (253,)),
    "getppid": ("make a harmless call that is not on the list", (110,)),
    "uname": ("learn the kernel's version", (63, _BUFFER)),
    "sysinfo": ("learn the machine's load", (99, _BUFFER)),
    "sched_setaffinity": ("move to another processor", (203, 0, 8, b"\x01" + b"\0" * 7)),
    "x32_getpid": ("call the kernel by its x32 numbers", (0x40000000 + 39,)),
    "futex_shared": ("wait on shared memory", (202, _BUFFER, 1, 1, None, None, 0)),
}
FORKING: dict[str, tuple[str, tuple[object, ...]]] = {
    "fork": ("make a process", (57,)),
    "clone": ("make a process by clone", (56, 17, None, None, None, 0)),
    "vfork_like": ("make a thread-like process", (56, 0x4000 | 17, None, None, None, 0)),
}  # in the child of a hole these must end at once
ALL_ATTEMPTS = {**ATTEMPTS, **FORKING}
CATALOGUE = "catalogue"  # a probe that tries nothing and tells the names of the attempts


def start(
    channel: Channel, layers: tuple[lockdown.Layer, ...], setting: lockdown.Setting, allowed: frozenset[str]
) -> None:
    """Be a prober; called in the forked child, and never returns."""
    try:
        lockdown.lock_down(tuple(layer for layer in layers if layer.name != "seccomp"), setting, allowed)
        channel.send(wire.Ready(0))
        probe = channel.receive(wire.jobs)
        if isinstance(probe, wire.Probe):
            last = tuple(layer for layer in layers if layer.name == "seccomp")
            held, detail = _probe(probe.name, lambda: lockdown.lock_down(last, setting, allowed))
            channel.send(wire.Probed(probe.name, held, detail[:1000]))
    finally:
        os._exit(0)


def _probe(name: str, put_on_filter: Callable[[], None]) -> tuple[bool, str]:
    """(held, what happened). A layer is looked at before the filter, which forbids looking; the rest under it."""
    if name == CATALOGUE:
        return True, " ".join(ALL_ATTEMPTS)
    look = {layer.name: layer.probe for layer in lockdown.LAYERS}.get(name)
    if look is None or name == "seccomp":
        put_on_filter()
    if look is None:
        return _attempt(name)
    try:
        found = look()
    except OSError as error:
        found = f"it cannot be looked at: {error}"
    return found is None, found or "in place"


def _attempt(name: str) -> tuple[bool, str]:
    gain, (number, *arguments) = ALL_ATTEMPTS[name]
    try:
        result = syscalls.syscall(int(str(number)), *arguments)
    except OSError as error:
        return True, f"refused: {errno.errorcode.get(error.errno or 0, error.errno)}"
    if name in FORKING and result == 0:
        os._exit(0)
    return False, f"it could {gain}"
