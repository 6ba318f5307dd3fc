"""Does the wall stand on this machine? Probers, forked like workers, try what must not work.

`prove` is for a start: one look at each layer. The doctor also makes every attempt by name.
"""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import dataclass

from engine.errors import LayerMissing
from engine.spawner import Spawner, ended
from engine.worker import Worker, WorkerGone
from sandbox import wire

_TRY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one probe found."""

    name: str  # of a layer, or of an attempt
    held: bool
    detail: str  # how it was stopped, or what it could do


async def prove(spawner: Spawner, allow_missing: frozenset[str]) -> None:
    """Look at every layer once. Raises LayerMissing for one that does not hold and is not allowed to be missing."""
    findings = await asyncio.gather(*(probe(spawner, name) for name in wire.LAYER_NAMES))
    missing = [found for found in findings if not found.held and found.name not in allow_missing]
    if missing:
        said = "; ".join(f"{found.name}: {found.detail}" for found in missing)
        names = json.dumps([found.name for found in missing])
        raise LayerMissing(
            f"the sandbox is not whole on this machine: {said}. Mend it (`hookcell doctor` says more), "
            f"or accept it by HOOKCELL_ALLOW_MISSING_LAYERS='{names}'"
        )


async def attempts(spawner: Spawner) -> list[str]:
    """The names of all that probers can attempt."""
    return (await probe(spawner, "catalogue")).detail.split()


async def probe(spawner: Spawner, name: str) -> Finding:
    """Run one probe in a prober of its own."""
    prober = await spawner.fork(prober=True)
    try:
        async with asyncio.timeout(_TRY_S):
            await prober.send(wire.Probe(name))
            frame = await prober.receive()
    except WorkerGone:
        return await _death(name, prober)
    except TimeoutError:
        return Finding(name=name, held=False, detail="it did not end")
    finally:
        prober.kill()
    if not isinstance(frame, wire.Probed):
        return Finding(name=name, held=False, detail="it answered something else")
    return Finding(name=name, held=frame.held, detail=frame.detail)


async def _death(name: str, prober: Worker) -> Finding:
    status = await ended(prober)
    if status == -signal.SIGSYS:
        return Finding(name=name, held=True, detail="killed by the filter")
    return Finding(name=name, held=False, detail=f"it ended with status {status}")
