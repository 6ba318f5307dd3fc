"""The pool's promises: one tenant a worker, bounded waiting, nothing lost when callers go, nothing left when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.app import Engine
from engine.config import Config
from engine.errors import EngineClosed, PoolBusy
from engine.outcome import Outcome
from engine.pool import Overdue, Pool
from engine.worker import Worker

LONG = "import time\ntime.sleep(60)\ncb()"


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


async def test_the_reserve_is_filled_with_blank_workers(until: Any) -> None:
    """They wait before anyone asks, and are replaced when they are taken."""
    async with pool_of(reserve=3) as pool:
        await is_full(pool, until, 3)
        blank = list(pool._reserve)
        assert {(None, 0, False)} == {(worker.tenant, worker.jobs, worker.gone) for worker in blank}

        taken = await use(pool, "acme")
        await is_full(pool, until, 3)

        assert taken is blank[0]
        assert {"reserve": 3, "idle": 1, "leased": 0, "starting": 0, "waiting": 0} == pool.counts()


async def test_the_reserve_is_kept_though_idle_workers_have_every_place(until: Any) -> None:
    """Whoever calls for the first time finds a blank worker; the tenant that has not called for longest makes room."""
    async with pool_of(workers=4, reserve=1) as pool:
        idle = [await use(pool, tenant) for tenant in ("oldest", "older", "old")]
        await is_full(pool, until, 1)
        await use(pool, "new")
        await is_full(pool, until, 1)

        assert [True, False, False] == [worker.gone for worker in idle]
        assert {"reserve": 1, "idle": 3, "leased": 0, "starting": 0, "waiting": 0} == pool.counts()


async def test_workers_that_were_used_just_now_make_no_room_for_the_reserve(until: Any) -> None:
    async with pool_of(workers=4, reserve=1) as pool:
        warm = []
        for tenant in "abc":
            await is_full(pool, until, 1)
            warm.append(await use(pool, tenant))
        await is_full(pool, until, 1)
        for worker in warm:
            worker.used = time.monotonic()
        warm.append(await use(pool, "d"))

        assert [False] * 4 == [worker.gone for worker in warm]
        assert {"reserve": 0, "starting": 0} == {name: pool.counts()[name] for name in ("reserve", "starting")}


async def test_when_who_waited_for_a_blank_worker_has_it_the_next_one_is_started_at_once(
    until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each stranger who comes would wait for the whole of a fork."""
    async with pool_of(workers=4, reserve=1) as pool:
        await is_full(pool, until, 1)
        monkeypatch.setattr("engine.pool._COLD_S", math.inf)
        for tenant in ("first", "second", "third"):
            await use(pool, tenant)
            await until(lambda: not pool.counts()["starting"], "nothing that starts")
        await use(pool, "fourth")
        assert {"reserve": 0, "idle": 4, "leased": 0, "starting": 0, "waiting": 0} == pool.counts()

        monkeypatch.setattr("engine.pool._COLD_S", 0)
        async with pool.lease("stranger", reuse=True):
            counts = pool.counts()

    assert 1 == counts["starting"] + counts["reserve"]


@pytest.mark.parametrize("size", [{"workers": 1, "reserve": 1}, {"workers": 4}])
async def test_the_only_worker_of_the_only_tenant_stays(until: Any, size: dict[str, int]) -> None:
    """However long it has been idle, and though the reserve has no room."""
    async with pool_of(**size) as pool:
        worker = await use(pool, "acme")
        worker.used -= 60
        pool._settle()
        await until(lambda: not pool.counts()["starting"], "rest")
        pool._settle()

        assert worker is await use(pool, "acme")


async def test_nobody_makes_room_while_there_is_a_blank_worker(until: Any) -> None:
    """As many tenants as there are places but one stay warm."""
    async with pool_of(workers=12, reserve=4) as pool:
        warm = []
        for tenant in range(11):
            warm.append(await use(pool, f"t{tenant}"))
            await until(lambda: not pool.counts()["starting"], "rest")
        for worker in warm:
            worker.used -= 60
        pool._settle()

        assert [False] * 11 == [worker.gone for worker in warm]
        assert 1 == pool.counts()["reserve"]


