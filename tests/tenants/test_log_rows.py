"""Log events: ids that ascend, pages, checkpoints, retention."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ulid import ULID

from tenants import log_events, log_search, register, schema, stamps
from tenants.errors import Missing
from tenants.log_search import Order
from tenants.records import LogEvent, SealedKey, Settings, Tenant
from tenants.store import Store

EVENT = schema.log_events.c
A_DAY_MS = 24 * 3600 * 1000


def texts(found: list[LogEvent]) -> str:
    return "".join(event.description for event in found)


def swept(asked: Any, before_ms: int, most: int) -> int:
    """How many events a sweep of each tenant that has too much ends."""
    tenants = asked.read_all(log_events.overfull, before_ms, most)
    return sum(asked.store.write(tenant_id, log_events.sweep, before_ms, most).result(60) for tenant_id in tenants)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`clock(ms)`: from now on it is that late."""

    def set_(ms: int) -> None:
        monkeypatch.setattr(log_events, "now_ms", lambda: ms)

    return set_


def test_an_event_is_as_it_was_told(asked: Any, acme: Tenant) -> None:
    words = ["description", "ip", "user_agent", "client_id", "client_name", "connection", "connection_id", "hostname"]
    words += ["user_id", "user_name", "strategy", "strategy_type"]
    said = {word: f"{word} é" for word in words} | {"details": {"request": {"body": [1, None]}}}
    before = stamps.now_ms()
    event = asked.write(acme, log_events.append, type="sapi", **said)

    assert event == asked.read(acme, log_events.get, event.log_id)
    assert said | {"type": "sapi"} == {name: getattr(event, name) for name in said | {"type": ""}}
    assert before <= event.date_ms <= stamps.now_ms()


def test_events_of_several_tenants_are_appended_at_once(asked: Any, clock: Callable[[int], None]) -> None:
    """Each tenant's in their order, under its own numbers. One that is gone has none; nobody else's are lost for it."""
    clock(1_606_089_296_007)
    acme, other, gone = (asked.tenant(name) for name in ("acme", "other", "gone"))
    asked.write(other, log_events.append, type="x", description="first")
    asked.write_all(register.remove, gone.id)
    told = [(other.id, "a"), (acme.id, "b"), (gone.id, "c"), (other.id, "d"), ("nobody", "e"), (acme.id, "f\0\ud800")]
    events = [(tenant_id, {"type": "y", "description": text, "details": {"n": 1}}) for tenant_id, text in told]
    clock(1_606_089_296_008)
    asked.write_all(log_events.append_of_all, events)
    asked.write_all(log_events.append_of_all, [])
    kept = {tenant.name: asked.read(tenant, log_events.after, "", 9) for tenant in (acme, other)}

    assert 5 == asked.read_all(lambda everything: everything.count(schema.log_events))
    assert ("bf\ufffd?", "firstad") == (texts(kept["acme"]), texts(kept["other"]))
    assert [f"90020201122235456008{number:036}" for number in (1, 2)] == [event.log_id for event in kept["acme"]]
    assert [1, 2, 3] == [int(event.log_id[-36:]) for event in kept["other"]]
    assert {(1_606_089_296_008, "y", "", 1)} == {
        (event.date_ms, event.type, event.ip, event.details["n"]) for event in kept["acme"]
    }


def test_the_time_of_several_tenants_does_not_go_back(asked: Any, acme: Tenant, clock: Callable[[int], None]) -> None:
    for ms in (1_606_089_296_007, 1_606_089_295_000):
        clock(ms)
        asked.write_all(log_events.append_of_all, [(acme.id, {"type": "x"})])
    kept = asked.read(acme, log_events.after, "", 9)

    assert ["90020201122235456007" + f"{number:036}" for number in (1, 2)] == [event.log_id for event in kept]
    assert [1_606_089_296_007, 1_606_089_295_000] == [event.date_ms for event in kept]


def test_an_id_is_56_digits_that_begin_with_the_time(asked: Any, acme: Tenant, clock: Callable[[int], None]) -> None:
    clock(1_606_089_296_007)
    ids = [asked.write(acme, log_events.append, type="x").log_id for _ in range(2)]

    assert ["90020201122235456007" + f"{number:036}" for number in (1, 2)] == ids


