"""`hookcell bench`: the figures of docs/performance.md, measured here and now."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.benchmarks import Figure

_STEPS = 15 + 5 + 100 + 1 + 5  # of turns and footprint
_MET = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}


@click.command(name="bench")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(*, as_json: bool) -> None:
    """Measure turns, processes, deadlines, calls, the language and memory, beside their budgets.

    Then what a server costs: uploads, lists, ten thousand tenants. Takes four minutes.

    Exit status: 0 always: a figure is news, not a verdict.
    """
    import asyncio

    figures = asyncio.run(_measure_all(quiet=as_json or not sys.stderr.isatty()))
    if as_json:
        _print_json(figures)
    else:
        _print(figures)


async def _measure_all(*, quiet: bool) -> list[Figure]:
    import asyncio

    from rich.console import Console
    from rich.progress import Progress

    from engine.app import Engine, zygote_setting
    from engine.benchmarks import egress, footprint, language, store, turns
    from engine.config import Config
    from engine.spawner import Spawner

    config = Config()
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task("measuring", total=_STEPS + language.steps() + egress.steps() + store.steps())

        def advance() -> None:
            progress.advance(bar)

        async with Engine(config) as engine:
            figures = [
                await measure(engine, advance)
                for measure in (turns.warm_turn, turns.invocations, turns.overshoot, language.checking)
            ]
            figures += await language.guards(engine, advance)
            ordinary = await store.compiled(engine)
        async with Engine(egress.config()) as engine:
            figures += [await measure(engine, advance) for measure in (egress.calling, egress.waiting)]
        spawner = Spawner(zygote_setting(config))
        figures.append(await footprint.blank_memory(spawner, advance))
        await spawner.close()
        figures.append(await asyncio.to_thread(footprint.command_line, advance))
        figures += await asyncio.to_thread(store.measure, ordinary, advance)
    return figures


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