async def test_a_worker_serves_one_tenant_ever(until: Any) -> None:
    """Whatever the order of callers, and under eviction too."""
    seen: dict[Worker, set[str]] = {}

    async def call(pool: Pool, tenant: str, *, reuse: bool) -> None:
        async with pool.lease(tenant, reuse=reuse) as worker:
            seen.setdefault(worker, set()).add(tenant)
            assert worker.tenant == tenant
            await asyncio.sleep(0)

    async with pool_of(workers=4, reserve=1, wait_ms=60_000) as pool:
        calls = itertools.product(range(8), ["a", "b", "c", "d", "e"], [True, True, False])
        await asyncio.gather(*(call(pool, tenant, reuse=reuse) for _, tenant, reuse in calls))
        await until(lambda: not pool.counts()["starting"], "rest")

        assert {1} == {len(tenants) for tenants in seen.values()}
        assert len(seen) > 40
        assert pool._total() <= 4


async def test_a_tenants_worker_is_used_again() -> None:
    """In tenant mode the second job finds the process of the first."""
    async with pool_of() as pool:
        first, second, other = await use(pool, "acme"), await use(pool, "acme"), await use(pool, "globex")

        assert first.pid == second.pid != other.pid
        assert 2 == second.jobs


async def test_in_invocation_mode_no_worker_is_used_again() -> None:
    """A process for each job, ended after it."""
    async with pool_of() as pool:
        used = [await use(pool, "acme", reuse=False) for _ in range(5)]

        assert 5 == len({worker.pid for worker in used})
        assert all(worker.gone for worker in used)
        assert 0 == pool.counts()["idle"]


async def test_the_mode_of_a_hook_goes_before_that_of_the_settings(hook: Any, sample: Any) -> None:
    """A hook may ask for a process of its own where others share, and the other way round."""
    for mode, own in (("tenant", "invocation"), ("invocation", "tenant")):
        async with Engine(Config(mode=mode)) as engine:
            assert "ok" == (await engine.run(hook("cb()", mode=own), sample)).status
            assert (own == "tenant") == bool(engine.pool.counts()["idle"])


async def test_a_worker_is_replaced_after_so_many_jobs() -> None:
    """`worker_jobs` counts every lease."""
    async with pool_of(worker_jobs=3) as pool:
        used = [await use(pool, "acme") for _ in range(7)]

        assert [3, 3, 1] == [len(list(group)) for _, group in itertools.groupby(worker.pid for worker in used)]
        assert [True, True, False] == [worker.gone for worker in (used[0], used[3], used[6])]


async def test_a_worker_is_replaced_when_it_is_old(until: Any) -> None:
    """An idle one that is over its age is ended by itself; nobody has to ask."""
    async with pool_of(worker_age_s=1) as pool:
        old = await use(pool, "acme")
        await until(lambda: old.gone, "the end of the old worker")

        assert 0 == pool.counts()["idle"]
        assert old.pid != (await use(pool, "acme")).pid


async def test_a_worker_is_ended_when_it_has_been_idle_for_long(until: Any) -> None:
    """Its memory goes back to the machine; the reserve stays."""
    async with pool_of(worker_idle_s=1, reserve=2) as pool:
        idle = await use(pool, "acme")
        await until(lambda: idle.gone, "the end of the idle worker")
        await is_full(pool, until, 2)

        assert await idle.exited == -signal.SIGKILL


async def test_a_worker_that_has_grown_is_replaced(hook: Any, sample: Any) -> None:
    """What one job left in memory is not the next one's to carry."""
    async with Engine(Config(worker_growth_bytes=16 << 20)) as engine:
        small, large = hook("cb()"), hook("x = 'a' * (48 << 20)\ncb()")
        await engine.run(small, sample)
        first = engine.pool._tenancies.idle[0]
        await engine.run(small, sample)
        assert [first] == engine.pool._tenancies.idle

        assert "ok" == (await engine.run(large, sample)).status
        assert first.gone
        assert [] == engine.pool._tenancies.idle


