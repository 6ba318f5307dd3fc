"""The pool's promises: one tenant a worker, bounded waiting, nothing lost when callers go, nothing left when it ends."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import time
from typing import Any

import pytest
from leasing import Holder, is_full, pool_of, use

from engine.app import Engine
from engine.config import Config
from engine.errors import EngineClosed
from engine.outcome import Outcome
from engine.pool import Pool
from engine.worker import Worker

LONG = "import time\ntime.sleep(60)\ncb()"


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


async def test_a_caller_who_is_cancelled_ends_the_worker(until: Any, hook: Any, sample: Any) -> None:
    """A job that nobody waits for is not run to its end."""
    async with Engine(Config(reserve=1)) as engine:
        await engine.job(hook(LONG), sample)  # compiled: the next lease is that of the run
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
        await engine.job(hook(LONG), sample)  # compiled: the next lease is that of the run
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


async def test_a_worker_that_comes_back_while_the_pool_drains_is_ended(until: Any) -> None:
    async with pool_of(drain_ms=60_000) as pool:
        holder = Holder(pool, "acme")
        worker = await until(lambda: holder.worker, "a lease")
        draining = asyncio.create_task(pool.drain())
        await asyncio.sleep(0)
        await holder.end()
        assert (True, 0) == (worker.gone, pool.counts()["idle"])
        await draining


async def test_a_fork_that_fails_by_a_fault_of_ours_is_told(until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fork() -> None:
        raise ZeroDivisionError

    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    async with pool_of(workers=4, reserve=1) as pool:
        await is_full(pool, until, 1)
        monkeypatch.setattr(pool._spawner, "fork", fork)
        await use(pool, "acme")
        await until(lambda: gc.collect() is not None and told, "the fault")

    assert {ZeroDivisionError} == {type(error) for error in told}
