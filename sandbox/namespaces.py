"""What the zygote takes away from itself once, so that every worker is born without it: root, the host's view, files.

Each function runs in the zygote after its imports and before its first fork. None of it can be undone.
"""

from __future__ import annotations

import errno
import os

from sandbox import syscalls

_FRESH = (
    syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWCGROUP
)


def become_unprivileged(uid: int) -> None:
    """Give up root for `uid`, if we are root: groups first, while they may still be changed. See setresuid(2)."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # cleared by the change of uid; the maps below need it


def leave_host_namespaces() -> None:
    """Enter fresh namespaces; return in the first process of the new pid namespace. The old process waits, then ends.

    Works for any uid where user namespaces are permitted. When the first process dies, the kernel kills every worker.
    Source: user_namespaces(7), pid_namespaces(7).
    """
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(_FRESH)
    try:
        map_ids(uid, gid, uid, gid)
        continue_as_first_process()
    except OSError as error:
        raise RuntimeError("half way into fresh namespaces there is no way back") from error


def map_ids(inside_uid: int, inside_gid: int, uid: int, gid: int) -> None:
    """Map the one uid and gid that exist in this new user namespace. See user_namespaces(7)."""
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{inside_uid} {uid} 1")
    _write("/proc/self/gid_map", f"{inside_gid} {gid} 1")


def continue_as_first_process() -> None:
    """Fork into the pid namespace made by unshare: the child returns, the parent becomes its waiter."""
    child = os.fork()
    if child == 0:
        return
    os.closerange(0, 64)  # the control socket among them: the engine sees its end close when the child dies
    _, status = os.waitpid(child, 0)
    os._exit(max(os.waitstatus_to_exitcode(status), -1) % 256)


def empty_root() -> None:
    """Make an empty read-only tmpfs the whole file system. See pivot_root(2), the NOTES on `pivot_root(".", ".")`."""
    if os.getpid() != 1:  # SECURITY: not in namespaces of our own, this would take the root from somebody else
        raise PermissionError(errno.EPERM, "empty_root needs the layer namespaces")
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("empty", "/proc", "tmpfs", flags, "size=4k,nr_inodes=4,mode=555")  # /proc: it exists on any Linux
    os.chdir("/proc")
    syscalls.pivot_root(".", ".")
    syscalls.unmount(".")
    os.chdir("/")
    syscalls.mount("empty", "/", None, flags | syscalls.MS_REMOUNT | syscalls.MS_RDONLY)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
