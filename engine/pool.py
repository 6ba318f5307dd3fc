"""The ready workers, and the right to use one: a lease.

A reserve of blank, locked-down workers waits, so that no caller waits for fork or lockdown. The first lease makes a
worker its tenant's for the rest of its life. Who waits is served by waiters.py, in turn. What is started and
ended is decided in plain functions over the pool's own lists; the forking itself happens in tasks that the pool owns.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from engine.alarms import Alarm
from engine.errors import EngineClosed, EngineError, PoolBusy
from engine.spawner import Spawner
from engine.tenancies import Tenancies
from engine.waiters import Waiter, Waiters
from engine.worker import Worker

_SWEEP_S = 1.0
_MOST_FORKS = 16  # under way at once: more would wait in the zygote's socket
_COLD_S = 0.05  # idle for so long, a worker makes room for a blank one
_LEAST_IDLE = 2  # workers: with fewer, none makes room
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


class _Patience(Alarm):
    """Of one who waits."""

    __slots__ = ("_end", "_error", "_waiter")

    def __init__(
        self, end: Callable[[Waiter, Exception], None], waiter: Waiter, error: Callable[[], Exception]
    ) -> None:
        super().__init__()
        self._end, self._waiter, self._error = end, waiter, error

    def ring(self) -> None:
        """It is at its end."""
        self._end(self._waiter, self._error())


class Pool:
    """The workers of one engine."""

    def __init__(self, spawner: Spawner, size: PoolSize) -> None:
        self._spawner = spawner
        self._size = size
        self._reserve: deque[Worker] = deque()
        self._tenancies = Tenancies()
        self._waiters = Waiters()
        self._forks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._open = False  # between its start and its end
        self._ended = False
        self._returned = asyncio.Event()

    async def start(self) -> None:
        """Start the spawner and fill the reserve, once. Raises SandboxFailed, EngineClosed."""
        if self._ended:
            raise EngineClosed
        await self._spawner.start()
        self._alarms = self._spawner.alarms
        self._reserve.append(await self._spawner.fork())
        self._sweeper = asyncio.create_task(self._sweep())
        self._open = not self._ended
        self._settle()

    @contextlib.asynccontextmanager
    async def lease(self, tenant: str, *, reuse: bool, until: float | None = None) -> AsyncIterator[Worker]:
        """A worker for one tenant's next job, while a block runs. Raises as `wait`."""
        worker = self.take_at_once(tenant, reuse=reuse) or await self.wait(tenant, reuse=reuse, until=until)
        try:
            yield worker
        finally:
            self.give_back(worker, reuse=reuse)

    def hurry(self) -> None:
        """Take no new job, and end those under way: whoever waits for one gets EngineClosed."""
        self._close()
        for worker in self._tenancies.leased:
            worker.kill()

    def _close(self) -> None:
        self._open, self._ended = False, True
        while len(self._waiters):
            self._fail_waiter(EngineClosed())

    async def drain(self) -> None:
        """Take no new job, let those under way end for `drain_ms`, then end every worker."""
        self._close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._size.drain_ms / 1000):
                while self._tenancies.leased:
                    self._returned.clear()
                    await self._returned.wait()
        tasks = [*self._forks, *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in [*self._reserve, *self._tenancies.idle, *self._tenancies.leased]:
            worker.kill()
        await self._spawner.close()

    @property
    def leased(self) -> int:
        """How many workers are at work."""
        return len(self._tenancies.leased)

    def counts(self) -> dict[str, int]:
        """How many workers there are, by state, and how many callers wait."""
        return {
            "reserve": len(self._reserve),
            "idle": self._tenancies.idle_number,
            "leased": self.leased,
            "starting": len(self._forks),
            "waiting": len(self._waiters),
        }

    def take_at_once(self, tenant: str, *, reuse: bool) -> Worker | None:
        """A worker for one tenant's next job, if there is one for who has just come; `give_back` it.

        With `reuse` it may have done that tenant's jobs before, and will again. Blank ones are for those who wait
        already. Raises EngineClosed.
        """
        if not self._open:
            raise EngineClosed
        others = len(self._waiters)
        if others and (not reuse or tenant in self._waiters):
            return None
        worker = self._pick_idle(tenant) if reuse else None
        if worker is None and not others:
            worker = self._pick_blank(tenant)
            if worker is not None:
                self._settle()  # the reserve has one less
        return worker

    def _pick(self, tenant: str, *, reuse: bool) -> Worker | None:
        """A worker that is ready now, lent."""
        return (self._pick_idle(tenant) if reuse else None) or self._pick_blank(tenant)

    def _pick_idle(self, tenant: str) -> Worker | None:
        while (worker := self._tenancies.lend_idle(tenant)) is not None:
            if not worker.gone and worker.quiet:  # what else may be against it was looked at when it came back
                return worker
            self._end(worker)
        return None

    def _pick_blank(self, tenant: str) -> Worker | None:
        if not self._reserve or (self._at_bound(tenant) and not self._evict(tenant)):
            return None
        while self._reserve:
            worker = self._reserve.popleft()
            if not worker.gone and worker.quiet:
                self._tenancies.lend(worker, tenant)
                return worker
            worker.kill()
        return None

    def _end(self, worker: Worker) -> None:
        self._tenancies.end(worker)
        worker.kill()

    async def wait(self, tenant: str, *, reuse: bool, until: float | None) -> Worker:
        """The same for who could not have one at once, in turn.

        `until`: the time of the monotonic clock at which the caller has no use for it any more. Raises PoolBusy when
        the worker cannot be had in time, Overdue when that is over first, EngineClosed when the pool drains,
        SandboxFailed.
        """
        now = time.monotonic()
        latest = now + self._size.wait_ms / 1000
        why: Callable[[], Exception] = self._none_was_free
        if until is not None and until < latest:
            latest, why = until, Overdue
        given: asyncio.Future[Worker] = self._alarms.loop.create_future()
        waiter = Waiter(tenant, reuse=reuse, given=given, since=now)
        self._waiters.add(waiter)
        if not self._at_bound(tenant) or self._tenancies.has_idle(tenant):  # else it has to wait for one of its own
            self._settle()
        if len(self._waiters) > self._size.waiting:
            self._fail(self._waiters.last_of_longest(waiter), self._too_many_wait())
        patience = _Patience(self._fail, waiter, why)
        self._alarms.set(patience, latest)
        try:
            return await given
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        finally:
            self._alarms.take_back(patience)

    def _fail(self, waiter: Waiter, error: Exception) -> None:
        if self._waiters.remove(waiter) and not waiter.given.done():
            waiter.given.set_exception(error)

    def _none_was_free(self) -> PoolBusy:
        return PoolBusy(f"no worker was free within {self._size.wait_ms} ms; try again later")

    def _too_many_wait(self) -> PoolBusy:
        return PoolBusy(f"{self._size.waiting} callers wait for a worker already; try again later")

    def _leave(self, waiter: Waiter) -> None:
        """The caller is gone. A worker given to it at the same moment goes back."""
        if self._waiters.remove(waiter) or waiter.given.cancelled():
            return
        if waiter.given.exception() is None:
            self.give_back(waiter.given.result(), reuse=waiter.reuse)

    def give_back(self, worker: Worker, *, reuse: bool) -> None:
        """Its job has ended. It waits for its tenant's next one, if it is of use for that, and is ended otherwise."""
        worker.jobs += 1
        worker.used = time.monotonic()
        if self._ended:
            self._returned.set()
        if reuse and self._open and self._usable(worker, worker.used):
            if self._pass_on(worker):
                return
            self._tenancies.rest(worker)
            if not len(self._waiters):  # none has to be started
                return
        else:
            self._end(worker)
        self._settle()

    def _pass_on(self, worker: Worker) -> bool:
        """Whether the next one of its tenant's has it, as nobody else waits for anything."""
        assert worker.tenant is not None, "it has done a job"
        waiter = self._waiters.only(worker.tenant)
        if waiter is None or not waiter.reuse:
            return False
        self._give(worker, waiter)
        return True

    def _give(self, worker: Worker, waiter: Waiter) -> None:
        """One that is lent."""
        self._waiters.serve(waiter)
        waiter.given.set_result(worker)

    def _usable(self, worker: Worker, now: float) -> bool:
        """Whether it may do another job: alive, nothing unasked has come, not too old, too busy or too large."""
        size = self._size
        return (
            not worker.gone
            and worker.quiet
            and worker.jobs < size.worker_jobs
            and now - worker.born < size.worker_age_s
            and worker.peak_bytes - worker.blank_bytes < size.worker_growth_bytes
        )

    def _at_bound(self, tenant: str) -> bool:
        return self._tenancies.of(tenant) >= self._size.workers_per_tenant

    def _evict(self, tenant: str | None) -> bool:
        """End the longest idle worker, of `tenant` or of anyone. False when there is none."""
        worker = self._tenancies.longest_idle(tenant)
        if worker is None:
            return False
        self._end(worker)
        return True

    def _evict_cold(self) -> bool:
        """The same of one that has been idle for a while, so that a tenant that calls now finds a blank one.

        One tenant's only worker stays.
        """
        worker = self._tenancies.longest_idle()
        if worker is None or self._tenancies.idle_number < _LEAST_IDLE or time.monotonic() - worker.used < _COLD_S:
            return False
        return self._evict(None)

    def _settle(self) -> None:
        """Serve whom we can, then start what is missing. After every change but one that leaves all as it was."""
        if len(self._waiters):
            self._clear_places()
            self._serve()
        if self._open:
            for _ in range(self._missing()):
                self._forks.add(asyncio.create_task(self._fork()))

    def _clear_places(self) -> None:
        """End idle workers, whose tenants would use them again at once, for those who have waited for a place too long.

        A process is started anew for each of them: that is why they have to be a little patient.
        """
        places = self._size.workers - len(self._tenancies)
        if places > len(self._waiters):
            return
        before = time.monotonic() - _PATIENCE_S
        for waiter in self._waiters.firsts() if self._tenancies.idle_number else ():
            tenant = waiter.tenant
            if waiter.since < before and not self._tenancies.has_idle(tenant) and not self._at_bound(tenant):
                places -= 1
                if places < 0 and not self._evict(None):
                    return

    def _serve(self) -> None:
        """Give one worker to each tenant that waits and can have one, in turn, until there is none for anybody."""
        served = True
        while served and (self._reserve or self._tenancies.idle_number):
            served = False
            for waiter in self._waiters.firsts():
                worker = self._pick(waiter.tenant, reuse=waiter.reuse)
                if worker is not None:
                    self._give(worker, waiter)
                    served = True

    def _missing(self) -> int:
        """How many workers to start now: the reserve and one for each who waits, within the bound."""
        waiting = self._wanted()
        wanted = self._size.reserve + waiting - len(self._reserve) - len(self._forks)
        if wanted <= 0:
            return 0
        room = self._size.workers - self._total()
        while room < min(wanted, waiting) and self._evict(None):
            room += 1
        if room <= 0 and not self._reserve and not self._forks and self._evict_cold():
            room += 1
        return max(min(wanted, room, _MOST_FORKS - len(self._forks)), 0)

    def _wanted(self) -> int:
        """How many of those who wait may have a worker beside those that their tenants have."""
        wanted = 0
        for tenant, waiting in self._waiters.numbers():
            room = max(self._size.workers_per_tenant - self._tenancies.of(tenant), 0)
            while room < waiting and self._evict(tenant):
                room += 1
            wanted += min(room, waiting)
        return wanted

    def _total(self) -> int:
        return len(self._reserve) + len(self._tenancies) + len(self._forks)

    async def _fork(self) -> None:
        """One more, which counts no longer as one that comes: who waits has it, and the next one is started at once."""
        task = asyncio.current_task()
        assert task is not None, "a fork is a task of the pool"
        try:
            worker = await self._spawner.fork()
        except EngineError as error:
            self._fail_waiter(error)
            return
        finally:
            self._forks.discard(task)
        self._reserve.append(worker)
        self._settle()

    def _fail_waiter(self, error: EngineError) -> None:
        if firsts := self._waiters.firsts():
            self._waiters.remove(firsts[0])
            firsts[0].given.set_exception(error)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = time.monotonic()
            oldest = now - self._size.worker_idle_s
            for worker in self._tenancies.idle:
                if worker.used < oldest or not self._usable(worker, now):
                    self._end(worker)
            if self._spawner.age_s > self._size.zygote_age_s:
                await self._rotate()
            self._settle()

    async def _rotate(self) -> None:
        """A fresh zygote; blank workers of the old one are replaced, tenants' workers live out their age."""
        with contextlib.suppress(EngineError):
            await self._spawner.rotate()
            while self._reserve:
                self._reserve.popleft().kill()
