"""Who may begin: how many invocations of a tenant are under way, how often it calls; and hooks that keep crashing.

Kept by this node for itself, on the event loop. A refusal costs next to nothing, so that a flood of them is no flood of
work.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import AbstractContextManager

import cachetools

from engine.buckets import Buckets, Clock, Rate
from engine.config import Config
from engine.errors import Refusal
from engine.outcome import Outcome
from tenants.records import Tenant

_MOST_KEYS = 100_000  # hooks whose crashes are counted
_CRASHES = 3  # in a row, before the first pause
_LONGEST_S = 60
_DEATHS = ("crashed", "out_of_memory")  # a process of the hook's was lost by it
_AGAIN_S = "1"  # Retry-After when something under way has to end first


class Admission:
    """The limits of every tenant's invocations."""

    def __init__(self, config: Config, clock: Clock = time.monotonic) -> None:
        self._at_once = config.jobs_at_once
        self._per_minute = config.calls_per_minute
        self._workers_of_one = config.workers_per_tenant
        self._most_queued = max(config.workers * 3 // 4, 1)
        self._calls = Buckets(clock)
        self._under_way: Counter[str] = Counter()  # by tenant, both kinds
        self._queued: Counter[str] = Counter()  # those of the queue
        self._own: dict[str, int] = {}  # `jobs_at_once` of tenants that have a setting of their own, as last seen

    def admit(self, tenant: Tenant) -> AbstractContextManager[None]:
        """One call that somebody waits for: under way until the block ends. Raises Refusal 429 `jobs_at_once`."""
        self.look_at(tenant)
        most = self._most(tenant.id)
        if self._under_way[tenant.id] >= most:
            message = f"{most} invocations of the tenant are under way, the most that may be (jobs_at_once)"
            raise Refusal(429, "jobs_at_once", message, {"Retry-After": _AGAIN_S})
        return _Counted(tenant.id, self._under_way)

    def count(self, tenant: Tenant) -> None:
        """One call, whatever comes of it: before its body is read, which costs more. Raises Refusal 429.

        `calls_per_minute`.
        """
        self.look_at(tenant)
        most = tenant.settings.calls_per_minute or self._per_minute
        level = self._calls.take(tenant.id, Rate(most, most / 60))
        if not level.taken:
            message = f"the tenant may call {most} times a minute (calls_per_minute); try again later"
            raise Refusal(429, "calls_per_minute", message, {"Retry-After": str(max(math.ceil(level.wait_s), 1))})

    def queued(self, tenant_id: str) -> AbstractContextManager[None]:
        """One queued invocation that runs, from when it is claimed: under way until the block ends. Never refused."""
        return _Counted(tenant_id, self._under_way, self._queued)

    def room(self, tenant_id: str) -> int:
        """How many queued invocations of a tenant may begin now: one always, and no more than leave calls their share.

        Calls that somebody waits for have half of what may be under way, and one worker. May be asked on any thread.
        """
        most, queued = self._most(tenant_id), self._queued[tenant_id]
        share = max(min(most // 2, self._workers_of_one - 1), 1)
        least = 0 if queued else 1
        return max(min(share - queued, most - self._under_way[tenant_id]), least)

    def room_for_queue(self) -> int:
        """How many queued invocations may begin now, of all tenants: a quarter of the workers is left to calls."""
        return max(self._most_queued - self._queued.total(), 0)

    def look_at(self, tenant: Tenant) -> None:
        """The tenant as it is now: `room` goes by its own setting from then on."""
        most = tenant.settings.jobs_at_once
        if most is not None:
            self._own[tenant.id] = most
        elif tenant.id in self._own:
            del self._own[tenant.id]

    def _most(self, tenant_id: str) -> int:
        return self._own.get(tenant_id, self._at_once)


class _Counted:
    """One more of a tenant's, while a block runs."""

    __slots__ = ("_counters", "_tenant_id")

    def __init__(self, tenant_id: str, *counters: Counter[str]) -> None:
        self._tenant_id, self._counters = tenant_id, counters

    def __enter__(self) -> None:
        for counter in self._counters:
            counter[self._tenant_id] += 1

    def __exit__(self, *_: object) -> None:
        for counter in self._counters:
            counter[self._tenant_id] -= 1
            if not counter[self._tenant_id]:
                del counter[self._tenant_id]


class CrashBackoff:
    """Hooks that lose their process again and again are left alone for a while, each for itself.

    After the third time in a row for a second, then, whenever it happens again, for twice as long. A run that ends
    otherwise starts the count anew, and so does another version of the hook.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._crashes: cachetools.LRUCache[tuple[str, str, int], _Crashes] = cachetools.LRUCache(_MOST_KEYS)

    def left_alone_ms(self, key: tuple[str, str, int]) -> int:
        """How long the hook (tenant's id, hook's id, version) is not run yet, rounded up; 0: it may be."""
        crashes = self._crashes.get(key) if self._crashes else None
        return max(math.ceil((crashes.until - self._clock()) * 1000), 0) if crashes else 0

    def refused(self, key: tuple[str, str, int]) -> Outcome | None:
        """The end of a hook that is not run now; None: it may be."""
        crashes = self._crashes.get(key) if self._crashes else None
        left_s = crashes.until - self._clock() if crashes else 0.0
        if crashes is None or left_s <= 0:
            return None
        said = f"the hook was not run: it crashed {crashes.number} times in a row, and is left alone for {left_s:.1f} s"
        return Outcome(status="crashed", message=said)

    def note(self, key: tuple[str, str, int], outcome: Outcome) -> None:
        """A job of the hook has ended so. One that crashes within a pause had begun before it, and counts no more."""
        if outcome.status not in _DEATHS:
            if self._crashes:
                self._crashes.pop(key, None)
            return
        crashes = self._crashes.setdefault(key, _Crashes())
        if crashes.until > self._clock():
            return
        crashes.number += 1
        if crashes.number >= _CRASHES:
            crashes.until = self._clock() + min(2 ** (crashes.number - _CRASHES), _LONGEST_S)


class _Crashes:
    """Of one hook."""

    __slots__ = ("number", "until")

    def __init__(self) -> None:
        self.number = 0  # in a row
        self.until = 0.0  # of the clock: it is not run before
