"""An invocation, from what is asked to what came of it: real hooks in real workers over a real store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from house import POINT, House, a_house, draft_of_old, source

from engine.app import Engine
from engine.config import Config
from engine.errors import EngineClosed
from engine.invocation import Ended
from engine.live import Told
from engine.points import point_named
from tenants import register
from tenants.errors import Missing

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUEUED = "post-change-password"
METADATA = 'cb(None, {"user": {"user_metadata": {"%s": 1}}})'
SLEEP = "import time\ntime.sleep(30)\ncb()"
HUNGRY = "x = [0] * (1 << 30)\ncb()"


def read(raw: bytes | None) -> Any:
    return None if raw is None else json.loads(raw)


def statuses(ended: Ended) -> list[str]:
    return [run.outcome.status for run in ended.runs]


async def test_without_a_hook_the_default_is_answered(house: House) -> None:
    ended = await house.run(house.tenant(), "credentials-exchange")
    scope = point_named("credentials-exchange").sample["scope"]

    assert ((), 0, {"scope": scope}, None) == (ended.runs, ended.position, read(ended.response), ended.error)


async def test_hooks_run_in_their_order_each_over_what_was_answered_before(house: House) -> None:
    acme = house.tenant()
    await house.hook(acme, METADATA % "a", name="a", order=1)
    await house.hook(acme, "console.log(context.webtask.response.user.user_metadata.a)\n" + METADATA % "b", name="b")
    hooks = await house.standings.of(acme.id)
    first, second = hooks.of_point(POINT)
    assert ["b", "a"] == [first.record.name, second.record.name]

    house.change(acme, first.record, order=2)
    ended = await house.run(acme)

    assert (["a", "b"], ["ok", "ok"], 2) == ([run.name for run in ended.runs], statuses(ended), ended.position)
    assert {"user": {"user_metadata": {"a": 1, "b": 1}}} == read(ended.response)
    assert "1" == ended.runs[1].outcome.logs[0].text
    assert (ended.error, ended.failed) == (None, None)


async def test_the_first_error_ends_it(house: House) -> None:
    acme = house.tenant()
    for order, (name, body) in enumerate((("a", METADATA % "a"), ("b", 'cb(Error("no"))'), ("c", "cb()"))):
        await house.hook(acme, body, name=name, order=order)
    ended = await house.run(acme)

    assert (["ok", "denied"], 1) == (statuses(ended), ended.position)
    assert ended.failed is ended.runs[-1]
    assert ("no", 400) == (read(ended.error)["message"], read(ended.error)["statusCode"])
    assert {"user": {"user_metadata": {"a": 1}}} == read(ended.response)


async def test_a_response_that_the_point_refuses_ends_the_hook_as_bad_result(house: House) -> None:
    acme = house.tenant()
    await house.hook(acme, METADATA % "a.b")
    ended = await house.run(acme)

    assert (["bad_result"], 0, "ResponseError") == (statuses(ended), ended.position, read(ended.error)["name"])
    assert "a.b" in ended.runs[0].outcome.message
    assert b"null" == bytes(ended.runs[0].outcome.result)


async def test_a_hook_that_cannot_run_answers_why(house: House) -> None:
    acme = house.tenant()
    house.stored(acme, draft_of_old("import os\n" + source("cb()")))
    ended = await house.run(acme)

    assert ["rejected"] == statuses(ended)
    assert "hook it: line 1" in read(ended.error)["message"]


async def test_every_attempt_tells_the_hook_whose_it_is_and_which(house: House) -> None:
    acme = house.tenant()
    hook = await house.hook(
        acme, "w = context.webtask\ncb(Error(f'{w.execution_id} {w.attempt} {w.response}'))", trigger_id=QUEUED
    )
    first = await house.run(acme, QUEUED, id="ID", hook_ids=(hook.id,))
    third = await house.run(acme, QUEUED, id="ID", hook_ids=(hook.id,), attempt=3)

    assert ["ID 1 {}", "ID 3 {}"] == [read(ended.error)["message"] for ended in (first, third)]


async def test_a_later_attempt_goes_on_where_an_earlier_one_ended(house: House) -> None:
    acme = house.tenant()
    hooks = [await house.hook(acme, METADATA % name, name=name) for name in "abc"]
    answered = b'{"user":{"user_metadata":{"z":1}}}'
    ended = await house.run(acme, hook_ids=tuple(hook.id for hook in hooks), position=2, response=answered, attempt=2)

    assert (["c"], 3) == ([run.name for run in ended.runs], ended.position)
    assert {"user": {"user_metadata": {"z": 1, "c": 1}}} == read(ended.response)


async def test_hooks_that_were_enabled_or_disabled_since_are_none_of_a_queued_invocation(house: House) -> None:
    acme = house.tenant()
    off, on = [await house.hook(acme, METADATA % name, name=name) for name in ("off", "on")]
    await house.hook(acme, METADATA % "new", name="new")
    house.change(acme, off, enabled=False)
    ended = await house.run(acme, hook_ids=(off.id, on.id))

    assert (["on"], 2, None) == ([run.name for run in ended.runs], ended.position, ended.error)


async def test_an_invocation_all_of_whose_hooks_are_gone_is_an_error(house: House) -> None:
    """It is not lost without a word, and can be run again once they are back."""
    acme = house.tenant()
    hook = await house.hook(acme, "cb()")
    house.change(acme, hook, enabled=False)
    ended = await house.run(acme, hook_ids=(hook.id,))

    assert ((), None) == (ended.runs, ended.failed)
    assert "the hooks that were enabled when this was accepted are not any more" == read(ended.error)["message"]


async def test_what_had_ended_well_before_the_rest_was_disabled_is_a_success(house: House) -> None:
    acme = house.tenant()
    hooks = [await house.hook(acme, METADATA % name, name=name) for name in "ab"]
    for hook in hooks:
        house.change(acme, hook, enabled=False)
    ended = await house.run(acme, hook_ids=tuple(hook.id for hook in hooks), position=1, response=b'{"a":1}')

    assert ((), 2, b'{"a":1}', None) == (ended.runs, ended.position, ended.response, ended.error)


async def test_one_deadline_goes_through_all_hooks(house: House) -> None:
    """The second one has what the first one left."""
    acme = house.tenant()
    await house.hook(acme, "import time\ntime.sleep(1.5)\ncb()", name="a", order=1)
    await house.hook(acme, SLEEP, name="b", order=2)
    ended = await house.run(acme, within_s=4.0)

    assert (["ok", "timeout"], "TimeoutError") == (statuses(ended), read(ended.error)["name"])
    assert ended.runs[1].outcome.usage.wall_ms < 3_900  # at most 2,500, and what a busy machine adds


async def test_when_no_time_is_left_the_hook_is_not_begun(house: House) -> None:
    acme = house.tenant()
    await house.hook(acme, "cb()")
    ended = await house.run(acme, within_s=0)

    assert ["timeout"] == statuses(ended)
    assert "the time for this call was used up before the hook could begin" == read(ended.error)["message"]


async def test_who_hangs_up_frees_the_worker_at_once(house: House, until: Any) -> None:
    acme = house.tenant()
    await house.hook(acme, SLEEP)
    running = asyncio.create_task(house.run(acme))
    worker = await until(lambda: next(iter(house.engine.pool._tenancies.leased), None), "a lease")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert worker.gone
    assert 0 == house.engine.pool.leased


async def test_a_change_that_was_acknowledged_is_what_runs(house: House) -> None:
    acme = house.tenant()
    hook = await house.hook(acme, METADATA % "v0")
    for number in range(1, 6):
        house.change(acme, hook, draft=await house.draft(acme, METADATA % f"v{number}"), by=house.other)

        assert {"user": {"user_metadata": {f"v{number}": 1}}} == read((await house.run(acme)).response)


async def test_a_hook_that_keeps_losing_its_process_is_left_alone_and_others_are_not(house: House) -> None:
    acme = house.tenant(multiple_hooks=False)
    hungry = await house.hook(acme, HUNGRY)
    await house.hook(acme, "cb()", name="other", trigger_id="credentials-exchange")
    ends = [await house.run(acme) for _ in range(2)]
    assert ["timeout"] == statuses(await house.run(acme, within_s=0))  # it was not begun: that is no better end
    ends.append(await house.run(acme))
    refused = await house.run(acme)

    assert [["out_of_memory"]] * 3 == [statuses(ended) for ended in ends]
    assert ("crashed", 0.0) == (refused.runs[0].outcome.status, refused.runs[0].outcome.usage.wall_ms)
    assert "the hook was not run: it crashed 3 times in a row" in read(refused.error)["message"]
    assert "CrashError" == read(refused.error)["name"]
    assert ["ok"] == statuses(await house.run(acme, "credentials-exchange"))
    house.change(acme, hungry, draft=await house.draft(acme, METADATA % "mended"))
    assert ["ok"] == statuses(await house.run(acme))


async def test_a_tenant_that_is_gone_is_missing(house: House) -> None:
    acme = house.tenant()
    house.store.write_all(register.remove, acme.id).result(60)
    with pytest.raises(Missing):
        await house.run(acme)


async def test_what_is_the_engines_own_fault_is_no_end_of_the_hook(tmp_path: Path) -> None:
    async with Engine(Config(reserve=1)) as engine, a_house(engine, tmp_path) as house:
        acme = house.tenant()
        await house.hook(acme, "cb()")
        await engine.pool.drain()
        with pytest.raises(EngineClosed):
            await house.run(acme)


async def events(house: House, tenant_id: str, *runs: Any) -> list[Told]:
    """What a follower is told while these are awaited, up to as many ends."""
    told: list[Told] = []
    with house.live.follow(tenant_id) as follower:
        for run in runs:
            await run
        while sum(event.kind == "end" for event in told) < len(runs):
            told.append(await anext(follower))
    return told


async def test_a_follower_is_told_the_lines_and_the_end_of_each_attempt(house: House) -> None:
    acme = house.tenant()
    hook = await house.hook(
        acme, 'console.warn("it is", context.webtask.secrets.KEY)\ncb(Error("no"))', trigger_id=QUEUED
    )
    house.secret(acme, hook, "KEY", "s3cret")
    line, end = await events(house, acme.id, house.run(acme, QUEUED, id="ID"))

    assert {
        "execution_id": "ID",
        "trigger_id": QUEUED,
        "hook": "it",
        "level": "warn",
        "text": "it is ***",
        "line": 2,
    } == {name: value for name, value in line.event.items() if name != "at"}
    assert ("error", "no", "it", "ID") == tuple(
        end.event[name] for name in ("status", "message", "hook", "execution_id")
    )


async def test_a_follower_is_told_no_secret_argument(house: House) -> None:
    """What is never stored is not shown either."""
    acme = house.tenant()
    await house.hook(acme, "console.log('pw', user.password)\ncb(Error(user.password))")
    password = point_named(POINT).sample["user"]["password"]
    line, end = await events(house, acme.id, house.run(acme))

    assert ("pw ***", "***") == (line.event["text"], end.event["message"])
    assert password not in str((line.event, end.event))


async def test_a_success_ends_with_a_mark_too(house: House) -> None:
    acme = house.tenant()
    await house.hook(acme, "cb()")
    (end,) = await events(house, acme.id, house.run(acme))

    assert ("end", "success", "", None) == (end.kind, *(end.event[name] for name in ("status", "message", "hook")))


async def test_a_follower_is_not_told_of_what_ran_nothing(house: House) -> None:
    acme = house.tenant()
    with house.live.follow(acme.id) as follower:
        await house.run(acme)
        await house.hook(acme, "cb('no')")
        await house.run(acme)
        first = await anext(follower)

    assert "error" == first.event["status"]


async def test_the_wait_for_a_worker_is_told_apart(tmp_path: Path, until: Any) -> None:
    """The only worker is at work for as long as the test says."""
    async with Engine(Config(workers=1, reserve=1, wall_ms=60_000)) as engine, a_house(engine, tmp_path) as house:
        acme, loop = house.tenant(), asyncio.get_running_loop()
        await house.hook(acme, "cb()")
        async with engine.pool.lease(acme.id, reuse=True):
            running = asyncio.create_task(house.run(acme))
            await until(lambda: engine.pool.counts()["waiting"], "a caller that waits")
            seen = loop.time()
            await until(lambda: loop.time() - seen > 0.5, "half a second")
        (run,) = (await running).runs

    assert run.lease_ms > 500
    assert run.outcome.usage.wall_ms < run.lease_ms
