"""Audit: a `sapi` event in the tenant's log for each write, in the same transaction; what has no tenant, in the log.

The change is the caller's only if their token is valid yet at that moment, however long ago its request began.
Source: AUTH0.md section 5.3.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from engine.api.route import Caller
from engine.errors import Refusal
from tenants import log_events, token_rows
from tenants.rows import Everything, Rows
from tenants.stamps import now_ms

_log = logging.getLogger("hookcell.audit")

REDACTED = "_REDACTED_"  # what stands for a secret's value in it


def record(rows: Rows, caller: Caller, description: str, *, request: Any, status: int, response: Any) -> None:
    """Append the event. `request`: the body, without scripts and secrets' values; `response`: the answer's.

    Raises Refusal 401 when the caller's token has ended by now.
    """
    if not token_rows.still(rows, caller.token, now_ms()):
        raise _ended()
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


def check_operator(everything: Everything, caller: Caller) -> None:
    """In a change that has no tenant. Raises Refusal 401 when the operator's token has ended by now."""
    if not token_rows.still_operators(everything, caller.token, now_ms()):
        raise _ended()


def tell(caller: Caller, what: str, status: int, **facts: Any) -> None:
    """One line of JSON, of an operator's change that has no tenant whose log could tell of it."""
    said = {"what": what, "token": caller.token.id, "address": caller.address, "status": status}
    _log.warning("%s", json.dumps(said | facts))  # a warning: nobody needs to set logging up to be told


def _ended() -> Refusal:
    return Refusal(401, None, "Invalid token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
