"""Layers come off only behind the guard: under an unprivileged uid, in user, pid and mount namespaces of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("as_root", [False, True])
def test_the_guard_leaves_nothing_of_the_host_within_reach(in_child: Callable[..., Any], as_root: Any) -> None:
    status, found = in_child("enter_guard", outside=os.getpid(), as_root=as_root)

    assert status == 0
    assert (1, "ESRCH") == (found["pid"], found["signal"])
    assert found["outside uid"] != 0
    assert (found["inside uid"] == 0) == as_root
    assert not set(found["namespaces"]) & {
        str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("user", "pid", "mnt")
    }
