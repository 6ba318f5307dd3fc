"""Transactions, threads, futures: what a store promises whatever is asked of it, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path
from typing import Any

import pytest

from tenants import hooks, log_events, log_search, register
from tenants.errors import Missing, StoreError, Unavailable, Unstorable
from tenants.log_search import Bound, Range
from tenants.records import Tenant
from tenants.rows import Rows
from tenants.store import Store


class Gate:
    """Holds a thread of the store until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, _rows: Any) -> None:
        self.reached.set()
        assert self.open.wait(60)


def gated(asked: Any, ask: Callable[[], list[Future[Any]]]) -> list[Future[Any]]:
    """What `ask` asks waits together behind a change that is under way: it is one batch."""
    gate = Gate()
    first = asked.store.write_all(gate)
    assert gate.reached.wait(60)
    futures = ask()
    gate.open.set()
    wait([first, *futures], 60)
    return futures


def test_a_change_is_there_when_its_future_is(asked: Any, acme: Tenant) -> None:
    made = asked.hook(acme, "one")

    assert made == asked.read(acme, hooks.get, made.id)


def test_a_change_that_raises_takes_only_itself_back(asked: Any, acme: Tenant) -> None:
    """Also in the middle of a transaction of many."""

    def half(rows: Rows, name: str) -> None:
        log_events.append(rows, type="half", description=name)
        if name == "2":
            raise ValueError(name)
        log_events.append(rows, type="whole", description=name)

    futures = gated(asked, lambda: [asked.store.write(acme.id, half, str(number)) for number in range(5)])

    assert [None, None, ValueError, None, None] == [
        None if future.exception() is None else type(future.exception()) for future in futures
    ]
    assert ["0", "0", "1", "1", "3", "3", "4", "4"] == [event.description for event in asked.events(acme)]


def test_changes_of_a_tenant_are_made_in_the_order_they_were_asked_for(asked: Any, acme: Tenant) -> None:
    other = asked.tenant("other")

    def ask() -> list[Future[Any]]:
        return [
            asked.store.write((other if number % 2 else acme).id, log_events.append, type="x", description=str(number))
            for number in range(100)
        ]

    gated(asked, ask)

    said = [event.description for event in asked.events(acme)]
    assert [str(number) for number in range(0, 100, 2)] == said


def test_a_question_sees_one_moment(asked: Any, acme: Tenant) -> None:
    """Between two statements of it nothing changes, whatever is written meanwhile."""

    def twice(rows: Rows) -> list[int]:
        before = hooks.page(rows)[1]
        asked.hook(acme, "one")
        return [before, hooks.page(rows)[1]]

    assert [0, 0] == asked.read(acme, twice)
    assert 1 == asked.read(acme, hooks.page)[1]


def test_a_question_cannot_write(asked: Any, acme: Tenant) -> None:
    with pytest.raises(StoreError):
        asked.read(acme, log_events.append, type="x")

    assert [] == asked.events(acme)


def test_a_write_to_a_tenant_that_is_gone_is_refused(asked: Any, acme: Tenant) -> None:
    asked.write_all(register.remove, acme.id)

    with pytest.raises(Missing) as caught:
        asked.write(acme, lambda _rows: pytest.fail("the change was made"))
    assert "tenant" == caught.value.what


def test_an_exception_of_any_kind_is_the_futures_own(asked: Any, acme: Tenant) -> None:
    def fail(_rows: Rows) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        asked.read(acme, fail)
    with pytest.raises(LookupError, match="mine"):
        asked.write(acme, fail)


def test_a_change_that_is_cancelled_while_it_waits_is_not_made(asked: Any, acme: Tenant) -> None:
    futures: list[Future[Any]] = []

    def ask() -> list[Future[Any]]:
        futures.append(asked.store.write(acme.id, log_events.append, type="cancelled"))
        futures.append(asked.store.write(acme.id, log_events.append, type="kept"))
        assert futures[0].cancel()
        return futures[1:]

    gated(asked, ask)

    with pytest.raises(CancelledError):
        futures[0].result(60)
    assert ["kept"] == [event.type for event in asked.events(acme)]


def test_closing_answers_what_waits(url: str, opened: Callable[[str], Store]) -> None:
    store = opened(url)
    gate = Gate()
    first = store.write_all(gate)
    assert gate.reached.wait(60)
    waiting = [store.write_all(register.keep, str(number), b"kept") for number in range(200)]
    gate.open.set()
    store.close()

    assert [None] * 201 == [future.result(0) for future in [first, *waiting]]
    again = opened(url)
    assert b"kept" == again.read_all(register.kept, "199").result(60)


