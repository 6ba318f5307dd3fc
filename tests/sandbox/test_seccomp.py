"""The filter, run here by an interpreter of its instructions: what it answers to any system call at all."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import seccomp
from sandbox.wire import LAYERS

ROOT = Path(__file__).resolve().parents[2]
ARCH = 0xC000003E  # AUDIT_ARCH_X86_64
KILL, ALLOW = 0x80000000, 0x7FFF0000
PROGRAM = list(struct.iter_unpack("=HBBI", seccomp.build_filter()))
READ, WRITE, POLL, MMAP, MPROTECT = 0, 1, 7, 9, 10
KNOWN = {
    *seccomp.ALLOWED.values(),
    *seccomp.CHANNEL_ONLY.values(),
    *seccomp.ONE_ONLY.values(),
    *seccomp.NOT_EXECUTABLE.values(),
    *seccomp.REFUSED.values(),
    seccomp.FUTEX,
}
words = st.integers(0, 2**64 - 1)
arguments = st.lists(words, min_size=6, max_size=6)


def error(number: int) -> int:
    """What the filter answers to refuse by errno."""
    return 0x00050000 | number


def answer(number: int, *arguments: int, arch: int = ARCH) -> int:
    """What the filter says to one system call. Source: <linux/bpf_common.h>, seccomp(2)."""
    six = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, arch, 0x1234, *six)
    accumulator, place = 0, 0
    for _ in range(len(PROGRAM)):  # it cannot jump back, so that it ends
        code, if_true, if_false, value = PROGRAM[place]
        place += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("=I", data, value)[0]
            case 0x15:
                place += if_true if accumulator == value else if_false
            case 0x35:
                place += if_true if accumulator >= value else if_false
            case 0x45:
                place += if_true if accumulator & value else if_false
            case 0x54:
                accumulator &= value
            case 0x06:
                return value
            case _:
                raise AssertionError(f"instruction {code:#x}")
    raise AssertionError("the program does not end")


def low(word: int) -> int:
    """The half that the filter sees of an int or unsigned argument, as the kernel takes it."""
    return word & 0xFFFFFFFF


def test_the_program_is_one_that_the_kernel_takes() -> None:
    assert len(PROGRAM) < 4096
    for place, (code, if_true, if_false, _) in enumerate(PROGRAM):
        assert code in (0x20, 0x15, 0x35, 0x45, 0x54, 0x06)
        if code in (0x15, 0x35, 0x45):
            assert place + 1 + max(if_true, if_false) < len(PROGRAM)
    assert PROGRAM[-1] == (0x06, 0, 0, KILL)


def test_no_number_stands_in_two_lists() -> None:
    listed = [
        *seccomp.ALLOWED.values(),
        *seccomp.CHANNEL_ONLY.values(),
        *seccomp.ONE_ONLY.values(),
        *seccomp.NOT_EXECUTABLE.values(),
        *seccomp.REFUSED.values(),
        seccomp.FUTEX,
    ]

    assert len(KNOWN) == len(listed)


@pytest.mark.parametrize("name", sorted(seccomp.ALLOWED))
@given(given_arguments=arguments)
def test_an_allowed_call_passes_whatever_its_arguments(name: str, given_arguments: Any) -> None:
    assert answer(seccomp.ALLOWED[name], *given_arguments) == ALLOW


@pytest.mark.parametrize("name", sorted(seccomp.REFUSED))
@given(given_arguments=arguments)
def test_a_refused_call_gets_an_error_whatever_its_arguments(name: str, given_arguments: Any) -> None:
    assert answer(seccomp.REFUSED[name], *given_arguments) == error(errno.EPERM)


@given(st.integers(0, 2**32 - 1).filter(lambda number: number not in KNOWN), arguments)
def test_every_other_number_is_death(number: int, given_arguments: Any) -> None:
    assert answer(number, *given_arguments) == KILL


def test_no_number_that_the_kernel_has_slips_through() -> None:
    assert [number for number in range(1024) if number not in KNOWN and answer(number, 3) != KILL] == []


@given(st.integers(0, 2**32 - 1).filter(lambda arch: arch != ARCH), st.sampled_from(sorted(KNOWN)), arguments)
def test_another_machine_s_numbers_are_death(arch: int, number: int, given_arguments: Any) -> None:
    assert answer(number, *given_arguments, arch=arch) == KILL


@pytest.mark.parametrize("arch", [0x40000003, 0x40000028, 0xC00000B7])
def test_32_bit_calls_are_death(arch: int) -> None:
    assert answer(seccomp.ALLOWED["getpid"], arch=arch) == KILL


@given(st.sampled_from(sorted(KNOWN)), arguments)
def test_x32_numbers_are_death(number: int, given_arguments: Any) -> None:
    assert answer(number | 0x40000000, *given_arguments) == KILL


@given(words, arguments)
def test_reading_and_writing_stay_on_the_channel(descriptor: int, rest: Any) -> None:
    expected = ALLOW if low(descriptor) == 3 else error(errno.EBADF)

    assert expected == answer(READ, descriptor, *rest[1:]) == answer(WRITE, descriptor, *rest[1:])


def test_the_channel_itself_can_be_read_and_written() -> None:
    assert ALLOW == answer(READ, 3) == answer(WRITE, 3)


@given(words, arguments)
def test_a_wait_is_for_one_descriptor(many: int, rest: Any) -> None:
    expected = ALLOW if low(many) == 1 else KILL

    assert expected == answer(POLL, rest[0], many, *rest[2:])


@pytest.mark.parametrize(
    ("many", "expected"), [(0, KILL), (1, ALLOW), (2, KILL), (2**32 + 1, ALLOW), (2**32 - 1, KILL)]
)
def test_no_wait_is_for_none_or_for_several(many: int, expected: int) -> None:
    """The kernel takes the number as an unsigned int: its lower half."""
    assert expected == answer(POLL, 0x1234, many)


@pytest.mark.parametrize(
    "text",
    [
        LAYERS["seccomp"],
        (ROOT / "README.md").read_text(encoding="utf-8"),
        (ROOT / "docs/sandbox.md").read_text(encoding="utf-8"),
    ],
    ids=["layer", "readme", "docs"],
)
def test_it_is_told_how_many_calls_are_left(text: str) -> None:
    left = KNOWN.difference(seccomp.REFUSED.values())

    assert {len(left)} == set(map(int, re.findall(r"(?:but the|within the) (\d+)", text)))


@pytest.mark.parametrize("number", [MMAP, MPROTECT])
@given(given_arguments=arguments)
def test_memory_may_be_anything_but_executable(number: int, given_arguments: Any) -> None:
    expected = error(errno.EPERM) if given_arguments[2] & 4 else ALLOW

    assert expected == answer(number, *given_arguments)


@pytest.mark.parametrize("protection", range(8))
def test_each_protection_is_judged_by_its_executable_bit(protection: int) -> None:
    expected = error(errno.EPERM) if protection & 4 else ALLOW

    assert expected == answer(MMAP, 0, 4096, protection) == answer(MPROTECT, 0, 4096, protection)


@given(words, arguments)
def test_futexes_are_private_waits_and_wakes(operation: int, rest: Any) -> None:
    plain = low(operation) & ~256
    expected = ALLOW if plain in (128, 129, 137, 138) else KILL

    assert expected == answer(seccomp.FUTEX, rest[0], operation, *rest[2:])


@pytest.mark.parametrize("operation", range(14))
def test_shared_futexes_are_death_and_private_ones_only_wait_and_wake(operation: int) -> None:
    assert answer(seccomp.FUTEX, 0, operation) == KILL
    assert (answer(seccomp.FUTEX, 0, operation | 128) == ALLOW) == (operation in (0, 1, 9, 10))


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("socket", 41), ("connect", 42), ("sendmsg", 46), ("recvmsg", 47), ("clone", 56), ("fork", 57), ("vfork", 58),
        ("execve", 59), ("kill", 62), ("ptrace", 101), ("getppid", 110), ("prctl", 157), ("setrlimit", 160),
        ("mount", 165), ("unshare", 272), ("prlimit64", 302), ("setns", 308), ("seccomp", 317), ("memfd_create", 319),
        ("bpf", 321), ("execveat", 322), ("io_uring_setup", 425), ("pidfd_send_signal", 424), ("clone3", 435),
        ("openat2", 437), ("landlock_create_ruleset", 444), ("pkey_mprotect", 329), ("shmat", 30), ("dup", 32),
    ],
)  # fmt: skip
def test_what_reaches_out_is_death(call: str, number: int) -> None:
    assert (call, answer(number, 3)) == (call, KILL)
