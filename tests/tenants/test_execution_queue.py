"""The queue in the store, on both databases: taken in once, held by one, ended once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from queue_rows import LEASE_MS, Queue, ended, execution, held, new

from tenants import executions, register
from tenants.executions import Fill, Held, Recorded
from tenants.records import Tenant
from tenants.store import Store


@pytest.fixture
def queue(asked: Any) -> Queue:
    return Queue(asked)


def test_what_is_queued_is_started_as_it_was_given(queue: Queue, acme: Tenant) -> None:
    given = execution(hook_ids=("h1", "h2"), position=1, response='{"a":1}', run_at_ms=5)
    assert [given.id] == queue.put(executions.New(acme.id, given, 10))
    assert given == queue.get(acme, given.id)
    ((tenant_id, started),) = queue.claim(7).starts

    assert acme.id == tenant_id
    assert started == queue.get(acme, given.id)
    assert ("running", 1, 1, 7, 7 + LEASE_MS, given.arguments, ("h1", "h2"), 1, '{"a":1}') == (
        started.status, started.attempt, started.fencing_token, started.started_ms, started.lease_until_ms,
        started.arguments, started.hook_ids, started.position, started.response,
    )  # fmt: skip


def test_what_is_not_due_is_not_started(queue: Queue, acme: Tenant) -> None:
    queue.put(new(acme, run_at_ms=100), new(acme, run_at_ms=50))

    assert [] == queue.started(49)
    assert 50 == queue.due_ms()
    assert 1 == len(queue.started(99))
    assert 100 == queue.due_ms()


def test_nothing_is_due_where_nothing_waits(queue: Queue, acme: Tenant) -> None:
    (id_,) = queue.put(new(acme))
    queue.finish(ended(*queue.started()))

    assert "success" == queue.get(acme, id_).status
    assert None is queue.due_ms()


def test_the_earliest_is_started_first(queue: Queue, acme: Tenant) -> None:
    ids = queue.put(*(new(acme, run_at_ms=ms) for ms in (3, 1, 2)))

    assert [ids[1], ids[2], ids[0]] == [one.id for _ in range(3) for one in queue.started(9, most=1)]


def test_a_key_makes_one_execution(queue: Queue, acme: Tenant) -> None:
    """Of the same request: in one batch, later, and after it has ended."""
    keyed = {"idempotency_key": "k", "request_sha256": "a"}
    first, again, other = queue.put(
        new(acme, **keyed), new(acme, **keyed), new(acme, **keyed | {"request_sha256": "b"})
    )
    assert (first, "Taken idempotency_key") == (again, other)
    queue.finish(ended(*queue.started()))

    assert [first] == queue.put(new(acme, **keyed))
    answers = queue.asked.write_all(executions.enqueue, [new(acme, **keyed), new(acme)])
    assert [True, False] == [answer.again for answer in answers]


def test_a_key_is_its_tenants_own(queue: Queue, acme: Tenant) -> None:
    other = queue.asked.tenant("other")
    ids = queue.put(*(new(each, idempotency_key="k", request_sha256="a") for each in (acme, other)))

    assert 2 == len(set(ids))


def test_a_key_is_answered_also_when_the_queue_is_full(queue: Queue, acme: Tenant) -> None:
    keyed = {"idempotency_key": "k", "request_sha256": "a"}
    (first,) = queue.put(new(acme, **keyed))

    assert [first, "TooMany queued_jobs"] == queue.put(new(acme, 1, **keyed), new(acme, 1))


def test_a_queue_takes_what_its_tenant_may_have_waiting(queue: Queue, acme: Tenant) -> None:
    """What runs does not wait any more, and one tenant's queue is not another's."""
    other = queue.asked.tenant("other")
    assert 1 == len({*queue.put(*(new(acme, 2) for _ in range(4)))} & {"TooMany queued_jobs"})
    assert "TooMany queued_jobs" not in queue.put(new(other, 1))
    queue.started(room={acme.id: 1})

    assert ["TooMany queued_jobs"] == queue.put(new(acme, 2), new(acme, 2))[1:]


def test_a_long_queue_is_not_counted_each_time(queue: Queue, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """For half a second; its limit holds meanwhile, with what is added."""
    now = [100.0]
    counts: list[str] = []
    monkeypatch.setattr(executions.time, "monotonic", lambda: now[0])
    counting = executions._count_queued
    monkeypatch.setattr(executions, "_count_queued", lambda *given: counts.extend(given[1]) or counting(*given))
    fill = Fill()

    def put(number: int) -> Counter[str]:
        batch = [new(acme, 1_004) for _ in range(number)]
        return Counter(type(answer).__name__ for answer in queue.asked.write_all(executions.enqueue, batch, fill))

    put(1_000)
    assert {"Enqueued": 3} == put(3)
    assert {"Enqueued": 1, "TooMany": 2} == put(3)
    assert [acme.id] == counts
    queue.started(most=10)
    assert {"TooMany": 1} == put(1)
    now[0] += 0.6
    assert {"Enqueued": 1} == put(1)
    assert [acme.id] * 2 == counts


def test_an_unknown_tenant_and_one_that_is_gone_have_no_queue(queue: Queue, acme: Tenant) -> None:
    """The others of the batch are queued, and nothing of a gone tenant is run."""
    other = queue.asked.tenant("other")
    queue.put(new(acme))
    started = queue.started()
    queue.put(new(acme))
    queue.asked.write_all(register.remove, acme.id)

    assert ["Missing tenant"] * 2 == queue.put(new(acme), executions.New("nobody", execution(), 1), new(other))[:2]
    assert [other.id] == [tenant_id for tenant_id, _ in queue.claim(9_999_999).starts]
    assert LEASE_MS + 9_999_999 == queue.due_ms()
    queue.finish(ended(*started, log_event={"type": "fcph"}))
    queue.asked.write_all(executions.record, [Recorded(acme.id, execution(status="success"), {"type": "x"})])


def test_tenants_are_served_in_turn(queue: Queue, acme: Tenant) -> None:
    """One that floods has one turn like the others; who was last in one claim is last in the next."""
    tenants = [acme, *(queue.asked.tenant(name) for name in ("b", "c", "d"))]
    queue.put(*(new(acme) for _ in range(50)), *(new(one) for one in tenants[1:] for _ in range(2)))
    names = {tenant.id: tenant.name for tenant in tenants}
    turns = ["".join(names[id_][0] for id_, _ in queue.claim(most=2).starts) for _ in range(5)]

    assert ["ab", "cd", "ab", "cd", "aa"] == turns


def test_what_is_left_of_a_claim_goes_to_who_has_more(queue: Queue, acme: Tenant) -> None:
    other = queue.asked.tenant("other")
    queue.put(*(new(acme) for _ in range(9)), *(new(other) for _ in range(2)))

    assert {acme.id: 6, other.id: 2} == Counter(tenant_id for tenant_id, _ in queue.claim(most=8).starts)


def test_a_tenant_starts_no_more_than_it_has_room_for(queue: Queue, acme: Tenant) -> None:
    """One without room is passed over, and does not keep the others from their turns."""
    others = [queue.asked.tenant(f"t{number}") for number in range(3)]
    queue.put(*(new(tenant) for tenant in (acme, *others) for _ in range(3)))
    claims = queue.claim(most=2, room={acme.id: 0, others[1].id: 1, others[2].id: 2})

    assert {others[1].id: 1, others[2].id: 1} == Counter(tenant_id for tenant_id, _ in claims.starts)
    assert {others[2].id: 1} == Counter(id_ for id_, _ in queue.claim(room={others[2].id: 1}).starts)


def test_many_tenants_are_walked_in_steps(queue: Queue, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenants import claims  # noqa: PLC0415 - beside what is changed of it

    monkeypatch.setattr(claims, "_WALKED", 2)
    tenants = [acme, *(queue.asked.tenant(f"t{number}") for number in range(6))]
    queue.put(*(new(tenant) for tenant in tenants))
    queue.asked.write_all(register.remove, tenants[3].id)
    started = queue.claim(after=tenants[4].id)

    assert [tenants[number].id for number in (5, 6, 0, 1, 2, 4)] == [tenant_id for tenant_id, _ in started.starts]
    assert tenants[4].id == started.last


def test_nobody_else_starts_what_is_held(queue: Queue, acme: Tenant) -> None:
    queue.put(new(acme))

    assert [1, 0] == [len(queue.started(now_ms)) for now_ms in (0, LEASE_MS - 1)]
    assert LEASE_MS == queue.due_ms()


def test_what_its_engine_has_lost_is_taken_over(queue: Queue, acme: Tenant) -> None:
    """Whoever had it before changes nothing any more; the end of the one who has it counts once."""
    (id_,) = queue.put(new(acme))
    (lost,), (taken,) = queue.started(0), queue.started(LEASE_MS)
    assert (Held(acme.id, id_, 1), Held(acme.id, id_, 2)) == (lost, taken)
    assert set() == queue.asked.write_all(executions.extend, [lost], 99_999)
    queue.asked.write_all(executions.release, [lost])
    before = queue.get(acme, id_)
    assert [False] == queue.finish(ended(lost, "error", log_event={"type": "fcph"}))
    assert (before, []) == (queue.get(acme, id_), queue.asked.events(acme))

    assert [True, False] == queue.finish(ended(taken), ended(taken, "error"))
    assert [False] == queue.finish(ended(taken, "error"))
    assert ("success", 2, 2, None) == (
        (found := queue.get(acme, id_)).status, found.attempt, found.fencing_token, found.lease_until_ms
    )  # fmt: skip


def test_a_lease_that_is_over_holds_until_another_one_starts(queue: Queue, acme: Tenant) -> None:
    queue.put(new(acme))

    assert [True] == queue.finish(ended(*queue.started(0)))


def test_an_extended_lease_holds_longer(queue: Queue, acme: Tenant) -> None:
    queue.put(new(acme), new(acme))
    first, second = queue.started(0)
    assert {first} == queue.asked.write_all(executions.extend, [first, Held(acme.id, "none", 1)], 5 * LEASE_MS)

    assert [Held(acme.id, second.id, 2)] == queue.started(LEASE_MS)
    assert 5 * LEASE_MS == queue.get(acme, first.id).lease_until_ms


def test_one_that_was_lost_too_often_is_dead(queue: Queue, acme: Tenant) -> None:
    """With the outcome and the log event that it is given; it is started no more."""
    (id_,) = queue.put(new(acme))
    ending = {"ending": lambda tenant_id, dead: ({"by": tenant_id, "was": dead.attempt}, {"type": "fcph"})}
    claims = [queue.claim(turn * LEASE_MS, **ending) for turn in range(5)]

    assert [1, 1, 1, 0, 0] == [len(one.starts) for one in claims]
    assert [[], [], [], [(acme.id, queue.get(acme, id_))], []] == [one.dead for one in claims]
    found = queue.get(acme, id_)
    assert ("dead", 3, {"by": acme.id, "was": 3}, 3 * LEASE_MS) == (
        found.status, found.attempt, found.outcome, found.ended_ms
    )  # fmt: skip
    assert ["fcph"] == [event.type for event in queue.asked.events(acme)]
    assert None is queue.due_ms()


def test_one_that_is_dead_takes_no_turn(queue: Queue, acme: Tenant) -> None:
    queue.put(new(acme))
    queue.started(0)
    (waiting,) = queue.put(new(acme, run_at_ms=LEASE_MS + 1))
    claims = queue.claim(LEASE_MS + 1, most=1, most_attempts=1)

    assert (1, [waiting]) == (len(claims.dead), [started.id for _, started in claims.starts])


def test_attempts_that_were_finished_do_not_make_it_dead(queue: Queue, acme: Tenant) -> None:
    """A hook may be tried more often than an engine may be lost, and each time an engine may be lost."""
    queue.put(new(acme))
    for turn in range(0, 12, 2):
        assert 1 == len(queue.started(turn * LEASE_MS))
        queue.finish(ended(*queue.started((turn + 1) * LEASE_MS), "queued", run_at_ms=0))
    claims = queue.claim(99 * LEASE_MS)

    assert ([13], []) == ([started.attempt for _, started in claims.starts], claims.dead)


def test_one_that_was_dead_and_is_redriven_may_be_lost_again(queue: Queue, acme: Tenant) -> None:
    (id_,) = queue.put(new(acme))
    assert [1, 0] == [len(queue.claim(now_ms, most_attempts=1).starts) for now_ms in (0, LEASE_MS)]
    redriven = queue.asked.write(acme, executions.redrive, id_)

    later = [redriven.run_at_ms + turn * LEASE_MS for turn in range(3)]
    assert [1, 1, 0] == [len(queue.claim(now_ms, most_attempts=2).starts) for now_ms in later]


def test_an_attempt_that_is_to_be_repeated_is_queued_again(queue: Queue, acme: Tenant) -> None:
    """With what came of it, at its time."""
    (id_,) = queue.put(new(acme))
    (first,) = queue.started(0)
    assert [True] == queue.finish(ended(first, "queued", run_at_ms=7, position=3, response='"x"', outcome=[1]))
    found = queue.get(acme, id_)
    assert ("queued", 1, 3, '"x"', [1], 7, None, None) == (
        found.status, found.attempt, found.position, found.response, found.outcome, found.run_at_ms,
        found.lease_until_ms, found.ended_ms,
    )  # fmt: skip

    assert ([], 7, [Held(acme.id, id_, 2)]) == (queue.started(6), queue.due_ms(), queue.started(7))


@pytest.mark.parametrize("give_back", ["release", "not counted"])
def test_a_start_that_is_given_back_is_no_attempt(queue: Queue, acme: Tenant, give_back: str) -> None:
    (id_,) = queue.put(new(acme))
    (first,) = queue.started(0)
    if give_back == "release":
        queue.asked.write_all(executions.release, [first])
    else:
        queue.finish(ended(first, "queued", counted=False))
    assert ("queued", 0) == ((found := queue.get(acme, id_)).status, found.attempt)

    (again,) = queue.claim(10**15).starts
    assert (1, 2) == (again[1].attempt, again[1].fencing_token)


def test_a_failure_is_logged_with_its_end(queue: Queue, acme: Tenant) -> None:
    """A character that no text may have does not keep it from being stored."""
    other = queue.asked.tenant("other")
    queue.put(new(acme), new(acme), new(other))
    said = {"type": "fcph", "description": "a\0b\ud800", "details": {"error": "\0\ud800"}}
    ends = [ended(held(start), "error", log_event=said) for start in queue.claim().starts]
    assert [True] * 3 == queue.finish(*ends)

    (one, two), (three,) = queue.asked.events(acme), queue.asked.events(other)
    assert one.log_id < two.log_id
    assert ["a\ufffdb?"] * 3 == [event.description for event in (one, two, three)]
    assert {"error": "\0\ud800"} == one.details


def test_what_was_not_queued_is_recorded_with_its_log_event(queue: Queue, acme: Tenant) -> None:
    kept = execution(blocking=True, status="error", attempt=1, started_ms=3, ended_ms=4, outcome={"a": [1.5, None]})
    queue.asked.write_all(executions.record, [Recorded(acme.id, kept, {"type": "fs", "description": "no"})])
    queue.asked.write_all(executions.record, [])

    assert kept == queue.get(acme, kept.id)
    assert ["no"] == [event.description for event in queue.asked.events(acme)]
    assert (None, []) == (queue.due_ms(), queue.started(9))


def test_batches_of_nothing_change_nothing(queue: Queue) -> None:
    assert ([], [], set()) == (queue.put(), queue.finish(), queue.asked.write_all(executions.extend, [], 1))
    queue.asked.write_all(executions.release, [])


def test_nodes_that_claim_at_once_start_each_once(
    url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    nodes = [Queue(asked_of(opened(url))) for _ in range(3)]
    tenants = [nodes[0].asked.tenant(f"t{number}") for number in range(4)]
    for tenant in tenants:
        nodes[0].put(*(new(tenant) for _ in range(30)))
    taken: list[Held] = []
    ends: list[bool] = []

    def work(node: Queue) -> None:
        while node.due_ms() == 0:
            rights = node.started(0, most=7)
            taken.extend(rights)
            ends.extend(node.finish(*map(ended, rights)))

    threads = [threading.Thread(target=work, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (120, 120) == (len(taken), len({(one.tenant_id, one.id) for one in taken}))
    assert [True] * 120 == ends


def test_nodes_that_use_a_key_at_once_make_one_execution(
    url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    nodes = [Queue(asked_of(opened(url))) for _ in range(2)]
    tenant = nodes[0].asked.tenant("acme")
    keys = [{"idempotency_key": f"k{number}", "request_sha256": "a"} for number in range(20)]
    answers: dict[int, list[str]] = {}

    def put(number: int) -> None:
        answers[number] = [id_ for key in keys for id_ in nodes[number].put(new(tenant, **key))]

    threads = [threading.Thread(target=put, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert answers[0] == answers[1]
    assert 20 == len(set(answers[0]))