def test_ids_ascend_when_the_clock_goes_back(asked: Any, acme: Tenant, clock: Callable[[int], None]) -> None:
    events = []
    for ms in (5 * A_DAY_MS, 5 * A_DAY_MS, 2 * A_DAY_MS, 6 * A_DAY_MS, 0):
        clock(ms)
        events.append(asked.write(acme, log_events.append, type="x"))

    ids = [event.log_id for event in events]
    assert sorted(set(ids)) == ids
    assert ["05", "05", "05", "06", "06"] == [str(int(id_[9:11]) - 1).zfill(2) for id_ in ids]


def test_a_date_is_what_the_clock_says_also_when_it_goes_back(
    asked: Any, acme: Tenant, clock: Callable[[int], None]
) -> None:
    """A clock that was wrong once does not date all that comes later."""
    events = []
    for ms in (4_102_444_800_000, 7 * A_DAY_MS):
        clock(ms)
        events.append(asked.write(acme, log_events.append, type="x"))

    assert [4_102_444_800_000, 7 * A_DAY_MS] == [event.date_ms for event in events]
    assert events[0].log_id < events[1].log_id


def test_ids_ascend_after_all_events_were_swept(asked: Any, acme: Tenant, clock: Callable[[int], None]) -> None:
    clock(9 * A_DAY_MS)
    first = asked.write(acme, log_events.append, type="x")
    assert 1 == swept(asked, 10 * A_DAY_MS, 10)
    clock(0)

    assert first.log_id < asked.write(acme, log_events.append, type="x").log_id


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.lists(st.integers(0, 253_402_300_799_999), min_size=1, max_size=12),
    take=st.integers(1, 5),
    data=st.data(),
)
def test_whatever_the_clock_does_a_checkpoint_reads_each_event_once(
    moments: list[int], take: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In the order in which they were appended, from any checkpoint on."""
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('log') / 'store.db'}")
    store.open()
    key = SealedKey(master_key_id="m", wrapped=b"")
    tenant = store.write_all(register.create, "acme", Settings(), key).result(60)
    appended = []
    with pytest.MonkeyPatch.context() as patch:
        for ms in moments:
            patch.setattr(log_events, "now_ms", lambda ms=ms: ms)
            appended.append(store.write(tenant.id, log_events.append, type="x").result(60).log_id)
    begin = data.draw(st.integers(0, len(appended)))
    last, read = appended[begin - 1] if begin else "", list[str]()
    while found := store.read(tenant.id, log_events.after, last, take).result(60):
        read += [event.log_id for event in found]
        last = read[-1]
    store.close()

    assert appended[begin:] == read


def test_a_date_may_be_told(asked: Any, acme: Tenant) -> None:
    """What came late is at its date in a search and at its turn in a checkpoint."""
    for text, ms in (("a", 200), ("b", 100), ("c", 300)):
        asked.write(acme, log_events.append, type="x", description=text, date_ms=ms)

    assert "bac" == texts(asked.events(acme))
    assert "cab" == texts(asked.read(acme, log_search.found, None, order=Order(), start=0, limit=9))
    assert "abc" == texts(asked.read(acme, log_events.after, "", 9))


def test_a_search_has_pages_and_a_number(asked: Any, acme: Tenant) -> None:
    for number in range(7):
        asked.write(acme, log_events.append, type="x" if number % 2 else "y", description=str(number))
    some = log_search.Text("type", ("x",))

    def page(search: Any, start: int, limit: int, *, ascending: bool = False) -> str:
        order = Order(ascending=ascending)
        return texts(asked.read(acme, log_search.found, search, order=order, start=start, limit=limit))

    assert ["654", "0", ""] == [page(None, start, 3) for start in (0, 6, 7)]
    assert "13" == page(some, 0, 2, ascending=True)
    assert [7, 3] == [asked.read(acme, log_search.number, search) for search in (None, some)]


def test_events_are_their_tenants_own(asked: Any, acme: Tenant) -> None:
    """Whatever is searched for."""
    other = asked.tenant("other")
    theirs = asked.write(other, log_events.append, type="x", description="theirs")

    with pytest.raises(Missing) as caught:
        asked.read(acme, log_events.get, theirs.log_id)
    assert "log_event" == caught.value.what
    for where in (None, EVENT.type == "x", (EVENT.type == "x") | (EVENT.type != "x"), EVENT.tenant_id == other.id):
        condition = () if where is None else (where,)
        assert 0 == asked.read(acme, lambda rows, condition=condition: rows.count(schema.log_events, *condition))
    assert [] == asked.read(acme, log_events.after, "", 10)


def test_old_events_are_swept(asked: Any, acme: Tenant, clock: Callable[[int], None]) -> None:
    other = asked.tenant("other")
    for day in range(6):
        clock(day * A_DAY_MS)
        for tenant in (acme, other):
            asked.write(tenant, log_events.append, type="x", description=str(day))

    assert 8 == swept(asked, 4 * A_DAY_MS, 100)
    assert [] == asked.read_all(log_events.overfull, 4 * A_DAY_MS, 100)
    assert ["45", "45"] == [texts(asked.events(tenant)) for tenant in (acme, other)]


def test_events_over_the_number_are_swept_the_oldest_first(asked: Any, acme: Tenant) -> None:
    other = asked.tenant("other")
    for number in range(9):
        asked.write(acme, log_events.append, type="x", description=str(number))
    asked.write(other, log_events.append, type="x", description="theirs")

    assert [acme.id] == asked.read_all(log_events.overfull, 0, 3)
    assert [6, 0] == [asked.write(acme, log_events.sweep, 0, 3) for _ in range(2)]
    assert [] == asked.read_all(log_events.overfull, 0, 3)
    assert "678" == texts(asked.events(acme))
    assert "theirs" == texts(asked.events(other))


def test_a_sweep_is_in_parts_that_end(asked: Any, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_events, "_SWEPT", 10)
    futures = [asked.store.write(acme.id, log_events.append, type="x", date_ms=number) for number in range(25)]
    assert 25 == len({future.result(60).log_id for future in futures})
    parts = iter(lambda: asked.write(acme, log_events.sweep, 24, 100), 0)

    assert [10, 10, 4] == list(parts)
    assert 1 == len(asked.events(acme))


def test_a_checkpoint_that_is_no_id_of_ours_reads_on(asked: Any, acme: Tenant) -> None:
    event = asked.write(acme, log_events.append, type="x")

    assert [event] == asked.read(acme, log_events.after, "0" * 56, 10)
    assert [] == asked.read(acme, log_events.after, "9" * 56, 10)
    assert [] == asked.read(acme, log_events.after, "x", 10)


def test_ids_of_hooks_ascend_when_the_clock_goes_back(
    asked: Any, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = asked.hook(acme, "one")
    monkeypatch.setattr(stamps.time, "time_ns", lambda: 0)
    made = [first.id, *(asked.hook(acme, name).id for name in "abcde")]

    assert sorted(set(made)) == made
    assert {26} == {len(id_) for id_ in made}


@settings(deadline=None)
@given(st.integers(0, 2**127))
def test_an_id_is_greater_than_the_one_before(number: int) -> None:
    last = str(ULID.from_int(number))
    made = stamps.id_after(last)

    assert last < made
    assert 26 == len(made)
    assert made == made.upper()


def test_the_log_of_a_store_outlives_it(tmp_path: Path, opened: Callable[[str], Store]) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    first = opened(url)
    key = SealedKey(master_key_id="m", wrapped=b"")
    tenant = first.write_all(register.create, "acme", Settings(), key).result(60)
    event = first.write(tenant.id, log_events.append, type="x").result(60)
    first.close()
    later = opened(url).write(tenant.id, log_events.append, type="x").result(60)

    assert event.log_id[-36:] < later.log_id[-36:]


def test_an_event_is_its_tenants_whatever_it_says(asked: Any, acme: Tenant) -> None:
    other = asked.tenant("other")
    event = {"type": "x", "tenant_id": other.id, "number": 7, "log_id": "1"}
    asked.write_all(log_events.append_of_all, [(acme.id, event)])

    assert (["x"], []) == ([kept.type for kept in asked.events(acme)], asked.events(other))
