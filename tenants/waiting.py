"""A fair waiting line: everybody has a line of their own, and one of each line is served in turn."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from tenants.errors import Unavailable


class InLine(Protocol):
    """What can wait."""

    line: Hashable  # whose it is


T = TypeVar("T", bound=InLine)


class Waiting(Generic[T]):
    """Those who wait, from any thread to any thread; at most `most` of each line."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: OrderedDict[Hashable, deque[T]] = OrderedDict()  # whose turn is next, first; none is empty
        self._held: dict[Hashable, float] = {}  # lines that are passed over until then
        self._changed = threading.Condition()
        self._closed = False

    def put(self, one: T) -> None:
        """Lets one wait, behind those of its line. Raises Unavailable."""
        with self._changed:
            if self._closed:
                raise Unavailable("the store is closed")
            if len(self._lines.get(one.line, ())) >= self._most:
                raise Unavailable("too many questions wait")
            self._lines.setdefault(one.line, deque()).append(one)
            self._changed.notify()

    def close(self) -> None:
        """Nothing comes any more; who waits is still served."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, most: int = 1, wait_s: float | None = None) -> list[T] | None:
        """Up to `most`, one of each line in turn. None of them: there were none in time; None: there will be none."""
        until = None if wait_s is None else time.monotonic() + wait_s
        with self._changed:
            while not (taken := self._taken(most)):
                if self._closed and not self._lines:
                    return None
                now = time.monotonic()
                if until is not None and now >= until:
                    return []
                ends = [*self._held.values(), *(() if until is None else (until,))]
                self._changed.wait(min(ends) - now if ends else None)
            return taken

    def put_back(self, these: Sequence[T]) -> None:
        """Those who were taken and not served are the next ones, in this order."""
        with self._changed:
            for one in reversed(these):
                self._lines.setdefault(one.line, deque()).appendleft(one)
                self._lines.move_to_end(one.line, last=False)
            self._changed.notify()

    def hold(self, line: Hashable, pause_s: float) -> None:
        """Passes over a line for a while."""
        with self._changed:
            self._held[line] = time.monotonic() + pause_s

    def _taken(self, most: int) -> list[T]:
        now = time.monotonic()
        for line in [line for line, until in self._held.items() if until <= now]:
            del self._held[line]
        taken: list[T] = []
        passed = 0  # held lines, one after the other: when all are, nobody is next
        while len(taken) < most and len(self._lines) > passed:
            line, waiting = self._lines.popitem(last=False)
            if line in self._held:
                passed += 1
            else:
                passed = 0
                taken.append(waiting.popleft())
            if waiting:
                self._lines[line] = waiting
        return taken
