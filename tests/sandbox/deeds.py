"""What a child of the tests tries, one function a deed: `python -I deeds.py DESCRIPTOR DEED '[[layers], {arguments}]'`.

It gives up root first, puts on just the layers it is told, then does its deed and reports by JSON on descriptor 3, the
one that a filter leaves it. A deed without its layer must be harmless: signals are signal 0, traffic is 127.0.0.1.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox import doctor, landlock, lockdown, namespaces, seccomp, syscalls

MEMORY_BYTES = 64 << 20
SETTING = lockdown.Setting(
    uid=61_061,
    memory_bytes=MEMORY_BYTES,
    cpu_s=1,
    zygote_bytes=int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize(),
    program=seccomp.build_filter(),
)
LAYERS = {layer.name: layer for layer in lockdown.LAYERS}


def attempt(function: Callable[..., Any], *arguments: Any) -> str:
    """`done`, or the name of the errno or of the exception."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except Exception as error:  # noqa: BLE001 - which one is the report
        return type(error).__name__
    return "done"


def put_on(names: list[str]) -> None:
    """Those layers alone, in the order given."""
    lockdown.lock_down(tuple(LAYERS[name] for name in names), SETTING)


def ids() -> Any:
    return [*os.getresuid(), *os.getresgid(), *os.getgroups()]


def become_root() -> Any:
    return attempt(os.setresuid, 0, 0, 0)


def see_processes(outside: int) -> Any:
    return [os.getpid(), os.getppid(), attempt(os.kill, outside, 0)]


def route_to_loopback() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        return attempt(datagrams.connect, ("127.0.0.1", 9))  # asks the route, sends nothing


def see_network() -> Any:
    return [name for _, name in socket.if_nameindex()]


def see_files() -> Any:
    return {
        "exist": [path for path in ("/proc", "/etc", "/usr", "/dev", "/tmp") if Path(path).exists()],
        "root": [path.name for path in Path("/").iterdir()],
        "read-only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
        "make": attempt(os.mkdir, "/proc/hookcell-test"),
    }


def read_environment() -> Any:
    syscalls.libc.getenv.restype = ctypes.c_char_p
    return [dict(os.environ), (syscalls.libc.getenv(b"PLANTED") or b"").decode()]


def name_host() -> Any:
    """In its own UTS namespace only."""
    assert os.getpid() == 1
    return [attempt(socket.sethostname, "hookcell-test"), syscalls.capabilities() != 0]


def be_looked_into() -> Any:
    """A child of ours, of the same user, reads what only a tracer may."""
    parent, (reading, writing) = os.getpid(), os.pipe()
    if os.fork() == 0:
        os.write(writing, attempt(os.readlink, f"/proc/{parent}/exe").encode())
        os._exit(0)
    os.wait()
    return [os.read(reading, 100).decode(), bool(syscalls.prctl(syscalls.PR_GET_DUMPABLE))]


def see_no_new_privs() -> Any:
    return [syscalls.prctl(syscalls.PR_GET_NO_NEW_PRIVS), attempt(landlock.restrict_self)]


def see_descriptors() -> Any:
    return [number for number in range(256) if attempt(os.fstat, number) == "done"]


def raise_limit() -> Any:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowered = attempt(resource.setrlimit, resource.RLIMIT_NOFILE, (4, most))
    return [lowered, attempt(resource.setrlimit, resource.RLIMIT_NOFILE, (64, 64))]


def make_process() -> Any:
    def fork() -> None:
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)

    return attempt(fork)


def take_memory(size: int) -> Any:
    return attempt(bytearray, size)  # zeroed by the kernel: untouched, so nothing is really taken


def write_file(layers: list[str]) -> Any:
    """Into a file that was opened before."""
    descriptor = os.memfd_create("hookcell-test")
    put_on(layers)
    return attempt(os.write, descriptor, b"x")


def copy_descriptor() -> Any:
    return attempt(os.dup, 3)


def read_limits() -> Any:
    kinds = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in kinds}


def burn() -> Any:
    """Harmless without its layer too: gives up after some seconds of processor time."""
    while resource.getrusage(resource.RUSAGE_SELF).ru_utime < 4:
        pass
    return "not stopped"


