"""Records of executions: found and paged, redriven, swept when they are old or too many."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from queue_rows import Queue, ended, execution, new

from tenants import execution_rows, executions, register, stamps
from tenants.errors import Missing, Stale
from tenants.executions import Held, Recorded
from tenants.records import Execution, Tenant


def record(asked: Any, tenant: Tenant, **fields: Any) -> Execution:
    """One that has ended."""
    kept = execution(**{"blocking": True, "status": "success", "ended_ms": 1} | fields)
    asked.write_all(executions.record, [Recorded(tenant.id, kept)])
    return kept


def there(asked: Any, tenant: Tenant) -> list[int | None]:
    """When those that are there ended, the newest first."""
    return [one.ended_ms for one in asked.read(tenant, executions.page)]


def swept(asked: Any, before_ms: int, most: int) -> int:
    tenants, _ = asked.read_all(executions.overfull, before_ms, most)
    return sum(asked.store.write(tenant_id, executions.sweep, before_ms, most).result(60) for tenant_id in tenants)


def test_an_execution_is_its_tenants_own(asked: Any, acme: Tenant) -> None:
    other = asked.tenant("other")
    mine = record(asked, acme)

    assert [mine.id] == [one.id for one in asked.read(acme, executions.page)]
    assert [] == asked.read(other, executions.page)
    with pytest.raises(Missing) as caught:
        asked.read(other, executions.get, mine.id)
    assert "execution" == caught.value.what


def test_pages_go_from_the_newest_to_the_oldest(asked: Any, acme: Tenant) -> None:
    made = [record(asked, acme, id=f"{number:026}") for number in range(7)]
    found: list[Execution] = []
    while page := asked.read(acme, executions.page, before=found[-1].id if found else None, limit=3):
        found += page

    assert [replace(one, arguments="null") for one in made[::-1]] == found


def test_a_page_tells_nothing_that_is_large(asked: Any, acme: Tenant) -> None:
    """However it was written: as a record, or as the end of an attempt."""
    told = {"status": "error", "message": "m" * 5_000, "timings": {"run_ms": 1.0}, "hooks": [{"name": "h"}]}
    record(asked, acme, outcome=told, response="[1]")
    queue = Queue(asked)
    queue.put(new(acme))
    queue.finish(*(ended(right, outcome=told) for right in queue.started()))
    page = asked.read(acme, executions.page)

    brief = {"status": "error", "message": "m" * 1_000, "timings": {"run_ms": 1.0}}
    assert [brief, brief] == [one.outcome for one in page]
    assert [("null", "null")] * 2 == [(one.arguments, one.response) for one in page]
    assert [told, told] == [asked.read(acme, executions.get, one.id).outcome for one in page]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"trigger_id": "p"}, "dca"),
        ({"status": "dead"}, "cb"),
        ({"hook_id": "01H"}, "db"),
        ({"hook_id": "01h"}, ""),
        ({"hook_id": "%"}, ""),
        ({"hook_id": '01H","02H'}, ""),
        ({"trigger_id": "p", "status": "dead"}, "c"),
        ({"trigger_id": "p", "status": "success", "hook_id": "02H", "before": "d" * 26}, "a"),
    ],
)
def test_a_page_has_those_that_fit_every_filter(asked: Any, acme: Tenant, wanted: dict[str, str], names: str) -> None:
    for name, trigger_id, status, hook_ids in (
        ("a", "p", "success", ("02H",)),
        ("b", "q", "dead", ("01H",)),
        ("c", "p", "dead", ()),
        ("d", "p", "success", ("02H", "01H")),
    ):
        record(asked, acme, id=name * 26, trigger_id=trigger_id, status=status, hook_ids=hook_ids)

    assert list(names) == [one.id[0] for one in asked.read(acme, executions.page, **wanted)]


@pytest.mark.parametrize("status", ["error", "dead"])
def test_one_that_has_failed_is_redriven_from_where_it_stood(asked: Any, acme: Tenant, status: str) -> None:
    """Its attempts begin anew; its fencing token does not."""
    queue = Queue(asked)
    (id_,) = queue.put(new(acme))
    (first,) = queue.started()
    queue.finish(ended(first, status, position=2, response='{"a":1}'))
    before = stamps.now_ms()
    redriven = asked.write(acme, executions.redrive, id_)

    assert redriven == queue.get(acme, id_)
    assert ("queued", 0, 2, '{"a":1}', None) == (
        redriven.status, redriven.attempt, redriven.position, redriven.response, redriven.ended_ms
    )  # fmt: skip
    assert before <= redriven.run_at_ms <= stamps.now_ms()
    assert [False] == queue.finish(ended(first))
    assert [Held(acme.id, id_, 2)] == queue.started(redriven.run_at_ms)


@pytest.mark.parametrize("how", ["queued", "running", "success", "blocking"])
def test_one_that_nobody_can_run_again_is_not_redriven(asked: Any, acme: Tenant, how: str) -> None:
    queue = Queue(asked)
    (id_,) = queue.put(new(acme))
    if how == "blocking":
        id_ = record(asked, acme, status="error").id
    elif how != "queued":
        started = queue.started()
        queue.finish(*(ended(one) for one in started if how == "success"))
    before = queue.get(acme, id_)

    with pytest.raises(Stale):
        asked.write(acme, executions.redrive, id_)
    assert before == queue.get(acme, id_)


def test_another_tenants_execution_is_not_redriven(asked: Any, acme: Tenant) -> None:
    kept = record(asked, asked.tenant("other"), status="error", blocking=False)

    with pytest.raises(Missing):
        asked.write(acme, executions.redrive, kept.id)


def test_what_is_old_is_swept_away(asked: Any, acme: Tenant) -> None:
    for ended_ms in (10, 30, 20):
        record(asked, acme, ended_ms=ended_ms)

    assert (0, 2, 0) == (swept(asked, 10, 99), swept(asked, 30, 99), swept(asked, 30, 99))
    assert [30] == there(asked, acme)


def test_the_oldest_of_too_many_are_swept_away(asked: Any, acme: Tenant) -> None:
    other = asked.tenant("other")
    for ended_ms in (5, 1, 4, 2, 3):
        record(asked, acme, ended_ms=ended_ms)
    record(asked, other)

    assert (0, 3, 0) == (swept(asked, 0, 5), swept(asked, 0, 2), swept(asked, 0, 2))
    assert {4, 5} == set(there(asked, acme))
    assert [1] == there(asked, other)


def test_of_those_that_ended_at_one_moment_the_last_ones_stay(asked: Any, acme: Tenant) -> None:
    ids = [record(asked, acme).id for _ in range(5)]

    assert 3 == swept(asked, 0, 2)
    assert set(sorted(ids)[3:]) == {one.id for one in asked.read(acme, executions.page)}


def test_a_sweep_takes_a_part_at_a_time(asked: Any, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_rows, "_SWEPT", 2)
    for ended_ms in range(5):
        record(asked, acme, ended_ms=ended_ms)

    assert [2, 2, 0] == [swept(asked, 0, 1) for _ in range(3)]
    assert [4] == there(asked, acme)


def test_what_has_not_ended_is_never_swept_away(asked: Any, acme: Tenant) -> None:
    queue = Queue(asked)
    queue.put(new(acme), new(acme))
    queue.started(most=1)
    record(asked, acme)

    assert 1 == swept(asked, 10**15, 0)
    assert [None, None] == there(asked, acme)


def test_a_key_is_free_when_its_execution_was_swept_away(asked: Any, acme: Tenant) -> None:
    queue = Queue(asked)
    queue.put(new(acme, idempotency_key="k", request_sha256="a"))
    queue.finish(ended(*queue.started()))
    swept(asked, 0, 0)

    assert "Taken idempotency_key" not in queue.put(new(acme, idempotency_key="k", request_sha256="b"))


def test_tenants_are_looked_at_in_parts(asked: Any, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_rows, "_LOOKED_AT", 2)
    tenants = [acme, *(asked.tenant(f"t{number}") for number in range(4))]
    for number in (1, 2, 4):
        record(asked, tenants[number])
    asked.write_all(register.remove, tenants[2].id)
    found: list[str] = []
    after: str | None = ""
    looks = 0
    while after is not None:
        overfull, after = asked.read_all(executions.overfull, 2, 9, after)
        found, looks = found + overfull, looks + 1

    assert ([tenants[1].id, tenants[4].id], 3) == (found, looks)
