"""Outcomes and findings as people read them. What a hook wrote is printed with its control characters escaped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import click
import msgspec

from engine.cli.terminal import plain, plain_line
from engine.outcome import Cause, Exchange, Finding, Outcome, lines_of

_COLOURS = {"ok": "green", "denied": "yellow"}
LEVELS = {"info": None, "warn": "yellow", "error": "red"}


def show_outcome(outcome: Outcome, name: str, *, aside: bool = True) -> None:
    """Print an outcome: the log, the calls to other hosts, then how it ended, then the result.

    `aside`: the log and the calls go to standard error. Otherwise the outcome is one of several that somebody looks
    through: then no text of a hook's begins a line.
    """
    name, shown = plain(name), plain if aside else plain_line
    for event in outcome.logs:
        where = f"{name}:{event.line}" if event.line else name
        click.secho(f"{where}  {event.level:5}  {shown(event.text)}", fg=LEVELS.get(event.level), err=aside)
    for exchange in outcome.egress:
        click.secho(plain_line(_told(exchange)), fg=None if exchange.status else "yellow", err=aside)
    if outcome.status == "rejected":
        return
    click.secho(outcome.status, fg=_COLOURS.get(outcome.status, "red"), bold=True, nl=False)
    click.echo(f"  {outcome.usage.wall_ms:.1f} ms" + (f"  {shown(outcome.message)}" if outcome.message else ""))
    if outcome.status != "ok":
        _show_way(outcome, name, shown)
    if outcome.status == "ok":
        click.echo(plain(json.dumps(msgspec.json.decode(outcome.result), indent=2, ensure_ascii=False)))


def _told(exchange: Exchange) -> str:
    """'POST https://api.example.com/mail  202  41.3 ms', or what there was instead of a status."""
    end = f"refused: {exchange.refused}" if exchange.refused else f"{exchange.status or exchange.error or 'given up'}"
    took = "" if exchange.refused else f"  {exchange.ms:.1f} ms"
    return f"{exchange.method} {exchange.url}  {end}{took}"


def _show_way(outcome: Outcome, name: str, shown: Callable[[str], str]) -> None:
    """The line where it ended, or the steps there where there are more; then what led to it."""
    own = outcome.causes[:1] if outcome.status == "raised" else ()
    for cause in own:
        _show_steps(cause, name)
    if outcome.line and not own:
        click.echo(f"  {name}:{outcome.line}: {plain(outcome.source or '')}")
    for cause in outcome.causes[len(own) :]:
        click.echo(f"caused by {shown(cause.message)}")
        _show_steps(cause, name)


def _show_steps(cause: Cause, name: str) -> None:
    alone = len(cause.steps) == 1
    for step in cause.steps:
        where = "" if alone or not step.function else f" in {plain(step.function)}"
        click.echo(f"  {name}:{step.line}{where}: {plain(step.source or '')}")


def show_findings(findings: Iterable[Finding], source: str, name: str, *, warnings: Iterable[Finding] = ()) -> None:
    """Print what is refused and what is doubtful: place, rule and reason, the source line, a caret, the hint."""
    lines = lines_of(source)
    name = plain(name)
    marked = [(finding, "") for finding in findings]
    marked += [(finding, click.style("warning", fg="yellow") + ": ") for finding in warnings]
    for finding, mark in sorted(marked, key=lambda each: (each[0].line, each[0].column)):
        place = f"{name}:{finding.line}:{finding.column}"
        click.echo(f"{place}: {mark}{click.style(finding.rule, bold=True)}: {plain(finding.message)}", err=True)
        if finding.line <= len(lines) and finding.rule != "too-complex":
            text = plain(lines[finding.line - 1].replace("\t", " "))[:200]
            carets = "^" * max(1, min(finding.end, len(text) + 1) - finding.column)
            click.echo(f"    {text}\n    {' ' * (finding.column - 1)}{carets}"[:500], err=True)
        if finding.hint:
            click.echo(f"    {plain(finding.hint)}", err=True)
