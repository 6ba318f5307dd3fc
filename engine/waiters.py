"""Who waits for a worker: each tenant's callers in a line of their own, and the tenants in turn.

However many one tenant sends, another one waits for one of them at most before it is its turn. When there are too many,
the longest line gives up its last one: a tenant's share of the waiting is bounded by what others need.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from engine.worker import Worker


class Waiter:
    """One caller."""

    __slots__ = ("given", "reuse", "since", "tenant")

    def __init__(self, tenant: str, *, reuse: bool, given: asyncio.Future[Worker], since: float) -> None:
        self.tenant, self.reuse, self.given, self.since = tenant, reuse, given, since


class Waiters:
    """All of them."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Waiter]] = OrderedDict()  # whose turn is next stands first
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def __contains__(self, tenant: str) -> bool:
        return tenant in self._lines

    def add(self, waiter: Waiter) -> None:
        """At the end of its tenant's line."""
        self._lines.setdefault(waiter.tenant, deque()).append(waiter)
        self._number += 1

    def remove(self, waiter: Waiter) -> bool:
        """Whether it was there."""
        line = self._lines.get(waiter.tenant)
        if line is None:
            return False
        if line[0] is waiter:
            line.popleft()
        elif waiter in line:
            line.remove(waiter)
        else:
            return False
        self._number -= 1
        if not line:
            del self._lines[waiter.tenant]
        return True

    def serve(self, waiter: Waiter) -> None:
        """It has its worker: the other tenants are next."""
        self.remove(waiter)
        if waiter.tenant in self._lines:
            self._lines.move_to_end(waiter.tenant)

    def only(self, tenant: str) -> Waiter | None:
        """The first of a tenant's, when nobody else waits."""
        line = self._lines.get(tenant)
        if line is None or len(self._lines) > 1:
            return None
        while line and line[0].given.done():
            self.remove(line[0])
        return line[0] if line else None

    def firsts(self) -> list[Waiter]:
        """The first of each tenant's, in turn. Those who have left without a word are forgotten."""
        for line in list(self._lines.values()):
            while line and line[0].given.done():
                self.remove(line[0])
        return [line[0] for line in self._lines.values()]

    def numbers(self) -> list[tuple[str, int]]:
        """How many wait, by tenant."""
        return [(tenant, len(line)) for tenant, line in self._lines.items()]

    def last_of_longest(self, newcomer: Waiter) -> Waiter:
        """Who has to go when there are too many: of lines as long as each other, the newcomer's."""
        longest = max(self._lines.values(), key=lambda line: (len(line), line[0].tenant == newcomer.tenant))
        return longest[-1]
