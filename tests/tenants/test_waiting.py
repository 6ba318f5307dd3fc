"""The waiting line: everybody has one, one of each is served in turn, and each of them ends somewhere."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants.errors import Unavailable
from tenants.waiting import Waiting


@dataclass(frozen=True, slots=True)
class One:
    line: str | None
    number: int = 0

    def __str__(self) -> str:
        return f"{self.line}{self.number}"


def waiting(words: str, most: int = 100) -> Waiting[One]:
    """Of "a1 a2 b1"."""
    line = Waiting[One](most)
    for word in words.split():
        line.put(One(word[0], int(word[1:])))
    return line


def said(taken: list[One] | None) -> str:
    assert taken is not None
    return " ".join(map(str, taken))


def test_each_line_is_served_in_turn() -> None:
    line = waiting("a1 a2 a3 a4 b1 b2 c1")

    assert "a1 b1" == said(line.take(2))
    assert "c1 a2 b2 a3 a4" == said(line.take(100))


def test_who_comes_late_does_not_wait_for_those_of_one_line() -> None:
    line = waiting("a1 a2 a3")
    assert "a1" == said(line.take())
    line.put(One(None, 1))

    assert "a2 None1 a3" == said(line.take(3))


def test_a_line_is_full_and_no_other_is() -> None:
    line = waiting("a1 a2 a3", most=3)
    with pytest.raises(Unavailable, match="too many questions wait"):
        line.put(One("a"))
    line.put(One("b"))
    line.take()
    line.put(One("a", 4))

    assert "b0 a2 a3 a4" == said(line.take(9))


def test_who_is_put_back_is_the_next_one() -> None:
    line = waiting("a1 a2 b1 c1 c2")
    taken = line.take(3)
    assert taken
    line.put_back(taken[1:])

    assert "b1 c1 a2 c2" == said(line.take(9))


def test_a_line_that_is_held_is_passed_over_and_comes_back() -> None:
    line = waiting("a1 a2 b1 b2")
    line.hold("a", 600)
    assert "b1 b2" == said(line.take(9))
    assert [] == line.take(9, wait_s=0)
    line.hold("a", 0.01)

    assert "a1 a2" == said(line.take(9))


def test_nobody_there_is_waited_for_so_long() -> None:
    assert [] == Waiting[One](1).take(wait_s=0.01)


def test_a_closed_one_serves_who_waits_and_takes_nobody() -> None:
    line = waiting("a1 a2")
    line.close()
    with pytest.raises(Unavailable, match="the store is closed"):
        line.put(One("a"))

    assert "a1 a2" == said(line.take(9))
    assert None is line.take(9)


def test_a_closed_one_waits_for_a_line_that_is_held() -> None:
    line = waiting("a1")
    line.hold("a", 0.01)
    line.close()

    assert "a1" == said(line.take())


def test_whoever_waits_learns_of_the_end() -> None:
    line = Waiting[One](1)
    ended: list[object] = []
    threads = [threading.Thread(target=lambda: ended.append(line.take())) for _ in range(3)]
    for thread in threads:
        thread.start()
    line.close()
    for thread in threads:
        thread.join(60)

    assert [None] * 3 == ended


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcde"), max_size=60), st.lists(st.integers(1, 9), max_size=20))
def test_whoever_waits_is_served_once_in_the_order_of_its_line(names: list[str], sizes: list[int]) -> None:
    """No line has had two more than another one that waits yet."""
    line = Waiting[One](100)
    for number, name in enumerate(names):
        line.put(One(name, number))
    served: list[One] = []
    for size in sizes:
        served += line.take(size, wait_s=0) or []
        had, all_ = Counter(one.line for one in served), Counter(names)
        behind = [had[name] for name in all_ if had[name] < all_[name]]

        assert not behind or max(had.values(), default=0) - min(behind) <= 1
    served += line.take(100, wait_s=0) or []
    assert sorted(served, key=lambda one: one.number) == [One(name, number) for number, name in enumerate(names)]
    for name in set(names):
        numbers = [one.number for one in served if one.line == name]
        assert sorted(numbers) == numbers
