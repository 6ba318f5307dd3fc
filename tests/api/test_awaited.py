"""A call is over when its client hangs up, and whatever its end, nothing watches it any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from engine.alarms import Alarms
from engine.api import hanging_up
from engine.api.hanging_up import Awaited


async def call(alarms: Alarms, looked: asyncio.Event, gone: asyncio.Event, over: asyncio.Event) -> str:
    async def receive() -> dict[str, str]:
        looked.set()
        await gone.wait()
        return {"type": "http.disconnect"}

    try:
        with Awaited(receive, alarms):
            await over.wait()
    except ClientDisconnect:
        task = asyncio.current_task()
        assert task is not None
        return f"hung up, {task.cancelling()} to be cancelled"
    return "over"


@pytest.mark.parametrize(
    ("what", "end"), [("gone", "hung up, 0 to be cancelled"), ("over", "over"), ("cancel", "cancelled")]
)
async def test_each_end_leaves_no_alarm_and_no_task(monkeypatch: pytest.MonkeyPatch, what: str, end: str) -> None:
    monkeypatch.setattr(hanging_up, "_UNWATCHED_S", 0)
    alarms, looked, gone, over = Alarms(), asyncio.Event(), asyncio.Event(), asyncio.Event()
    before = asyncio.all_tasks()
    task = asyncio.create_task(call(alarms, looked, gone, over))
    await looked.wait()
    under_way = asyncio.all_tasks() - before
    deeds: dict[str, Any] = {"gone": gone.set, "over": over.set, "cancel": task.cancel}
    deeds[what]()
    await asyncio.wait(under_way)

    assert end == ("cancelled" if task.cancelled() else task.result())
    assert (2, 0) == (len(under_way), len(alarms))


async def test_a_call_that_is_over_soon_is_never_watched() -> None:
    alarms, looked, over = Alarms(), asyncio.Event(), asyncio.Event()
    over.set()

    assert "over" == await call(alarms, looked, asyncio.Event(), over)
    assert (False, 0) == (looked.is_set(), len(alarms))
