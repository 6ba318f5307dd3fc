"""Alarms ring in time and in order, one that is taken back does not, and nothing of it stays."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from engine import alarms as module
from engine.alarms import Alarm, Alarms


class Noting(Alarm):
    """Notes its name when it rings."""

    __slots__ = ("__weakref__", "_name", "_rang")

    def __init__(self, rang: list[Any], name: Any) -> None:
        super().__init__()
        self._rang, self._name = rang, name

    def ring(self) -> None:
        self._rang.append(self._name)


class Doing(Alarm):
    """Does what it is told."""

    __slots__ = ("_deed",)

    def __init__(self, deed: Callable[[], object]) -> None:
        super().__init__()
        self._deed = deed

    def ring(self) -> None:
        self._deed()


async def test_alarms_ring_in_the_order_of_their_times_whatever_that_of_their_setting(until: Any) -> None:
    alarms, rang, now = Alarms(), [], time.monotonic()
    for name, in_s in (("second", 0.02), ("third", 0.03), ("first", 0.01), ("fourth", 0.03)):
        alarms.set(Noting(rang, name), now + in_s)
    await until(lambda: len(rang) == 4, "all of them")

    assert ["first", "second", "third", "fourth"] == rang
    assert 0 == len(alarms)


async def test_an_alarm_never_rings_before_its_time(until: Any) -> None:
    alarms, early = Alarms(), []
    for thousandths in range(1, 40):
        at = time.monotonic() + thousandths * 0.0013
        alarms.set(Doing(lambda at=at: early.append(time.monotonic() < at)), at)
    await until(lambda: len(early) == 39, "all of them")

    assert {False} == set(early)


async def test_an_alarm_of_a_time_that_has_passed_rings_at_once_but_not_within_the_setting(until: Any) -> None:
    alarms, rang = Alarms(), []
    alarms.set(Noting(rang, "late"), time.monotonic() - 10)
    assert [] == rang

    await until(lambda: rang, "the ring")


async def test_an_alarm_that_is_taken_back_does_not_ring_and_is_forgotten_at_once(until: Any) -> None:
    alarms, rang = Alarms(), []
    taken, at = Noting(rang, "taken back"), time.monotonic() + 0.01
    alarms.set(taken, at)
    alarms.set(Noting(rang, "other"), at)
    alarms.take_back(taken)
    alarms.take_back(taken)
    assert 1 == len(alarms)
    gone = weakref.ref(taken)
    del taken
    gc.collect()
    assert gone() is None
    await until(lambda: rang, "the other one")

    assert ["other"] == rang


async def test_an_alarm_that_is_set_anew_rings_once_at_its_new_time(until: Any) -> None:
    alarms, rang, now = Alarms(), [], time.monotonic()
    moved = Noting(rang, "moved")
    alarms.set(moved, now + 0.01)
    alarms.set(moved, now + 0.03)
    alarms.set(Noting(rang, "between"), now + 0.02)
    await until(lambda: len(rang) == 2, "both")
    alarms.set(moved, time.monotonic())
    await until(lambda: len(rang) == 3, "the second ring")

    assert ["between", "moved", "moved"] == rang


async def test_one_that_fails_holds_up_no_other(until: Any) -> None:
    alarms, rang, told = Alarms(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    at = time.monotonic() + 0.01
    alarms.set(Doing(lambda: 1 / 0), at)
    alarms.set(Noting(rang, "the next"), at)
    await until(lambda: rang, "the next one")

    assert [ZeroDivisionError] == [type(error) for error in told]


async def test_one_that_rings_may_take_back_another_whose_time_has_come_and_set_a_third(until: Any) -> None:
    alarms, rang = Alarms(), []
    at = time.monotonic() + 0.01
    second, third = Noting(rang, "second"), Noting(rang, "third")

    def deed() -> None:
        alarms.take_back(second)
        alarms.set(third, time.monotonic() + 0.01)

    alarms.set(Doing(deed), at)
    alarms.set(second, at)
    await until(lambda: rang, "the third one")

    assert ["third"] == rang


async def test_many_that_are_taken_back_take_no_room_though_their_time_is_far_away() -> None:
    """Each call sets an alarm of twenty seconds and takes it back within some milliseconds."""
    alarms, rang = Alarms(), []
    for _ in range(50_000):
        alarm = Noting(rang, "never")
        alarms.set(alarm, time.monotonic() + 20)
        alarms.take_back(alarm)

    assert 0 == len(alarms)
    assert len(alarms._heap) < 1_000


async def test_an_alarm_that_is_set_before_all_others_does_not_wait_for_them(until: Any) -> None:
    alarms, rang = Alarms(), []
    far = Noting(rang, "far")
    alarms.set(far, time.monotonic() + 600)
    alarms.set(Noting(rang, "near"), time.monotonic() + 0.01)
    await until(lambda: rang, "the near one")
    alarms.take_back(far)

    assert ["near"] == rang


async def test_one_that_rings_again_leaves_nothing_behind(until: Any) -> None:
    alarms, rang = Alarms(), []

    def deed() -> None:
        rang.append(1)
        if len(rang) < 3:
            alarms.set(again, time.monotonic())

    again = Doing(deed)
    alarms.set(again, time.monotonic())
    await until(lambda: len(rang) == 3, "three rings")

    assert (0, 0, 0) == (len(alarms), len(alarms._heap), alarms._dead)


async def test_those_that_are_left_when_others_are_cleared_away_ring_in_order(until: Any) -> None:
    alarms, rang, now = Alarms(), [], time.monotonic()
    every = [Noting(rang, number) for number in range(900)]
    for number, alarm in enumerate(every):
        alarms.set(alarm, now + 0.2 + (number * 7919 % 900) / 10_000)
    for number, alarm in enumerate(every):
        if number % 3:
            alarms.take_back(alarm)
    assert 300 == len(alarms)
    assert len(alarms._heap) < 900
    await until(lambda: not len(alarms), "all of them")

    assert sorted(range(0, 900, 3), key=lambda number: number * 7919 % 900) == rang


async def test_a_timer_that_rings_too_late_is_cancelled_when_another_is_wound() -> None:
    alarms, now = Alarms(), time.monotonic()
    alarms.set(Noting([], "far"), now + 600)
    first = alarms._timer
    alarms.set(Noting([], "near"), now + 300)

    assert first is not None
    assert (True, False) == (first.cancelled(), alarms._timer is first)


async def test_all_of_them_share_one_timer_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    wound, alarms = [], Alarms()
    monkeypatch.setattr(module.Alarms, "_wind", _noting(module.Alarms._wind, wound))
    now = time.monotonic()
    for number in range(1_000):
        alarm = Noting([], number)
        alarms.set(alarm, now + 20 + number / 1_000)
        alarms.take_back(alarm)

    assert 1 == len(wound)


def _noting(real: Callable[..., Any], noted: list[Any]) -> Callable[..., Any]:
    def wind(alarms: Alarms, at: float) -> None:
        noted.append(at)
        real(alarms, at)

    return wind
