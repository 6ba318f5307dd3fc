"""`hookcell check`: what the policy refuses in hook files, without running them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.config import Config
    from engine.outcome import Outcome


@click.command(name="check")
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("--point", default="post-change-password", show_default=True, help="Extensibility point of the files.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def command(names: tuple[str, ...], point: str, *, as_json: bool) -> None:
    """Check hook FILEs against the policy; nothing of them is run.

    Exit status: 0 when every file is accepted, 2 when one is refused or cannot be read.
    """
    import asyncio

    import msgspec

    from engine.cli import files, show
    from engine.config import Config

    config = Config()
    sources = {name: files.read_source(name, config.source_bytes) for name in names}
    outcomes = asyncio.run(_check_all(config, sources, point))
    for name, outcome in outcomes.items():
        if not as_json:
            show.show_findings(outcome.diagnostics, sources[name], name)
            click.echo(f"{show.plain(name)}: {'accepted' if outcome.status == 'ok' else outcome.message}")
    if as_json:
        shown = [
            {"file": name, "ok": outcome.status == "ok", "diagnostics": outcome.diagnostics}
            for name, outcome in outcomes.items()
        ]
        click.echo(msgspec.json.encode(shown).decode())
    sys.exit(0 if all(outcome.status == "ok" for outcome in outcomes.values()) else 2)


async def _check_all(config: Config, sources: dict[str, str], point: str) -> dict[str, Outcome]:
    from engine.app import Engine, Hook

    async with Engine(config) as engine:
        return {name: await engine.check(Hook(source, point)) for name, source in sources.items()}
