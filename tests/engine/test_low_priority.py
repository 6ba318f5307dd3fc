"""An engine that its operator lets run only when nobody else wants the processor. See sched(7)."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
from engine import Config, Engine, Hook
from engine.points import point_named

async def main():
    async with Engine(Config()) as engine:
        hook = Hook("def hook(user, context, cb): cb()", trigger_id="post-change-password")
        print((await engine.run(hook, point_named(hook.trigger_id).sample)).status)

asyncio.run(main())
"""


def test_hooks_run_though_nobody_may_leave_the_idle_class() -> None:
    """As under `chrt --idle 0 hookcell serve`: the workers stay in it, too."""
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    assert ("ok\n", "") == (ran.stdout, ran.stderr)
