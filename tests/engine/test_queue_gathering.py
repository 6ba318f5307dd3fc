"""Changes that come while one is being written go into the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.queue.gathering import Gathering


class Slow:
    """A writer that is let on by the test, and doubles what it is given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.asked = asyncio.Event()
        self.go = asyncio.Semaphore(0)

    async def write(self, batch: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(batch))
        self.asked.set()
        await self.go.acquire()
        if 13 in batch:
            raise OSError("the disk is full")
        return [ValueError("odd") if number % 2 else number * 2 for number in batch]


async def test_one_batch_is_under_way_and_the_next_takes_all_that_came_meanwhile() -> None:
    slow = Slow()
    gathering: Gathering[int, int] = Gathering(slow.write, 100)
    first = gathering.put(2)
    await slow.asked.wait()
    others = [gathering.put(number) for number in (4, 6, 8)]
    slow.go.release()
    slow.go.release()

    assert [4, 8, 12, 16] == await asyncio.gather(first, *others)
    assert [[2], [4, 6, 8]] == slow.batches


async def test_no_batch_is_larger_than_the_bound() -> None:
    slow = Slow()
    gathering: Gathering[int, int] = Gathering(slow.write, 3)
    futures = [gathering.put(number * 2) for number in range(7)]
    for _ in range(3):
        slow.go.release()

    assert [number * 4 for number in range(7)] == await asyncio.gather(*futures)
    assert [3, 3, 1] == [len(batch) for batch in slow.batches]


async def test_each_gets_its_own_answer_an_error_too() -> None:
    slow = Slow()
    gathering: Gathering[int, int] = Gathering(slow.write, 100)
    even, odd = gathering.put(2), gathering.put(3)
    slow.go.release()

    assert 4 == await even
    with pytest.raises(ValueError, match="odd"):
        await odd


async def test_a_batch_that_fails_fails_all_of_it_and_the_next_goes_on() -> None:
    slow = Slow()
    gathering: Gathering[int, int] = Gathering(slow.write, 2)
    futures = [gathering.put(number) for number in (12, 13, 14)]
    slow.go.release()
    slow.go.release()
    ends = await asyncio.gather(*futures, return_exceptions=True)

    assert [OSError, OSError, int] == [type(end) for end in ends]


async def test_who_goes_away_takes_nothing_from_the_others_and_is_written_all_the_same() -> None:
    slow = Slow()
    gathering: Gathering[int, int] = Gathering(slow.write, 100)
    gone, stays = gathering.put(2), gathering.put(4)
    gone.cancel()
    slow.go.release()

    assert 8 == await stays
    assert [[2, 4]] == slow.batches


async def test_flush_returns_when_all_was_answered() -> None:
    slow = Slow()
    gathering: Gathering[int, int] = Gathering(slow.write, 1)
    futures = [gathering.put(2), gathering.put(4)]
    flushed = asyncio.create_task(gathering.flush())
    slow.go.release()
    await futures[0]
    assert not flushed.done()
    slow.go.release()
    await flushed

    assert all(future.done() for future in futures)
    await gathering.flush()
