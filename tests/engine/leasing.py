"""Pools of an engine's own, and who holds a lease of one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from engine.app import Engine
from engine.config import Config
from engine.pool import Pool
from engine.worker import Worker


class Holder:
    """Holds a lease in a task of its own until told to let go."""

    def __init__(self, pool: Pool, tenant: str, *, reuse: bool = True) -> None:
        self.worker: Worker | None = None
        self.release = asyncio.Event()
        self.task = asyncio.create_task(self._hold(pool, tenant, reuse=reuse))

    async def _hold(self, pool: Pool, tenant: str, *, reuse: bool) -> None:
        async with pool.lease(tenant, reuse=reuse) as worker:
            self.worker = worker
            await self.release.wait()

    async def end(self) -> None:
        self.release.set()
        await self.task


async def use(pool: Pool, tenant: str, *, reuse: bool = True) -> Worker:
    """Lease a worker and give it back at once."""
    async with pool.lease(tenant, reuse=reuse) as worker:
        return worker


async def is_full(pool: Pool, until: Any, reserve: int) -> None:
    await until(lambda: pool.counts()["reserve"] == reserve and not pool.counts()["starting"], "a full reserve")


@contextlib.asynccontextmanager
async def pool_of(**settings: Any) -> AsyncIterator[Pool]:
    """Whoever has waited has taken back the alarm of its patience, however that ended."""
    async with Engine(Config(**settings)) as engine:
        yield engine.pool
    assert 0 == len(engine.alarms)
