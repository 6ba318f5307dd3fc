"""The doctor's own zygote: one that lacks a layer, so that its probe can be seen to fail. Never an engine's.

Layers come off only behind a guard that no option removes: an unprivileged uid, and user, pid and mount namespaces of
its own. `python -I -m sandbox.doctor LAYER …` with the zygote's arguments.
"""

from __future__ import annotations

import os
import sys

from sandbox import namespaces, syscalls, zygote
from sandbox.lockdown import LAYERS

_GUARD = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS
_LEANING = {"no_new_privs": {"landlock", "seccomp"}, "descriptors": {"landlock"}}  # what cannot stand without it


def main() -> None:
    """Serve the doctor with every layer but one."""
    without, *arguments = sys.argv[1:]
    control, setting, allowed = zygote.prepare(arguments)
    enter_guard(setting.uid, as_root=without == "unprivileged")
    layers = tuple(layer for layer in LAYERS if layer.name != without)
    zygote.Zygote(control, layers, setting, allowed | _LEANING.get(without, set())).serve()


def enter_guard(uid: int, *, as_root: bool) -> None:
    """Give up root and enter the guard. `as_root`: be root in there, and nobody outside, for a probe to find."""
    namespaces.become_unprivileged(uid)
    outside = os.geteuid(), os.getegid()
    inside = (0, 0) if as_root else outside
    syscalls.unshare(_GUARD)
    namespaces.map_ids(*inside, *outside)
    namespaces.continue_as_first_process()


if __name__ == "__main__":
    main()
