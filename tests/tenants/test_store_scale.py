"""What is asked of the store stays as quick with ten thousand tenants: no question reads a whole table."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from queue_rows import LEASE_MS, Queue, ended, new
from sqlalchemy import Engine, event

from tenants import executions, hooks, log_events, log_search, ready, register, schema, secret_values, token_rows
from tenants.errors import Unstorable
from tenants.hooks import HookChanges
from tenants.prepared import Prepared
from tenants.records import Draft, Tenant, Token
from tenants.rows import Everything


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    """Each statement with its values, as the driver gets it."""
    statements: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        statements.append((statement, values))

    running = Prepared.run

    def listen_to_prepared(prepared: Prepared[Any], asking: Any, *given: Any) -> Any:
        text, cursor = running(prepared, asking, *given)
        statements.append((text.sql, text.write(asking.whose, *given)))
        return text, cursor

    event.listen(Engine, "before_cursor_execute", listen)
    monkeypatch.setattr(Prepared, "run", listen_to_prepared)
    yield statements
    event.remove(Engine, "before_cursor_execute", listen)


def plans(file: Path, statements: list[tuple[str, Any]]) -> dict[str, str]:
    """How SQLite finds the rows of each statement, by statement."""
    found = {}
    with contextlib.closing(sqlite3.connect(file)) as connection:
        for statement, values in statements:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                one = values[0] if isinstance(values, list) and isinstance(values[0], dict | tuple) else values
                steps = connection.execute(f"EXPLAIN QUERY PLAN {statement}", one).fetchall()
                found[statement] = "; ".join(step[3] for step in steps)
    return found


def ask_all(asked: Any, tenant: Tenant, draft: Callable[..., Draft]) -> None:
    """Every question and change of a tenant."""
    hook = asked.hook(tenant, "one", enabled=True)
    asked.write(tenant, hooks.change, hook.id, HookChanges(draft=draft("new"), name="two", enabled=True))
    asked.write(tenant, hooks.deploy, hook.id, 1)
    for question, *arguments in (
        (hooks.get, hook.id), (hooks.named, "two"), (hooks.page,), (hooks.enabled_of, "p"), (hooks.versions, hook.id),
        (hooks.revision,), (hooks.check_of, hook.id, 1, "c1"), (secret_values.names, hook.id),
        (secret_values.names_by_hook,), (secret_values.data_key,), (token_rows.listed,), (log_events.after, "", 5),
        (log_search.number, None), (register.settings_in,),
    ):  # fmt: skip
        asked.read(tenant, question, *arguments)
    asked.read(tenant, ready.enabled, "c1")
    asked.read(tenant, ready.one, "c1", hook.id)
    asked.read(tenant, hooks.page, trigger_id="p", enabled=True, start=1, limit=2)
    asked.write(tenant, secret_values.put, hook.id, {"A": b""}, 20)
    event = asked.write(tenant, log_events.append, type="x")
    asked.read(tenant, log_events.get, event.log_id)
    token = Token(id="1", tenant_id=tenant.id, name="t", scopes=frozenset(), created_ms=1, expires_ms=2)
    asked.write(tenant, token_rows.create, token, b"digest")
    asked.read_all(token_rows.holder, b"digest")
    asked.write(tenant, token_rows.remove, "1")
    asked.read_all(register.named, "acme")
    asked.read_all(register.by_id, tenant.id)
    asked.write_all(register.change, tenant.id, tenant.settings)
    asked.write(tenant, hooks.remove, hook.id)
    asked.write_all(register.remove, tenant.id)


def test_every_question_of_a_tenant_is_a_search_in_an_index(
    asked_sqlite: Any, tmp_path: Path, heard: list[tuple[str, Any]], draft: Callable[..., Draft]
) -> None:
    """No table is scanned."""
    tenant = asked_sqlite.tenant("acme")
    heard.clear()
    ask_all(asked_sqlite, tenant, draft)
    found = plans(tmp_path / "store.db", heard)

    assert len(found) > 35
    assert {} == {statement: plan for statement, plan in found.items() if "SCAN" in plan}
    enabled = [plan for text, plan in found.items() if "ORDER BY hooks.trigger_id, hooks.run_order" in text]
    assert enabled
    assert all("SEARCH hooks USING INDEX ix_hooks_tenant_id_trigger_id_enabled" in plan for plan in enabled), enabled


def test_a_list_is_sorted_by_its_index(asked_sqlite: Any, tmp_path: Path, heard: list[tuple[str, Any]]) -> None:
    """A page of the log does not sort the whole of it first."""
    tenant = asked_sqlite.tenant("acme")
    heard.clear()
    for ascending in (True, False):
        order = log_search.Order(ascending=ascending)
        asked_sqlite.read(tenant, log_search.found, None, order=order, start=0, limit=50)
    asked_sqlite.read(tenant, log_events.after, "", 5)
    asked_sqlite.read(tenant, hooks.page)

    assert {} == {
        statement: plan for statement, plan in plans(tmp_path / "store.db", heard).items() if "B-TREE" in plan
    }


def test_the_queue_is_searched_in_its_indexes(asked_sqlite: Any, tmp_path: Path, heard: list[tuple[str, Any]]) -> None:
    """No execution is read, and none is sorted, but those that are wanted: however many wait or have ended."""
    queue = Queue(asked_sqlite)
    acme, other = (asked_sqlite.tenant(name) for name in ("acme", "other"))
    heard.clear()
    queue.put(new(acme, idempotency_key="k"), new(other, idempotency_key="k"), new(acme))
    started = queue.started(after=acme.id)
    assert set(started) == asked_sqlite.write_all(executions.extend, started, LEASE_MS)
    asked_sqlite.write_all(executions.release, started[:1])
    queue.finish(*map(ended, started[1:]), ended(started[0]))
    queue.due_ms()
    for filters in ({}, {"status": "dead", "trigger_id": "p", "hook_id": "h", "before": "z"}):
        asked_sqlite.read(acme, executions.page, **filters)
    asked_sqlite.read_all(executions.overfull, 0, 0)
    asked_sqlite.write(other, executions.sweep, 0, 0)
    found = plans(tmp_path / "store.db", heard)

    assert len(found) > 14
    assert {} == {text: plan for text, plan in found.items() if "SCAN executions" in plan or "B-TREE" in plan}


FILL = """
    INSERT INTO executions (
        tenant_id, execution_id, trigger_id, blocking, hook_ids, status, attempt, lost, fencing_token, position, due_ms,
        run_at_ms, created_ms, ended_ms, response, arguments
    )
    SELECT %(tenant_id)s, %(status)s || number, 'p', false, '[]', %(status)s, 0, 0, 0, 0, %(due_ms)s,
        number, number, %(ended_ms)s, 'null', '{}'
    FROM generate_series(1, %(many)s) AS number
