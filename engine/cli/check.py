"""`hookcell check`: what the policy refuses in hook files and what is doubtful in them, without running them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.config import Config
    from engine.hook import Hook
    from engine.outcome import Outcome


@click.command(name="check")
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("--point", default="post-change-password", show_default=True, help="Extensibility point of the files.")
@click.option(
    "--secret", "secrets", multiple=True, metavar="NAME", help="A secret the hooks will have; repeatable. No value."
)
@click.option(
    "--dependency", "dependencies", multiple=True, metavar="NAME[@VERSION]", help="A module they need; repeatable."
)
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def command(names: tuple[str, ...], point: str, *, strict: bool, as_json: bool, **given: tuple[str, ...]) -> None:
    """Check hook FILEs against the policy, and warn of what was probably not meant; nothing of them is run.

    Exit status: 0 when every file is accepted, 2 when one is refused or cannot be read. With --strict, 2 also when
    one has warnings.
    """
    import asyncio

    from engine.cli import files
    from engine.config import Config
    from engine.hook import Hook
    from engine.points import load_points

    config = Config()
    load_points(config.points)
    dependencies = dict(map(_dependency, given["dependencies"]))
    hooks = {
        name: Hook(files.read_source(name, config.source_bytes), point, dependencies=dependencies) for name in names
    }
    secrets = [_secret(name) for name in given["secrets"]] or None
    outcomes = asyncio.run(_check_all(config, hooks, secrets))
    if as_json:
        _print_json(outcomes)
    else:
        _print(outcomes, hooks, strict=strict)
    failed = any(outcome.status != "ok" or (strict and outcome.warnings) for outcome in outcomes.values())
    sys.exit(2 if failed else 0)


async def _check_all(config: Config, hooks: dict[str, Hook], secrets: list[str] | None) -> dict[str, Outcome]:
    from engine.app import Engine

    async with Engine(config) as engine:
        return {name: await engine.check(hook, secrets=secrets) for name, hook in hooks.items()}


def _dependency(text: str) -> tuple[str, str]:
    """'requests@2.32' → ('requests', '2.32'); '@scope/name' → ('@scope/name', '')."""
    name, _, version = text[1:].partition("@")
    if not text.strip("@"):
        raise click.BadParameter(f"found {text!r}; write NAME or NAME@VERSION", param_hint="--dependency")
    return text[0] + name, version


def _secret(name: str) -> str:
    if not name or "=" in name:
        raise click.BadParameter("write the NAME alone: a check needs no value", param_hint="--secret")
    return name


def _print(outcomes: dict[str, Outcome], hooks: dict[str, Hook], *, strict: bool) -> None:
    from engine.cli import show
    from engine.cli.terminal import plain_line

    for name, outcome in outcomes.items():
        show.show_findings(outcome.diagnostics, hooks[name].source, name, warnings=outcome.warnings)
        count = len(outcome.warnings)
        warned = f", {count} warning{'s' if count > 1 else ''}" if count else ""
        verdict = f"{'refused by --strict' if strict and count else 'accepted'}{warned}"
        click.echo(f"{plain_line(name)}: {verdict if outcome.status == 'ok' else outcome.message}")


def _print_json(outcomes: dict[str, Outcome]) -> None:
    import msgspec

    shown = [
        {
            "file": name,
            "ok": outcome.status == "ok",
            "diagnostics": outcome.diagnostics,
            "warnings": outcome.warnings,
        }
        for name, outcome in outcomes.items()
    ]
    click.echo(msgspec.json.encode(shown).decode())
