"""What the durable queue makes up for: engines that die or pause, workers that are killed, and its own end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from counting import Counting
from queueing import Place, call

from engine.app import Engine
from engine.config import Config
from tenants import executions
from tenants.executions import End, Held
from tenants.records import Retry

_ROOM = {"lease_ms": 60_000, "most_attempts": 5, "most": 1, "after": ""}  # for one
ASK = 'requests.get("{url}/{name}")\ncb()'


def test_what_a_dead_engine_had_is_taken_over_and_its_end_counts_no_more(place: Place, counter: Counting) -> None:
    acme = place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="slow"))
    counter.hold("slow")
    paused = place.node(lease_ms=500)
    execution_id = place.enqueue(paused, acme, hook)
    counter.wait_for("slow")
    place.wait(call(paused.stop_beating))
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
    place.wait(call(node.queue.hurry))
    place.wait(node.queue.drain(1_000))
    counter.let_go("hurried")

    assert "queued" == place.execution(acme, execution_id).status


def test_a_queue_that_rests_takes_in_and_begins_nothing(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "cb()")
    place.wait(call(node.queue.rest))
    execution_id = place.enqueue(node, acme, hook)
    place.wait(node.queue.drain(60))

    assert ("queued", 0) == (place.execution(acme, execution_id).status, place.execution(acme, execution_id).attempt)


def test_an_invocation_whose_worker_was_killed_runs_again(place: Place, counter: Counting) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, ASK.format(url=counter.url, name="killed"))
    counter.hold("killed")
    execution_id = place.enqueue(node, acme, hook)
    counter.wait_for("killed")
    place.wait(call(lambda: _kill_worker_of(place, acme.id)))
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
        place.wait(call(lambda: _kill_worker_of(place, acme.id)))
    execution = place.ended(acme, execution_id)
    counter.let_go("deadly")

    assert ("dead", 2) == (execution.status, execution.attempt)
    assert ["fcph"] == [event.type for event in place.log(acme)]


def test_failures_are_counted_across_an_attempt_that_was_put_off(place: Place) -> None:
    """By an engine that is about to end: that is nobody's failure, and takes none back."""
    acme = place.tenant()
    hook = place.hook(acme, 'raise ValueError("never")', retry=Retry(attempts=2, first_ms=1, most_ms=2))
    execution_id = place.enqueue(place.node(open=False), acme, hook)
    claims = place.store.write_all(executions.claim, now_ms=1 << 50, **_ROOM, room={acme.id: 1}).result(60)
    (held,) = [Held(acme.id, each.id, each.fencing_token) for _, each in claims.starts]
    failed = End(held=held, status="queued", outcome={"message": "never", "failures": 1}, position=0, response="null")
    place.store.write_all(executions.finish, [failed]).result(60)
    ending = Engine(Config())
    place.wait(call(ending.hurry))
    with contextlib.closing(Place(place.wait, ending, place.url, place.folder)) as elsewhere:
        elsewhere.node()
        place.until(lambda: place.execution(acme, execution_id).fencing_token > held.fencing_token)
        place.until(lambda: place.execution(acme, execution_id).status == "queued")
    put_off = place.execution(acme, execution_id)
    place.node()
    dead = place.ended(acme, execution_id)

    assert (1, {"message": "never", "failures": 1}) == (put_off.attempt, put_off.outcome)
    assert ("dead", 2, 2) == (dead.status, dead.attempt, dead.outcome["failures"])


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
    last = place.node(open=False, most_attempts=2)
    follower = place.wait(call(lambda: last.live.follow(acme.id)))
    place.wait(call(last.queue.open))
    execution = place.ended(acme, execution_id)
    told = place.wait(anext(follower)).event
    (event,) = place.log(acme)

    assert ("dead", 2) == (execution.status, execution.attempt)
    assert "its engine was lost" in execution.outcome["message"]
    assert (execution_id, "error", execution.outcome["message"]) == (
        told["execution_id"],
        told["status"],
        told["message"],
    )
    assert ("fcph", "platform_error") == (event.type, event.details["error_class"])


def _steal(everything: Any, tenant_id: str, execution_id: str) -> None:
    """Another engine has it now, and holds it for long."""
    far = 1 << 50
    values = {"fencing_token": 77, "lease_until_ms": far, "due_ms": far}
    table = executions._ALL
    mine = (table.c.tenant_id == tenant_id, table.c.execution_id == execution_id)
    everything.execute(everything.update(table).where(*mine).values(**values))


def _kill_worker_of(place: Place, tenant_id: str) -> None:
    for worker in place.engine.pool._tenancies.leased:
        if worker.tenant == tenant_id:
            signal.pidfd_send_signal(worker.pidfd, signal.SIGKILL)
