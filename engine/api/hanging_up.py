"""How long an answer may take, and whether somebody waits for it yet: a client that hangs up ends the work for it."""

from __future__ import annotations

import asyncio
import math
import time
from types import TracebackType

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from engine.alarms import Alarm, Alarms
from engine.config import Config

_UNWATCHED_S = 0.05  # most calls are over by then: only after it is it worth looking whether somebody waits


def deadline_of(config: Config, wait_s: float = math.inf) -> float:
    """By the monotonic clock, when a call that begins now is over: waiting for a worker, then one job's time.

    `wait_s`: or earlier, when the client wants that.
    """
    return time.monotonic() + min((config.wait_ms + config.wall_ms) / 1000, wait_s)


class Awaited(Alarm):
    """Around an await of a request's task: when the client hangs up meanwhile, what is awaited is cancelled at once.

    The block raises ClientDisconnect then.
    """

    __slots__ = ("_alarms", "_gone", "_looking", "_receive", "_task")

    def __init__(self, receive: Receive, alarms: Alarms) -> None:
        super().__init__()
        self._receive, self._alarms = receive, alarms
        self._looking: asyncio.Task[None] | None = None
        self._gone = False

    def __enter__(self) -> None:
        task = asyncio.current_task(self._alarms.loop)
        assert task is not None, "an answer is made by a task"
        self._task = task
        self._alarms.set(self, time.monotonic() + _UNWATCHED_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alarms.take_back(self)
        if self._looking is not None:
            self._looking.cancel()
        if self._gone and kind is asyncio.CancelledError and not self._task.uncancel():
            raise ClientDisconnect from None

    def ring(self) -> None:
        """It takes so long that it is worth looking."""
        self._looking = self._alarms.loop.create_task(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()
