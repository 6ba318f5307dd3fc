"""The ready workers, and the right to use one: a lease.

A reserve of blank, locked-down workers waits, so that no caller waits for fork or lockdown. The first lease makes a
worker its tenant's for the rest of its life. What is started and ended is decided in plain functions over the pool's
own lists; the forking itself happens in tasks that the pool owns.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.errors import EngineClosed, EngineError, PoolBusy
from engine.spawner import Spawner
from engine.worker import Worker

_SWEEP_S = 1.0
_MOST_FORKS = 16  # under way at once: more would wait in the zygote's socket


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSize:
    """How many workers, for how long. The settings of the same names, see config.py."""

    workers: int
    workers_per_tenant: int
    reserve: int
    waiting: int
    wait_ms: int
    worker_jobs: int
    worker_age_s: int
    worker_idle_s: int
    worker_growth_bytes: int
    zygote_age_s: int
    drain_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    tenant: str
    reuse: bool
    given: asyncio.Future[Worker]


class Pool:
    """The workers of one engine."""

    def __init__(self, spawner: Spawner, size: PoolSize) -> None:
        self._spawner = spawner
        self._size = size
        self._reserve: deque[Worker] = deque()
        self._idle: list[Worker] = []  # a tenant's, between jobs; longest idle first
        self._leased: set[Worker] = set()
        self._waiters: deque[_Waiter] = deque()
        self._forks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False
        self._returned = asyncio.Event()

    async def start(self) -> None:
        """Start the spawner and fill the reserve. Raises SandboxFailed."""
        await self._spawner.start()
        self._reserve.append(await self._spawner.fork())
        self._sweeper = asyncio.create_task(self._sweep())
        self._settle()

    @contextlib.asynccontextmanager
    async def lease(self, tenant: str, *, reuse: bool) -> AsyncIterator[Worker]:
        """A worker for one tenant's next job. With `reuse` it may have done that tenant's jobs before, and will again.

        Raises PoolBusy when it cannot be had in time, EngineClosed when the pool drains, SandboxFailed.
        """
        if self._closed:
            raise EngineClosed
        worker = self._pick(tenant, reuse=reuse) if not self._waiters else None
        if worker is None:
            worker = await self._wait(tenant, reuse=reuse)
        else:
            self._lend(worker, tenant)
            self._settle()
        try:
            yield worker
        finally:
            self._give_back(worker, reuse=reuse)

    async def drain(self) -> None:
        """Take no new job, let those under way end for `drain_ms`, then end every worker."""
        self._closed = True
        while self._waiters:
            self._fail_waiter(EngineClosed())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._size.drain_ms / 1000):
                while self._leased:
                    self._returned.clear()
                    await self._returned.wait()
        tasks = [*self._forks, *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in [*self._reserve, *self._idle, *self._leased]:
            worker.kill()
        await self._spawner.close()

    @property
    def leased(self) -> int:
        """How many workers are at work."""
        return len(self._leased)

    def counts(self) -> dict[str, int]:
        """How many workers there are, by state, and how many callers wait."""
        return {
            "reserve": len(self._reserve),
            "idle": len(self._idle),
            "leased": len(self._leased),
            "starting": len(self._forks),
            "waiting": len(self._waiters),
        }

    def _pick(self, tenant: str, *, reuse: bool) -> Worker | None:
        """A worker that is ready now, taken out of its list."""
        if reuse:
            for worker in reversed(self._idle):
                if worker.tenant == tenant and self._usable(worker):
                    self._idle.remove(worker)
                    return worker
        if not self._reserve or (self._at_bound(tenant) and not self._evict(tenant)):
            return None
        while self._reserve:
            worker = self._reserve.popleft()
            if not worker.gone and worker.quiet:
                return worker
            worker.kill()
        return None

    def _lend(self, worker: Worker, tenant: str) -> None:
        worker.tenant = tenant
        self._leased.add(worker)

    async def _wait(self, tenant: str, *, reuse: bool) -> Worker:
        waiter = _Waiter(tenant, reuse, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._settle()
        if len(self._waiters) > self._size.waiting and not waiter.given.done():
            self._waiters.remove(waiter)
            raise PoolBusy(f"{len(self._waiters)} callers wait for a worker already; try again later")
        try:
            async with asyncio.timeout(self._size.wait_ms / 1000):
                return await waiter.given
        except TimeoutError:
            self._leave(waiter)
            raise PoolBusy(f"no worker was free within {self._size.wait_ms} ms; try again later") from None
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: _Waiter) -> None:
        """The caller is gone. A worker given to it at the same moment goes back."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif not waiter.given.cancelled() and waiter.given.exception() is None:
            self._give_back(waiter.given.result(), reuse=waiter.reuse)

    def _give_back(self, worker: Worker, *, reuse: bool) -> None:
        self._leased.discard(worker)
        worker.jobs += 1
        worker.used = time.monotonic()
        if reuse and self._usable(worker) and not self._closed:
            self._idle.append(worker)
        else:
            worker.kill()
        self._returned.set()
        self._settle()

    def _usable(self, worker: Worker) -> bool:
        """Whether it may do another job: alive, nothing unasked has come, not too old, too busy or too large."""
        size, now = self._size, time.monotonic()
        return (
            not worker.gone
            and worker.quiet
            and worker.jobs < size.worker_jobs
            and now - worker.born < size.worker_age_s
            and worker.peak_bytes - worker.blank_bytes < size.worker_growth_bytes
        )

    def _at_bound(self, tenant: str) -> bool:
        has = sum(worker.tenant == tenant for worker in (*self._leased, *self._idle))
        return has >= self._size.workers_per_tenant

    def _evict(self, tenant: str | None) -> bool:
        """End the longest idle worker, of `tenant` or of anyone. False when there is none."""
        for worker in self._idle:
            if tenant is None or worker.tenant == tenant:
                self._idle.remove(worker)
                worker.kill()
                return True
        return False

    def _settle(self) -> None:
        """Serve whom we can, then start what is missing. After every change."""
        for waiter in [waiter for waiter in self._waiters if not waiter.given.done()]:
            worker = self._pick(waiter.tenant, reuse=waiter.reuse)
            if worker is not None:
                self._waiters.remove(waiter)
                self._lend(worker, waiter.tenant)
                waiter.given.set_result(worker)
        if not self._closed:
            for _ in range(self._missing()):
                fork = asyncio.create_task(self._fork())
                self._forks.add(fork)
                fork.add_done_callback(self._forks.discard)

    def _missing(self) -> int:
        """How many workers to start now: the reserve and one for each who waits, within the bound."""
        waiting = sum(not self._at_bound(waiter.tenant) or self._evict(waiter.tenant) for waiter in self._waiters)
        wanted = self._size.reserve + waiting - len(self._reserve) - len(self._forks)
        room = self._size.workers - self._total()
        while room < min(wanted, waiting) and self._evict(None):
            room += 1
        return max(min(wanted, room, _MOST_FORKS - len(self._forks)), 0)

    def _total(self) -> int:
        return len(self._reserve) + len(self._idle) + len(self._leased) + len(self._forks)

    async def _fork(self) -> None:
        try:
            worker = await self._spawner.fork()
        except EngineError as error:
            self._fail_waiter(error)
            return
        self._reserve.append(worker)
        asyncio.get_running_loop().call_soon(self._settle)

    def _fail_waiter(self, error: EngineError) -> None:
        if self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.given.done():
                waiter.given.set_exception(error)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            oldest = time.monotonic() - self._size.worker_idle_s
            for worker in [worker for worker in self._idle if worker.used < oldest or not self._usable(worker)]:
                self._idle.remove(worker)
                worker.kill()
            if self._spawner.age_s > self._size.zygote_age_s:
                await self._rotate()
            self._settle()

    async def _rotate(self) -> None:
        """A fresh zygote; blank workers of the old one are replaced, tenants' workers live out their age."""
        with contextlib.suppress(EngineError):
            await self._spawner.rotate()
            while self._reserve:
                self._reserve.popleft().kill()
