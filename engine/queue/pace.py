"""How often the queue looks for what is due: who waits for an acknowledgement goes first.

While many are taken in at once, the queue rests after each look for three times as long as that look took, which is the
longer the busier engine and database are. Where there is capacity left a look takes a few milliseconds, and it keeps
up; where there is none, it begins at least a quarter of what it would, and never rests for longer than a tenth of a
second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_MANY = 16  # taken in by one change: so many come together only where many are waiting
_RUSH_S = 0.05  # from such a change on
_TIMES = 3  # as long as the look took
_LONGEST_S = 0.1


class Pace:
    """Of one queue, on the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looks_from = self._rests_until = self._rush_until = float("-inf")

    def took_in(self, number: int) -> None:
        """So many that were not there before were made durable by one change."""
        if number >= _MANY:
            self._rush_until = self._clock() + _RUSH_S

    def looks(self) -> None:
        """The queue begins to look."""
        self._looks_from = self._clock()

    def looked(self) -> None:
        """It has begun what it found."""
        now = self._clock()
        self._rests_until = now + min((now - self._looks_from) * _TIMES, _LONGEST_S)

    def hold_s(self) -> float:
        """In how many seconds to ask again; 0: it may look."""
        return max(min(self._rests_until, self._rush_until) - self._clock(), 0.0)
