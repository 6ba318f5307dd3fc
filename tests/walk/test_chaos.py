"""Engines, zygotes and workers are killed at random while invocations come and run: none that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from counting import Counting, counting

TRIGGERS, AT_ONCE, AHEAD = 5_000, 16, 400
KILLS = ("engine",) * 8 + ("zygote",) * 8 + ("worker",) * 14
TENANTS = ("acme", "globex", "initech", "umbrella")
PATIENCE_S = 120
ENVIRONMENT = {"HOOKCELL_LEASE_MS": "1000", "HOOKCELL_RESERVE": "2", "HOOKCELL_DRAIN_MS": "0"}
HOOK = """
import requests

def hook(user, context, cb):
    requests.get("{url}/" + user.id)
    if user.id.endswith("0"):
        return cb(Error("refused " + user.id))
    cb()
"""


@dataclass
class World:
    """What runs, and what was promised."""

    serve: Callable[..., Any]
    counter: Counting
    environment: dict[str, str]
    server: Any = None
    tokens: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)  # what the hook calls → id of the execution
    killed: Counter[str] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        return len(self.counter.seen)

    def start(self) -> None:
        self.server = self.serve(**self.environment)


@pytest.mark.slow
def test_no_acknowledged_invocation_is_lost_whoever_is_killed(serve: Callable[..., Any], tmp_path: Path) -> None:
    """30 SIGKILLs during 5,000 calls: each is run at least once, and its end is recorded exactly once."""
    with counting() as counter:
        exceptions = {"HOOKCELL_EGRESS_EXCEPTIONS": counter.url.removeprefix("http://")}
        world = World(serve, counter, ENVIRONMENT | exceptions)
        world.start()
        _make_hooks(world)
        asyncio.run(_trigger_and_kill(world, random.Random(20261123)))
        executions = asyncio.run(_all_ended(tmp_path / "data" / "hookcell.db"))
        world.server.stop()
        seen = counter.seen.copy()

    assert Counter(KILLS) == world.killed
    assert TRIGGERS == len(world.acknowledged)
    assert set(world.acknowledged.values()) == set(executions)
    expected = {made: "error" if name.endswith("0") else "success" for name, made in world.acknowledged.items()}
    assert expected == {made: status for made, (status, _) in executions.items()}
    assert set(world.acknowledged) == set(seen)
    assert Counter(made for made, status in expected.items() if status == "error") == _told(tmp_path)
    _print_duplicates(seen, executions)


def _make_hooks(world: World) -> None:
    for name in TENANTS:
        world.tokens[name] = world.server.tenant(name)
        put = world.server.ask(
            "PUT",
            f"/v1/tenants/{name}/hooks/calls/source",
            world.tokens[name],
            params={"trigger_id": "post-change-password", "enabled": "true"},
            content=HOOK.format(url=world.counter.url),
        )
        assert 201 == put.status_code, put.text


async def _trigger_and_kill(world: World, chance: random.Random) -> None:
    """Calls go on all the time, never far ahead of what has run; a kill each time that some more have run."""
    numbers = iter(range(TRIGGERS))
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(_kill(world, chance))
        for _ in range(AT_ONCE):
            tasks.create_task(_trigger(world, client, numbers))


async def _trigger(world: World, client: httpx.AsyncClient, numbers: Any) -> None:
    for number in numbers:
        name, tenant = f"n{number:05}", TENANTS[number % len(TENANTS)]
        await _until(lambda: len(world.acknowledged) - world.seen < AHEAD)
        while name not in world.acknowledged:
            with contextlib.suppress(httpx.TransportError):  # it was killed: the same call again, with the same key
                world.acknowledged.update(await _call(world, client, name, tenant))


async def _call(world: World, client: httpx.AsyncClient, name: str, tenant: str) -> dict[str, str]:
    """{name: id} once it is acknowledged; nothing when the server could not take it now."""
    called = await client.post(
        f"{world.server.url}/v1/tenants/{tenant}/triggers/post-change-password",
        json={"user": {"id": name}, "context": {"connection": {}}},
        headers={"Authorization": f"Bearer {world.tokens[tenant]}", "Idempotency-Key": name},
    )
    assert called.status_code in (202, 503), called.text
    return {name: called.json()["execution_id"]} if called.status_code == 202 else {}


async def _kill(world: World, chance: random.Random) -> None:
    kinds = list(KILLS)
    chance.shuffle(kinds)
    step = TRIGGERS // (len(kinds) + 2)
    for number, kind in enumerate(kinds, 1):
        wanted = number * step + chance.randrange(step)
        await _until(lambda wanted=wanted: world.seen >= wanted)
        await _KILLERS[kind](world, chance)
        world.killed[kind] += 1


async def _kill_engine(world: World, _: random.Random) -> None:
    world.server.kill()
    await asyncio.to_thread(world.start)


async def _kill_zygote(world: World, _: random.Random) -> None:
    (pid,) = await _until(lambda: _children(world.server.process.pid))
    _end(pid)


async def _kill_worker(world: World, chance: random.Random) -> None:
    workers = await _until(lambda: [pid for one in _children(world.server.process.pid) for pid in _children(one)])
    _end(chance.choice(workers))


_KILLERS = {"engine": _kill_engine, "zygote": _kill_zygote, "worker": _kill_worker}


def _children(pid: int) -> list[int]:
    """None of them when it is gone."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def _end(pid: int) -> None:
    """One of ours, by its id; it may have ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


async def _until(condition: Callable[[], Any]) -> Any:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < deadline, "it does not go on"
        await asyncio.sleep(0.005)
    return found


async def _all_ended(database: Path) -> dict[str, tuple[str, int]]:
    """Status and attempt of every execution, by its id, once none waits or runs."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        under_way = "SELECT count(*) FROM executions WHERE status IN ('queued', 'running')"
        await _until(lambda: connection.execute(under_way).fetchone() == (0,))
        rows = connection.execute("SELECT execution_id, status, attempt FROM executions").fetchall()
    return {made: (status, attempt) for made, status, attempt in rows}


def _told(folder: Path) -> Counter[str]:
    """How often each execution stands in a log: an end that counts is told in the transaction that records it."""
    with contextlib.closing(sqlite3.connect(folder / "data" / "hookcell.db")) as connection:
        events = connection.execute("SELECT details FROM log_events WHERE type = 'fcph'").fetchall()
    return Counter(json.loads(details)["execution_id"] for (details,) in events)


def _print_duplicates(seen: Counter[str], executions: dict[str, tuple[str, int]]) -> None:
    twice = sum(times > 1 for times in seen.values())
    again = sum(attempt > 1 for _, attempt in executions.values())
    print(f"{twice} of {len(seen)} ids were seen more than once, at most {max(seen.values())} times; ", end="")  # noqa: T201
    print(f"{again} executions took more than one attempt")  # noqa: T201
