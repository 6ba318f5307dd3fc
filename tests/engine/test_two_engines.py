"""Two engines in one process, each on an event loop and a thread of its own: neither reads what is the other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engine.config import Config
from engine.hook import Hook
from engine.points import point_named

POINT = "post-change-password"
SOURCE = "def hook(user, context, cb):\n    console.log('x' * 3000)\n    cb(None, user.id)\n"


def test_what_a_worker_says_is_read_by_its_own_engine_alone(new_engine: Callable[[Config], Any]) -> None:
    threads = [new_engine(Config(workers=8)) for _ in range(2)]

    async def run(engine: Any, name: str) -> list[Any]:
        arguments = point_named(POINT).sample | {"user": {"id": name}}
        hook = Hook(SOURCE, trigger_id=POINT, tenant=name)
        outcomes = [await asyncio.gather(*(engine.run(hook, arguments) for _ in range(4))) for _ in range(150)]
        return [(each.status, each.value()) for four in outcomes for each in four]

    with ThreadPoolExecutor(2) as both:
        found = list(both.map(lambda at: threads[at].wait(run(threads[at].engine, f"user-{at}")), range(2)))

    assert [{("ok", "user-0")}, {("ok", "user-1")}] == [set(each) for each in found]
