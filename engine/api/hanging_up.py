"""How long an answer may take, and whether somebody waits for it yet: a client that hangs up ends the work for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from engine.alarms import Alarm, Alarms
from engine.config import Config

T = TypeVar("T")

_UNWATCHED_S = 0.05  # most calls are over by then: only after it is it worth looking whether somebody waits


def deadline_of(config: Config, wait_s: float = math.inf) -> float:
    """By the monotonic clock, when a call that begins now is over: waiting for a worker, then one job's time.

    `wait_s`: or earlier, when the client wants that.
    """
    return time.monotonic() + min((config.wait_ms + config.wall_ms) / 1000, wait_s)


async def while_awaited(work: Coroutine[Any, Any, T], receive: Receive, alarms: Alarms) -> T:
    """What comes of it. When the client hangs up it is cancelled at once. Raises ClientDisconnect then."""
    watch = _Watch(receive, alarms.loop)
    alarms.set(watch, time.monotonic() + _UNWATCHED_S)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.gone and not watch.waiting.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        alarms.take_back(watch)
        watch.end()


class _Watch(Alarm):
    """Cancels the task that makes it, when the client hangs up."""

    __slots__ = ("_looking", "_receive", "gone", "waiting")

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        task = asyncio.current_task(loop)
        assert task is not None, "an answer is made by a task"
        self.waiting: asyncio.Task[Any] = task
        self.gone = False
        self._receive = receive
        self._looking: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()

    def ring(self) -> None:
        """It takes so long that it is worth looking."""
        self._looking = self.waiting.get_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.waiting.cancel()
