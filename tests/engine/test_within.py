"""What a job has of its invocation: its id, its attempt, what was answered before, the time that is left, who listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from engine.app import Engine
from engine.config import Config
from engine.hook import Limits, Within
from engine.outcome import LogEvent, Outcome

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLEEP = "import time\ntime.sleep(30)\ncb()"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    async with Engine(Config(workers=2, workers_per_tenant=1, reserve=1, wall_ms=10_000)) as made:
        yield made


@pytest.fixture
def run(engine: Engine, hook: Any, sample: Any) -> Any:
    """`await run(body, within, **hook)`: the outcome, on the sample."""

    async def run_it(body: str, within: Within | None = None, **fields: Any) -> Outcome:
        return await engine.run(hook(body, **fields), sample, within=within)

    return run_it


def left(seconds: float) -> float:
    """A deadline."""
    return asyncio.get_running_loop().time() + seconds


async def test_the_hook_reads_it_in_its_context(run: Any) -> None:
    body = "w = context.webtask\ncb(None, [w.id, w.execution_id, w.attempt, w.response.n])"
    outcome = await run(body, Within(execution_id="ID", attempt=4, response=b'{"n":7}'))

    assert ["ID", "ID", 4, 7] == outcome.value()


async def test_a_hook_has_no_more_time_than_is_left_nor_more_than_its_limit(run: Any) -> None:
    begun = time.monotonic()
    late = await run(SLEEP, Within(deadline=left(0.3)))
    limited = await run(SLEEP, Within(deadline=left(30)), limits=Limits(wall_ms=200))

    assert ("timeout", "timeout") == (late.status, limited.status)
    assert time.monotonic() - begun < 10


async def test_without_time_left_nothing_is_begun(run: Any) -> None:
    within = Within(deadline=left(-1))
    outcome = await run("cb()", within)

    assert ("timeout", 0.0) == (outcome.status, outcome.usage.wall_ms)
    assert "used up before the hook could begin" in outcome.message


async def test_waiting_for_a_worker_is_of_the_same_time(engine: Engine, run: Any, until: Any) -> None:
    """Whose time ends while others hold the workers is told so, not that the engine is busy."""
    assert "ok" == (await run("cb()")).status  # it is checked
    holding = asyncio.create_task(run(SLEEP))
    await until(lambda: engine.pool.leased, "a lease")
    outcome = await run("cb()", Within(deadline=left(0.1)))

    assert "timeout" == outcome.status
    assert "used up before the hook could begin" in outcome.message
    assert 0 == engine.pool.counts()["waiting"]
    holding.cancel()
    await asyncio.wait({holding})


async def test_checking_a_source_is_of_the_same_time(engine: Engine, run: Any, until: Any) -> None:
    holding = asyncio.create_task(run(SLEEP))
    await until(lambda: engine.pool.leased, "a lease")
    outcome = await run("cb(None, 'never seen before')", Within(deadline=left(0.1)))

    assert "timeout" == outcome.status
    holding.cancel()
    await asyncio.wait({holding})


async def test_the_time_that_a_job_waited_is_told(engine: Engine, run: Any, until: Any) -> None:
    assert "ok" == (await run("cb()")).status  # it is checked
    holding = asyncio.create_task(run("import time\ntime.sleep(0.5)\ncb()"))
    await until(lambda: engine.pool.leased, "a lease")
    at_once, waited = Within(), Within()
    await run("cb()", waited)
    await holding
    await run("cb()", at_once)

    assert 0 <= at_once.lease_ms < waited.lease_ms < 60_000


async def test_lines_are_told_as_they_come_and_masked(run: Any) -> None:
    """Before the hook has ended."""
    came: list[LogEvent] = []
    first = asyncio.Event()

    def hear(event: LogEvent) -> None:
        came.append(event)
        first.set()

    body = "console.log('pass', context.webtask.secrets.KEY)\nimport time\ntime.sleep(30)\ncb()"
    running = asyncio.create_task(run(body, Within(on_log=hear), secrets={"KEY": "s3cret"}))
    async with asyncio.timeout(20):
        await first.wait()

    assert not running.done()
    assert [("info", "pass ***", 2)] == [(event.level, event.text, event.line) for event in came]
    running.cancel()
    await asyncio.wait({running})


async def test_lines_that_are_long_together_are_told_at_the_end_and_none_twice(run: Any) -> None:
    came: list[LogEvent] = []
    body = "for n in range(10):\n    console.log(str(n) * 5_000, context.webtask.secrets.KEY)\ncb()"
    outcome = await run(body, Within(on_log=came.append), secrets={"KEY": "s3cret"})

    assert 10 == len(came)
    assert list(outcome.logs) == came
    assert all(event.text.endswith(" ***") for event in came)
