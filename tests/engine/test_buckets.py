"""Token buckets: never more than the burst and what came since, and never more memory than that."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine import buckets as module
from engine.buckets import Buckets, Rate


class Clock:
    """Seconds that pass when a test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@settings(deadline=None)
@given(
    rate=st.builds(Rate, st.integers(1, 20), st.floats(0.01, 1_000)),
    waits=st.lists(st.floats(0, 5), max_size=100),
)
def test_a_bucket_never_gives_more_than_its_burst_and_what_came_since(rate: Rate, waits: list[float]) -> None:
    clock = Clock()
    buckets, start, taken = Buckets(clock), clock.now, 0
    for wait in waits:
        clock.now += wait
        taken += buckets.take("key", rate).taken

        assert taken <= rate.burst + (clock.now - start) * rate.per_second + 1e-3


@settings(deadline=None)
@given(rate=st.builds(Rate, st.integers(1, 50), st.floats(0.01, 1_000)))
def test_who_waits_as_long_as_told_gets_exactly_one(rate: Rate) -> None:
    clock = Clock()
    buckets = Buckets(clock)
    given_ = [buckets.take("key", rate) for _ in range(rate.burst)]
    refused = buckets.take("key", rate)
    clock.now += refused.wait_s + 1e-6 / rate.per_second

    assert [True] * rate.burst == [level.taken for level in given_]
    assert list(range(rate.burst - 1, -1, -1)) == [level.remaining for level in given_]
    assert (False, 0) == (refused.taken, refused.remaining)
    assert [True, False] == [buckets.take("key", rate).taken for _ in range(2)]


def test_buckets_are_apart_and_the_ones_used_least_lately_are_forgotten() -> None:
    """So that no number of addresses takes more memory than that."""
    buckets, once = Buckets(Clock()), Rate(1, 1.0)
    taken = [buckets.take(number, once).taken for number in range(module._MOST_KEYS + 10)]

    assert all(taken)
    assert module._MOST_KEYS == len(buckets._full_at)
    assert not buckets.take(module._MOST_KEYS + 9, once).taken
    assert buckets.take(0, once).taken
