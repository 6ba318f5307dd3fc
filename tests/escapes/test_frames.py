"""Frames, generators, coroutines and tracebacks: the ways from a running function to its caller."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.app import Limits
from engine.outcome import Outcome

READS = {
    "generator frame": "(x for x in ()).gi_frame",
    "generator code": "(x for x in ()).gi_code",
    "generator delegate": "(x for x in ()).gi_yieldfrom",
    "frame back": "user.f_back",
    "frame globals": "user.f_globals",
    "frame locals": "user.f_locals",
    "frame builtins": "user.f_builtins",
    "frame code": "user.f_code",
    "traceback frame": "user.tb_frame",
    "traceback next": "user.tb_next",
    "coroutine frame": "user.cr_frame",
    "coroutine await": "user.cr_await",
    "coroutine origin": "user.cr_origin",
    "async generator frame": "(x async for x in user).ag_frame",
    "async generator code": "(x async for x in user).ag_code",
    "code bytes": "user.co_code",
}


@pytest.mark.parametrize("expression", READS.values(), ids=READS.keys())
def test_an_attribute_of_frames_is_refused_before_it_runs(reach: Callable[..., Outcome], expression: str) -> None:
    """No object has these attributes for a hook."""
    outcome = reach(expression)

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize(
    "name", ["gi_frame", "gi_code", "gi_yieldfrom", "f_back", "f_globals", "f_builtins", "tb_frame"]
)
def test_a_frame_by_a_computed_name_is_refused(reach: Callable[..., Outcome], name: str) -> None:
    """The run-time guard knows the same names."""
    first, last = name[:3], name[3:]
    outcome = reach(
        "numbers", "box = []\nnumbers = (box[0] for x in [1])\n", f"getattr(numbers, '{first}' + '{last}')\n"
    )

    assert outcome.status == "raised"
    assert outcome.message == f"AttributeError: a hook may not use the attribute {name!r}"


def test_augmented_assignment_does_not_read_a_frame(reach: Callable[..., Outcome]) -> None:
    """`g.gi_frame += 1` reads before it writes, so it is refused as a read."""
    outcome = reach("g", "g = (x for x in ())\ng.gi_frame += 1\n")

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("line", ["async def f():\n    pass\n", "await cb\n", "async with cb:\n    pass\n"])
def test_coroutines_cannot_be_made(reach: Callable[..., Outcome], line: str) -> None:
    """A hook is one synchronous call."""
    assert reach("1", line).status == "rejected"


def test_a_generator_closed_by_the_collector_gets_nothing(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """A generator that outlives the hook by a cycle is closed in this job or never."""
    outcome = attack(
        hook_of("""
        class Cycle:
            pass
        def late(me):
            try:
                yield me
            finally:
                console.log("PW" + "NED")
        cycle = Cycle()
        cycle.it = late(cycle)
        next(cycle.it)
        cb(None, 1)
        """)
    )

    assert ("ok", 1) == (outcome.status, outcome.value())


def test_a_generator_left_behind_does_not_run_in_the_next_job(
    run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str, limits: type[Limits]
) -> None:
    """Code of a job that has ended never runs again: it could spend the next job's time. 2026-11-22."""
    lingering = hook_of("""
    class Cycle:
        pass
    def late(me):
        try:
            yield me
        finally:
            while True:
                pass
    cycle = Cycle()
    cycle.it = late(cycle)
    next(cycle.it)
    cb()
    """)
    run_hook(lingering, tenant=tenant, limits=limits(wall_ms=500))
    busy = hook_of("kept = []\nfor i in range(50000):\n    kept.append([i])\ncb(None, len(kept))")
    outcome = run_hook(busy, tenant=tenant, limits=limits(wall_ms=1000))

    assert ("ok", 50000) == (outcome.status, outcome.value())


def test_a_live_traceback_does_not_come_out_of_dataclasses(reach: Callable[..., Outcome]) -> None:
    """dataclasses.replace reads the attributes that fields name: a renamed field is a getattr without guard. 2026-11-22."""
    outcome = reach(
        "found[-1]['__traceback__']",
        "found = []",
        "named = field(default=1)",
        "class Boom(Exception):\n    x: int = named\n    def __init__(self, **given):\n        found.append(given)\n",
        "Boom = dataclass(init=False)(Boom)",
        "named.name = '__traceback__'",
        "try:\n    raise Boom()\nexcept Boom as boom:\n    replace(boom)\n",
        before="from dataclasses import dataclass, field, replace\n",
    )

    assert outcome.status == "raised"
