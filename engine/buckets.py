"""Token buckets, kept by this node for itself: so many at once, then so many a second.

Used on the event loop alone, so nothing is locked. Bounded: the key that was used least lately starts anew. (The
`limits` library, measured: its memory storage starts a thread every 10 ms under load and looks through every key in it,
so that 300,000 addresses take a whole core; and it has no token bucket, whose next token is never far away.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import msgspec

_MOST_KEYS = 100_000  # buckets kept

Clock = Callable[[], float]


class Rate(msgspec.Struct, frozen=True, gc=False):
    """Of one bucket."""

    burst: int  # at once, when nothing was asked for a while
    per_second: float  # after that

    @property
    def refill_s(self) -> float:
        """From empty to full."""
        return self.burst / self.per_second


class Level(msgspec.Struct, frozen=True, gc=False):
    """What is in a bucket."""

    remaining: int
    wait_s: float  # until the next one comes; 0: it is full
    taken: bool  # False: there was nothing to take


class Buckets:
    """One bucket a key. What is kept of one is the time at which it will be full again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()  # used least lately first

    def take(self, key: Hashable, rate: Rate, number: int = 1) -> Level:
        """Takes `number` (0: looks; -1: gives one back), if they are there."""
        now, full_at = self._clock(), self._full_at
        full_in = max(full_at.get(key, now) - now, 0.0)
        after = max(full_in + number / rate.per_second, 0.0)
        fits = after <= rate.refill_s + 1e-9
        if fits and number:
            full_at[key] = now + after
            if len(full_at) > _MOST_KEYS:
                full_at.popitem(last=False)
        if key in full_at:
            full_at.move_to_end(key)
        full_in = after if fits else full_in
        there = (rate.refill_s - full_in) * rate.per_second + 1e-6
        remaining = max(int(there), 0)
        wait_s = (remaining + 1 - there) / rate.per_second if full_in else 0.0
        return Level(remaining, wait_s, fits)
