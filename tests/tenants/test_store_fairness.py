"""Nobody waits for another one's work: tenants in turn, quick questions beside long ones, locks not waited for."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenants import database, hooks, log_events, log_search, register
from tenants import store as store_module
from tenants.errors import TooLong, Unavailable
from tenants.log_search import Every, Order, Text, Wild
from tenants.records import Tenant
from tenants.rows import Everything, Rows
from tenants.store import Store


class Gate:
    """Holds a thread of the store until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, _rows: Any) -> str:
        self.reached.set()
        assert self.open.wait(60)
        return "through"


def held(ask: Callable[..., Future[Any]], *tenant: str) -> tuple[Gate, Future[Any]]:
    """A gate that the thread which answers `ask` stands at."""
    gate = Gate()
    future = ask(*tenant, gate)
    assert gate.reached.wait(60)
    return gate, future


def test_long_questions_hold_up_no_quick_one(asked: Any, acme: Tenant) -> None:
    gate, first = held(asked.store.study, acme.id)
    behind = asked.store.study(acme.id, hooks.page)

    assert acme == asked.read_all(register.by_id, acme.id)
    assert ([], 0) == asked.read(acme, hooks.page)
    assert not behind.done()
    gate.open.set()
    assert ["through", ([], 0)] == [first.result(60), behind.result(60)]


def test_questions_of_one_tenant_hold_up_no_other(asked: Any, acme: Tenant) -> None:
    """Of those that wait, each tenant's first is answered before anybody's second."""
    other = asked.tenant("other")
    gate, _ = held(asked.store.study, acme.id)
    order: list[str] = []
    futures = [asked.store.study(acme.id, lambda _rows: order.append("acme")) for _ in range(20)]
    futures += [asked.store.study(other.id, lambda _rows: order.append("other")) for _ in range(2)]
    futures += [asked.store.study_all(lambda _everything: order.append("operator"))]
    gate.open.set()
    wait(futures, 60)

    assert ["acme", "other", "operator", "acme", "other", "acme"] == order[:6]
    assert 23 == len(order)


def test_changes_of_one_tenant_hold_up_no_other(asked: Any, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when each of them takes as long as a transaction may, and they were there first."""
    monkeypatch.setattr(store_module, "_MOST_S", 0)
    other = asked.tenant("other")
    gates = [Gate() for _ in range(8)]
    order: list[str] = []

    def slow(rows: Rows, gate: Gate) -> None:
        gate(rows)
        order.append("acme")

    futures = [asked.store.write(acme.id, slow, gate) for gate in gates]
    assert gates[0].reached.wait(60)
    gates[0].open.set()
    assert gates[1].reached.wait(60)  # all eight had been taken for one transaction
    futures += [asked.store.write(other.id, lambda _rows: order.append("other"))]
    for gate in gates:
        gate.open.set()
    wait(futures, 60)

    assert 9 == len(order)
    assert order.index("other") <= 3


@pytest.mark.parametrize("ask", ["read", "study", "write"])
def test_a_tenant_has_so_many_that_wait_and_no_more(
    asked: Any, acme: Tenant, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = asked.tenant("other")
    method = getattr(asked.store, ask)
    monkeypatch.setattr(store_module, "_READERS", 1)
    gates = [held(method, acme.id) for _ in range(2 if ask == "read" else 1)]
    waiting = [method(acme.id, hooks.page) for _ in range(1_001)]

    with pytest.raises(Unavailable, match="too many questions wait"):
        waiting[-1].result(0)
    theirs = method(other.id, hooks.page)
    for gate, _ in gates:
        gate.open.set()
    assert [([], 0)] * 1_001 == [future.result(60) for future in [*waiting[:-1], theirs]]


def logged(rows: Rows, number: int) -> None:
    for _ in range(number):
        log_events.append(rows, type="sapi", description="words of an event " * 20)


def test_a_question_that_takes_too_long_is_cut_short(
    monkeypatch: pytest.MonkeyPatch, url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    """The next one of the same thread is answered, and has its own time."""
    monkeypatch.setattr(database, "_DEADLINE_S", 0.1)
    asked = asked_of(opened(url))
    tenant = asked.tenant("acme")
    for _ in range(4):
        asked.write(tenant, logged, 250)
    nothing = [Text("description", (Wild.ANY, f"w{number}", Wild.ANY, "z")) for number in range(400)]
    search = log_search.Some(tuple(nothing))
    for ask in (asked.study, asked.read):
        began = time.monotonic()
        with pytest.raises(TooLong, match=r"^the question takes too long; ask for less$"):
            ask(tenant, log_search.number, search)
        assert time.monotonic() - began < 10
        assert 1_000 == ask(tenant, log_search.number, None)


def test_a_change_may_take_longer_than_a_question(
    monkeypatch: pytest.MonkeyPatch, url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    monkeypatch.setattr(database, "_DEADLINE_S", 0.001)
    asked = asked_of(opened(url))
    tenant = asked.tenant("acme")

    assert None is asked.write(tenant, logged, 500)
    assert 500 == asked.write(tenant, log_events.sweep, 2**62, 0)


def test_quick_questions_are_not_slower_for_it(asked_sqlite: Any) -> None:
    """SQLite looks at the clock only in long ones."""
    tenant = asked_sqlite.tenant("acme")
    looks = []

    def question(rows: Rows) -> None:
        driver: Any = rows.driver
        driver.set_progress_handler(lambda: looks.append(1), database._STEPS)
        hooks.page(rows)
        log_search.found(rows, Every(()), order=Order(), start=0, limit=50)

    for _ in range(20):
        asked_sqlite.read(tenant, question)
    assert [] == looks


@contextlib.contextmanager
def row_locked(cluster: str, url: str, tenant: Tenant) -> Any:
    """As a node has it that is in the middle of a change."""
    name = url.partition("@/")[2].partition("?")[0]
    with psycopg.connect(f"host={cluster} user=hookcell dbname={name}") as other:
        other.execute("SELECT 1 FROM tenants WHERE tenant_id = %s FOR UPDATE", [tenant.id])
        yield other
        other.rollback()


def test_a_lock_of_another_node_holds_up_its_tenant_alone(
    postgres_url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any], postgres_cluster: str
) -> None:
    """The tenant's changes are made once it is gone, in their order; nobody else's wait, the operator's neither."""
    asked = asked_of(opened(postgres_url))
    acme, other = asked.tenant("acme"), asked.tenant("other")
    with row_locked(postgres_cluster, postgres_url, acme):
        locked = [asked.store.write(acme.id, log_events.append, type=f"{number}") for number in range(5)]
        locked.append(asked.store.write_all(register.change, acme.id, acme.settings))
        for number in range(5):
            asked.store.write(other.id, log_events.append, type=f"{number}").result(20)
            asked.store.write_all(register.keep, "x", b"").result(20)

        assert not any(future.done() for future in locked)
    wait(locked, 60)
    assert [None] * 6 == [future.exception() for future in locked]
    assert ["0", "1", "2", "3", "4"] == [event.type for event in asked.read(acme, log_events.after, "", 9)]


def test_a_lock_that_stays_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch,
    postgres_url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any], postgres_cluster: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(store_module, "_PATIENCE_S", 0.3)
    asked = asked_of(opened(postgres_url))
    tenant = asked.tenant("acme")
    with row_locked(postgres_cluster, postgres_url, tenant):
        with pytest.raises(Unavailable, match=r"^the rows are locked by another transaction$") as caught:
            asked.write(tenant, log_events.append, type="x")
        assert Unavailable is caught.type  # as the API knows it

    assert "y" == asked.write(tenant, log_events.append, type="y").type


