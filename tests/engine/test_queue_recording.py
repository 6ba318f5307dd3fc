"""Records of blocking calls are written behind the reply, in batches; what is lost is counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.executions import told_of_fault
from engine.queue import recording
from engine.queue.recording import Recorder
from tenants import executions, register
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


def blocking(**fields: Any) -> Execution:
    """One that has ended."""
    told = {"trigger_id": "pre-user-registration", "blocking": True, "hook_ids": ("h",), "arguments": "{}"}
    times = {"status": "success", "run_at_ms": 1, "created_ms": 1, "ended_ms": 2, "outcome": told_of_fault("")}
    return Execution(**told | times | {"id": id_after(None)} | fields)


def kept(store: Store, tenant: Tenant) -> list[Execution]:
    """All of them, the newest first."""
    found: list[Execution] = store.read(tenant.id, executions.page, limit=10_000).result(60)
    return found


async def test_a_record_is_there_soon_after_the_reply(store: Store, acme: Tenant, until: Callable[..., Any]) -> None:
    execution = blocking()
    event = {"type": "fs", "description": "refused", "details": {"a": 1}}
    async with recording_to(store) as recorder:
        recorder.record(acme.id, execution, event)  # type: ignore[arg-type]
        (found,) = await until(lambda: kept(store, acme), "the record")

    assert (execution.id, "success", True) == (found.id, found.status, found.blocking)
    assert found.outcome["timings"]["record_ms"] > 0


async def test_what_waits_is_written_at_the_close(store: Store, acme: Tenant) -> None:
    async with recording_to(store) as recorder:
        for _ in range(1_234):
            recorder.record(acme.id, blocking(), None)

    assert (1_234, 0, 0) == (len(kept(store, acme)), recorder.lost, recorder.waiting)


async def test_a_tenant_that_is_gone_takes_nobody_elses_records(store: Store, acme: Tenant) -> None:
    gone = store.write_all(register.create, "gone", Settings(), KEY).result(60)
    store.write_all(register.remove, gone.id).result(60)
    async with recording_to(store) as recorder:
        recorder.record(gone.id, blocking(), None)
        recorder.record(acme.id, blocking(), None)

    assert (1, 0) == (len(kept(store, acme)), recorder.lost)


async def test_one_that_cannot_be_stored_is_lost_alone(
    store: Store, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned: Any = None
    for _ in range(5_000):
        poisoned = [poisoned]
    async with recording_to(store) as recorder:
        for outcome in ({}, {"error": poisoned}, {}):
            recorder.record(acme.id, blocking(outcome=told_of_fault("") | outcome), None)
    while poisoned:  # no object so deep is to be left to the garbage collector, or told of by pytest
        poisoned = poisoned.pop()

    assert (2, 1) == (len(kept(store, acme)), recorder.lost)
    assert "cannot be written down" in caplog.text


async def test_a_fault_of_its_own_takes_none_of_those_that_come_later(
    store: Store, acme: Tenant, until: Callable[..., Any]
) -> None:
    async with recording_to(store) as recorder:
        recorder.record(acme.id, blocking(outcome={}), None)
        await until(lambda: recorder.lost, "the loss")
        recorder.record(acme.id, blocking(), None)

    assert (1, 1) == (len(kept(store, acme)), recorder.lost)


async def test_what_comes_faster_than_it_can_be_written_is_counted_as_lost(
    store: Store, acme: Tenant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_MOST_WAITING", 10)
    recorder = Recorder(store)
    with caplog.at_level(logging.WARNING, "hookcell.recording"):
        for _ in range(25):
            recorder.record(acme.id, blocking(), None)
    recorder.open()
    await recorder.close()

    assert (15, 10) == (recorder.lost, len(kept(store, acme)))
    assert 1 == len(caplog.records)


async def test_records_that_the_store_refuses_are_counted_as_lost(
    store: Store, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(store)
    recorder.record(acme.id, blocking(), None)
    await asyncio.to_thread(store.close)
    with caplog.at_level(logging.WARNING, "hookcell.recording"):
        recorder.open()
        await recorder.close()

    assert 1 == recorder.lost
    assert "1 records of blocking calls are lost" in caplog.text
