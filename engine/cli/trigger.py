"""`hookcell trigger`: call an extensibility point of a running server, as the operator's application does."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from engine.cli.connection import asks_tenant, client_of, tenant_of
from engine.cli.terminal import give_json, say, say_lines

if TYPE_CHECKING:
    from engine.client import Client
    from engine.triggering import Answer

_MOST_BYTES = 16 << 20  # of a file: more than any server can be set to take


@click.command(name="trigger")
@click.argument("point")
@click.option("--arguments", "file", metavar="FILE", help="JSON of the point's arguments; - is standard input.")
@click.option("--sample", is_flag=True, help="Call it with the point's sample call instead.")
@click.option("--key", metavar="KEY", help="Of a point that nobody waits for: repeated calls with it are one.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0.001, 600),
    metavar="SECONDS",
    help="Of the others: the hooks have so long, if that is less than they would have anyway.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@asks_tenant
def command(point: str, file: str | None, *, as_json: bool, **given: Any) -> None:
    """Call POINT: the tenant's enabled hooks run, on the server and in earnest.

    Where the caller waits, the response is printed, or the error. Otherwise the id of the execution is, as soon as it
    cannot be lost: `hookcell executions show ID` tells what came of it.

    Exit status: 0 when it succeeded or is queued; 1 when a hook has refused or failed; 2 when nothing was run.
    """
    from engine import triggering

    if (file is not None) == given["sample"]:
        raise click.UsageError("say either --arguments FILE or --sample")
    client, tenant = client_of(given), tenant_of(given)
    arguments = _arguments(client, point, file)
    answer = triggering.call(client, tenant, point, arguments, key=given["key"], wait_s=given["wait_s"])
    if as_json:
        give_json(answer)
    else:
        _show(answer)
    sys.exit(1 if answer.status == "error" else 0)


def _arguments(client: Client, point: str, file: str | None) -> bytes:
    """As the file has them, byte for byte: the server says what is wrong with them."""
    from engine.cli import files
    from engine.errors import BadInput
    from engine.triggering import sample_of

    if file is not None:
        return files.read_bytes(file, _MOST_BYTES, "arguments file")
    sample = sample_of(client, point)
    if sample is None:
        raise BadInput(f"the server has no extensibility point {point!r:.200}")
    return sample


def _show(answer: Answer) -> None:
    if answer.status == "queued":
        say(f"queued: {answer.execution_id}")
        return
    if answer.status == "error":
        policy = {"open": "; go on without it", "closed": "; do not go on"}.get(answer.fail or "", "")
        say(f"error: execution {answer.execution_id}{policy}", fg="red")
    say_lines(json.dumps(json.loads(bytes(answer.data)), indent=2, ensure_ascii=False))
