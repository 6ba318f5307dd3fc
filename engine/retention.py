"""Retention: what is older than the settings say is swept away while the server runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from engine.config import Config
from tenants import log_events, token_rows
from tenants.errors import StoreError
from tenants.rows import Everything
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
            await asyncio.wrap_future(store.write_all(sweep, config, int(time.time() * 1000)))
        except StoreError as error:
            _log.warning("old log events were not swept away: %s", error)
        await asyncio.sleep(_EVERY_S)


def sweep(everything: Everything, config: Config, now_ms: int) -> None:
    """Remove the log events that are too old or too many, and the tokens that have ended."""
    log_events.sweep(everything, now_ms - config.log_days * _DAY_MS, config.log_events)
    token_rows.purge_expired(everything, now_ms)
