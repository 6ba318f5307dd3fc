"""How often the queue looks for what is due, while many are taken in and otherwise."""

from __future__ import annotations

import asyncio
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from queueing import POINT, Node, Place, sample

from engine.points import point_named
from engine.queue.pace import Pace
from tenants.records import Hook, Tenant


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Told(Pace):
    """One that keeps what its queue tells it; it holds the queue up for so long, one after the other, then no more."""

    def __init__(self, *holds: float) -> None:
        super().__init__()
        self.holds = list(holds)
        self.told: list[str | int] = []
        self.looked_at = 0.0  # time.monotonic()

    def took_in(self, number: int) -> None:
        self.told.append(number)

    def looks(self) -> None:
        self.told.append("looks")
        self.looked_at = time.monotonic()

    def looked(self) -> None:
        self.told.append("looked")

    def hold_s(self) -> float:
        return self.holds.pop(0) if self.holds else 0.0


def looks_of(taken_in: list[int], *, every_s: float, look_s: float) -> int:
    """How often a queue looks that would always look again, while changes take in so many, one after the other."""
    clock, looks = Clock(), 0
    pace, begun = Pace(clock), clock.now
    while (change := int((clock.now - begun) / every_s)) < len(taken_in):
        pace.took_in(taken_in[change])
        if hold_s := pace.hold_s():
            clock.now += min(hold_s, every_s)
            continue
        looks += 1
        pace.looks()
        clock.now += look_s
        pace.looked()
    return looks


def test_where_few_are_taken_in_nothing_holds_the_queue_up() -> None:
    assert 500 <= looks_of([15] * 1_000, every_s=0.001, look_s=0.002) <= 501


def test_while_many_are_taken_in_the_queue_rests_for_three_times_as_long_as_it_looks() -> None:
    assert 125 <= looks_of([16] * 1_000, every_s=0.001, look_s=0.002) <= 126
    assert 25 <= looks_of([500] * 200, every_s=0.005, look_s=0.01) <= 26


def test_however_long_a_look_takes_the_queue_rests_for_no_longer_than_a_tenth_of_a_second() -> None:
    assert 10 <= looks_of([500] * 1_100, every_s=0.01, look_s=1.0) <= 11


def test_the_first_look_is_never_held_up() -> None:
    pace = Pace(Clock())
    pace.took_in(1_000)

    assert 0.0 == pace.hold_s()


def test_when_the_rush_is_over_the_queue_looks_whenever_it_likes() -> None:
    rush, after = [500] * 1_000, [1] * 1_000

    assert looks_of(rush + after, every_s=0.001, look_s=0.002) > looks_of(rush, every_s=0.001, look_s=0.002) + 450


@settings(deadline=None)
@given(
    looks=st.lists(st.tuples(st.integers(0, 1_000), st.floats(0.0, 10.0), st.floats(0.0, 1.0)), min_size=1, max_size=50)
)
def test_the_queue_begins_at_least_a_quarter_of_what_it_would(looks: list[tuple[int, float, float]]) -> None:
    clock = Clock()
    pace = Pace(clock)
    for number, look_s, later_s in looks:
        pace.looks()
        clock.now += look_s
        pace.looked()
        pace.took_in(number)
        assert 0.0 <= pace.hold_s() <= min(3 * look_s, 0.1) + 1e-9
        clock.now += later_s


def burst(place: Place, node: Node, tenant: Tenant, number: int, *hooks: Hook, key: str | None = None) -> None:
    """So many at once."""

    async def calls() -> None:
        ids = tuple(hook.id for hook in hooks)
        await asyncio.gather(
            *(node.queue.enqueue(tenant, point_named(POINT), sample(), ids, key) for _ in range(number))
        )

    place.wait(calls())


def numbers(pace: Told) -> int:
    """How many were taken in all in all, as far as it was told."""
    return sum(each for each in pace.told if isinstance(each, int))


def test_the_queue_tells_its_pace_what_was_taken_in_but_not_what_was_there_before_or_is_nowhere(place: Place) -> None:
    """Who repeats a key makes no rush for others."""
    node, acme = place.node(open=False), place.tenant()
    hook, pace = place.hook(acme, "cb()"), Told()
    node.queue._pace = pace
    burst(place, node, acme, 30, hook)
    made = numbers(pace)
    burst(place, node, acme, 30, hook, key="again")
    with_key = numbers(pace)
    burst(place, node, acme, 30, key="none")

    assert (30, 31, 31) == (made, with_key, numbers(pace))


def test_the_queue_looks_again_only_when_its_pace_lets_it(place: Place) -> None:
    node = place.node(open=False)
    pace = Told(*[0.05] * 4)
    node.queue._pace = pace

    async def opened() -> float:
        node.queue.open()
        return time.monotonic()

    begun = place.wait(opened())
    place.until(lambda: "looked" in pace.told)

    assert ["looks", "looked"] == pace.told[:2]
    assert pace.looked_at - begun > 0.19


def test_a_queue_that_is_held_up_can_be_drained(place: Place) -> None:
    node = place.node(open=False)
    node.queue._pace = Told(*[0.01] * 10_000)

    async def drained() -> None:
        node.queue.open()
        await asyncio.sleep(0)
        await asyncio.wait_for(node.queue.drain(0), 30)

    place.wait(drained())


def test_a_steady_load_is_kept_up_with_also_when_it_comes_in_bursts(place: Place) -> None:
    """Sixteen at once, three hundred a second, for two seconds."""
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "cb()")
    place.ended(acme, place.enqueue(node, acme, hook))
    before = node.queue.stats()["ended"]

    async def load() -> tuple[int, int]:
        begun, sent = time.monotonic(), 0
        while (now := time.monotonic()) < begun + 2.0:
            calls = (node.queue.enqueue(acme, point_named(POINT), sample(), (hook.id,)) for _ in range(16))
            await asyncio.gather(*calls)
            sent += 16
            await asyncio.sleep(max(now + 0.05 - time.monotonic(), 0.0))
        return sent, node.queue.stats()["ended"] - before

    sent, ended = place.wait(load())

    assert ended > sent * 0.4  # of a machine that does nothing else: nearly all