"""


def filled(everything: Everything, many: int, queued_of: str, ended_of: str) -> None:
    """Many executions, of which PostgreSQL knows how many they are."""
    ran: dict[str, Any] = {"tenant_id": ended_of, "status": "success", "due_ms": None, "ended_ms": 1}
    waits = {"tenant_id": queued_of, "status": "queued", "due_ms": 0, "ended_ms": None}
    for values in (ran, waits):
        everything.driver.execute(FILL, values | {"many": many})
    everything.driver.execute("ANALYZE")


def explained(everything: Everything, statements: list[tuple[str, Any]]) -> dict[str, str]:
    """How PostgreSQL finds the rows of each statement."""
    return {
        text: "; ".join(row[0] for row in everything.driver.execute(f"EXPLAIN {text}", values))
        for text, values in statements
    }


@pytest.fixture
def plans_among(
    postgres_url: str, opened: Callable[[str], Any], asked_of: Callable[[Any], Any], heard: list[tuple[str, Any]]
) -> Callable[[int], dict[str, str]]:
    """`plans_among(n)`: how PostgreSQL finds the queue's rows, where n are queued and n have ended."""

    def plan(many: int) -> dict[str, str]:
        asked = asked_of(opened(postgres_url))
        queue = Queue(asked)
        acme, long_one, *others = (asked.tenant(name) for name in ("acme", "long", "a", "b", "c"))
        asked.write_all(filled, many, long_one.id, others[0].id)
        heard.clear()
        queue.put(new(acme, idempotency_key="k"), *(new(tenant) for tenant in others), new(acme))
        started = queue.started(most=4) + queue.started()
        assert set(started) == asked.write_all(executions.extend, started, LEASE_MS)
        asked.write_all(executions.release, started[:1])
        queue.finish(*map(ended, started))
        with pytest.raises(Unstorable):
            queue.finish(ended(started[1]), ended(queue.started(2**50)[0], response="\0"))
        queue.due_ms()
        found: dict[str, str] = asked.write_all(explained, [one for one in heard if "executions" in one[0]])
        return found

    return plan


def test_the_queue_is_searched_in_postgresqls_indexes(plans_among: Callable[[int], dict[str, str]]) -> None:
    """Whoever asks about few of many executions reads few, and those of one tenant's long queue nobody but that one."""
    found = plans_among(15_000)

    assert len(found) > 9
    assert {} == {text: plan for text, plan in found.items() if "Seq Scan on executions" in plan}


def test_no_row_is_compared_with_each_that_was_given(plans_among: Callable[[int], dict[str, str]]) -> None:
    """Also where there are not many, and fewer are running than when PostgreSQL counted them."""
    found = plans_among(7_000)
    due = [plan for text, plan in found.items() if "SKIP LOCKED" in text]

    assert {} == {text: plan for text, plan in found.items() if "AS given_" in text and "Join Filter" in plan}
    assert len(due) > 1
    assert [] == [plan for plan in due if not re.search(r"Index Cond: \(+(execution_id\)::text = ANY|tenant_id)", plan)]


def test_a_sweep_looks_at_each_tenants_index(asked_sqlite: Any, tmp_path: Path, heard: list[tuple[str, Any]]) -> None:
    """Tenants are gone through, their events are not."""
    tenant = asked_sqlite.tenant("acme")
    for _ in range(3):
        asked_sqlite.write(tenant, log_events.append, type="x")
    heard.clear()
    assert [tenant.id] == asked_sqlite.read_all(log_events.overfull, 0, 1)
    assert 2 == asked_sqlite.write(tenant, log_events.sweep, 0, 1)
    scans = {plan for plan in plans(tmp_path / "store.db", heard).values() if f"SCAN {schema.log_events.name}" in plan}

    assert set() == scans
