"""Who waits for a worker: no tenant is passed over, and no tenant has the waiting to itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.waiters import Waiter, Waiters

TENANTS = st.sampled_from("abcd")


@pytest.fixture(scope="module")
def loop() -> Any:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def wait(waiters: Waiters, loop: asyncio.AbstractEventLoop, tenant: str) -> Waiter:
    waiter = Waiter(tenant, reuse=True, given=loop.create_future(), since=0.0)
    waiters.add(waiter)
    return waiter


def served(waiters: Waiters) -> str:
    """Whose turn it was."""
    first = waiters.firsts()[0]
    waiters.serve(first)
    return first.tenant


@settings(deadline=None)
@given(tenants=st.lists(TENANTS, max_size=40))
def test_between_two_turns_of_a_tenant_everybody_else_who_waits_has_one(loop: Any, tenants: list[str]) -> None:
    waiters = Waiters()
    for tenant in tenants:
        wait(waiters, loop, tenant)
    turns = [served(waiters) for _ in tenants]

    assert 0 == len(waiters)
    assert sorted(tenants) == sorted(turns)
    for at, tenant in enumerate(turns):
        if tenant in turns[at + 1 :]:
            following = turns.index(tenant, at + 1)
            assert set(turns[following:]) <= {tenant, *turns[at + 1 : following]}


@settings(deadline=None)
@given(tenants=st.lists(TENANTS, max_size=40))
def test_a_tenants_own_callers_are_served_in_the_order_in_which_they_came(loop: Any, tenants: list[str]) -> None:
    waiters = Waiters()
    came = [wait(waiters, loop, tenant) for tenant in tenants]
    turns: list[Waiter] = []
    while firsts := waiters.firsts():
        waiters.serve(firsts[0])
        turns.append(firsts[0])

    for tenant in "abcd":
        assert [waiter for waiter in came if waiter.tenant == tenant] == [
            waiter for waiter in turns if waiter.tenant == tenant
        ]


def test_who_has_left_without_a_word_is_forgotten(loop: Any) -> None:
    waiters = Waiters()
    gone, there = wait(waiters, loop, "a"), wait(waiters, loop, "a")
    alone = wait(waiters, loop, "b")
    gone.given.cancel()
    alone.given.cancel()

    assert [there] == waiters.firsts()
    assert (1, {"a": 1}) == (len(waiters), dict(waiters.numbers()))


def test_who_is_not_there_cannot_leave(loop: Any) -> None:
    waiters = Waiters()
    waiter = wait(waiters, loop, "a")

    assert [True, False] == [waiters.remove(waiter), waiters.remove(waiter)]
    assert "a" not in waiters


@settings(deadline=None)
@given(tenants=st.lists(TENANTS, min_size=1, max_size=40))
def test_the_longest_line_gives_up_its_last_and_the_newcomers_own_goes_before_another(
    loop: Any, tenants: list[str]
) -> None:
    waiters = Waiters()
    for tenant in tenants:
        newcomer = wait(waiters, loop, tenant)
    last = waiters.last_of_longest(newcomer)
    numbers = dict(waiters.numbers())

    assert max(numbers.values()) == numbers[last.tenant]
    assert last is newcomer or numbers[newcomer.tenant] < numbers[last.tenant]
