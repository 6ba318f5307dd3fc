"""Questions: what does a blank worker hold in memory; how long does the command line take for one trivial hook."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.benchmarks import Figure, host_pid
from engine.benchmarks.turns import TRIVIAL
from engine.spawner import Spawner
from engine.worker import Worker

_WORKERS = 16


async def blank_memory(spawner: Spawner, advance: Callable[[], None]) -> Figure:
    """Proportional set size of a blank worker among sixteen, as the kernel counts it (proc(5), smaps_rollup)."""
    workers = [await spawner.fork() for _ in range(_WORKERS)]
    advance()
    try:
        sizes = [_pss_bytes(worker) for worker in workers]
    except PermissionError:
        return Figure(name="blank worker, PSS", measured=float("nan"), unit="MiB", budget=3, detail="only root may ask")
    finally:
        for worker in workers:
            worker.kill()
    detail = f"median of {_WORKERS} blank workers"
    return Figure(
        name="blank worker, PSS", measured=statistics.median(sizes) / (1 << 20), unit="MiB", budget=3, detail=detail
    )


def command_line(advance: Callable[[], None]) -> Figure:
    """Wall time of `hookcell run` on a trivial hook, from the shell's start to its end."""
    command = [str(Path(sys.executable).with_name("hookcell")), "run", "-"]
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run(command, input=TRIVIAL.encode(), check=True, capture_output=True)  # noqa: S603 - our own command
        seconds.append(time.perf_counter() - begun)
        advance()
    return Figure(name="hookcell run, whole", measured=statistics.median(seconds), unit="s", budget=0.6)


def _pss_bytes(worker: Worker) -> int:
    rollup = Path(f"/proc/{host_pid(worker)}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None, "smaps_rollup has a Pss line"
    return int(found[1]) << 10
