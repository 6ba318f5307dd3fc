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
from dataclasses import dataclass

from engine.executions import LogEvent, add_record_ms
from tenants import executions
from tenants.errors import StoreError, Unavailable
from tenants.executions import Recorded
from tenants.records import Execution
from tenants.store import Store

_log = logging.getLogger("hookcell.recording")
_EVERY_S = 0.05
_MOST_AT_ONCE = 500  # of one change, so that nobody else waits long for the store
_MOST_WAITING = 10_000
_TELL_S = 10.0  # between two warnings


@dataclass(frozen=True, slots=True)
class _Ended:
    recorded: Recorded
    at: float  # time.monotonic()


class Recorder:
    """Writes records in batches. Start it with `open`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Ended] = deque()
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

    def record(self, tenant_id: str, execution: Execution, log_event: LogEvent | None) -> None:
        """Keep it, soon; with the event for the tenant's log, if there is one. Returns at once.

        `execution.outcome` is what `kept_of` made: `record_ms` is written into it.
        """
        if len(self._waiting) >= _MOST_WAITING:
            self._lose(1, "the store does not keep up")
            return
        recorded = Recorded(tenant_id=tenant_id, execution=execution, log_event=log_event)
        self._waiting.append(_Ended(recorded, time.monotonic()))
        if len(self._waiting) >= _MOST_AT_ONCE:
            self._full.set()

    @property
    def waiting(self) -> int:
        """How many are not written yet."""
        return len(self._waiting)

    async def _write_on(self) -> None:
        while not self._closing or self._waiting:
            await self._gather()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
            if batch:
                await self._write_or_lose(batch)

    async def _gather(self) -> None:
        """Wait until there is enough for a batch, or long enough."""
        self._full.clear()
        if self._closing or len(self._waiting) >= _MOST_AT_ONCE:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await self._full.wait()

    async def _write_or_lose(self, batch: list[_Ended]) -> None:
        """Whatever is wrong with these, those that come later are written."""
        now = time.monotonic()
        try:
            for each in batch:
                add_record_ms(each.recorded.execution.outcome, (now - each.at) * 1000)
            await self._write([each.recorded for each in batch])
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
