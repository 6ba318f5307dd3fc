"""Retention: what is older than the settings say is swept away while the server runs."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from engine.config import Config
from tenants import executions, log_events, register, token_rows
from tenants.errors import Missing, StoreError
from tenants.store import Store

_log = logging.getLogger("hookcell.retention")
_EVERY_S = 600.0
_DAY_MS = 86_400_000


@contextlib.asynccontextmanager
async def keep_sweeping(store: Store, config: Config) -> AsyncIterator[None]:
    """Sweep now and then, until the block ends."""
    task = asyncio.create_task(_sweep_on(store, config))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sweep_on(store: Store, config: Config) -> None:
    while True:
        try:
            await sweep(store, config, int(time.time() * 1000))
        except StoreError as error:
            _log.warning("what is old was not swept away: %s", error)
        await asyncio.sleep(_EVERY_S)


async def sweep(store: Store, config: Config, now_ms: int) -> None:
    """Remove tokens that have ended, what removed tenants left, and what is too old or too many of logs and executions.

    Each change is a small one, and tenants are gone through in turn: other writes come between. Raises StoreError.
    """
    await asyncio.wrap_future(store.write_all(token_rows.purge_expired, now_ms))
    for tenant_id in await asyncio.wrap_future(store.study_all(register.gone)):
        await sweep_removed(store, tenant_id)
    limits = (now_ms - config.log_days * _DAY_MS, config.log_events)
    while await _sweep_logs(store, limits):
        pass
    await _sweep_executions(store, (now_ms - config.execution_days * _DAY_MS, config.executions))


async def sweep_removed(store: Store, tenant_id: str) -> None:
    """Take away what a removed tenant left. Raises StoreError."""
    while await asyncio.wrap_future(store.write_all(register.sweep, tenant_id)):
        pass


async def _sweep_logs(store: Store, limits: tuple[int, int]) -> int:
    """A part of each log that has too much; how many events were removed."""
    removed = 0
    for tenant_id in await asyncio.wrap_future(store.study_all(log_events.overfull, *limits)):
        with contextlib.suppress(Missing):  # the tenant was removed meanwhile
            removed += await asyncio.wrap_future(store.write(tenant_id, log_events.sweep, *limits))
    return removed


async def _sweep_executions(store: Store, limits: tuple[int, int]) -> None:
    """All that have ended and are too old or too many, a part of each tenant's in turn."""
    after: str | None = ""
    while after is not None:
        looked = store.study_all(executions.overfull, *limits, after)
        overfull, after = await asyncio.wrap_future(looked)
        turns = collections.deque(overfull)
        while turns:
            tenant_id = turns.popleft()
            with contextlib.suppress(Missing):  # the tenant was removed meanwhile
                if await asyncio.wrap_future(store.write(tenant_id, executions.sweep, *limits)):
                    turns.append(tenant_id)