async def test_a_full_queue_refuses_at_once(until: Any) -> None:
    """One caller more than may wait is told to come again."""
    async with pool_of(workers=1, reserve=1, waiting=2, wait_ms=600_000) as pool:
        holder = Holder(pool, "acme")
        await until(lambda: holder.worker, "a lease")
        waiters = [Holder(pool, "acme"), Holder(pool, "globex")]
        await until(lambda: pool.counts()["waiting"] == 2, "two who wait")
        with pytest.raises(PoolBusy, match="2 callers wait"):
            await use(pool, "acme")

        await holder.end()
        await asyncio.gather(*(waiter.end() for waiter in waiters))
        assert 0 == pool.counts()["waiting"]


async def test_waiting_ends_after_its_time(until: Any) -> None:
    """Nobody waits without a bound, and who has left is counted no longer."""
    async with pool_of(workers=1, reserve=1, wait_ms=100) as pool:
        holder = Holder(pool, "acme")
        await until(lambda: holder.worker, "a lease")
        with pytest.raises(PoolBusy, match="100 ms"):
            await use(pool, "globex")
        assert 0 == pool.counts()["waiting"]

        await holder.end()
        await use(pool, "acme")


async def test_one_tenants_full_queue_does_not_refuse_another_whose_worker_is_ready(until: Any) -> None:
    """A flood of one tenant is that tenant's own: a blank worker waits, so nobody has to queue for it."""
    async with pool_of(workers=4, reserve=1, workers_per_tenant=1, waiting=1, wait_ms=600_000) as pool:
        holder = Holder(pool, "flood")
        await until(lambda: holder.worker, "a lease")
        waiter = Holder(pool, "flood")
        await until(lambda: pool.counts()["waiting"] == 1, "one who waits")
        await is_full(pool, until, 1)
        try:
            assert "calm" == (await use(pool, "calm")).tenant
        finally:
            await holder.end()
            await waiter.end()


async def test_a_tenant_has_no_more_than_its_workers(until: Any) -> None:
    """The rest of its callers wait, those of others do not; then each waiter is served."""
    async with pool_of(workers=8, workers_per_tenant=2, wait_ms=600_000) as pool:
        holders = [Holder(pool, "acme") for _ in range(4)]
        await until(lambda: sum(holder.worker is not None for holder in holders) == 2, "two leases")
        await is_full(pool, until, 4)
        other = await use(pool, "globex")

        assert 2 == pool.counts()["waiting"]
        assert not other.gone
        await asyncio.gather(*(holder.end() for holder in holders))
        assert 2 == len({holder.worker for holder in holders})


async def test_tenants_that_wait_are_served_in_turn(until: Any) -> None:
    """However many of one tenant wait before it, another one's caller is next but one."""
    served: list[str] = []

    async def call(pool: Pool, tenant: str) -> None:
        async with pool.lease(tenant, reuse=False):
            served.append(tenant)

    async with pool_of(workers=1, reserve=1, wait_ms=600_000) as pool:
        holder = Holder(pool, "flood", reuse=False)
        await until(lambda: holder.worker, "a lease")
        calls = [asyncio.create_task(call(pool, "flood")) for _ in range(20)]
        await until(lambda: pool.counts()["waiting"] == 20, "a flood")
        calls += [asyncio.create_task(call(pool, tenant)) for tenant in ("calm", "quiet")]
        await until(lambda: pool.counts()["waiting"] == 22, "two more")
        await asyncio.gather(holder.end(), *calls)

        assert ["flood", "calm", "quiet", "flood"] == served[:4]


async def test_a_tenant_that_always_has_another_job_does_not_keep_its_worker_for_ever(until: Any) -> None:
    """Who waits for its place is served while the flood goes on."""
    over = asyncio.Event()

    async def flood(pool: Pool) -> None:
        while not over.is_set():
            async with pool.lease("flood", reuse=True):
                await asyncio.sleep(0.001)

    async with pool_of(workers=1, reserve=0, wait_ms=600_000) as pool:
        calls = [asyncio.create_task(flood(pool)) for _ in range(4)]
        await until(lambda: pool.counts()["waiting"] == 3, "a flood")
        async with asyncio.timeout(30):
            assert "calm" == (await use(pool, "calm")).tenant
        over.set()
        await asyncio.gather(*calls)


