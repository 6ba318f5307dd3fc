"""`hookcell logs`: what has happened in a tenant: changes to its hooks, hooks that failed; or what they print now."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

import click

from engine.cli.connection import asks_tenant, client_of, print_table, tenant_of
from engine.cli.terminal import give_json, say

if TYPE_CHECKING:
    from engine.client import Client

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PAGE = 100  # the most that the API gives at once


@click.command(name="logs")
@click.option("-f", "--follow", is_flag=True, help="What hooks print and how they end, from now on; Ctrl-C ends it.")
@click.option("--query", metavar="QUERY", help="As of /api/v2/logs: 'type:fcph AND description:mail*'.")
@click.option("--type", "types", multiple=True, metavar="CODE", help="As sapi or fcph; repeatable.")
@click.option("--since", metavar="TIME", help="As 90m, 12h or 7d ago, or a time as 2026-11-23T07:30:00Z.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON, with their details.")
@asks_tenant
def command(limit: int, *, as_json: bool, **given: Any) -> None:
    """Print the tenant's newest log events, the newest first; with -f, follow its hooks as they run."""
    if given["follow"] and (given["query"] or given["types"] or given["since"]):
        raise click.UsageError("--query, --type and --since are of the log; -f follows everything from now on")
    client, tenant = client_of(given), tenant_of(given)
    if given["follow"]:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(client, tenant, as_json=as_json)
        return
    query = _query(given["query"], given["types"], given["since"])
    events: list[dict[str, Any]] = []
    while len(events) < limit:
        page = client.get(
            list[dict[str, Any]],
            *("tenants", tenant, "logs"),
            q=query,
            page=len(events) // _PAGE,
            per_page=_PAGE,
            sort="date:-1",
        )
        events += page
        if len(page) < _PAGE:
            break
    if as_json:
        give_json(events[:limit])
        return
    fields = ("date", "type", "description", "client_name", "ip")
    rows = ([event.get(name, "") for name in fields] for event in events[:limit])
    print_table(("date", "type", "description", "token", "address"), rows, "there are no such events")


def _follow(client: Client, tenant: str, *, as_json: bool) -> None:
    """Each line as it comes. A connection that breaks is told, and made again."""
    from engine.follow import follow

    def lost(why: str) -> None:
        say(f"hookcell: {why}; connecting again", err=True)

    for event in follow(client, ("tenants", tenant, "log-events"), lost):
        told = _object(event.data)
        if as_json:
            give_json({"event": event.kind} | told)
        else:
            _show(event.kind, told)


def _object(data: str) -> dict[str, Any]:
    """What an event says; raises Unreachable for what no server of this version says."""
    import msgspec

    from engine.client import Unreachable

    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreachable(f"an event is not one of a Hookcell server of this version: {error}") from None


def _show(kind: str, told: dict[str, Any]) -> None:
    """'…T07:30:00.123Z  Tell by mail:3  info  mail sent', or how an attempt ended; a mark is the server's own."""
    from engine.cli.show import LEVELS

    if kind not in ("log", "end"):
        say(f"hookcell: {told.get('message') or kind}", err=True)
        return
    line = f":{told['line']}" if told.get("line") else ""
    ended, level = kind == "end", str(told.get("level", ""))
    words: list[Any] = [told.get("at"), f"{told.get('hook') or told.get('trigger_id')}{line}"]
    words += [told.get("status"), told.get("execution_id")] if ended else [f"{level:5}"]
    words.append(told.get("text") or told.get("message"))
    say("  ".join(str(word) for word in words if word), fg=LEVELS.get(level), bold=ended)


def _query(query: str | None, types: tuple[str, ...], since: str | None) -> str | None:
    """One query of the three options; None: everything."""
    parts = [f"({query})"] if query else []
    for code in types:
        if not re.fullmatch(r"\w{1,64}", code):
            raise click.BadParameter(f"found {code!r:.100}; a code is letters, as sapi", param_hint="--type")
    if types:
        parts.append("(" + " OR ".join(f"type:{code}" for code in types) + ")")
    if since:
        parts.append(f"date:[{_instant(since)} TO *]")
    return " AND ".join(parts) or None


def _instant(text: str) -> str:
    """'12h' → the time so long ago; a time stays as it is."""
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if ago:
        seconds = time.time() - int(ago[1]) * _UNITS_S[ago[2]]
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0, seconds)))
    if re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{3})?Z)?", text):
        return text
    raise click.BadParameter(f"found {text!r:.100}; write 90m, 12h, 7d, or 2026-11-23T07:30:00Z", param_hint="--since")
