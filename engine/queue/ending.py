"""The ends of invocations on their way into the store, gathered; until it has taken them, their leases are kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.executions import Earlier, Told, told_of_fault
from engine.queue.gathering import Gathering
from tenants import executions
from tenants.errors import StoreError, Unavailable
from tenants.executions import End
from tenants.store import Store

_log = logging.getLogger("hookcell.queue")
_MOST = 200  # in one change
_AGAIN_S = 1.0  # after the store could not be written
_LAST_TRIES = 3  # of a queue that drains; otherwise it goes on until the store is there again


class _Came(NamedTuple):
    end: End  # without its outcome
    told: Told | Earlier
    at: float  # time.monotonic()

    def written_down(self, now: float) -> End:
        """As the store takes it, at this time. One that cannot be written down ends as a fault."""
        try:
            return msgspec.structs.replace(self.end, outcome=self.told.json((now - self.at) * 1000))
        except Exception:  # noqa: BLE001 - the others of its batch are not to wait for ever
            _log.exception("what came of invocation %s could not be written down", self.end.held.id)
            return self.fault("written down")

    def fault(self, done: str) -> End:
        """With nothing of what came of it, which could not be `done`, but how often it has failed."""
        told = told_of_fault(f"what came of it could not be {done}", self.told.failures)
        return msgspec.structs.replace(self.end, outcome=told.json(), response="null", log_event=None)


class Ending:
    """Writes ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ends: Gathering[_Came, bool] = Gathering(self._write, _MOST)
        self._last = False

    async def write(self, end: End, told: Told | Earlier) -> bool:
        """Whether it counted, once it is durable. False: somebody else has taken the invocation over.

        `told`: the outcome of `end`, written down when the store takes it.
        """
        return await self._ends.put(_Came(end, told, time.monotonic()))

    async def flush(self) -> None:
        """Return when all are written, or could not be for a few seconds."""
        self._last = True
        await self._ends.flush()

    async def _write(self, batch: Sequence[_Came]) -> Sequence[bool | Exception]:
        now = time.monotonic()
        ends, tries = [came.written_down(now) for came in batch], 0
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
                return [await self._write_alone(*each) for each in zip(ends, batch, strict=True)]

    async def _write_alone(self, end: End, came: _Came) -> bool | Exception:
        """One of a batch in which there is one that cannot be stored."""
        try:
            return (await asyncio.wrap_future(self._store.write_all(executions.finish, [end])))[0]
        except StoreError as error:
            _log.error("what came of invocation %s could not be stored: %s", end.held.id, error)
        try:
            fault = came.fault("stored")
            return (await asyncio.wrap_future(self._store.write_all(executions.finish, [fault])))[0]
        except StoreError as error:
            return error
