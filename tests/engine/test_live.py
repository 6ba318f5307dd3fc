"""The hub of live events: in order, resumable, and never waiting for who reads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.live import Live, TooManyFollowers, end, line
from engine.outcome import LogEvent

AT = "2026-11-18T07:30:00.000Z"


def said(text: str) -> Any:
    logged = LogEvent(level="info", text=text, line=1, at=AT)
    return line(execution_id="E", trigger_id="post-change-password", hook="welcome", logged=logged)


def ended(message: str = "") -> Any:
    return end(execution_id="E", trigger_id="post-change-password", hook=None, status="success", message=message, at=AT)


async def taken(follower: Any, number: int) -> list[Any]:
    async with asyncio.timeout(10):
        return [await anext(follower) for _ in range(number)]


async def rest(follower: Any) -> list[Any]:
    async with asyncio.timeout(10):
        return [told async for told in follower]


def texts(told: list[Any]) -> list[str]:
    return [each.event.get("text", each.kind) for each in told]


async def test_each_follower_hears_its_tenant_from_then_on() -> None:
    live = Live()
    live.publish("a", said("before"))
    with live.follow("a") as first, live.follow("b") as other:
        live.publish("a", said("one"))
        with live.follow("a") as second:
            live.publish("a", ended())
            live.publish("b", said("other"))

            assert ["one", "end"] == texts(await taken(first, 2))
            assert ["end"] == texts(await taken(second, 1))
        assert ["other"] == texts(await taken(other, 1))


async def test_who_waits_hears_what_comes() -> None:
    live = Live()
    with live.follow("a") as follower:
        waiting = asyncio.ensure_future(taken(follower, 2))
        await asyncio.sleep(0)
        live.publish("a", said("one"))
        await asyncio.sleep(0)
        live.publish("a", said("two"))

        assert ["one", "two"] == texts(await waiting)


async def test_a_wait_that_is_given_up_loses_nothing() -> None:
    live = Live()
    with live.follow("a") as follower:
        waiting = asyncio.ensure_future(taken(follower, 1))
        await asyncio.sleep(0)
        live.publish("a", said("one"))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        assert ["one"] == texts(await taken(follower, 1))


async def test_who_comes_again_goes_on_behind_what_was_heard_last() -> None:
    live = Live()
    with live.follow("a") as follower:
        for number in range(5):
            live.publish("a", said(str(number)))
        heard = (await taken(follower, 3))[-1]
    live.publish("a", said("while away"))
    with live.follow("a", heard.id) as again:
        assert ["3", "4", "while away"] == texts(await taken(again, 3))


async def test_who_has_heard_nothing_yet_can_come_again_too() -> None:
    live = Live()
    with live.follow("a") as follower:
        began = follower.last_id
    live.publish("a", said("while away"))
    with live.follow("a", began) as again:
        assert ["while away"] == texts(await taken(again, 1))


@pytest.mark.parametrize("unknown", ["", "x", "x-1", "0-0", "{start}-9999", "{start}-", "{start}-1x", "{start}--1"])
async def test_of_an_id_that_is_not_known_all_that_is_kept_is_told_behind_a_mark(unknown: str) -> None:
    live = Live()
    with live.follow("a") as follower:
        live.publish("a", said("kept"))
        start = follower.last_id.partition("-")[0]
        with live.follow("a", unknown.format(start=start)) as again:
            assert ["missed", "kept"] == texts(await taken(again, 2))


async def test_a_thousand_events_are_kept_and_a_mark_says_that_there_were_more() -> None:
    live = Live()
    with live.follow("a") as first:
        began = first.last_id
        live.publish("a", said("0"))
        await taken(first, 1)
    for number in range(1, 1_200):
        live.publish("a", said(str(number)))
    with live.follow("a", began) as again:
        assert ["missed", *(str(number) for number in range(200, 1_200))] == texts(await taken(again, 1_001))


async def test_much_text_is_kept_up_to_a_bound() -> None:
    live = Live()
    with live.follow("a") as follower:
        began = follower.last_id
    for _ in range(200):
        live.publish("a", said("x" * 60_000))
    with live.follow("a", began) as again:
        live.close()

        assert 1 < len(await rest(again)) < 80


@pytest.mark.parametrize(("text", "most"), [("x", 1_001), ("x" * 60_000, 80)])
async def test_who_reads_too_slowly_is_let_go_with_a_mark_and_can_go_on(text: str, most: int) -> None:
    live = Live()
    with live.follow("a") as slow, live.follow("a") as other:
        for _ in range(most):
            live.publish("a", said(text))
            await taken(other, 1)
        live.publish("a", said("one too many"))
        live.publish("a", said("another"))
        heard = await rest(slow)
        *_, before, mark = heard

        assert len(heard) <= most + 2
        assert ("dropped", before.id) == (mark.kind, mark.id)
        assert ["one too many", "another"] == texts(await taken(other, 2))
    with live.follow("a", mark.id) as again:
        live.close()
        assert "another" == texts(await rest(again))[-1]


async def test_the_end_of_the_server_ends_whoever_follows() -> None:
    live = Live()
    with live.follow("a") as follower:
        live.publish("a", said("last"))
        live.close()
        with live.follow("a") as late:
            assert [] == await rest(late)
        assert ["last"] == texts(await rest(follower))


async def test_a_tenant_has_so_many_followers_at_most() -> None:
    live = Live()
    followers = [live.follow("a") for _ in range(32)]
    with pytest.raises(TooManyFollowers):
        live.follow("a")
    with live.follow("b"):
        followers.pop().end()
    with live.follow("a") as again:
        live.publish("a", said("one"))
        assert ["one"] == texts(await taken(again, 1))


async def test_a_follower_that_was_never_read_is_forgotten() -> None:
    live = Live()
    for _ in range(100):
        live.follow("a")
    with live.follow("a") as follower:
        live.publish("a", said("one"))
        assert ["one"] == texts(await taken(follower, 1))


@pytest.mark.parametrize("asked", ["publish", "is_followed"])
async def test_it_is_forgotten_though_nobody_comes_to_follow_again(asked: str) -> None:
    now = [1_000.0]
    live = Live(lambda: now[0])
    with live.follow("a"):
        pass
    now[0] += 301
    if asked == "publish":
        live.publish("a", said("one"))
    else:
        live.is_followed("b")

    assert {} == live._rings


async def test_what_nobody_follows_any_more_is_forgotten_after_a_while() -> None:
    now = [1_000.0]
    live = Live(lambda: now[0])
    with live.follow("a") as follower:
        began = follower.last_id
    live.publish("a", said("lately"))
    with live.follow("a", began) as again:
        assert ["lately"] == texts(await taken(again, 1))
    now[0] += 301
    with live.follow("b"):
        assert not live.is_followed("a")
