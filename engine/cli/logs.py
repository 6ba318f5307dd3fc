"""`hookcell logs`: what has happened in a tenant: changes to its hooks, and hooks that failed."""

from __future__ import annotations

import re
import time
from typing import Any

import click

from engine.cli.connection import asks_tenant, client_of, print_table, tenant_of
from engine.cli.terminal import give_json

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PAGE = 100  # the most that the API gives at once


@click.command(name="logs")
@click.option("--query", metavar="QUERY", help="As of /api/v2/logs: 'type:fcph AND description:mail*'.")
@click.option("--type", "types", multiple=True, metavar="CODE", help="As sapi or fcph; repeatable.")
@click.option("--since", metavar="TIME", help="As 90m, 12h or 7d ago, or a time as 2026-11-23T07:30:00Z.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON, with their details.")
@asks_tenant
def command(limit: int, *, as_json: bool, **given: Any) -> None:
    """Print the tenant's newest log events, the newest first."""
    client, tenant = client_of(given), tenant_of(given)
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
