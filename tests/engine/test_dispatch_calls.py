"""Calls that somebody waits for: admitted, run, and recorded behind the reply."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from house import POINT, House, a_house

from engine.admission import Admission
from engine.app import Engine
from engine.config import Config
from engine.dispatch import Calls
from engine.errors import PoolBusy, Refusal
from engine.points import point_named
from engine.queue.recording import Recorder
from tenants import executions
from tenants.records import Execution, Tenant
from tenants.rows import Rows

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLEEP = "import time\ntime.sleep(30)\ncb()"


class Caller:
    """Calls a point as the API does; `recorder` writes when the test says so."""

    def __init__(self, house: House, **config: Any) -> None:
        self.house = house
        self.recorder = Recorder(house.store)
        self.admission = Admission(Config(**config))
        self.calls = Calls(house.dispatcher, self.admission, self.recorder)

    async def call(self, tenant: Tenant, **user: Any) -> Any:
        """On the point's sample, with other fields of its user."""
        point = point_named(POINT)
        arguments = point.encode_arguments(point.sample | {"user": point.sample["user"] | user}, 1 << 20)
        deadline = asyncio.get_running_loop().time() + 30
        return await self.calls.call(tenant, point, arguments, deadline=deadline)

    async def recorded(self, tenant: Tenant) -> list[Execution]:
        """All that is, once it is written."""
        self.recorder.open()
        await self.recorder.close()
        return list(await asyncio.wrap_future(self.house.store.read(tenant.id, _all)))


def _all(rows: Rows) -> list[Execution]:
    """The newest first, with all that is kept of them."""
    return [executions.get(rows, listed.id) for listed in executions.page(rows)]


async def test_a_call_is_recorded_with_all_that_came_of_it(house: House) -> None:
    acme, caller = house.tenant(), Caller(house)
    hook = await house.hook(acme, 'console.log("here")\ncb(None, {"user": {"app_metadata": {"vip": True}}})')
    ended, timings = await caller.call(acme)
    (kept,) = await caller.recorded(acme)
    (run,) = kept.outcome["hooks"]

    assert {"user": {"app_metadata": {"vip": True}}} == json.loads(ended.response)
    assert (ended.id, POINT, True, (hook.id,), "success") == (
        kept.id,
        kept.trigger_id,
        kept.blocking,
        kept.hook_ids,
        kept.status,
    )
    assert (1, 1) == (kept.attempt, kept.position)
    assert ("ok", "here", 1) == (run["outcome"]["status"], run["outcome"]["logs"][0]["text"], run["version"])
    assert timings.run_ms == kept.outcome["timings"]["run_ms"] > 0
    assert timings.lease_ms == kept.outcome["timings"]["lease_ms"]
    assert kept.created_ms == kept.started_ms == kept.run_at_ms
    assert kept.ended_ms is not None
    assert kept.ended_ms >= kept.created_ms


async def test_a_secret_argument_is_recorded_nowhere(house: House) -> None:
    """Neither in the arguments, nor where the hook itself has told of it."""
    acme, caller = house.tenant(), Caller(house)
    await house.hook(acme, "console.log(user.password)\ncb(Error(user.password))")
    await caller.call(acme, password="correct horse")
    (kept,) = await caller.recorded(acme)

    assert "password" not in json.loads(kept.arguments)["user"]
    assert "email" in json.loads(kept.arguments)["user"]
    assert "correct horse" not in str(kept)


@pytest.mark.parametrize(
    "body",
    [
        'cb(None, {"user": {"app_metadata": {"key": KEY, KEY: "Basic " + KEY}}})',
        'cb(None, {"user": {"app_metadata": {"key": KEY, "long": "x" * 6000}}})',
        'cb(None, {"user": {"app_metadata": {"key": KEY, "long": "x" * 60000}}})',
        'cb(None, {"user": {"app_metadata": {KEY + ".a": 1}}})',
    ],
)
async def test_a_secret_that_a_hook_answers_is_its_callers_and_recorded_nowhere(house: House, body: str) -> None:
    acme, caller = house.tenant(), Caller(house)
    hook = await house.hook(acme, f"KEY = context.webtask.secrets.KEY\n{body}")
    house.secret(acme, hook, "KEY", "hunter-2-hunter")
    ended, _ = await caller.call(acme)
    (kept,) = await caller.recorded(acme)

    assert (b"hunter-2-hunter" in ended.response) is (ended.error is None)
    assert "hunter" not in str(kept)
    assert "***" in str(kept.outcome)


