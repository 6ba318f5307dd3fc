"""Records of blocking calls, written behind the reply: nobody waits for them.

Lost are those that a killed engine had not written yet (what came within 50 ms), and what came while the store could
not keep up with ten thousand of them: these are counted and told in the server's log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence

import msgspec

from engine.executions import Timings, recorded_of
from engine.invocation import Ended, Invocation
from tenants import executions
from tenants.errors import StoreError, Unavailable
from tenants.executions import Recorded
from tenants.stamps import now_ms
from tenants.store import Store

_log = logging.getLogger("hookcell.recording")
_EVERY_S = 0.05
_SLICE_S = 0.001  # of the event loop at once, for what is written down of those that ended
_MOST_AT_ONCE = 500  # of one change, so that nobody else waits long for the store
_MOST_WAITING = 10_000
_TELL_S = 10.0  # between two warnings


class _Came(msgspec.Struct, frozen=True):
    """One that has ended, as it was when it did."""

    invocation: Invocation
    ended: Ended
    timings: Timings
    begun_ms: int
    ended_ms: int
    at: float  # time.monotonic()


class Recorder:
    """Writes records in batches. Start it with `open`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Came] = deque()
        self._full = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._closing = False
        self._told_at = -_TELL_S
        self.lost = 0  # records that were never written

    def open(self) -> None:
        """Write what comes, from now on."""
        self._writing = asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """Write what waits, then end."""
        self._closing = True
        self._full.set()
        if self._writing is not None:
            await self._writing
            self._writing = None

    def record(self, invocation: Invocation, ended: Ended, timings: Timings, begun_ms: int) -> None:
        """Keep what came of a call that has just ended, soon. Returns at once: it is written down later."""
        if len(self._waiting) >= _MOST_WAITING:
            self._lose(1, "the store does not keep up")
            return
        self._waiting.append(_Came(invocation, ended, timings, begun_ms, now_ms(), time.monotonic()))
        if len(self._waiting) >= _MOST_AT_ONCE:
            self._full.set()

    @property
    def waiting(self) -> int:
        """How many are not written yet."""
        return len(self._waiting)

    async def _write_on(self) -> None:
        while not self._closing or self._waiting:
            await self._gather()
            if made := await self._written_down(self._taken()):
                await self._write_or_lose(made)

    def _taken(self) -> list[_Came]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]

    async def _gather(self) -> None:
        """Wait until there is enough for a batch, or long enough."""
        self._full.clear()
        if self._closing or len(self._waiting) >= _MOST_AT_ONCE:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await self._full.wait()

    async def _written_down(self, batch: Sequence[_Came]) -> list[Recorded]:
        """As the store takes them: a few at a time, so that no call waits long for it."""
        made: list[Recorded] = []
        until = time.monotonic() + _SLICE_S
        for came in batch:
            if time.monotonic() >= until:
                await asyncio.sleep(0)
                until = time.monotonic() + _SLICE_S
            try:
                made.append(_recorded(came))
            except Exception:  # noqa: BLE001 - it would end the task
                _log.exception("the record of a blocking call could not be written down")
                self._lose(1, "the engine is at fault")
        return made

    async def _write_or_lose(self, batch: list[Recorded]) -> None:
        """Whatever is wrong with these, those that come later are written."""
        try:
            await self._write(batch)
        except Unavailable as error:
            self._lose(len(batch), str(error))
        except Exception:  # noqa: BLE001 - it would end the task
            _log.exception("records of blocking calls could not be written")
            self._lose(len(batch), "the engine is at fault")

    async def _write(self, recorded: list[Recorded]) -> None:
        """Raises Unavailable. One that cannot be stored is lost alone."""
        try:
            await asyncio.wrap_future(self._store.write_all(executions.record, recorded))
        except Unavailable:
            raise
        except StoreError as error:
            if len(recorded) == 1:
                self._lose(1, str(error))
                return
            for each in recorded:
                await self._write([each])

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        now = time.monotonic()
        if now - self._told_at > _TELL_S:
            self._told_at = now
            _log.warning("%d records of blocking calls are lost so far: %s", self.lost, why)


def _recorded(came: _Came) -> Recorded:
    record_ms = (time.monotonic() - came.at) * 1000
    return recorded_of(came.invocation, came.ended, came.timings, came.begun_ms, came.ended_ms, record_ms)