def test_tenants_of_a_batch_are_locked_in_the_same_order_by_every_node(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    monkeypatch.setattr(store_module, "_MOST_S", 600)
    asked = asked_of(opened(postgres_url))
    ids = [asked.tenant(f"t{number}").id for number in range(6)]
    order: list[str] = []
    gate, _ = held(asked.store.write_all)
    futures = [
        asked.store.write(tenant_id, lambda _rows, tenant_id=tenant_id: order.append(tenant_id))
        for tenant_id in reversed(ids)
    ]
    gate.open.set()
    wait(futures, 60)

    assert ids == order


def test_a_reader_holds_up_no_change_when_something_was_destroyed(asked_sqlite: Any, tmp_path: Path) -> None:
    """SQLite's log cannot be emptied while one reads; it is as soon as that one has ended, without another change."""
    acme, other = asked_sqlite.tenant("acme"), asked_sqlite.tenant("other")
    log = tmp_path / "store.db-wal"

    def read(rows: Rows, gate: Gate) -> None:
        hooks.page(rows)  # the snapshot begins here
        gate(rows)

    gate = Gate()
    reader = asked_sqlite.store.study(other.id, read, gate)
    assert gate.reached.wait(60)
    began = time.monotonic()
    asked_sqlite.write_all(register.remove, acme.id)
    asked_sqlite.write(other, log_events.append, type="x")

    assert time.monotonic() - began < 3  # it is 5 s that a lock of SQLite is waited for
    assert log.stat().st_size > 0
    gate.open.set()
    reader.result(60)
    until = time.monotonic() + 60
    while log.stat().st_size and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert 0 == log.stat().st_size


def test_what_was_destroyed_is_no_bar_to_another_process(asked_sqlite: Any, tmp_path: Path) -> None:
    """Which reads the file meanwhile."""
    tenant = asked_sqlite.tenant("acme")
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM tenants").fetchone()

        def destroy(everything: Everything) -> str:
            everything.destroyed = True
            return "done"

        assert "done" == asked_sqlite.write_all(destroy)
        assert 1 == len([asked_sqlite.write(tenant, log_events.append, type="x")])
        other.execute("ROLLBACK")