def outlive(layers: list[str]) -> Any:
    """A child with `layers` says that it is there, then that it still is, when asked on stdin; this process waits."""
    if os.fork() == 0:
        put_on(layers)
        os.write(3, b"ready")
        if os.read(0, 1):
            os.write(3, b"alive")
        os._exit(0)
    os.close(3)
    os.wait()


def open_root() -> Any:
    return attempt(os.open, "/", os.O_RDONLY | os.O_DIRECTORY)


def open_file(path: str) -> Any:
    return attempt(os.open, path, os.O_RDONLY)


def connect(port: int) -> Any:
    with socket.socket() as stream:
        return attempt(stream.connect, ("127.0.0.1", port))


def listen() -> Any:
    with socket.socket() as stream:
        return attempt(stream.bind, ("127.0.0.1", 0))


def connect_abstract(name: str) -> Any:
    with socket.socket(socket.AF_UNIX) as stream:
        return attempt(stream.connect, "\0" + name)


def signal_sibling(layers: list[str]) -> Any:
    """Signal 0 to a process of the same user that was there before."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # until we end
        os._exit(0)
    put_on(layers)
    return attempt(os.kill, child, 0)


def ask_parent() -> Any:
    return os.getppid() > 0


def make_socket() -> Any:
    return attempt(socket.socket)


def map_memory(protection: int) -> Any:
    return attempt(lambda: mmap.mmap(-1, 4096, prot=protection))


def use_other_descriptor(layers: list[str]) -> Any:
    reading, writing = os.pipe()
    os.write(writing, b"x")
    put_on(layers)
    return [attempt(os.read, reading, 1), attempt(os.write, writing, b"x"), attempt(os.write, 3, b"")]


def call_number(number: int) -> Any:
    return attempt(syscalls.syscall, number)


def fail(failing: str, allowed: list[str]) -> Any:
    """Lock down with a layer that the kernel refuses."""

    def refuse(_: lockdown.Setting) -> None:
        raise PermissionError(errno.EPERM, "refused")

    layer = lockdown.Layer(failing, refuse, lambda: None, zygote=False, worker=True)
    lockdown.lock_down((layer,), SETTING, frozenset(allowed))
    return "went on"


def limit_below(kind: str, value: int) -> Any:
    """Put on the limits where one was already tighter, as an operator's `ulimit` makes it."""
    resource.setrlimit(getattr(resource, kind), (value, value))
    put_on(["rlimits"])
    return "went on"


def enter_guard(outside: int, *, as_root: bool) -> Any:
    """The doctor's, by an unprivileged process: nothing else is taken away here."""
    before = os.geteuid()
    doctor.enter_guard(SETTING.uid, as_root=as_root)
    return {
        "pid": os.getpid(),
        "signal": attempt(os.kill, outside, 0),
        "outside uid": before,
        "inside uid": os.geteuid(),
        "namespaces": [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("user", "pid_for_children", "mnt")],
    }


def end_as_first_process(status: int) -> Any:
    put_on(["namespaces"])
    if status < 0:
        ctypes.string_at(0)  # the one death that a first process can give itself
    os._exit(status)


def see_id_map() -> Any:
    names = ("setgroups", "uid_map", "gid_map")
    found = {name: Path(f"/proc/self/{name}").read_text(encoding="ascii").strip() for name in names}
    return found | {"setgroups try": attempt(os.setgroups, [])}


def fork_quickly() -> Any:
    if (child := syscalls.fork()) == 0:
        os._exit(7)
    waited, status = os.waitpid(child, 0)
    return [waited == child, os.waitstatus_to_exitcode(status)]


_OWN_LAYERS = (write_file, outlive, signal_sibling, use_other_descriptor)  # these put them on half-way
_NEED_ROOT = (ids, become_root)


def main() -> None:
    """Do it and report."""
    descriptor, name, told = sys.argv[1:]
    layers, arguments = json.loads(told)
    deed = globals()[name]
    if int(descriptor) != 3:
        os.dup2(int(descriptor), 3)
        os.close(int(descriptor))
    signal.alarm(15)
    if deed not in _NEED_ROOT:
        namespaces.become_unprivileged(SETTING.uid)
    if deed in _OWN_LAYERS:
        report = deed(layers, **arguments)
    else:
        put_on(layers)
        report = deed(**arguments)
    os.write(3, json.dumps(report).encode())
    os._exit(0)


main()
