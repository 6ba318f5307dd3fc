"""A landlock ruleset that handles every right this kernel knows and allows none: no path, no TCP port, no signal out.

Not the PyPI packages: they lack the network and scope rules, and all that is needed here is a ruleset with no rule.
Source: Documentation/userspace-api/landlock.rst; <linux/landlock.h>.
"""

from __future__ import annotations

import ctypes
import os

from sandbox import syscalls

_ASK_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # rights known to an ABI version: bits 0 … n-1
_TCP_RIGHTS = 0b11  # bind, connect: ABI 4
_SCOPES = 0b11  # abstract unix sockets, signals: ABI 6


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


def version() -> int:
    """The landlock ABI of this kernel, 1 or more. Raises OSError where there is none."""
    return syscalls.syscall(syscalls.SYS_LANDLOCK_CREATE_RULESET, None, 0, _ASK_VERSION)


def restrict_self() -> None:
    """Deny this process every path, port and scope, for good. Needs no_new_privs and one free descriptor."""
    abi = version()
    files = (1 << _FILE_RIGHTS.get(abi, 16)) - 1
    ruleset = _Ruleset(files, _TCP_RIGHTS if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24  # an older kernel refuses bytes that it does not know
    descriptor = syscalls.syscall(syscalls.SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        syscalls.syscall(syscalls.SYS_LANDLOCK_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