async def test_a_flood_that_fills_the_line_gives_way_to_others(until: Any) -> None:
    """Who comes last of those that wait most is refused, not who comes with a single call."""
    async with pool_of(workers=1, reserve=1, waiting=3, wait_ms=600_000) as pool:
        holder = Holder(pool, "flood")
        await until(lambda: holder.worker, "a lease")
        flood = [Holder(pool, "flood") for _ in range(3)]
        await until(lambda: pool.counts()["waiting"] == 3, "a full line")
        calm = Holder(pool, "calm")
        with pytest.raises(PoolBusy, match="3 callers wait"):
            await flood[-1].task

        assert 3 == pool.counts()["waiting"]
        await asyncio.gather(*(waiter.end() for waiter in (holder, *flood[:2], calm)))
        assert calm.worker is not None


async def test_an_own_idle_worker_is_had_at_once_though_others_wait(until: Any) -> None:
    """It is of no use to those."""
    async with pool_of(workers=4, reserve=0, workers_per_tenant=1, wait_ms=600_000) as pool:
        idle = await use(pool, "calm")
        holder = Holder(pool, "flood")
        await until(lambda: holder.worker, "a lease")
        waiter = Holder(pool, "flood")
        await until(lambda: pool.counts()["waiting"] == 1, "one who waits")

        assert idle is await use(pool, "calm")
        await asyncio.gather(holder.end(), waiter.end())


async def test_who_has_no_time_left_waits_no_longer(until: Any) -> None:
    """That is not the pool's fault: it is told apart from a pool that is busy."""
    async with pool_of(workers=1, reserve=1, wait_ms=600_000) as pool:
        holder = Holder(pool, "acme")
        await until(lambda: holder.worker, "a lease")
        with pytest.raises(Overdue):
            async with pool.lease("acme", reuse=True, until=asyncio.get_running_loop().time() + 0.05):
                pass

        assert 0 == pool.counts()["waiting"]
        await holder.end()


async def test_the_longest_idle_worker_makes_room(until: Any) -> None:
    """When every place is taken, a new tenant gets that of whoever was away longest."""
    async with pool_of(workers=2, reserve=0, wait_ms=600_000) as pool:
        first, second = await use(pool, "a"), await use(pool, "b")
        third = await use(pool, "c")
        await until(lambda: not pool.counts()["starting"], "rest")

        assert (True, False, False) == (first.gone, second.gone, third.gone)
        assert pool._total() <= 2


async def test_an_own_idle_worker_makes_room_for_a_job_that_must_not_use_it() -> None:
    """A tenant at its bound by idle workers alone is not made to wait for nothing."""
    async with pool_of(workers=4, reserve=0, workers_per_tenant=1, wait_ms=800) as pool:
        idle = await use(pool, "acme")
        fresh = await use(pool, "acme", reuse=False)

        assert fresh.pid != idle.pid


async def test_a_waiter_who_is_cancelled_leaves_nothing_behind(until: Any) -> None:
    """The counts return to where they were, and the next one in the queue is served."""
    async with pool_of(workers=1, reserve=0, wait_ms=600_000) as pool:
        holder = Holder(pool, "acme")
        await until(lambda: holder.worker, "a lease")
        before = pool.counts()
        leaver, stayer = Holder(pool, "acme"), Holder(pool, "acme")
        await until(lambda: pool.counts()["waiting"] == 2, "two who wait")
        leaver.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver.task
        assert pool.counts() == before | {"waiting": 1}

        await holder.end()
        await stayer.end()
        assert {"reserve": 0, "idle": 1, "leased": 0, "starting": 0, "waiting": 0} == pool.counts()


@pytest.mark.parametrize("reuse", [True, False])
async def test_a_waiter_cancelled_just_before_a_worker_is_free_does_not_take_it(until: Any, reuse: bool) -> None:  # noqa: FBT001
    """Both happen in one turn of the event loop: the caller who gives back must not pay for it."""
    async with pool_of(workers=2, reserve=0, workers_per_tenant=1, wait_ms=10_000, drain_ms=0) as pool:
        holder = Holder(pool, "acme", reuse=reuse)
        await until(lambda: holder.worker, "a lease")
        leaver = Holder(pool, "acme", reuse=reuse)
        await until(lambda: pool.counts()["waiting"] == 1, "one who waits")
        holder.release.set()
        leaver.task.cancel()
        ends = await asyncio.gather(holder.task, leaver.task, return_exceptions=True)

        assert [type(None), asyncio.CancelledError] == [type(end) for end in ends]
        await until(lambda: not pool.counts()["starting"], "rest")
        assert {"leased": 0, "waiting": 0} == {name: pool.counts()[name] for name in ("leased", "waiting")}
        await use(pool, "acme", reuse=reuse)


