"""The durable queue, with real workers over real databases: at least once, recorded once, retried as it was said."""

from __future__ import annotations

import dataclasses
import time

import pytest
from counting import Counting
from queueing import POINT, Place, call, sample

from engine.dispatch import Dispatcher
from engine.errors import Refusal
from engine.invocation import Ended, Invocation
from engine.outcome import Outcome
from engine.points import point_named
from tenants import executions, register
from tenants.errors import Missing
from tenants.records import Retry

ASK = 'requests.get("{url}/{name}")\ncb()'
SOON = {"first_ms": 1, "most_ms": 2}  # between two attempts


def test_what_is_acknowledged_is_run_and_recorded(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "console.log(context.webtask.execution_id, context.webtask.attempt, user.email)\ncb()")
    execution = place.ended(acme, place.enqueue(node, acme, hook))
    (run,) = execution.outcome["hooks"]

    assert ("success", 1, 1) == (execution.status, execution.attempt, execution.position)
    assert (hook.id, "it", 1, "ok") == (run["hook_id"], run["name"], run["version"], run["outcome"]["status"])
    assert f"{execution.id} 1 user1@foo.com" == run["outcome"]["logs"][0]["text"]
    assert {"queue_ms", "lease_ms", "run_ms", "egress_ms", "record_ms"} == set(execution.outcome["timings"])
    assert all(ms >= 0 for ms in execution.outcome["timings"].values())
    assert execution.outcome["timings"]["run_ms"] > 0
    assert execution.ended_ms is not None
    assert [] == place.log(acme)


def test_an_error_is_one_event_of_the_tenants_log(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, 'cb(Error("no such customer"))')
    execution = place.ended(acme, place.enqueue(node, acme, hook))
    (event,) = place.log(acme)

    assert ("error", 1, "no such customer") == (execution.status, execution.attempt, execution.outcome["message"])
    assert ("fcph", "no such customer", "u1", "users") == (
        event.type,
        event.description,
        event.user_id,
        event.connection,
    )
    assert (POINT, execution.id, hook.id, "hook_error") == tuple(
        event.details[name] for name in ("trigger_id", "execution_id", "hook_id", "error_class")
    )


