"""Many small changes as few large ones: what comes while one is being written goes into the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Gathering(Generic[T, R]):
    """Whoever puts something gets a future of what `write` answers for it, in a batch of at most `most`."""

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], most: int) -> None:
        self._write = write
        self._most = most
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    def put(self, item: T) -> asyncio.Future[R]:
        """What comes of it. An exception that `write` answered or raised is the future's."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_on())
        return future

    async def flush(self) -> None:
        """Return when all that was put has been answered."""
        while self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write_on(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), self._most)
                await self._answer([self._waiting.popleft() for _ in range(count)])
        finally:
            self._writing = None

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is theirs who wait
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue  # who asked went away; it was written all the same
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
