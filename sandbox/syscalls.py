"""The kernel calls that Python has no function for: ctypes, constants and struct layouts, each with its header.

x86_64 only: the system call numbers and the filter in seccomp.py are that machine's. Elsewhere the zygote stops.
"""

from __future__ import annotations

import ctypes
import os

MACHINE = "x86_64"

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_GET_PDEATHSIG = 2
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
SECCOMP_MODE_FILTER = 2  # <linux/seccomp.h>

CLONE_NEWNS = 0x00020000  # <linux/sched.h>
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1  # <linux/mount.h>
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

SYS_PIVOT_ROOT = 155  # <asm/unistd_64.h>
SYS_CAPGET = 125
SYS_CAPSET = 126
SYS_CLOSE_RANGE = 436
SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_RESTRICT_SELF = 446

_CAPABILITY_VERSION_3 = 0x20080522  # <linux/capability.h>

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
_held = ctypes.PyDLL(None, use_errno=True)  # calls that keep the interpreter's lock


def check(result: int, what: str) -> int:
    """`result`, or OSError with errno when the call failed."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: object) -> int:
    """Call the kernel by number, each int as a whole word. Raises OSError. See syscall(2)."""
    words = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    return check(libc.syscall(ctypes.c_long(number), *words), f"system call {number}")


def prctl(option: int, *arguments: int) -> int:
    """Ask or set something of this process. Raises OSError. See prctl(2)."""
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    return check(libc.prctl(option, *words), f"prctl {option}")


def fork() -> int:
    """fork(2) without Python's own work after it, which halves the time to a ready worker.

    os.fork re-registers threads and reseeds generators, touching some 150 pages that must then be copied. A zygote and
    a worker have one thread and hold no lock, and nothing in them draws from the interpreter's shared generator.
    """
    return check(_held.fork(), "fork")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags`. Raises OSError. See unshare(2)."""
    check(libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount a file system or change a mount. Raises OSError. See mount(2)."""
    result = libc.mount(_text(source), _text(target), _text(kind), ctypes.c_ulong(flags), _text(options))
    check(result, f"mount {target}")


def unmount(target: str) -> None:
    """Detach a mount from the tree. Raises OSError. See umount2(2)."""
    check(libc.umount2(_text(target), MNT_DETACH), f"umount2 {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    """Swap the root of this mount namespace. Raises OSError. See pivot_root(2)."""
    syscall(SYS_PIVOT_ROOT, _text(new_root), _text(put_old))


def close_range(first: int, last: int) -> None:
    """Close every descriptor from `first` to `last`. Raises OSError. See close_range(2), Linux 5.9."""
    syscall(SYS_CLOSE_RANGE, first, last, 0)


def clearenv() -> None:
    """Empty the C library's environment. See clearenv(3)."""
    libc.clearenv()


def environment_is_empty() -> bool:
    """Whether the C library's environment has no entry. See environ(7)."""
    entries = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
    return not entries or entries[0] is None


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilityData(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def drop_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets; the ambient set follows. Raises OSError. See capset(2)."""
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    syscall(SYS_CAPSET, ctypes.byref(header), (_CapabilityData * 2)())


def capabilities() -> int:
    """The permitted, effective and inheritable sets, as one number: 0 when there is none. See capget(2)."""
    header, data = _CapabilityHeader(_CAPABILITY_VERSION_3, 0), (_CapabilityData * 2)()
    syscall(SYS_CAPGET, ctypes.byref(header), data)
    return sum(part.effective | part.permitted | part.inheritable for part in data)


def _text(value: str | None) -> bytes | None:
    return None if value is None else value.encode()
