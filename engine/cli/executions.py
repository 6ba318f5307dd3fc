"""`hookcell executions`: what has run, what waits, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from engine.cli.connection import asks_tenant, client_of, print_table, tenant_of
from engine.cli.terminal import give_json, say
from tenants.states import ExecutionStatus

if TYPE_CHECKING:
    from engine.triggering import ShownExecution

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class _ListedByDefault(click.Group):
    """`list` is what is meant where no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The same, with `list` before options that are none of the group."""
        named = args and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


@click.group(name="executions", cls=_ListedByDefault)
def command() -> None:
    """Executions: one for each call of a point, with what came of it. Alone it lists the newest."""


@command.command(name="list")
@click.option("--point", "trigger_id", metavar="POINT", help="Of this point.")
@click.option("--hook", metavar="NAME", help="Of this hook: its name or its id.")
@click.option("--status", type=click.Choice(get_args(ExecutionStatus)), help="dead: its attempts are used up.")
@click.option("--before", metavar="ID", help="Older than this one.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
@_AS_JSON
@asks_tenant
def list_all(limit: int, *, as_json: bool, **given: Any) -> None:
    """List the tenant's executions, the newest first."""
    from engine import triggering

    chosen = {name: given[name] for name in ("trigger_id", "hook", "status", "before")}
    found = triggering.executions(client_of(given), tenant_of(given), limit, **chosen)
    if as_json:
        give_json(found)
        return
    titles = ("id", "point", "status", "attempt", "triggered", "ended", "message")
    rows = (
        (each.id, each.trigger_id, each.status, each.attempt, each.created_at, each.ended_at, each.message)
        for each in found
    )
    print_table(titles, rows, "there are no such executions")


@command.command(name="show")
@click.argument("id")
@_AS_JSON
@asks_tenant
def show(*, as_json: bool, **given: Any) -> None:
    """Show the execution ID: its call, and how each hook ended, with its log and its calls to other hosts."""
    from engine import triggering
    from engine.cli.show import show_outcome

    found = triggering.execution(client_of(given), tenant_of(given), given["id"])
    if as_json:
        give_json(found)
        return
    print_table(("", ""), _facts(found), "")
    for run in found.outcome.hooks if found.outcome else ():
        say("")
        say(f"{run.name}, version {run.version}", bold=True)
        show_outcome(run.outcome, run.name, aside=False)


@command.command(name="redrive")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@_AS_JSON
@asks_tenant
def redrive(ids: tuple[str, ...], *, as_json: bool, **given: Any) -> None:
    """Queue executions again that have ended in error or are dead: of points that nobody waits for.

    The arguments are those of the call; the hooks are run as they are now, from the one that failed on.
    """
    from engine import triggering

    client, tenant = client_of(given), tenant_of(given)
    for each in ids:
        found = triggering.redrive(client, tenant, each)
        if as_json:
            give_json(found)
        else:
            say(f"{found.id} is queued again")


def _facts(found: ShownExecution) -> list[tuple[str, object]]:
    """What is known of it, line by line; what is not is left out."""
    timings = found.outcome.timings if found.outcome else {}
    spent = ", ".join(f"{name.removesuffix('_ms')} {value:.1f} ms" for name, value in timings.items())
    waits = found.status in ("queued", "running")
    facts: list[tuple[str, object]] = [
        ("id", found.id),
        ("point", found.trigger_id),
        ("status", found.status),
        ("message", found.message),
        ("attempt", found.attempt),
        ("triggered", found.created_at),
        ("not before", found.run_at if waits else None),
        ("started", found.started_at),
        ("ended", found.ended_at),
        ("time", spent),
        ("key", found.idempotency_key),
        ("arguments", bytes(found.arguments).decode()),
    ]
    return [(name, value) for name, value in facts if value not in (None, "")]
