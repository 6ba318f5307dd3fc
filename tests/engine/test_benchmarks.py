"""The benchmarks of the language measure what they say; how much it is, a test does not judge."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from engine.app import Engine
from engine.benchmarks import Figure, egress, language
from engine.cli import bench
from engine.config import Config
from engine.hook import Hook

LOOPS = language.texts().loops
JUDGED = {"attribute reads", "item writes", "iteration", "calls", "loop-heavy hook"}
SLOWER_WHEN_GUARDED = "str.format / plain Python"


def test_the_ordinary_hook_has_sixty_lines_whatever_its_number() -> None:
    assert [60, 60] == [len(language.ordinary(number).splitlines()) for number in (0, 39)]
    assert language.ordinary(0) != language.ordinary(1)


async def test_the_ordinary_hook_runs() -> None:
    """It stands for what people write: a check of what could not run would be no measure."""
    sample = language.point_named(language.POINT).sample
    async with Engine(Config()) as engine:
        outcome = await engine.run(Hook(language.ordinary(0), language.POINT), sample)

    assert ("ok", b'{"score":0}') == (outcome.status, bytes(outcome.result)), outcome


def test_what_is_promised_has_a_budget_and_the_rest_is_told() -> None:
    assert dict.fromkeys(JUDGED, 2.5) == {loop.name: loop.budget for loop in LOOPS if loop.budget is not None}
    assert len(LOOPS) > len(JUDGED)


async def test_each_question_has_one_figure_and_one_step_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round each: the figures are rough, but there, and str.format through the guard is no faster than CPython's."""
    monkeypatch.setattr(language, "_ROUNDS", 1)
    monkeypatch.setattr(language, "_CHECKS", 2)
    advanced: list[None] = []
    async with Engine(Config()) as engine:
        checked = await language.checking(engine, lambda: advanced.append(None))
        guarded = await language.guards(engine, lambda: advanced.append(None))
    measured = {figure.name: figure.measured for figure in guarded}

    assert [f"{loop.name} / plain Python" for loop in LOOPS] == list(measured)
    assert language.steps() == len(advanced)
    assert ("ms", 15) == (checked.unit, checked.budget)
    assert checked.measured > 0
    assert measured[SLOWER_WHEN_GUARDED] > 1.5
    assert statistics.median(measured.values()) > 0.3


def test_a_plain_process_tells_what_the_hook_gave_to_cb_each_time_it_is_asked() -> None:
    source = "asked = []\ndef hook(user, context, cb):\n    asked.append(user)\n    cb(None, len(asked))\n"
    with language.Plain(source) as plain:
        told = [plain.measure() for _ in range(3)]

    assert [1, 2, 3] == told


def test_a_plain_process_ends_with_its_measurement() -> None:
    """Nothing of a benchmark is left running."""
    with language.Plain(LOOPS[0].source) as plain:
        pid = plain._process.pid
        alive = Path(f"/proc/{pid}").exists()

    assert (True, 0, False) == (alive, plain._process.returncode, Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize(
    ("given", "judged"),
    [
        ({"budget": 3}, (True, "≤ 3 x")),
        ({"budget": 1.5}, (False, "≤ 1.5 x")),
        ({"budget": 3, "at_least": True}, (False, "≥ 3 x")),
        ({"budget": None}, (None, "")),
    ],
)
def test_a_figure_is_judged_by_its_budget_if_it_has_one(given: dict[str, Any], judged: tuple[bool | None, str]) -> None:
    figure = Figure(name="guards", measured=2, unit="x", **given)

    assert judged == (figure.met, bench._budget(figure))


def test_a_figure_without_a_budget_is_printed_without_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    bench._print([Figure(name="item reads", measured=2, unit="x", budget=None, detail="4 ms over 2 ms")])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("item reads")]

    assert ["item", "reads", "2", "x", "4", "ms", "over", "2", "ms"] == row.split()


async def test_calls_are_measured_beside_plain_requests_and_waiting_hooks_beside_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Few of each: the figures are rough, but there."""
    for name, value in {"_ROUNDS": 1, "_CALLS": 5, "_SLOW": 6, "_TENANTS": 2, "_TURNS": 2, "_QUICK": 20}.items():
        monkeypatch.setattr(egress, name, value)
    advanced: list[None] = []
    async with Engine(egress.config()) as engine:
        called = await egress.calling(engine, lambda: advanced.append(None))
        waited = await egress.waiting(engine, lambda: advanced.append(None))

    assert egress.steps() == len(advanced)
    assert (3, 1.5) == (called.budget, waited.budget)
    assert called.measured > 0.1
    assert waited.measured > 0.1


async def test_one_group_is_measured_alone_where_it_is_named() -> None:
    figures = await bench._measure_all(("memory",), quiet=True)

    assert ["blank worker, PSS", "hookcell run, whole"] == [figure.name for figure in figures]
