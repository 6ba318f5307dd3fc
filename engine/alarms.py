"""What is to be done when a time comes, unless it is taken back before: nearly every alarm is.

Each call sets several and takes them back a moment later. A timer of the event loop for each would cost more than all
else that is done about time, so all of them share one, which rings at the earliest. Times are of `time.monotonic()`,
which event loops go by as well.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from itertools import count
from typing import Any

_LEAST_S = 0.001  # until the timer rings again: event loops count whole milliseconds
_MOST_DEAD = 256  # alarms that were taken back and are still in the heap, or as many as there are others


class Alarm:
    """One, which may be set again once it has rung or was taken back."""

    __slots__ = ("entry",)

    def __init__(self) -> None:
        self.entry: list[Any] | None = None  # of its Alarms: when, its number among all, itself

    def ring(self) -> None:
        """The time has come."""
        raise NotImplementedError


class Alarms:
    """Those of one event loop: the one that runs while they are made."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()  # for those who would ask for it with every call
        self._heap: list[list[Any]] = []  # entries; one of an alarm that was taken back holds None instead
        self._dead = 0  # of these
        self._numbers = count()  # of two at the same time the first rings first
        self._rings_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def set(self, alarm: Alarm, at: float) -> None:
        """It rings at that time, or soon after, and never within this call; one that is set already is set anew."""
        if alarm.entry is not None:
            self.take_back(alarm)
        alarm.entry = entry = [at, next(self._numbers), alarm]
        heapq.heappush(self._heap, entry)
        if at < self._rings_at:
            self._wind(at)

    def take_back(self, alarm: Alarm) -> None:
        """It does not ring, and nothing of it is kept. Safe for one that is not set."""
        entry = alarm.entry
        if entry is None:
            return
        alarm.entry = entry[2] = None
        self._dead += 1
        if self._dead > _MOST_DEAD and self._dead > len(self._heap) // 2:
            self._heap = [kept for kept in self._heap if kept[2] is not None]
            heapq.heapify(self._heap)
            self._dead = 0

    def _wind(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = at
        left_s = max(at - time.monotonic(), _LEAST_S)
        self._timer = self.loop.call_later(left_s, self._ring)

    def _ring(self) -> None:
        """All whose time has come. One that fails holds up no other: the timer is wound again whatever happens."""
        now, self._rings_at = time.monotonic(), -math.inf  # nothing is wound meanwhile
        try:
            while self._heap and (self._heap[0][2] is None or self._heap[0][0] <= now):
                alarm = heapq.heappop(self._heap)[2]
                if alarm is None:
                    self._dead -= 1
                else:
                    alarm.entry = None
                    alarm.ring()
        finally:
            self._timer, self._rings_at = None, math.inf
            if self._heap:
                self._wind(self._heap[0][0])
