"""Ids as the ULID library writes them, from bytes that nobody is given twice."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from tenants import stamps
from tenants.stamps import id_after, now_ms, random_bytes, time_text


@given(milliseconds=st.integers(0, (1 << 48) - 1))
def test_an_ids_time_is_written_as_the_library_writes_it(milliseconds: int) -> None:
    assert str(ULID(milliseconds.to_bytes(6, "big") + bytes(10)))[:10] == time_text(milliseconds)


def test_every_digit_stands_at_every_place_of_an_ids_random_part_about_as_often() -> None:
    places = [Counter(digits) for digits in zip(*(id_after(None)[10:] for _ in range(20_000)), strict=True)]

    assert [32] * 16 == [len(place) for place in places]
    assert all(20_000 / 32 * 0.7 < number < 20_000 / 32 * 1.3 for place in places for number in place.values())


def test_an_id_tells_when_it_was_made() -> None:
    before = now_ms()
    made = id_after(None)

    assert before <= ULID.from_str(made).milliseconds <= now_ms()
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", made)


def test_no_random_bytes_are_given_twice_not_to_another_thread_either() -> None:
    def take(_: int) -> list[bytes]:
        return [random_bytes(10) for _ in range(2_000)]

    with ThreadPoolExecutor(4) as threads:
        taken = [raw for several in threads.map(take, range(4)) for raw in several]

    assert 8_000 == len(set(taken))
    assert {10} == {len(raw) for raw in taken}


def test_no_part_of_random_bytes_is_given_twice() -> None:
    """Not either of what was fetched together."""
    given = b"".join(random_bytes(16) for _ in range(4_000))
    pieces = {given[at : at + 8] for at in range(len(given) - 7)}

    assert len(given) - 7 == len(pieces)


def test_each_thread_fetches_its_own_random_bytes() -> None:
    random_bytes(1)
    with ThreadPoolExecutor(1) as thread:
        assert b"" == thread.submit(lambda: stamps._fetched.bytes).result()


def test_as_many_random_bytes_come_as_were_asked_for_whatever_came_before() -> None:
    numbers = [0, 1, 3, 7, 16, 255, 4_095, 4_096, 4_097, 5_000] * 50

    assert numbers == [len(random_bytes(number)) for number in numbers]


@pytest.mark.parametrize("number", [0, 4_095, 4_096, 4_097, 10_000])
def test_as_many_random_bytes_come_as_were_asked_for(number: int) -> None:
    random_bytes(1)

    assert [number, number] == [len(random_bytes(number)) for _ in range(2)]


FORKED = """
import os
from tenants.stamps import random_bytes
random_bytes(8)
child = os.fork()
os.write(1, random_bytes(8))
if child:
    os.waitpid(child, 0)
"""


def test_a_child_of_a_fork_is_given_others() -> None:
    said = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, check=True).stdout

    assert 16 == len(said)
    assert said[:8] != said[8:]
