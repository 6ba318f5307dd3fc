"""The ends of invocations on their way into the store, gathered; until it has taken them, their leases are kept."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.executions import add_record_ms, told_of_fault
from engine.queue.gathering import Gathering
from tenants import executions
from tenants.errors import StoreError, Unavailable
from tenants.executions import End
from tenants.store import Store

_log = logging.getLogger("hookcell.queue")
_MOST = 200  # in one change
_AGAIN_S = 1.0  # after the store could not be written
_LAST_TRIES = 3  # of a queue that drains; otherwise it goes on until the store is there again


@dataclass(frozen=True, slots=True)
class _Came:
    end: End
    at: float  # time.monotonic()


class Ending:
    """Writes ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ends: Gathering[_Came, bool] = Gathering(self._write, _MOST)
        self._last = False

    async def write(self, end: End) -> bool:
        """Whether it counted, once it is durable. False: somebody else has taken the invocation over."""
        return await self._ends.put(_Came(end, time.monotonic()))

    async def flush(self) -> None:
        """Return when all are written, or could not be for a few seconds."""
        self._last = True
        await self._ends.flush()

    async def _write(self, batch: Sequence[_Came]) -> Sequence[bool | Exception]:
        now = time.monotonic()
        for came in batch:
            add_record_ms(came.end.outcome, (now - came.at) * 1000)
        ends, tries = [came.end for came in batch], 0
        while True:
            try:
                return await asyncio.wrap_future(self._store.write_all(executions.finish, ends))
            except Unavailable as error:
                tries += 1
                if self._last and tries >= _LAST_TRIES:
                    raise
                _log.warning("ends of %d invocations could not be written, and will be: %s", len(ends), error)
                await asyncio.sleep(_AGAIN_S)
            except StoreError:
                return [await self._write_alone(end) for end in ends]

    async def _write_alone(self, end: End) -> bool | Exception:
        """One of a batch in which there is one that cannot be stored."""
        try:
            return (await asyncio.wrap_future(self._store.write_all(executions.finish, [end])))[0]
        except StoreError as error:
            _log.error("what came of invocation %s could not be stored: %s", end.held.id, error)
        bare = dataclasses.replace(
            end, outcome=told_of_fault("what came of it could not be stored"), response="null", log_event=None
        )
        try:
            return (await asyncio.wrap_future(self._store.write_all(executions.finish, [bare])))[0]
        except StoreError as error:
            return error