def test_a_hook_is_tried_again_until_it_ends_well(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(
        acme,
        'if context.webtask.attempt < 3:\n    raise ValueError("not yet")\ncb()',
        retry=Retry(attempts=5, **SOON),
    )
    execution = place.ended(acme, place.enqueue(node, acme, hook))

    assert ("success", 3) == (execution.status, execution.attempt)
    assert [] == place.log(acme)


def test_one_that_has_used_up_its_attempts_is_dead_and_may_be_redriven(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, 'raise ValueError("never")', retry=Retry(attempts=3, **SOON))
    execution_id = place.enqueue(node, acme, hook)
    dead = place.ended(acme, execution_id)
    place.store.write(acme.id, executions.redrive, execution_id).result(60)
    again = place.ended(acme, execution_id)

    assert [("dead", 3), ("dead", 3)] == [(each.status, each.attempt) for each in (dead, again)]
    assert dead.ended_ms != again.ended_ms
    assert again.fencing_token > dead.fencing_token
    assert ["fcph", "fcph"] == [event.type for event in place.log(acme)]


def test_an_end_that_the_retry_does_not_name_is_final(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "pass", retry=Retry(attempts=9, on=("raised",), **SOON))
    execution = place.ended(acme, place.enqueue(node, acme, hook))

    assert ("error", 1) == (execution.status, execution.attempt)
    assert "no_callback" == execution.outcome["hooks"][0]["outcome"]["status"]


def test_a_hook_that_has_ended_well_is_not_run_again_for_the_next_one(place: Place, counter: Counting) -> None:
    node, acme = place.node(), place.tenant(multiple_hooks=True)
    first = place.hook(acme, ASK.format(url=counter.url, name="first-of-two"), name="first", order=1)
    second = place.hook(
        acme,
        'if context.webtask.attempt < 3:\n    raise ValueError("not yet")\ncb()',
        name="second",
        order=2,
        retry=Retry(attempts=3, **SOON),
    )
    execution = place.ended(acme, place.enqueue(node, acme, first, second))

    assert ("success", 3, 2) == (execution.status, execution.attempt, execution.position)
    assert ["second"] == [run["name"] for run in execution.outcome["hooks"]]
    assert 1 == counter.seen["first-of-two"]


def test_without_a_hook_there_is_nothing_to_keep(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    execution_id = place.enqueue(node, acme)

    assert 26 == len(execution_id)
    with pytest.raises(Missing):
        place.execution(acme, execution_id)


def test_a_queued_invocation_has_time_for_each_of_its_hooks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as each may take, and once as long as one may wait for a worker."""
    node, acme = place.node(wall_ms=10_000, wait_ms=1_000), place.tenant(multiple_hooks=True)
    left_s: list[float] = []
    run = node.dispatcher.run

    async def running(invocation: Invocation) -> Ended:
        left_s.append(invocation.deadline - time.monotonic())
        return await run(invocation)

    monkeypatch.setattr(node.dispatcher, "run", running)
    several = [place.hook(acme, "cb()", name=name) for name in ("a", "b", "c")]
    for hooks in (several[:1], several):
        assert "success" == place.ended(acme, place.enqueue(node, acme, *hooks)).status

    assert 1 < left_s[0] <= 11
    assert 21 < left_s[1] <= 31


def test_a_key_makes_a_repeated_call_one_invocation(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "cb()")
    ids = {place.enqueue(node, acme, hook, key="order-7") for _ in range(3)}
    told = node.queue.enqueue(acme, point_named(POINT), sample() + b" ", (hook.id,), "order-7")
    with pytest.raises(Refusal, match="came with another") as refused:
        place.wait(told)

    assert 1 == len(ids)
    assert (409, "idempotency_key") == (refused.value.status, refused.value.code)
    assert place.enqueue(node, acme, hook, key="order-8") not in ids


def test_a_key_is_known_when_no_hook_is_enabled_any_more(place: Place) -> None:
    node, acme = place.node(open=False), place.tenant()
    first = place.enqueue(node, acme, place.hook(acme, "cb()"), key="order-7")
    told = node.queue.enqueue(acme, point_named(POINT), sample() + b" ", (), "order-7")
    with pytest.raises(Refusal, match="came with another"):
        place.wait(told)
    new = place.enqueue(node, acme, key="order-8")

    assert first == place.enqueue(node, acme, key="order-7")
    assert [first] == [each.id for each in place.store.read(acme.id, executions.page).result(60)]
    with pytest.raises(Missing):
        place.execution(acme, new)


def test_calls_of_a_hook_that_is_left_alone_wait_for_as_long_as_it_is(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "cb()")
    for _ in range(9):
        place.wait(call(lambda: _crash(node.dispatcher, (acme.id, hook.id, 1))))
    execution_id = place.enqueue(node, acme, hook)
    place.until(lambda: place.execution(acme, execution_id).fencing_token)
    place.until(lambda: place.execution(acme, execution_id).status == "queued")
    put_off = place.execution(acme, execution_id)

    assert ("queued", 0, 1) == (put_off.status, put_off.attempt, put_off.fencing_token)
    assert 55_000 < put_off.run_at_ms - put_off.created_ms


def test_a_tenants_own_limit_holds_from_its_first_queued_invocation_on(place: Place) -> None:
    acme = place.tenant(jobs_at_once=2)
    hook = place.hook(acme, "cb()")
    execution_id = place.enqueue(place.node(open=False), acme, hook)
    other = place.node()
    place.ended(acme, execution_id)

    assert 1 == other.admission.room(acme.id) < other.admission.room("another one")


def test_a_tenant_has_as_many_in_the_queue_as_it_may(place: Place) -> None:
    node, acme = place.node(open=False), place.tenant(queued_jobs=2)
    hook, globex = place.hook(acme, "cb()"), place.tenant("globex")
    for _ in range(2):
        place.enqueue(node, acme, hook)
    with pytest.raises(Refusal, match="queued_jobs") as refused:
        place.enqueue(node, acme, hook)

    assert (429, "queued_jobs") == (refused.value.status, refused.value.code)
    assert int(refused.value.headers["Retry-After"]) >= 1
    assert place.enqueue(node, globex, place.hook(globex, "cb()"))


def test_a_point_that_is_there_no_more_is_a_dead_end(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    follower = place.wait(call(lambda: node.live.follow(acme.id)))
    taken_away = dataclasses.replace(point_named(POINT), id="taken-away")
    execution = place.ended(acme, place.enqueue(node, acme, place.hook(acme, "cb()"), point=taken_away))
    told = place.wait(anext(follower)).event

    assert (execution.id, "error", execution.outcome["message"]) == (
        told["execution_id"],
        told["status"],
        told["message"],
    )
    assert "dead" == execution.status
    assert "taken-away" in execution.outcome["message"]


def test_what_a_removed_tenant_had_in_the_queue_is_not_run_and_others_are(place: Place, counter: Counting) -> None:
    resting, gone, acme = place.node(open=False), place.tenant("gone"), place.tenant()
    place.enqueue(resting, gone, place.hook(gone, ASK.format(url=counter.url, name="of-the-gone")))
    place.store.write_all(register.remove, gone.id).result(60)
    execution_id = place.enqueue(resting, acme, place.hook(acme, "cb()"))
    place.node()

    assert "success" == place.ended(acme, execution_id).status
    assert 0 == counter.seen["of-the-gone"]


def test_a_long_queue_of_one_tenant_is_no_wait_for_another(place: Place) -> None:
    resting, flood, acme = place.node(open=False), place.tenant("flood"), place.tenant()
    hook = place.hook(flood, "cb()")
    ids = [place.enqueue(resting, flood, hook) for _ in range(300)]
    execution_id = place.enqueue(resting, acme, place.hook(acme, "cb()"))
    node = place.node(lease_ms=500)
    quick, slow = place.ended(acme, execution_id), [place.ended(flood, each) for each in ids]

    place.until(lambda: node.queue.stats()["running"] == 0)

    assert ["success"] * 300 == [each.status for each in slow]
    assert (301, 0, 0) == tuple(node.queue.stats()[name] for name in ("ended", "refused", "lost"))
    assert (quick.started_ms or 0) <= sorted(each.started_ms or 0 for each in slow)[150]


def _crash(dispatcher: Dispatcher, key: tuple[str, str, int]) -> None:
    """Once more, after the pauses before."""
    crashes = dispatcher._backoff
    crashes.note(key, Outcome(status="crashed", message=""))
    if crashes._crashes[key].number < 9:
        crashes._crashes[key].until = 0.0