async def test_a_secret_that_a_hook_answers_is_not_recorded_of_the_next_one(house: House) -> None:
    """Which was given it."""
    acme, caller = house.tenant(), Caller(house)
    first = await house.hook(
        acme, 'cb(None, {"user": {"app_metadata": {"key": context.webtask.secrets.KEY}}})', name="first"
    )
    house.secret(acme, first, "KEY", "hunter-2-hunter")
    await house.hook(acme, "console.log(context.webtask.response)\ncb(None, context.webtask.response)", name="next")
    ended, _ = await caller.call(acme)
    (kept,) = await caller.recorded(acme)

    assert b"hunter-2-hunter" in ended.response
    assert "hunter" not in str(kept)
    assert "app_metadata" in kept.outcome["hooks"][1]["outcome"]["logs"][0]["text"]


async def test_an_error_is_recorded_as_one(house: House) -> None:
    acme, caller = house.tenant(), Caller(house)
    await house.hook(acme, 'cb(Error("no"))')
    ended, _ = await caller.call(acme)
    (kept,) = await caller.recorded(acme)

    assert ("error", "no", 0) == (kept.status, kept.outcome["message"], kept.position)
    assert json.loads(ended.error) == kept.outcome["error"]


async def test_a_call_without_hooks_leaves_no_record(house: House) -> None:
    acme, caller = house.tenant(), Caller(house)
    ended, _ = await caller.call(acme)

    assert b"{}" == ended.response
    assert [] == await caller.recorded(acme)


async def test_the_record_is_made_behind_the_reply(house: House) -> None:
    acme, caller = house.tenant(), Caller(house)
    await house.hook(acme, "cb()")
    await caller.call(acme)

    assert 1 == caller.recorder.waiting
    assert 1 == len(await caller.recorded(acme))


async def test_a_caller_who_hangs_up_is_recorded_and_holds_nothing(house: House, until: Any) -> None:
    acme, caller = house.tenant(), Caller(house, jobs_at_once=1)
    await house.hook(acme, SLEEP)
    calling = asyncio.create_task(caller.call(acme))
    await until(lambda: house.engine.pool.leased, "a lease")
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    (kept,) = await caller.recorded(acme)

    assert ("error", "the caller did not wait for the end") == (kept.status, kept.outcome["message"])
    assert 0 == house.engine.pool.leased
    with caller.admission.admit(acme):
        pass


async def test_who_has_too_many_under_way_is_refused_before_anything_is_run(house: House, until: Any) -> None:
    acme, caller = house.tenant(), Caller(house, jobs_at_once=1)
    await house.hook(acme, SLEEP)
    calling = asyncio.create_task(caller.call(acme))
    await until(lambda: house.engine.pool.leased, "a lease")
    with pytest.raises(Refusal, match="jobs_at_once"):
        await caller.call(acme)
    calling.cancel()
    await asyncio.wait({calling})

    assert 1 == len(await caller.recorded(acme))


async def test_a_call_that_no_worker_could_be_had_for_is_not_recorded(tmp_path: Path, until: Any) -> None:
    """Nothing of it was run: the application tries again."""
    async with (
        Engine(Config(workers=1, reserve=1, wait_ms=100)) as engine,
        a_house(engine, tmp_path) as house,
    ):
        acme, caller = house.tenant(), Caller(house)
        await house.hook(acme, SLEEP)
        calling = asyncio.create_task(caller.call(acme))
        await until(lambda: engine.pool.leased, "a lease")
        with pytest.raises(PoolBusy, match="100 ms"):
            await caller.call(acme)

        assert [] == await caller.recorded(acme)
        calling.cancel()
        await asyncio.wait({calling})


async def test_a_flood_of_one_tenant_leaves_another_its_place(tmp_path: Path) -> None:
    """200 callers of slow hooks at once, of whom most are refused; somebody else's call is answered among them."""
    async with (
        Engine(Config(workers=4, reserve=1, workers_per_tenant=2, waiting=16)) as engine,
        a_house(engine, tmp_path) as house,
    ):
        flood, calm, caller = house.tenant("flood"), house.tenant("calm"), Caller(house, jobs_at_once=32)
        await house.hook(flood, "import time\ntime.sleep(0.05)\ncb()")
        await house.hook(calm, "cb()")
        flooding = [asyncio.create_task(caller.call(flood)) for _ in range(200)]
        await asyncio.sleep(0)
        for _ in range(5):
            ended, _ = await caller.call(calm)
            assert ended.error is None
        ends = await asyncio.gather(*flooding, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, Refusal)]
        busy = [end for end in ends if isinstance(end, PoolBusy)]

        assert 168 == len(refused)
        assert {"jobs_at_once"} == {end.code for end in refused}
        assert 32 - 18 <= len(busy) < 32
        await caller.recorded(flood)