async def test_a_waiter_cancelled_just_after_a_worker_was_given_gives_it_back(until: Any) -> None:
    """The worker was the caller's for no time at all, and is nobody's afterwards."""
    async with pool_of(workers=1, reserve=0, wait_ms=600_000) as pool:
        await use(pool, "acme")
        worker = pool.take_at_once("acme", reuse=True)
        assert worker is not None
        leaver = Holder(pool, "acme")
        await until(lambda: pool.counts()["waiting"] == 1, "one who waits")
        pool.give_back(worker, reuse=True)
        leased = pool.counts()["leased"]
        leaver.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver.task

        assert 1 == leased
        assert [worker] == pool._tenancies.idle
        assert 0 == pool.counts()["leased"]


async def test_a_caller_who_is_cancelled_ends_the_worker(until: Any, hook: Any, sample: Any) -> None:
    """A job that nobody waits for is not run to its end."""
    async with Engine(Config(reserve=1)) as engine:
        await engine.check(hook(LONG))
        running = asyncio.create_task(engine.run(hook(LONG), sample))
        worker = await until(lambda: next(iter(engine.pool._tenancies.leased), None), "a lease")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        assert worker.gone
        assert await worker.exited == -signal.SIGKILL
        await is_full(engine.pool, until, 1)
        assert {"reserve": 1, "idle": 0, "leased": 0, "starting": 0, "waiting": 0} == engine.pool.counts()
        assert "ok" == (await engine.run(hook("cb()"), sample)).status


async def test_one_of_two_callers_of_a_check_may_be_cancelled(hook: Any, sample: Any) -> None:
    """They share it, but not their fates."""
    async with Engine(Config()) as engine:
        first, second = (asyncio.create_task(engine.run(hook("cb(None, 1)"), sample)) for _ in range(2))
        await asyncio.sleep(0)  # both have asked
        first.cancel()
        ends = await asyncio.gather(first, second, return_exceptions=True)

        assert isinstance(ends[0], asyncio.CancelledError)
        assert isinstance(ends[1], Outcome)
        assert "ok" == ends[1].status


async def test_a_drain_waits_for_the_job_under_way_and_refuses_others(until: Any, hook: Any, sample: Any) -> None:
    """The last job ends as it would have; nobody new is let in."""
    async with Engine(Config(drain_ms=60_000)) as engine:
        slow, quick = hook("import time\ntime.sleep(1)\ncb(None, 'done')"), hook("cb()")
        await engine.check(slow)
        await engine.check(quick)
        running = asyncio.create_task(engine.run(slow, sample))
        await until(lambda: engine.pool.counts()["leased"], "a lease")
        drain = asyncio.create_task(engine.pool.drain())
        await asyncio.sleep(0)  # it has begun
        with pytest.raises(EngineClosed):
            await engine.run(quick, sample)
        assert not drain.done()
        await drain

        assert "done" == (await running).value()
        assert 0 == engine.pool.counts()["leased"]
        with pytest.raises(EngineClosed):
            await engine.run(quick, sample)


async def test_a_drain_refuses_those_who_wait(until: Any) -> None:
    """They are told at once instead of being kept to the end."""
    async with pool_of(workers=1, reserve=1, wait_ms=600_000) as pool:
        holder = Holder(pool, "acme")
        await until(lambda: holder.worker, "a lease")
        waiter = Holder(pool, "globex")
        await until(lambda: pool.counts()["waiting"] == 1, "one who waits")
        drain = asyncio.create_task(pool.drain())
        with pytest.raises(EngineClosed):
            await waiter.task
        assert not drain.done()

        await holder.end()
        await drain


