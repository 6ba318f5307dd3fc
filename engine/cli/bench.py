"""`hookcell bench`: the figures of docs/performance.md, measured here and now."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import click

if TYPE_CHECKING:
    from engine.app import Compiled
    from engine.benchmarks import Figure

    _Measure: TypeAlias = Callable[[Callable[[], None]], Awaitable[list[Figure]]]

_GROUPS = ("turns", "language", "egress", "memory", "triggers", "store")
_MET = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}


@click.command(name="bench")
@click.option("--only", multiple=True, type=click.Choice(_GROUPS), help="Measure this group alone; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(only: tuple[str, ...], *, as_json: bool) -> None:
    """Measure turns, processes, deadlines, the language, calls and memory, beside their budgets.

    Then what a server costs: calls over HTTP, uploads, lists, ten thousand tenants. Takes five minutes.

    Exit status: 0 always: a figure is news, not a verdict.
    """
    import asyncio

    figures = asyncio.run(_measure_all(only or _GROUPS, quiet=as_json or not sys.stderr.isatty()))
    if as_json:
        _print_json(figures)
    else:
        _print(figures)


async def _measure_all(names: Sequence[str], *, quiet: bool) -> list[Figure]:
    from rich.console import Console
    from rich.progress import Progress

    from engine.benchmarks import egress, language, store, triggers

    groups: dict[str, tuple[_Measure, int]] = {  # with the number of steps
        "turns": (_turns, 15 + 5 + 100),
        "language": (_language, language.steps()),
        "egress": (_egress, egress.steps()),
        "memory": (_memory, 1 + 5),
        "triggers": (_triggers, triggers.steps()),
        "store": (_store, store.steps()),
    }
    chosen = [group for name, group in groups.items() if name in names]
    figures = []
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task("measuring", total=sum(steps for _, steps in chosen))
        for measure, _ in chosen:
            figures += await measure(lambda: progress.advance(bar))
    return figures


async def _turns(advance: Callable[[], None]) -> list[Figure]:
    from engine.app import Engine
    from engine.benchmarks import turns
    from engine.config import Config

    async with Engine(Config()) as engine:
        return [await measure(engine, advance) for measure in (turns.warm_turn, turns.invocations, turns.overshoot)]


async def _language(advance: Callable[[], None]) -> list[Figure]:
    from engine.app import Engine
    from engine.benchmarks import language
    from engine.config import Config

    async with Engine(Config()) as engine:
        return [await language.checking(engine, advance), *await language.guards(engine, advance)]


async def _egress(advance: Callable[[], None]) -> list[Figure]:
    from engine.app import Engine
    from engine.benchmarks import egress

    async with Engine(egress.config()) as engine:
        return [await measure(engine, advance) for measure in (egress.calling, egress.waiting)]


async def _memory(advance: Callable[[], None]) -> list[Figure]:
    import asyncio

    from engine.app import zygote_setting
    from engine.benchmarks import footprint
    from engine.config import Config
    from engine.spawner import Spawner

    spawner = Spawner(zygote_setting(Config()))
    blank = await footprint.blank_memory(spawner, advance)
    await spawner.close()
    return [blank, await asyncio.to_thread(footprint.command_line, advance)]


async def _triggers(advance: Callable[[], None]) -> list[Figure]:
    import asyncio

    from engine.benchmarks import triggers

    return await asyncio.to_thread(triggers.measure, await _ordinary(), advance)


async def _store(advance: Callable[[], None]) -> list[Figure]:
    import asyncio

    from engine.benchmarks import store

    return await asyncio.to_thread(store.measure, await _ordinary(), advance)


async def _ordinary() -> Compiled:
    """The hook that stands for what people write."""
    from engine.app import Engine
    from engine.benchmarks import store
    from engine.config import Config

    async with Engine(Config()) as engine:
        return await store.compiled(engine)


def _print(figures: list[Figure]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "measured", "budget", "met", "made of", box=None, pad_edge=False)
    for figure in figures:
        measured = f"{figure.measured:.3g} {figure.unit}"
        table.add_row(figure.name, measured, _budget(figure), _MET[figure.met], figure.detail)
    console = Console(width=max(Console().width, 120))
    console.print(table)
    console.print(f"\n{os.cpu_count()} processors, Linux {platform.release()}, Python {platform.python_version()}")


def _budget(figure: Figure) -> str:
    if figure.budget is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'} {figure.budget:g} {figure.unit}"


def _print_json(figures: list[Figure]) -> None:
    import msgspec

    shown = {
        "figures": [dataclasses.asdict(figure) | {"met": figure.met} for figure in figures],
        "machine": {
            "processors": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
    }
    click.echo(msgspec.json.encode(shown).decode())
