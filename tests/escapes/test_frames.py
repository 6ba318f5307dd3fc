"""Frames, generators, coroutines and tracebacks: the ways from a running function to its caller."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.hook import Limits
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
    "frame of a class": "type(x for x in ()).gi_frame",
    "traceback of an error": "Error('').__traceback__",
}
HELD = {  # forms that hand a live traceback or generator to the hook
    "exit": "class Held:\n    def __enter__(self):\n        return self\n    def __exit__(self, *given):\n        USE(given[2])\nwith Held():\n    1 / 0\n",
    "exit of what returns": "class Held:\n    def __enter__(self):\n        return self\n    def __exit__(self, kind, error, trace):\n        kept.append(trace)\n        return True\nkept = []\nwith Held():\n    1 / 0\nUSE(kept[0])\n",
    "generator": "def numbers():\n    USE(own)\n    yield 1\nown = numbers()\nnext(own)\n",
    "generator of another": "def numbers():\n    yield from inner\ninner = (USE(own) for x in [1])\nown = numbers()\nnext(own)\n",
    "iter": "class Held:\n    def __iter__(self):\n        yield 1\nUSE(Held().__iter__())\n",
}
USES = {
    "frame of a traceback": "getattr(held, 'tb_frame')",
    "next of a traceback": "getattr(held, 'tb_next', None)",
    "frame of a generator": "getattr(held, 'gi_frame')",
    "template": "'{0.tb_frame.f_back.f_globals}'.format(held)",
    "template of a generator": "'{0.gi_frame.f_builtins}'.format(held)",
    "a copy": "require('copy').copy(held).no_such_thing",
    "a deep copy": "require('copy').deepcopy(held).no_such_thing",
    "its class": "type(held)(held)",
    "an object of its class": "object.__new__(type(held))",
    "its dict": "vars(held)",
    "a write": "[0 for held.stash in [None]]",
    "a write by name": "setattr(held, 'tb_next', None)",
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
    assert outcome.message.startswith(f"AttributeError: a hook may not use the attribute {name!r}")


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
@pytest.mark.parametrize("lines", HELD.values(), ids=HELD.keys())
def test_what_holds_a_frame_does_not_hand_it_out(reach: Callable[..., Outcome], lines: str, use: str) -> None:
    """`__exit__` gets a traceback, and a generator may hold itself: neither tells, takes or changes a frame."""
    body = lines.replace("USE(", "use(")
    outcome = reach("told[0]", f"told = []\ndef use(held):\n    told.append({use})\n{body}")

    assert ("raised", True) == (outcome.status, outcome.message.startswith(("AttributeError: ", "TypeError: ")))


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