async def test_a_drain_ends_what_does_not_end_in_time(until: Any, hook: Any, sample: Any) -> None:
    """After `drain_ms` the job is killed, and its caller is not told that it was the hook's memory."""
    begun = time.monotonic()
    async with Engine(Config(drain_ms=200, wall_ms=600_000)) as engine:
        long = hook("import time\ntime.sleep(300)\ncb()")
        await engine.check(long)
        running = asyncio.create_task(engine.run(long, sample))
        worker = await until(lambda: next(iter(engine.pool._tenancies.leased), None), "a lease")
    (end,) = await asyncio.gather(running, return_exceptions=True)

    assert worker.gone
    assert time.monotonic() - begun < 60
    assert isinstance(end, (EngineClosed, Outcome))
    if isinstance(end, Outcome):
        assert end.status not in ("ok", "out_of_memory")
        assert "memory" not in end.message


async def test_an_idle_worker_killed_from_outside_is_replaced(until: Any, hook: Any, sample: Any) -> None:
    """The next job of its tenant gets another one and notices nothing."""
    async with Engine(Config()) as engine:
        await engine.run(hook("cb()"), sample)
        worker = engine.pool._tenancies.idle[0]
        signal.pidfd_send_signal(worker.pidfd, signal.SIGKILL)
        await until(lambda: worker.gone, "the end of the worker")

        assert "ok" == (await engine.run(hook("cb()"), sample)).status
        assert [worker] != engine.pool._tenancies.idle


async def test_a_blank_worker_killed_from_outside_is_replaced(until: Any, hook: Any, sample: Any) -> None:
    """Nobody is given a dead one."""
    async with Engine(Config(reserve=2)) as engine:
        await is_full(engine.pool, until, 2)
        blank = list(engine.pool._reserve)
        for worker in blank:
            signal.pidfd_send_signal(worker.pidfd, signal.SIGKILL)
        await until(lambda: all(worker.gone for worker in blank), "the end of the workers")

        assert "ok" == (await engine.run(hook("cb()"), sample)).status
        assert not any(worker.jobs for worker in blank)


async def test_a_dead_zygote_is_replaced_at_the_next_run(until: Any, hook: Any, sample: Any, zygote_pid: Any) -> None:
    """Its workers die with it; the next caller waits for a fresh one and is served."""
    async with Engine(Config()) as engine:
        await engine.run(hook("cb()"), sample)
        dead = zygote_pid(engine)
        workers = [*engine.pool._tenancies.idle, *engine.pool._reserve]
        os.kill(dead, signal.SIGKILL)
        await until(lambda: all(worker.gone for worker in workers), "the end of its workers")

        assert "ok" == (await engine.run(hook("cb()"), sample)).status
        assert "ok" == (await engine.run(hook("cb()", tenant="globex"), sample)).status
        assert dead != zygote_pid(engine)


async def test_a_job_whose_zygote_dies_is_not_blamed_on_its_memory(
    until: Any, hook: Any, sample: Any, zygote_pid: Any
) -> None:
    """It is our fault or the machine's: the caller may try again."""
    async with Engine(Config()) as engine:
        await engine.check(hook(LONG))
        running = asyncio.create_task(engine.run(hook(LONG), sample))
        await until(lambda: engine.pool.counts()["leased"], "a lease")
        os.kill(zygote_pid(engine), signal.SIGKILL)
        (end,) = await asyncio.gather(running, return_exceptions=True)

        assert not isinstance(end, Outcome) or "out_of_memory" != end.status
        assert "ok" == (await engine.run(hook("cb()"), sample)).status


async def test_a_fresh_zygote_takes_over_without_a_pause(until: Any, zygote_pid: Any) -> None:
    """Jobs under way keep their worker; the old zygote ends with the last of them; the reserve is made anew."""
    async with Engine(Config(zygote_age_s=1, reserve=2)) as engine:
        pool = engine.pool
        await is_full(pool, until, 2)
        old = engine._spawner._current
        assert old is not None
        holder = Holder(pool, "acme", reuse=False)
        worker = await until(lambda: holder.worker, "a lease")
        await is_full(pool, until, 2)
        blank = list(pool._reserve)
        await until(lambda: zygote_pid(engine) != old._process.pid, "a fresh zygote")
        await until(lambda: all(each.gone for each in blank), "the end of the old reserve")

        assert (False, None) == (worker.gone, old._process.poll())
        assert not (await use(pool, "globex")).gone
        await holder.end()
        await until(lambda: old._process.returncode is not None, "the end of the old zygote")
        assert not old.alive
