"""The ready workers, and the right to use one: a lease.

A reserve of blank, locked-down workers waits, so that no caller waits for fork or lockdown. The first lease makes a
worker its tenant's for the rest of its life. Who waits is served by waiters.py, in turn. What is started and
ended is decided in plain functions over the pool's own lists; the forking itself happens in tasks that the pool owns.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.errors import EngineClosed, EngineError, PoolBusy
from engine.spawner import Spawner
from engine.waiters import Waiter, Waiters
from engine.worker import Worker

_SWEEP_S = 1.0
_MOST_FORKS = 16  # under way at once: more would wait in the zygote's socket
_PATIENCE_S = 0.05  # of who waits for a place, with tenants that have one and always another job for it


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


class Overdue(Exception):
    """The caller's own time was up before there was a worker."""


class Pool:
    """The workers of one engine."""

    def __init__(self, spawner: Spawner, size: PoolSize) -> None:
        self._spawner = spawner
        self._size = size
        self._reserve: deque[Worker] = deque()
        self._idle: list[Worker] = []  # a tenant's, between jobs; longest idle first
        self._leased: set[Worker] = set()
        self._waiters = Waiters()
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
    async def lease(self, tenant: str, *, reuse: bool, until: float | None = None) -> AsyncIterator[Worker]:
        """A worker for one tenant's next job. With `reuse` it may have done that tenant's jobs before, and will again.

        `until`: the time of the event loop's clock at which the caller has no use for it any more.
        Raises PoolBusy when it cannot be had in time, Overdue when that is over first, EngineClosed when the pool
        drains, SandboxFailed.
        """
        if self._closed:
            raise EngineClosed
        worker = self._pick_at_once(tenant, reuse=reuse)
        if worker is None:
            worker = await self._wait(tenant, reuse=reuse, until=until)
        else:
            self._lend(worker, tenant)
            self._settle()
        try:
            yield worker
        finally:
            self._give_back(worker, reuse=reuse)

    def hurry(self) -> None:
        """Take no new job, and end those under way: whoever waits for one gets EngineClosed."""
        self._close()
        for worker in self._leased:
            worker.kill()

    def _close(self) -> None:
        self._closed = True
        while len(self._waiters):
            self._fail_waiter(EngineClosed())

    async def drain(self) -> None:
        """Take no new job, let those under way end for `drain_ms`, then end every worker."""
        self._close()
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

    def _pick_at_once(self, tenant: str, *, reuse: bool) -> Worker | None:
        """A worker for who has just come: blank ones are for those who wait already."""
        if not len(self._waiters):
            return self._pick(tenant, reuse=reuse)
        return self._pick_idle(tenant) if reuse and tenant not in self._waiters else None

    def _pick(self, tenant: str, *, reuse: bool) -> Worker | None:
        """A worker that is ready now, taken out of its list."""
        if reuse and (worker := self._pick_idle(tenant)):
            return worker
        if not self._reserve or (self._at_bound(tenant) and not self._evict(tenant)):
            return None
        while self._reserve:
            worker = self._reserve.popleft()
            if not worker.gone and worker.quiet:
                return worker
            worker.kill()
        return None

    def _pick_idle(self, tenant: str) -> Worker | None:
        for worker in reversed(self._idle):
            if worker.tenant == tenant and self._usable(worker):
                self._idle.remove(worker)
                return worker
        return None

    def _lend(self, worker: Worker, tenant: str) -> None:
        worker.tenant = tenant
        self._leased.add(worker)

    async def _wait(self, tenant: str, *, reuse: bool, until: float | None) -> Worker:
        loop = asyncio.get_running_loop()
        latest = loop.time() + self._size.wait_ms / 1000
        waiter = Waiter(tenant, reuse, loop.create_future())
        self._waiters.add(waiter)
        self._settle()
        if len(self._waiters) > self._size.waiting:
            self._refuse(self._waiters.last_of_longest(waiter))
        try:
            async with asyncio.timeout_at(latest if until is None else min(latest, until)):
                return await waiter.given
        except TimeoutError:
            self._leave(waiter)
            if until is not None and until < latest:
                raise Overdue from None
            raise PoolBusy(f"no worker was free within {self._size.wait_ms} ms; try again later") from None
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _refuse(self, waiter: Waiter) -> None:
        self._waiters.remove(waiter)
        if not waiter.given.done():
            said = f"{self._size.waiting} callers wait for a worker already; try again later"
            waiter.given.set_exception(PoolBusy(said))

    def _leave(self, waiter: Waiter) -> None:
        """The caller is gone. A worker given to it at the same moment goes back."""
        if self._waiters.remove(waiter) or waiter.given.cancelled():
            return
        if waiter.given.exception() is None:
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
        if len(self._waiters):
            self._clear_places()
        while self._serve():
            pass
        if not self._closed:
            for _ in range(self._missing()):
                fork = asyncio.create_task(self._fork())
                self._forks.add(fork)
                fork.add_done_callback(self._forks.discard)

    def _clear_places(self) -> None:
        """End idle workers, whose tenants would use them again at once, for those who have waited for a place too long.

        A process is started anew for each of them: that is why they have to be a little patient.
        """
        with_idle = {worker.tenant for worker in self._idle}
        before = time.monotonic() - _PATIENCE_S
        places = self._size.workers - len(self._leased) - len(self._idle)
        for waiter in self._waiters.firsts() if self._idle else ():
            if waiter.since < before and waiter.tenant not in with_idle and not self._at_bound(waiter.tenant):
                places -= 1
                if places < 0 and not self._evict(None):
                    return

    def _serve(self) -> bool:
        """Give one worker to each tenant that waits and can have one. False: there was none for anybody."""
        served = False
        for waiter in self._waiters.firsts():
            worker = self._pick(waiter.tenant, reuse=waiter.reuse)
            if worker is not None:
                self._waiters.serve(waiter)
                self._lend(worker, waiter.tenant)
                waiter.given.set_result(worker)
                served = True
        return served

    def _missing(self) -> int:
        """How many workers to start now: the reserve and one for each who waits, within the bound."""
        waiting = self._wanted()
        wanted = self._size.reserve + waiting - len(self._reserve) - len(self._forks)
        room = self._size.workers - self._total()
        while room < min(wanted, waiting) and self._evict(None):
            room += 1
        return max(min(wanted, room, _MOST_FORKS - len(self._forks)), 0)

    def _wanted(self) -> int:
        """How many of those who wait may have a worker beside those that their tenants have."""
        if not len(self._waiters):
            return 0
        has = Counter(worker.tenant for worker in (*self._leased, *self._idle))
        wanted = 0
        for tenant, waiting in self._waiters.numbers().items():
            room = max(self._size.workers_per_tenant - has[tenant], 0)
            while room < waiting and self._evict(tenant):
                room += 1
            wanted += min(room, waiting)
        return wanted

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
        if firsts := self._waiters.firsts():
            self._waiters.remove(firsts[0])
            firsts[0].given.set_exception(error)

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
