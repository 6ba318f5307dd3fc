"""Ends on their way into the store: what is written down of them, and one that cannot be stored."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from queueing import POINT, Place, sample

from engine.executions import Earlier, Told, told_of_fault
from engine.points import point_named
from engine.queue.ending import Ending
from tenants import executions
from tenants.executions import End, Held
from tenants.records import Execution, Tenant


def started(place: Place, tenant: Tenant, number: int) -> list[Held]:
    """So many that are under way, and nobody runs."""
    node = place.node(open=False)
    for _ in range(number):
        place.wait(node.queue.enqueue(tenant, point_named(POINT), sample(), ("h",)))
    claims = place.store.write_all(
        executions.claim,
        now_ms=1 << 50,
        lease_ms=1_000,
        most_attempts=5,
        room={tenant.id: number},
        most=number,
        after="",
    ).result(60)
    return [Held(tenant.id, execution.id, execution.fencing_token) for _, execution in claims.starts]


def end_of(held: Held, **fields: Any) -> End:
    """A success, or what the fields say."""
    return End(**{"held": held, "status": "success", "outcome": None, "position": 1, "response": "null"} | fields)


def write(place: Place, *ends: tuple[End, Told | Earlier]) -> list[bool]:
    """Whether each counted; all of them come at once."""

    async def writing() -> list[bool]:
        ending = Ending(place.store)
        return list(await asyncio.gather(*(ending.write(end, told) for end, told in ends)))

    counted: list[bool] = place.wait(writing())
    return counted


def stored(place: Place, tenant: Tenant, held: Held) -> Execution:
    return place.execution(tenant, held.id)


def test_an_end_tells_how_long_it_waited_for_the_store(place: Place) -> None:
    acme = place.tenant()
    (held,) = started(place, acme, 1)
    counted = write(place, (end_of(held), Told(status="success", message="", failures=0)))
    execution = stored(place, acme, held)

    assert [True] == counted
    assert ("success", "success", 0) == (execution.status, execution.outcome["status"], execution.outcome["failures"])
    assert execution.outcome["timings"]["record_ms"] > 0


def test_what_an_earlier_attempt_has_left_stays_where_nothing_came_of_this_one(place: Place) -> None:
    acme = place.tenant()
    (held,) = started(place, acme, 1)
    left = {"status": "error", "message": "no", "hooks": [{"name": "it"}], "failures": 3}
    write(place, (end_of(held, status="queued", counted=False), Earlier(left)))
    execution = stored(place, acme, held)

    assert ("queued", 0, left) == (execution.status, execution.attempt, execution.outcome)


def test_one_that_cannot_be_stored_ends_all_the_same_and_takes_none_with_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    acme = place.tenant()
    bad, good = started(place, acme, 2)
    told = Told(status="success", message="", error=msgspec.Raw(b'"whole"'), failures=4)
    counted = write(place, (end_of(bad, response="\ud800"), told), (end_of(good), told))
    of_bad, of_good = stored(place, acme, bad), stored(place, acme, good)

    assert [True, True] == counted
    assert ("whole", "success") == (of_good.outcome["error"], of_good.outcome["status"])
    assert ("error", "what came of it could not be stored") == (of_bad.outcome["status"], of_bad.outcome["message"])
    assert 4 == of_bad.outcome["failures"]
    assert "could not be stored" in caplog.text


def test_one_that_cannot_be_written_down_ends_all_the_same_and_takes_none_with_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    acme = place.tenant()
    bad, good = started(place, acme, 2)
    broken = Told(status="error", message="half a pair: \ud800", failures=2)
    counted = write(
        place, (end_of(bad, status="error"), broken), (end_of(good), Told(status="success", message="whole"))
    )
    of_bad, of_good = stored(place, acme, bad), stored(place, acme, good)

    assert [True, True] == counted
    assert ("success", "whole") == (of_good.status, of_good.outcome["message"])
    assert ("error", "what came of it could not be written down") == (of_bad.status, of_bad.outcome["message"])
    assert "could not be written down" in caplog.text


@pytest.mark.parametrize(
    "told", [Told(status="error", message="\ud800", failures=2), Earlier({"\ud800": 1, "failures": 2})]
)
def test_what_cannot_be_kept_of_an_attempt_is_counted_all_the_same(place: Place, told: Told | Earlier) -> None:
    """Else a hook whose ends cannot be kept would be run for ever."""
    acme = place.tenant()
    (held,) = started(place, acme, 1)
    write(place, (end_of(held, status="queued"), told))

    assert 2 == stored(place, acme, held).outcome["failures"]


def test_an_end_under_another_token_does_not_count(place: Place) -> None:
    acme = place.tenant()
    (held,) = started(place, acme, 1)
    other = msgspec.structs.replace(held, fencing_token=held.fencing_token + 1)

    assert [False, True] == write(
        place, (end_of(other), told_of_fault("not mine")), (end_of(held), Told(status="success", message=""))
    )
