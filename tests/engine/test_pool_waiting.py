"""Who waits for a worker: each in turn and for a bounded time, and who goes away leaves nothing behind."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from leasing import Holder, is_full, pool_of, use

from engine.app import Engine
from engine.config import Config
from engine.errors import EngineClosed, PoolBusy
from engine.pool import Overdue, Pool


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


async def test_who_wants_a_process_of_its_own_is_not_given_one_that_was_used(until: Any) -> None:
    async with pool_of(workers=2, reserve=1, workers_per_tenant=1) as pool:
        holder = Holder(pool, "acme")
        await until(lambda: holder.worker, "a lease")
        other = Holder(pool, "acme", reuse=False)
        await until(lambda: pool.counts()["waiting"] == 1, "one who waits")
        await holder.end()
        worker = await until(lambda: other.worker, "its worker")
        assert (0, False) == (worker.jobs, worker is holder.worker)
        await other.end()


async def test_who_gives_back_serves_others_in_the_same_moment(until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not only when the pool is swept."""
    monkeypatch.setattr("engine.pool._SWEEP_S", 600)
    async with pool_of(workers=1, reserve=0, wait_ms=20_000) as pool:
        holder = Holder(pool, "acme")
        await until(lambda: holder.worker, "a lease")
        monkeypatch.setattr("engine.pool._PATIENCE_S", 0)
        other = Holder(pool, "globex")
        await until(lambda: pool.counts()["waiting"] == 1, "one who waits")
        await holder.end()
        await until(lambda: other.worker or other.task.done(), "its worker")
        await other.end()


async def test_a_pool_gives_nothing_before_it_is_started_and_after_it_has_ended() -> None:
    engine = Engine(Config())
    with pytest.raises(EngineClosed):
        engine.pool.take_at_once("acme", reuse=True)
    async with engine:
        await use(engine.pool, "acme")
    with pytest.raises(EngineClosed):
        engine.pool.take_at_once("acme", reuse=True)
    with pytest.raises(EngineClosed):
        await engine.__aenter__()


async def test_a_pool_that_is_told_to_end_while_it_starts_does_not_open() -> None:
    engine = Engine(Config())
    starting = asyncio.create_task(engine.__aenter__())
    await asyncio.sleep(0)
    engine.hurry()
    await starting
    with pytest.raises(EngineClosed):
        engine.pool.take_at_once("acme", reuse=True)
    await engine.__aexit__(None, None, None)
