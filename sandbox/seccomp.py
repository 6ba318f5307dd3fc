"""The system call filter: an allow-list that kills the process on anything else.

Not pyseccomp: it needs the C library libseccomp, which a machine with Python alone need not have, and its find_library
starts a compiler. The filter is a hundred instructions over one machine's numbers, built once in the zygote.
Found by tracing warmed workers on CPython 3.11 to 3.13. Source: seccomp(2), <linux/filter.h>, <asm/unistd_64.h>.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from sandbox import syscalls

CHANNEL = 3  # the one descriptor of a worker

ALLOWED = {
    "brk": 12,
    "munmap": 11,
    "mremap": 25,
    "madvise": 28,  # memory: RLIMIT_AS bounds it
    "rt_sigreturn": 15,
    "rt_sigprocmask": 14,
    "sigaltstack": 131,
    "restart_syscall": 219,  # the soft stop is a signal
    "clock_gettime": 228,
    "clock_getres": 229,
    "gettimeofday": 96,
    "time": 201,  # clocks
    "nanosleep": 35,
    "clock_nanosleep": 230,
    "sched_yield": 24,  # sleep
    "getrandom": 318,
    "getpid": 39,
    "gettid": 186,
    "getrusage": 98,  # entropy, own usage
    "exit": 60,
    "exit_group": 231,
}
CHANNEL_ONLY = {"read": 0, "write": 1}  # allowed on the channel, EBADF on any other descriptor
ONE_ONLY = {"poll": 7}  # allowed on one descriptor at a time: a worker waits for its channel
NOT_EXECUTABLE = {"mmap": 9, "mprotect": 10}  # allowed without PROT_EXEC
FUTEX = 202  # private wait and wake only
REFUSED = {  # what the standard library tries by itself and survives: EPERM instead of death
    "open": 2,
    "openat": 257,
    "close": 3,
    "stat": 4,
    "fstat": 5,
    "lstat": 6,
    "newfstatat": 262,
    "statx": 332,
    "access": 21,
    "faccessat2": 439,
    "readlink": 89,
    "readlinkat": 267,
    "getcwd": 79,
    "lseek": 8,
    "ioctl": 16,
    "fcntl": 72,
    "getdents64": 217,
    "rt_sigaction": 13,
}

_KILL = 0x80000000  # SECCOMP_RET_KILL_PROCESS
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_AUDIT_ARCH_X86_64 = 0xC000003E  # <linux/audit.h>
_X32_BIT = 0x40000000
_PROT_EXEC = 4
_FUTEX_PRIVATE = 128
_FUTEX_OPERATIONS = (0, 1, 9, 10)  # WAIT, WAKE, WAIT_BITSET, WAKE_BITSET
_FUTEX_CLOCK_REALTIME = 256

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # <linux/bpf_common.h>
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def build_filter() -> bytes:
    """The BPF program, as an array of struct sock_filter."""
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_EQUAL, _AUDIT_ARCH_X86_64, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_AT_LEAST, _X32_BIT, 0, 1),
        _instruction(_RETURN, _KILL),
    ]
    for number in ALLOWED.values():
        program += _when(number, [_instruction(_RETURN, _ALLOW)])
    for number in CHANNEL_ONLY.values():
        program += _when(number, _if_equal(0, CHANNEL, otherwise=_ERRNO | errno.EBADF))
    for number in ONE_ONLY.values():
        program += _when(number, _if_equal(1, 1, otherwise=_KILL))
    for number in NOT_EXECUTABLE.values():
        program += _when(number, _without_bits(2, _PROT_EXEC))
    program += _when(FUTEX, _private_futex())
    for number in REFUSED.values():
        program += _when(number, [_instruction(_RETURN, _ERRNO | errno.EPERM)])
    return b"".join([*program, _instruction(_RETURN, _KILL)])


def install(program: bytes) -> None:
    """Put the filter on this thread, for good. The process has one thread. Needs no_new_privs. Raises OSError."""
    filter_ = _Program(len(program) // 8, program)
    address = ctypes.addressof(filter_)
    syscalls.prctl(syscalls.PR_SET_SECCOMP, syscalls.SECCOMP_MODE_FILTER, address)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _when(number: int, body: list[bytes]) -> list[bytes]:
    """`body` for that system call, which it must settle; the accumulator holds the number on the way past."""
    return [_instruction(_EQUAL, number, 0, len(body)), *body]


def _low_word(argument: int) -> int:
    return _ARGUMENTS + 8 * argument


def _if_equal(argument: int, value: int, otherwise: int) -> list[bytes]:
    return [
        _instruction(_LOAD, _low_word(argument)),
        _instruction(_EQUAL, value, 1, 0),
        _instruction(_RETURN, otherwise),
        _instruction(_RETURN, _ALLOW),
    ]


def _without_bits(argument: int, bits: int) -> list[bytes]:
    return [
        _instruction(_LOAD, _low_word(argument)),
        _instruction(_ANY_BIT, bits, 0, 1),
        _instruction(_RETURN, _ERRNO | errno.EPERM),
        _instruction(_RETURN, _ALLOW),
    ]


def _private_futex() -> list[bytes]:
    accepted = [operation | _FUTEX_PRIVATE for operation in _FUTEX_OPERATIONS]
    tests = [_instruction(_EQUAL, operation, len(accepted) - place, 0) for place, operation in enumerate(accepted)]
    return [
        _instruction(_LOAD, _low_word(1)),
        _instruction(_AND, 0xFFFFFFFF & ~_FUTEX_CLOCK_REALTIME),
        *tests,
        _instruction(_RETURN, _KILL),
        _instruction(_RETURN, _ALLOW),
    ]
