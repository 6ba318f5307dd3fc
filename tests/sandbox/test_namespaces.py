"""The fork into a pid namespace: who returns, who waits, and what the waiter tells."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any


def test_the_waiter_ends_as_the_first_process_ends(in_child: Callable[..., Any]) -> None:
    assert (7, None) == in_child("end_as_first_process", status=7)


def test_the_waiter_tells_a_death_by_a_status_that_is_no_success(in_child: Callable[..., Any]) -> None:
    status, report = in_child("end_as_first_process", status=-signal.SIGKILL)

    assert status not in (0, -signal.SIGKILL)
    assert report is None


def test_one_id_is_mapped_and_groups_cannot_be_set(in_child: Callable[..., Any]) -> None:
    _, found = in_child("see_id_map", "namespaces")

    assert ("deny", "EPERM") == (found["setgroups"], found["setgroups try"])
    assert [1, 1] == [int(line.split()[2]) for line in (found["uid_map"], found["gid_map"])]
    assert found["uid_map"].split()[0] == found["uid_map"].split()[1]
    assert found["uid_map"].split()[1] != "0"