def test_a_closed_store_says_so(url: str, opened: Callable[[str], Store]) -> None:
    store = opened(url)
    store.close()
    store.close()

    for asked in (store.read_all(register.kept, "x"), store.write_all(register.keep, "x", b"")):
        with pytest.raises(Unavailable, match="the store is closed"):
            asked.result(0)


def test_a_store_ends_its_threads(url: str) -> None:
    before = threading.active_count()
    store = Store(url)
    store.open()
    assert before + 4 == threading.active_count()
    store.close()

    assert before == threading.active_count()


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x\udfff"])
def test_a_text_that_no_database_takes_is_refused_alike(asked: Any, acme: Tenant, text: str) -> None:
    """Where it would be written, and where it is looked for."""
    with pytest.raises(Unstorable):
        asked.hook(acme, "one", text)
    with pytest.raises(Unstorable):
        asked.hook(acme, text)
    with pytest.raises(Unstorable):
        asked.read(acme, hooks.named, text)
    with pytest.raises(Unstorable):
        asked.write(acme, log_events.append, type="x", user_agent=text)

    assert ([], 0) == asked.read(acme, hooks.page)


def test_a_text_within_json_may_be_anything(asked: Any, acme: Tenant) -> None:
    details = {"a\0b": ["\ud800", "é", "\U0001f600", 1.5, None, True, -(2**70)]}
    event = asked.write(acme, log_events.append, type="x", details=details)

    assert details == asked.read(acme, log_events.get, event.log_id).details


def test_a_value_that_cannot_be_written_down_is_the_values_fault(asked: Any, acme: Tenant) -> None:
    """Not the database's, which is there: nobody is to try again."""
    deep: Any = None
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(Unstorable):
        asked.write(acme, log_events.append, type="x", details={"deep": deep})


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**40])
def test_a_number_that_no_column_takes_is_refused_alike(asked: Any, acme: Tenant, number: int) -> None:
    with pytest.raises(Unstorable):
        asked.hook(acme, "one", order=number)
    with pytest.raises(Unstorable):
        asked.read(acme, log_search.number, Range("date", Bound(number, included=False), None))
    with pytest.raises(Unstorable):
        asked.read(acme, hooks.page, start=abs(number), limit=1)

    assert 2**63 - 1 == asked.hook(acme, "two", order=2**63 - 1).order


def test_two_stores_on_one_database_see_each_others_changes(url: str, opened: Callable[[str], Store]) -> None:
    first, second = opened(url), opened(url)
    first.write_all(register.keep, "x", b"1").result(60)

    assert b"1" == second.read_all(register.kept, "x").result(60)


def test_two_stores_write_at_once(asked: Any, acme: Tenant, url: str, opened: Callable[[str], Store]) -> None:
    """As two servers do on one PostgreSQL: nothing is lost, no id is given twice."""
    tenants = [acme, *(asked.tenant(f"t{number}") for number in range(4))]
    stores = [asked.store, opened(url)]
    futures = [
        store.write(tenants[(number + shift) % 5].id, log_events.append, type=str(number))
        for number in range(50)
        for shift, store in enumerate(stores)
    ]
    told = {future.result(60).log_id for future in futures}
    kept = [asked.events(tenant) for tenant in tenants]

    assert told == {event.log_id for events in kept for event in events}
    assert [20] * 5 == [len({event.log_id for event in events}) for events in kept]
    assert [20] * 5 == [len(events) for events in kept]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://x/y",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x?mode=ro",
        "postgresql+asyncpg://x/y",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StoreError):
        Store(url)


def test_the_password_of_an_address_is_not_told() -> None:
    with pytest.raises(StoreError) as caught:
        Store("oracle+nothing://user:hunter2@host/x")

    assert "hunter2" not in str(caught.value)


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened: No such file or directory"):
        Store(f"sqlite:///{tmp_path}/none/store.db").open()


def test_a_server_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the database cannot be reached"):
        Store(f"postgresql+psycopg://x@/x?host={tmp_path}").open()


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is no database at all" * 100)

    with pytest.raises(StoreError, match="the database is damaged"):
        Store(f"sqlite:///{tmp_path}/store.db").open()


def test_the_database_is_its_owners_alone(asked_sqlite: Any, tmp_path: Path) -> None:
    asked_sqlite.tenant("acme")

    assert {0o600} == {path.stat().st_mode & 0o777 for path in tmp_path.glob("store.db*") if path.suffix != ".lock"}
