"""The spawner: what it starts it ends, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from engine.errors import SandboxFailed

_WATCH = '''
import asyncio, json, os, signal, sys
from pathlib import Path
from engine.app import Engine, zygote_setting
from engine.hook import Hook
from engine.config import Config
from engine.spawner import Spawner

SAMPLE = {"user": {}, "context": {"connection": {}}}
HOOK = Hook("def hook(user, context, cb):\\n    cb()\\n", "post-change-password")

def held():
    """Descriptors of ours, and the processes whose parent we are."""
    files = {n: os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")}
    stats = [p.read_text() for p in Path("/proc").glob("[0-9]*/stat") if p.exists()]
    children = [s.split(" ", 1)[0] for s in stats if s.rpartition(")")[2].split()[1] == str(os.getpid())]
    return {"files": sorted(n for n, to in files.items() if "/proc/" not in to), "children": children}

async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
'''


def watch(body: str) -> None:
    """Run `async def act()` in a process of its own; what it held before it must hold after it, and no more."""
    code = (
        _WATCH
        + textwrap.dedent(body)
        + textwrap.dedent("""
        async def main():
            before = held()
            await act()
            return before, held()
        before, after = asyncio.run(main())
        print(json.dumps([before, after]))
        """)
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    before, after = json.loads(ran.stdout)
    assert before == after


def test_a_closed_engine_leaves_no_descriptor_and_no_process() -> None:
    """After jobs of several tenants in both modes, and a timeout."""
    watch("""
    async def act():
        async with Engine(Config()) as engine:
            for mode in ("tenant", "invocation"):
                for tenant in "abc":
                    await engine.run(Hook(HOOK.source, HOOK.trigger_id, tenant=tenant, mode=mode), SAMPLE)
    """)


def test_a_worker_killed_from_outside_leaves_no_descriptor() -> None:
    """What the pool did not end itself it lets go of as well."""
    watch("""
    async def act():
        async with Engine(Config()) as engine:
            await engine.run(HOOK, SAMPLE)
            worker = engine.pool._tenancies.idle[0]
            signal.pidfd_send_signal(worker.pidfd, signal.SIGKILL)
            await until(lambda: worker.gone)
    """)


def test_an_engine_whose_zygote_died_leaves_nothing() -> None:
    """The dead one is reaped, the fresh one is ended."""
    watch("""
    async def act():
        async with Engine(Config()) as engine:
            dead = engine._spawner._current
            os.kill(dead._process.pid, signal.SIGKILL)
            await until(lambda: not dead.alive)
            await engine.run(HOOK, SAMPLE)
            await engine.run(HOOK, SAMPLE)
    """)


def test_an_engine_closed_right_after_its_zygote_died_leaves_nothing() -> None:
    """No run came in between."""
    watch("""
    async def act():
        async with Engine(Config()) as engine:
            os.kill(engine._spawner._current._process.pid, signal.SIGKILL)
    """)


def test_a_replaced_zygote_with_workers_left_is_ended_too() -> None:
    """A tenant's idle worker keeps the old zygote alive, but not after the engine has closed."""
    watch("""
    async def act():
        async with Engine(Config()) as engine:
            await engine.run(HOOK, SAMPLE)
            await engine._spawner.rotate()
            await engine.run(HOOK, SAMPLE)
    """)


def test_a_cancelled_rotation_leaves_nothing() -> None:
    """An engine that closes while a fresh zygote is being started."""
    watch("""
    async def act():
        async with Engine(Config()) as engine:
            rotation = asyncio.create_task(engine._spawner.rotate())
            await asyncio.sleep(0)
            rotation.cancel()
            await asyncio.gather(rotation, return_exceptions=True)
    """)


def test_a_cancelled_start_leaves_nothing() -> None:
    """A caller that gives up while the engine starts."""
    watch("""
    async def act():
        start = asyncio.create_task(Engine(Config()).__aenter__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
    """)


def test_a_failed_start_leaves_nothing() -> None:
    """The zygote's module does not exist."""
    ran = """
    from dataclasses import replace
    from engine.errors import SandboxFailed
    async def act():
        setting = replace(zygote_setting(Config()), command=("sandbox.wire",))
        spawner = Spawner(setting)
        try:
            await spawner.start()
        except SandboxFailed:
            await spawner.close()
        else:
            sys.exit("it started")
    """
    watch(ran)


async def test_a_zygote_that_cannot_start_is_told(spawner_of: Any) -> None:
    """A module that is no zygote ends by itself: the caller hears with what status."""
    async with spawner_of(command=("sandbox.wire",)) as spawner:
        with pytest.raises(SandboxFailed, match="the zygote ended with status 0"):
            await spawner.start()


async def test_a_spawner_makes_blank_workers_that_are_ready(spawner_of: Any) -> None:
    """Many at once, each with a process of its own."""
    async with spawner_of() as spawner:
        workers = await asyncio.gather(*(spawner.fork() for _ in range(10)))

        assert 10 == len({worker.pid for worker in workers})
        assert all(worker.quiet and not worker.gone and worker.blank_bytes > 0 for worker in workers)


async def test_callers_at_the_same_time_start_one_zygote(spawner_of: Any) -> None:
    """The second waits for what the first has begun."""
    async with spawner_of() as spawner:
        await asyncio.gather(*(spawner.start() for _ in range(5)))
        first = spawner._current
        await spawner.start()

        assert first is spawner._current


async def test_a_zygote_that_retires_still_answers_who_has_asked(spawner_of: Any) -> None:
    """A caller's worker does not fail because a fresh zygote takes over in the same moment."""
    async with spawner_of() as spawner:
        await spawner.start()
        old = spawner._current
        asked = asyncio.create_task(spawner.fork())
        await asyncio.sleep(0)  # the order is on its way
        old.retire()

        worker = await asked
        assert not worker.gone


async def test_a_cancelled_fork_leaves_no_worker(spawner_of: Any, until: Any) -> None:
    """Nobody will take it, so it is ended, whenever the caller goes."""
    async with spawner_of() as spawner:
        await spawner.start()
        zygote = spawner._current
        for steps in range(1, 4):
            asked = asyncio.create_task(spawner.fork())
            for _ in range(steps):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        asked = asyncio.create_task(spawner.fork())
        await until(lambda: zygote._workers and not zygote._forks, "a worker that is not ready yet")
        asked.cancel()
        (end,) = await asyncio.gather(asked, return_exceptions=True)
        if not isinstance(end, BaseException):
            end.kill()

        await until(lambda: not zygote._workers and not zygote._forks, "the end of every worker")
