"""`hookcell doctor`: does every layer of the sandbox hold on this machine? Asks real workers."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.layers import Finding


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--without", metavar="LAYER", hidden=True, help="Take a layer from the doctor's own worker.")
def command(without: str | None, *, as_json: bool) -> None:
    """Run every probe in a real worker and print each layer, what it stops, and whether it holds.

    Exit status: 0 when all hold, 1 when one is missing.
    """
    import asyncio

    from engine.errors import BadInput
    from sandbox.wire import LAYER_NAMES

    if without and without not in LAYER_NAMES:
        raise BadInput(f"there is no layer {without!r}; the layers are: {', '.join(LAYER_NAMES)}")
    layers, attempts = asyncio.run(_examine(without, quiet=as_json or not sys.stderr.isatty()))
    if as_json:
        _print_json(layers, attempts)
    else:
        _print(layers, attempts)
    sys.exit(0 if all(finding.held for finding in (*layers, *attempts)) else 1)


async def _examine(without: str | None, *, quiet: bool) -> tuple[list[Finding], list[Finding]]:
    from rich.console import Console
    from rich.progress import track

    from engine import layers
    from engine.app import zygote_setting
    from engine.config import Config
    from engine.spawner import Spawner
    from sandbox.wire import LAYER_NAMES

    setting = zygote_setting(Config())
    if without:
        setting = dataclasses.replace(setting, command=("sandbox.doctor", without))
    spawner = Spawner(setting)
    try:
        names = [*LAYER_NAMES, *await layers.attempts(spawner)]
        console = Console(stderr=True)
        found = [
            await layers.probe(spawner, name)
            for name in track(names, "probing", console=console, transient=True, disable=quiet)
        ]
    finally:
        await spawner.close()
    return found[: len(LAYER_NAMES)], found[len(LAYER_NAMES) :]


def _print(layers: list[Finding], attempts: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    from sandbox.wire import LAYERS

    table = Table("layer", "what it stops", "holds", box=None, pad_edge=False)
    console = Console(width=None if sys.stdout.isatty() else 160)
    for finding in layers:
        holds = "[green]yes[/]" if finding.held else f"[red]no: {finding.detail}[/]"
        table.add_row(finding.name, LAYERS[finding.name], holds)
    console.print(table)
    stopped = sum(finding.held for finding in attempts)
    click.echo(f"\n{len(attempts)} attempts by native code, every layer on: {stopped} stopped")
    for finding in attempts:
        if not finding.held:
            click.secho(f"  {finding.name}: {finding.detail}", fg="red")


def _print_json(layers: list[Finding], attempts: list[Finding]) -> None:
    import msgspec

    from sandbox.wire import LAYERS

    shown = {
        "layers": [dataclasses.asdict(finding) | {"stops": LAYERS[finding.name]} for finding in layers],
        "attempts": attempts,
        "ok": all(finding.held for finding in (*layers, *attempts)),
    }
    click.echo(msgspec.json.encode(shown).decode())
