"""Retention: all that is too old or too much goes, in small changes, each tenant's in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from engine import retention
from engine.config import Config
from tenants import execution_rows, executions, log_events, register, schema, token_rows
from tenants.executions import Recorded
from tenants.records import Execution, SealedKey, Settings, Tenant, Token
from tenants.rows import Everything, Rows
from tenants.store import Store

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
CONFIG = Config(log_days=30, log_events=10, execution_days=7, executions=4)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/store.db")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def tenant(store: Store) -> Callable[[str], Tenant]:
    key = SealedKey(master_key_id="m", wrapped=b"")
    return lambda name: store.write_all(register.create, name, Settings(), key).result(60)


def log(store: Store, tenant: Tenant, number: int, days: int = 0) -> None:
    """So many events, so many days old."""

    def change(rows: Rows) -> None:
        for _ in range(number):
            log_events.append(rows, type="x", date_ms=NOW_MS - days * DAY_MS)

    store.write(tenant.id, change).result(60)


def counted(store: Store, table: Any) -> int:
    return store.read_all(lambda everything: everything.count(table)).result(60)


def sweep(store: Store) -> None:
    asyncio.run(retention.sweep(store, CONFIG, NOW_MS))


def test_a_sweep_goes_on_until_nothing_is_left(
    store: Store, tenant: Callable[[str], Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_events, "_SWEPT", 5)
    old, many, quiet = (tenant(name) for name in ("old", "many", "quiet"))
    log(store, old, 123, days=31)
    log(store, old, 3, days=29)
    log(store, many, 77)
    log(store, quiet, 2)
    sweep(store)

    left = [len(store.read(each.id, log_events.after, "", 1_000).result(60)) for each in (old, many, quiet)]
    assert [3, 10, 2] == left


def record(store: Store, tenant: Tenant, number: int, days: int = 0) -> None:
    """So many executions, that ended so many days ago."""
    ended_ms = NOW_MS - days * DAY_MS
    fields: dict[str, Any] = {"trigger_id": "p", "blocking": True, "hook_ids": (), "arguments": "{}", "run_at_ms": 0}
    made = [
        Execution(id=str(ULID()), status="success", ended_ms=ended_ms, created_ms=ended_ms, **fields)
        for _ in range(number)
    ]
    store.write_all(executions.record, [Recorded(tenant.id, each) for each in made]).result(60)


def test_executions_are_swept_as_logs_are(
    store: Store, tenant: Callable[[str], Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By limits of their own, a part of each tenant's in turn."""
    monkeypatch.setattr(execution_rows, "_SWEPT", 5)
    turns: list[str] = []
    swept = executions.sweep
    monkeypatch.setattr(executions, "sweep", lambda rows, *limits: turns.append(rows.tenant_id) or swept(rows, *limits))
    old, many, quiet = (tenant(name) for name in ("old", "many", "quiet"))
    record(store, old, 23, days=8)
    record(store, old, 3, days=6)
    record(store, many, 17)
    record(store, quiet, 2)
    sweep(store)

    left = [len(store.read(each.id, executions.page).result(60)) for each in (old, many, quiet)]
    assert [3, 4, 2] == left
    assert [old.id, many.id, old.id, many.id] == turns[:4]


def test_a_noisy_tenant_does_not_keep_others_logs_from_being_swept(
    store: Store, tenant: Callable[[str], Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its turn: the second one's first part goes before the first one's second part."""
    monkeypatch.setattr(log_events, "_SWEPT", 5)
    turns: list[str] = []
    swept = log_events.sweep

    def noted(rows: Rows, *limits: int) -> int:
        turns.append(rows.tenant_id)
        return swept(rows, *limits)

    monkeypatch.setattr(log_events, "sweep", noted)
    noisy, other = tenant("noisy"), tenant("other")
    log(store, noisy, 50, days=31)
    log(store, other, 10, days=31)
    sweep(store)

    assert [noisy.id, other.id, noisy.id, other.id, noisy.id] == turns[:5]


def test_other_changes_come_between(
    store: Store, tenant: Callable[[str], Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks during one part of a sweep does not wait for the next one."""
    monkeypatch.setattr(log_events, "_SWEPT", 5)
    turns: list[str] = []
    swept = log_events.sweep
    noisy, other = tenant("noisy"), tenant("other")
    log(store, noisy, 20, days=31)

    def noted(rows: Rows, *limits: int) -> int:
        turns.append("sweep")
        store.write(other.id, lambda _rows: turns.append("other"))
        return swept(rows, *limits)

    monkeypatch.setattr(log_events, "sweep", noted)
    sweep(store)
    store.write(other.id, lambda _rows: None).result(60)

    assert ["sweep", "other"] * 4 == turns


def test_what_removed_tenants_left_and_tokens_that_ended_go(store: Store, tenant: Callable[[str], Tenant]) -> None:
    gone, there = tenant("gone"), tenant("there")
    log(store, gone, 1_234)
    log(store, there, 1)
    fields = {"tenant_id": there.id, "name": "t", "scopes": frozenset[str](), "created_ms": 1}
    for id_, expires_ms in (("1", NOW_MS), ("2", None)):
        token = Token(id=id_, expires_ms=expires_ms, **fields)
        store.write(there.id, token_rows.create, token, id_.encode()).result(60)
    store.write_all(register.remove, gone.id).result(60)
    sweep(store)

    assert [1, 1, 1] == [counted(store, table) for table in (schema.tenants, schema.log_events, schema.tokens)]
    assert [] == store.read_all(register.gone).result(60)


def test_a_tenant_that_is_removed_meanwhile_does_not_end_the_sweep(
    store: Store, tenant: Callable[[str], Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, other = tenant("ended"), tenant("other")
    for each in (ended, other):
        log(store, each, 20, days=31)
    found = log_events.overfull

    def overfull(everything: Everything, *limits: int) -> list[str]:
        return [ended.id, *found(everything, *limits)]

    store.write_all(register.remove, ended.id).result(60)
    monkeypatch.setattr(log_events, "overfull", overfull)
    asyncio.run(retention._sweep_logs(store, (NOW_MS - DAY_MS, 10)))

    assert [] == store.read(other.id, log_events.after, "", 100).result(60)
