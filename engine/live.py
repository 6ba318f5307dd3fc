"""What hooks write to their console, and how invocations end, as it happens: told to those who follow a tenant.

    live.publish(tenant.id, line(execution_id=…, trigger_id=…, hook=…, logged=log_event))
    with live.follow(tenant.id) as events:
        async for told in events: …

Of this node alone, and kept nowhere: what a follower has missed comes from a ring in memory, for a tenant that
is followed or was lately. Whoever publishes never waits: a follower that is too slow is let go. All of it
is used on the event loop.
"""

from __future__ import annotations

import asyncio
import datetime
import secrets
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from engine.errors import Refusal
from engine.outcome import LogEvent

Event = Mapping[str, Any]  # what `line` and `end` make

_RING = 1_000  # events of a tenant that can be had again
_RING_CHARS = 4 << 20  # and so much text of them together
_WAITING = 1_000  # events that a follower may be behind
_KEPT_S = 300  # the ring of a tenant whom nobody follows any more
_LOOK_S = 10  # between two looks for such rings, where nobody begins to follow
_FOLLOWERS = 32  # of one tenant: each may hold so much text
_EVENT_CHARS = 300  # of an event beside its text


def line(*, execution_id: str, trigger_id: str, hook: str, logged: LogEvent) -> Event:
    """One console line. `hook`: its name."""
    return {
        "execution_id": execution_id,
        "trigger_id": trigger_id,
        "hook": hook,
        "level": logged.level,
        "text": logged.text,
        "line": logged.line,
        "at": logged.at,
    }


def end(*, execution_id: str, trigger_id: str, hook: str | None, status: str, message: str, at: str) -> Event:
    """How an attempt ended. `hook`: whose error ended it; `status`: of the execution; `message`: the error's."""
    return {
        "execution_id": execution_id,
        "trigger_id": trigger_id,
        "hook": hook,
        "status": status,
        "message": message,
        "at": at,
    }


def now() -> str:
    """The time, as events tell it: RFC 3339, UTC, milliseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Told:
    """One event for one follower."""

    id: str  # Last-Event-ID, to go on behind it
    kind: Literal["log", "end", "missed", "dropped"]
    # missed: there were events behind the id that cannot be had any more
    # dropped: this follower was too slow; the last event of its iterator, with the id to go on behind
    event: Event = field(default_factory=dict)


class TooManyFollowers(Refusal):
    """Too many follow this tenant."""

    def __init__(self, message: str) -> None:
        super().__init__(429, "too_many_followers", message, {"Retry-After": "5"})


class Live:
    """Every tenant's rings and followers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._rings: dict[str, _Ring] = {}
        self._clock = clock
        self._closed = False
        self._look_at = 0.0  # by the clock, when rings are looked through next

    def publish(self, tenant_id: str, event: Event) -> None:
        """Tell those who follow the tenant; at once, whatever they do. `event`: of `line` or `end`."""
        if self.is_followed(tenant_id):
            self._rings[tenant_id].add(event)

    def is_followed(self, tenant_id: str) -> bool:
        """Whether it is worth making an event for the tenant."""
        if self._rings and self._clock() >= self._look_at:
            self._forget()
        return tenant_id in self._rings

    def follow(self, tenant_id: str, last_id: str | None = None) -> Follower:
        """From now on, or from behind the event of that id; of an id that is not known, all that is kept.

        Raises TooManyFollowers.
        """
        self._forget()
        ring = self._rings.setdefault(tenant_id, _Ring())
        if len(ring.followers) >= _FOLLOWERS:
            raise TooManyFollowers(f"{_FOLLOWERS} connections follow this tenant already, the most that may")
        follower = Follower(ring, self._clock)
        ring.resume(follower, last_id)
        if self._closed:
            follower.end()
        return follower

    def close(self) -> None:
        """Every follower's events end: the server does. Whoever follows from now on finds the end at once."""
        self._closed = True
        for ring in self._rings.values():
            for follower in tuple(ring.followers):
                follower.end()

    def _forget(self) -> None:
        """Rings that nobody has followed for long."""
        self._look_at = self._clock() + _LOOK_S
        for tenant_id, ring in list(self._rings.items()):
            if not ring.followers and self._clock() - ring.left_at > _KEPT_S:
                del self._rings[tenant_id]


class _Ring:
    """The last events of one tenant, and who follows."""

    def __init__(self) -> None:
        self.start = secrets.token_hex(6)  # ids of another ring, start or node are none of ours
        self.number = 0  # of the last event
        self.kept: deque[Told] = deque()
        self.chars = 0
        self.followers: weakref.WeakSet[Follower] = weakref.WeakSet()  # or one that nobody ever reads would stay
        self.left_at = 0.0  # by the clock, when the last follower went

    def id_of(self, number: int) -> str:
        return f"{self.start}-{number}"

    def add(self, event: Event) -> None:
        self.number += 1
        told = Told(self.id_of(self.number), "end" if "status" in event else "log", event)
        self.kept.append(told)
        self.chars += _chars(told)
        while len(self.kept) > _RING or self.chars > _RING_CHARS:
            self.chars -= _chars(self.kept.popleft())
        for follower in tuple(self.followers):
            follower.put(told)

    def resume(self, follower: Follower, last_id: str | None) -> None:
        self.followers.add(follower)
        if last_id is None:
            return
        behind = self._behind(last_id)
        if behind is None or behind > len(self.kept):
            follower.put(Told(self.id_of(self.number - len(self.kept)), "missed"))
            behind = len(self.kept)
        for told in list(self.kept)[len(self.kept) - behind :]:
            follower.put(told)

    def _behind(self, last_id: str) -> int | None:
        """How many events there were after that one. None: the id is none of this ring's."""
        start, _, number = last_id.partition("-")
        if start != self.start or not (number.isascii() and number.isdecimal() and len(number) < 20):
            return None
        behind = self.number - int(number)
        return behind if behind >= 0 else None


class Follower:
    """One reader's events, in order. Closed by the end of its `with` block."""

    def __init__(self, ring: _Ring, clock: Callable[[], float]) -> None:
        self._ring = ring
        self._clock = clock
        self._waiting: deque[Told] = deque()
        self._chars = 0
        self._came = asyncio.Event()
        self._ended = False
        self.last_id = ring.id_of(ring.number)  # of what was given out last, or of when it began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        """The next one. Cancelling it loses nothing."""
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._came.clear()
            await self._came.wait()
        told = self._waiting.popleft()
        self._chars -= _chars(told)
        self.last_id = told.id
        return told

    def put(self, told: Told) -> None:
        """Called by the ring. Of one event too many it gets a mark instead, behind what waits for it already."""
        if len(self._waiting) > _WAITING or self._chars > _RING_CHARS:  # a whole ring with its `missed` has room
            self._waiting.append(Told(self._waiting[-1].id, "dropped"))
            self.end()
            return
        self._waiting.append(told)
        self._chars += _chars(told)
        self._came.set()

    def end(self) -> None:
        """Nothing more comes; what waits can be read yet."""
        self._ended = True
        self._came.set()
        self._ring.followers.discard(self)
        if not self._ring.followers:
            self._ring.left_at = self._clock()


def _chars(told: Told) -> int:
    return len(told.event.get("text") or told.event.get("message") or "") + _EVENT_CHARS
