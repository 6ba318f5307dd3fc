"""The durable queue, with real workers over real databases: at least once, recorded once, retried as it was said."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from counting import Counting, counting
from queueing import POINT, Place, sample

from engine.dispatch import Dispatcher
from engine.errors import Refusal
from engine.outcome import Outcome
from engine.points import point_named
from tenants import executions, register
from tenants.errors import Missing
from tenants.records import Retry

ASK = 'requests.get("{url}/{name}")\ncb()'
SOON = {"first_ms": 1, "most_ms": 2}  # between two attempts


@pytest.fixture
def place(engine_thread: Any, tmp_path: Path) -> Iterator[Place]:
    """An empty database."""
    place = Place(engine_thread.wait, engine_thread.engine, f"sqlite:///{tmp_path}/store.db", tmp_path)
    yield place
    place.close()


@pytest.fixture(scope="module")
def counter() -> Iterator[Counting]:
    """Who hooks call."""
    with counting() as server:
        yield server


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
    assert 1 == node.queue.stats()["enqueued"]
    with pytest.raises(Missing):
        place.execution(acme, new)


def test_calls_of_a_hook_that_is_left_alone_wait_for_as_long_as_it_is(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "cb()")
    for _ in range(9):
        place.wait(_call(lambda: _crash(node.dispatcher, (acme.id, hook.id, 1))))
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


def test_what_a_dead_engine_had_is_taken_over_and_its_end_counts_no_more(place: Place, counter: Counting) -> None:
    acme = place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="slow"))
    counter.hold("slow")
    paused = place.node(lease_ms=500)
    execution_id = place.enqueue(paused, acme, hook)
    counter.wait_for("slow")
    place.wait(_call(paused.stop_beating))
    other = place.node(lease_ms=500)
    counter.wait_for("slow", 2)
    counter.let_go("slow")
    execution = place.ended(acme, execution_id)
    place.until(lambda: paused.queue.stats()["running"] == 0)

    assert ("success", 2, 2) == (execution.status, execution.attempt, execution.fencing_token)
    assert (0, 1) == (paused.queue.stats()["ended"], paused.queue.stats()["refused"])
    assert (1, 0) == (other.queue.stats()["ended"], other.queue.stats()["refused"])
    assert execution == place.execution(acme, execution_id)


def test_a_job_whose_lease_was_lost_is_ended(place: Place, counter: Counting) -> None:
    acme = place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="lost"))
    counter.hold("lost")
    node = place.node(lease_ms=500)
    execution_id = place.enqueue(node, acme, hook)
    counter.wait_for("lost")
    running = place.execution(acme, execution_id)
    place.store.write_all(_steal, acme.id, running.id).result(60)
    place.until(lambda: node.queue.stats()["lost"] == 1)
    place.until(lambda: node.queue.stats()["running"] == 0)
    counter.let_go("lost")

    assert (0, 0) == (node.queue.stats()["ended"], node.queue.stats()["refused"])


def test_a_lease_is_kept_while_the_job_runs(place: Place, counter: Counting) -> None:
    acme = place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="long"))
    counter.hold("long")
    node, other = place.node(lease_ms=500), place.node(lease_ms=500)
    execution_id = place.enqueue(node, acme, hook)
    counter.wait_for("long")
    first = place.execution(acme, execution_id).lease_until_ms
    assert first is not None
    place.until(lambda: (place.execution(acme, execution_id).lease_until_ms or 0) > first + 1_000)
    counter.let_go("long")
    execution = place.ended(acme, execution_id)

    assert ("success", 1) == (execution.status, execution.attempt)
    assert 1 == counter.seen["long"]
    assert 1 == node.queue.stats()["ended"] + other.queue.stats()["ended"]


def test_draining_waits_for_what_runs(place: Place, counter: Counting) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="draining"))
    counter.hold("draining")
    execution_id = place.enqueue(node, acme, hook)
    counter.wait_for("draining")
    counter.let_go("draining")
    place.wait(node.queue.drain(60))

    assert ("success", 1) == (place.execution(acme, execution_id).status, place.execution(acme, execution_id).attempt)


def test_draining_gives_back_what_does_not_end_in_time(place: Place, counter: Counting) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="given-back"))
    counter.hold("given-back")
    execution_id = place.enqueue(node, acme, hook)
    counter.wait_for("given-back")
    place.wait(node.queue.drain(0.01))
    given_back = place.execution(acme, execution_id)
    counter.let_go("given-back")
    place.node()
    execution = place.ended(acme, execution_id)

    assert ("queued", 0) == (given_back.status, given_back.attempt)
    assert ("success", 1) == (execution.status, execution.attempt)


def test_a_second_word_ends_the_draining(place: Place, counter: Counting) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="hurried"))
    counter.hold("hurried")
    execution_id = place.enqueue(node, acme, hook)
    counter.wait_for("hurried")
    place.wait(_call(node.queue.hurry))
    place.wait(node.queue.drain(1_000))
    counter.let_go("hurried")

    assert "queued" == place.execution(acme, execution_id).status


def test_a_queue_that_rests_takes_in_and_begins_nothing(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "cb()")
    place.wait(_call(node.queue.rest))
    execution_id = place.enqueue(node, acme, hook)
    place.wait(node.queue.drain(60))

    assert ("queued", 0) == (place.execution(acme, execution_id).status, place.execution(acme, execution_id).attempt)


def test_an_invocation_whose_worker_was_killed_runs_again(place: Place, counter: Counting) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="killed"))
    counter.hold("killed")
    execution_id = place.enqueue(node, acme, hook)
    counter.wait_for("killed")
    place.wait(_call(lambda: _kill_worker_of(place, acme.id)))
    counter.let_go("killed")
    execution = place.ended(acme, execution_id)

    assert ("success", 2) == (execution.status, execution.attempt)
    assert 2 == counter.seen["killed"]


def test_one_whose_workers_always_die_is_dead_in_the_end(place: Place, counter: Counting) -> None:
    node, acme = place.node(most_attempts=2), place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="deadly"))
    counter.hold("deadly")
    execution_id = place.enqueue(node, acme, hook)
    for times in (1, 2):
        counter.wait_for("deadly", times)
        place.wait(_call(lambda: _kill_worker_of(place, acme.id)))
    execution = place.ended(acme, execution_id)
    counter.let_go("deadly")

    assert ("dead", 2) == (execution.status, execution.attempt)
    assert ["fcph"] == [event.type for event in place.log(acme)]


def test_an_invocation_whose_zygote_was_killed_runs_again(
    place: Place, counter: Counting, zygote_pid: Callable[[Any], int]
) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="zygote"))
    counter.hold("zygote")
    execution_id = place.enqueue(node, acme, hook)
    counter.wait_for("zygote")
    os.kill(zygote_pid(place.engine), signal.SIGKILL)
    counter.wait_for("zygote", 2)
    counter.let_go("zygote")
    execution = place.ended(acme, execution_id)

    assert ("success", 2) == (execution.status, execution.attempt)
    assert 2 == counter.seen["zygote"]


def test_one_that_every_engine_died_with_is_dead_and_its_tenant_is_told(place: Place) -> None:
    acme = place.tenant()
    node = place.node(open=False)
    execution_id = place.enqueue(node, acme, place.hook(acme, "cb()"))
    for number in range(2):
        claims = place.store.write_all(
            executions.claim,
            now_ms=place.execution(acme, execution_id).run_at_ms + number,
            lease_ms=0,
            most_attempts=2,
            room={acme.id: 9},
            most=9,
            after="",
        ).result(60)
        assert [execution_id] == [execution.id for _, execution in claims.starts]
    place.node(most_attempts=2)
    execution = place.ended(acme, execution_id)
    (event,) = place.log(acme)

    assert ("dead", 2) == (execution.status, execution.attempt)
    assert "its engine was lost" in execution.outcome["message"]
    assert ("fcph", "platform_error") == (event.type, event.details["error_class"])


def test_a_point_that_is_there_no_more_is_a_dead_end(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    taken_away = dataclasses.replace(point_named(POINT), id="taken-away")
    execution = place.ended(acme, place.enqueue(node, acme, place.hook(acme, "cb()"), point=taken_away))

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


def _steal(everything: Any, tenant_id: str, execution_id: str) -> None:
    """Another engine has it now, and holds it for long."""
    far = 1 << 50
    values = {"fencing_token": 77, "lease_until_ms": far, "due_ms": far}
    table = executions._ALL
    mine = (table.c.tenant_id == tenant_id, table.c.execution_id == execution_id)
    everything.execute(everything.update(table).where(*mine).values(**values))


def _kill_worker_of(place: Place, tenant_id: str) -> None:
    for worker in place.engine.pool._leased:
        if worker.tenant == tenant_id:
            signal.pidfd_send_signal(worker.pidfd, signal.SIGKILL)


async def _call(function: Callable[[], Any]) -> Any:
    """On the engine's loop."""
    return function()


def _crash(dispatcher: Dispatcher, key: tuple[str, str, int]) -> None:
    """Once more, after the pauses before."""
    crashes = dispatcher._backoff
    crashes.note(key, Outcome(status="crashed", message=""))
    if crashes._crashes[key].number < 9:
        crashes._crashes[key].until = 0.0
