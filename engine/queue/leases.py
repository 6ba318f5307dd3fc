"""What this engine holds: each lease is made longer while its job runs, and a job whose lease was lost is ended."""

from __future__ import annotations

import asyncio
import logging

from engine.queue.running import Start
from tenants import executions
from tenants.errors import StoreError
from tenants.executions import Held
from tenants.stamps import now_ms
from tenants.store import Store

_log = logging.getLogger("hookcell.queue")
_BEATS = 3  # in the time of a lease: two may fail


class Leases:
    """The leases of one engine, by what holds them."""

    def __init__(self, store: Store, lease_ms: int) -> None:
        self._store = store
        self._lease_ms = lease_ms
        self._held: dict[Held, tuple[Start, asyncio.Task[None]]] = {}
        self.lost = 0

    def hold(self, start: Start, task: asyncio.Task[None]) -> None:
        """From now on; `task` is cancelled when somebody else has taken it over."""
        self._held[start.held] = start, task

    def let_go(self, start: Start) -> None:
        """It has ended, or is given back."""
        self._held.pop(start.held, None)

    async def keep(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self._lease_ms / _BEATS / 1000)
            try:
                await self.extend()
            except StoreError as error:
                _log.warning("leases could not be made longer: %s", error)
            except Exception:  # noqa: BLE001 - the loop is every tenant's
                _log.exception("leases could not be made longer")  # the others of this engine go on

    async def extend(self) -> None:
        """Make all of them longer, and end those that are ours no more. Raises StoreError."""
        asked = dict(self._held)
        if not asked:
            return
        until = now_ms() + self._lease_ms
        kept = await asyncio.wrap_future(self._store.write_all(executions.extend, list(asked), until))
        for held, (start, task) in asked.items():
            if held not in kept and held in self._held and not start.finishing:  # else it has ended meanwhile
                self.lost += 1
                task.cancel()
