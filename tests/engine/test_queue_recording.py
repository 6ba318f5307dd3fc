"""Records of blocking calls are written behind the reply, in batches; what is lost is counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.executions import Timings
from engine.invocation import Ended, HookRun, Invocation
from engine.outcome import LogEvent, Outcome
from engine.points import point_named
from engine.queue import recording
from engine.queue.recording import Recorder
from tenants import executions, log_events, register
from tenants.records import Execution, SealedKey, Settings, Tenant
from tenants.stamps import id_after
from tenants.store import Store

KEY = SealedKey(master_key_id="m", wrapped=b"w")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty one."""
    store = Store(f"sqlite:///{tmp_path}/store.db")
    store.open()
    yield store
    await asyncio.to_thread(store.close)


@pytest.fixture
def acme(store: Store) -> Tenant:
    made: Tenant = store.write_all(register.create, "acme", Settings(), KEY).result(60)
    return made


@contextlib.asynccontextmanager
async def recording_to(store: Store) -> AsyncIterator[Recorder]:
    """A recorder, closed at the end of the block."""
    recorder = Recorder(store)
    recorder.open()
    try:
        yield recorder
    finally:
        await recorder.close()


def call(tenant: Tenant, logs: tuple[LogEvent, ...] = (), **fields: Any) -> tuple[Invocation, Ended, Timings, int]:
    """One that has ended, as a recorder is told of it."""
    asked = {"id": id_after(None), "arguments": b"{}"} | fields
    invocation = Invocation(tenant=tenant, point=point_named("pre-user-registration"), deadline=0.0, **asked)
    outcome = Outcome(status="raised", message="ValueError: no", logs=logs)
    run = HookRun(hook_id="h", name="it", version=1, lease_ms=0.1, outcome=outcome)
    ended = Ended(id=invocation.id, runs=(run,), position=0, response=b"{}", error=b'{"message":"no"}')
    return invocation, ended, Timings(run_ms=1.5), 1


def kept(store: Store, tenant: Tenant) -> list[Execution]:
    """All of them, the newest first."""
    found: list[Execution] = store.read(tenant.id, executions.page, limit=10_000).result(60)
    return found


async def test_a_record_is_there_soon_after_the_reply(store: Store, acme: Tenant, until: Callable[..., Any]) -> None:
    invocation, *told = call(acme)
    async with recording_to(store) as recorder:
        recorder.record(invocation, *told)
        (found,) = await until(lambda: kept(store, acme), "the record")
    (event,) = store.read(acme.id, log_events.after, "", 10).result(60)

    assert (invocation.id, "error", True) == (found.id, found.status, found.blocking)
    assert 1.5 == found.outcome["timings"]["run_ms"]
    assert found.outcome["timings"]["record_ms"] > 0
    assert found.ended_ms > found.started_ms == 1
    assert ("fs", "ValueError: no", invocation.id) == (event.type, event.description, event.details["execution_id"])


async def test_nothing_is_written_down_while_the_call_is_answered(store: Store, acme: Tenant) -> None:
    """What is made of it is made later, between other calls: it costs this one nothing."""
    recorder = Recorder(store)
    recorder.record(*call(acme, arguments=b"no JSON at all"))

    assert (1, 0) == (recorder.waiting, recorder.lost)


async def test_other_work_goes_on_while_many_are_written_down(store: Store, acme: Tenant) -> None:
    """Five hundred with a hundred lines of a log each: no millisecond's work."""
    logs = tuple(LogEvent(level="info", text=f"line {number}", line=number, at="") for number in range(100))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    recorder = Recorder(store)
    for _ in range(500):
        recorder.record(*call(acme, logs=logs))
    counting = asyncio.create_task(count())
    made = await recorder._written_down(recorder._taken())
    counting.cancel()

    assert 500 == len(made)
    assert turns >= 5


async def test_what_waits_is_written_at_the_close(store: Store, acme: Tenant) -> None:
    async with recording_to(store) as recorder:
        for _ in range(1_234):
            recorder.record(*call(acme))

    assert (1_234, 0, 0) == (len(kept(store, acme)), recorder.lost, recorder.waiting)


async def test_a_tenant_that_is_gone_takes_nobody_elses_records(store: Store, acme: Tenant) -> None:
    gone = store.write_all(register.create, "gone", Settings(), KEY).result(60)
    store.write_all(register.remove, gone.id).result(60)
    async with recording_to(store) as recorder:
        recorder.record(*call(gone))
        recorder.record(*call(acme))

    assert (1, 0) == (len(kept(store, acme)), recorder.lost)


async def test_one_that_cannot_be_stored_is_lost_alone(
    store: Store, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    first = call(acme)
    async with recording_to(store) as recorder:
        for told in (first, call(acme, id=first[0].id), call(acme)):
            recorder.record(*told)

    assert (2, 1) == (len(kept(store, acme)), recorder.lost)
    assert "1 records of blocking calls are lost" in caplog.text


async def test_one_that_cannot_be_written_down_is_lost_alone(
    store: Store, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    async with recording_to(store) as recorder:
        for arguments in (b"{}", b"\xff", b"{}"):
            recorder.record(*call(acme, arguments=arguments))

    assert (2, 1) == (len(kept(store, acme)), recorder.lost)
    assert "could not be written down" in caplog.text


async def test_what_comes_faster_than_it_can_be_written_is_counted_as_lost(
    store: Store, acme: Tenant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_MOST_WAITING", 10)
    recorder = Recorder(store)
    with caplog.at_level(logging.WARNING, "hookcell.recording"):
        for _ in range(25):
            recorder.record(*call(acme))
    recorder.open()
    await recorder.close()

    assert (15, 10) == (recorder.lost, len(kept(store, acme)))
    assert 1 == len(caplog.records)


async def test_records_that_the_store_refuses_are_counted_as_lost(
    store: Store, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(store)
    recorder.record(*call(acme))
    await asyncio.to_thread(store.close)
    with caplog.at_level(logging.WARNING, "hookcell.recording"):
        recorder.open()
        await recorder.close()

    assert 1 == recorder.lost
    assert "1 records of blocking calls are lost" in caplog.text
