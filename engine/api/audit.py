"""Audit: a `sapi` event in the tenant's log for each write, in the same transaction.

Source: AUTH0.md section 5.3.
"""

from __future__ import annotations

from typing import Any

from engine.api.route import Caller
from tenants import log_events
from tenants.rows import Rows

REDACTED = "_REDACTED_"  # what stands for a secret's value in it


def record(rows: Rows, caller: Caller, description: str, *, request: Any, status: int, response: Any) -> None:
    """Append the event. `request`: the body, without scripts and secrets' values; `response`: the answer's."""
    log_events.append(
        rows,
        type="sapi",
        description=description,
        ip=caller.address,
        user_agent=caller.user_agent,
        client_id=caller.token.id,
        client_name=caller.token.name,
        details={
            "request": {"method": caller.method, "path": caller.path, "body": request},
            "response": {"statusCode": status, "body": response},
        },
    )
