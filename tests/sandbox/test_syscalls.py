"""Calls of the kernel raise OSError with its number, and say what was asked."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import syscalls


def test_a_call_that_fails_raises_its_number_and_its_name() -> None:
    with pytest.raises(OSError, match="system call 1000") as raised:
        syscalls.syscall(1000)

    assert raised.value.errno == errno.ENOSYS


def test_a_call_that_works_gives_its_result() -> None:
    assert os.getpid() == syscalls.syscall(39)


def test_arguments_are_whole_words() -> None:
    """A negative int passed as a C int would lose its upper half."""
    with pytest.raises(OSError, match="system call 3") as raised:
        syscalls.syscall(3, -1)

    assert raised.value.errno == errno.EBADF


def test_prctl_raises_what_the_kernel_says() -> None:
    with pytest.raises(OSError, match="prctl 9999"):
        syscalls.prctl(9999)


def test_a_result_that_is_no_failure_is_handed_on() -> None:
    assert [syscalls.check(result, "x") for result in (0, 5, -2)] == [0, 5, -2]


@pytest.mark.parametrize(
    "call",
    [
        lambda: syscalls.mount("none", "/nowhere", "tmpfs", 0),
        lambda: syscalls.unmount("/nowhere"),
        lambda: syscalls.pivot_root("/nowhere", "/nowhere"),
    ],
)
def test_paths_that_are_not_there_are_errors(call: str) -> None:
    with pytest.raises(OSError, match=r"nowhere|system call 155"):
        call()


def test_a_fork_is_one_more_process(in_child: Callable[..., Any]) -> None:
    assert (0, [True, 7]) == in_child("fork_quickly")
