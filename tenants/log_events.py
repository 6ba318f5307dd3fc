"""A tenant's log events: appended, followed, and swept when they are old or too many.

A log_id is 56 digits: 900, the time as yyyymmddHHMMSSmmm, and 36 of a counter. The counter is the tenant's own and the
time never goes back, so ids ascend also when the clock does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack

from sqlalchemy import ColumnElement, RowMapping, case, or_

from tenants import schema
from tenants.errors import Missing
from tenants.records import Json, LogEvent
from tenants.rows import Everything, Rows
from tenants.stamps import now_ms

_EVENTS = schema.log_events
_TENANTS = schema.tenants
_SWEPT = 1_000  # events of one transaction, so that nobody waits long for it


class Said(TypedDict, total=False):
    """What an event may tell besides its type."""

    date_ms: int
    ip: str
    user_agent: str
    client_id: str
    client_name: str
    connection: str
    connection_id: str
    hostname: str
    user_id: str
    user_name: str
    strategy: str
    strategy_type: str
    details: Mapping[str, Json]


def append(rows: Rows, *, type: str, description: str = "", **said: Unpack[Said]) -> LogEvent:  # noqa: A002 - Auth0's
    """The event, kept under the tenant's next id; its date is now, unless it says another. Raises Missing.

    The time in the id is that of the event before when the clock has gone back; the date is what the clock says.
    """
    return append_all(rows, [{"type": type, "description": description, **said}])[0]


def append_all(rows: Rows, events: Sequence[Mapping[str, Any]]) -> list[LogEvent]:
    """As append() each, in two statements. Raises Missing."""
    now = now_ms()
    latest = case((_TENANTS.c.log_ms > now, _TENANTS.c.log_ms), else_=now)
    counted = rows.update(_TENANTS).values(log_number=_TENANTS.c.log_number + len(events), log_ms=latest)
    head = rows.execute(counted.returning(_TENANTS.c.log_number, _TENANTS.c.log_ms)).first()
    if head is None:
        raise Missing("there is no such tenant", what="tenant")
    first = head.log_number - len(events) + 1
    made = [
        LogEvent(**{"date_ms": now, **event, "log_id": _log_id(head.log_ms, number)})
        for number, event in enumerate(events, first)
    ]
    kept = [{name: getattr(event, name) for name in LogEvent.__dataclass_fields__} for event in made]
    numbered = [values | {"number": number} for number, values in enumerate(kept, first)]
    rows.execute(rows.insert(_EVENTS), numbered)
    return made


def get(rows: Rows, log_id: str) -> LogEvent:
    """The event of that id. Raises Missing."""
    row = rows.execute(rows.select(_EVENTS).where(_EVENTS.c.log_id == log_id)).mappings().first()
    if row is None:
        raise Missing("there is no such log event", what="log_event")
    return _event(row)


def after(rows: Rows, log_id: str, take: int) -> list[LogEvent]:
    """Up to `take` events that are newer than that id, the oldest first."""
    chosen = rows.select(_EVENTS).where(_EVENTS.c.log_id > log_id).order_by(_EVENTS.c.log_id).limit(take)
    return [_event(row) for row in rows.execute(chosen).mappings()]


def overfull(everything: Everything, before_ms: int, most: int) -> list[str]:
    """The ids of tenants that have events to end: older ones, or more than `most`. Two looks at an index each."""
    mine = _EVENTS.c.tenant_id == _TENANTS.c.tenant_id
    oldest = everything.select(_EVENTS, _EVENTS.c.number).where(mine).order_by(_EVENTS.c.log_id).limit(1)
    old = everything.select(_EVENTS, _EVENTS.c.number).where(mine, _EVENTS.c.date_ms < before_ms).exists()
    too_many = oldest.scalar_subquery() <= _TENANTS.c.log_number - most
    there = _TENANTS.c.gone_ms.is_(None)
    chosen = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(there, or_(too_many, old))
    return list(everything.execute(chosen.order_by(_TENANTS.c.tenant_id)).scalars())


def sweep(rows: Rows, before_ms: int, most: int) -> int:
    """Ends events that are older, or more than `most`, the oldest first: up to a thousand of them.

    How many they were. 0: there are no more; otherwise ask again.
    """
    last = rows.execute(rows.select(_TENANTS, _TENANTS.c.log_number)).scalar_one()
    ended = _sweep(rows, _EVENTS.c.number <= last - most, _SWEPT)
    return ended + (_sweep(rows, _EVENTS.c.date_ms < before_ms, _SWEPT - ended) if ended < _SWEPT else 0)


def _sweep(rows: Rows, condition: ColumnElement[bool], most: int) -> int:
    """Ends up to `most` events, the oldest first."""
    oldest = rows.select(_EVENTS, _EVENTS.c.log_id).where(condition).order_by(_EVENTS.c.log_id).limit(most)
    ids = rows.execute(oldest).scalars().all()
    if ids:
        rows.execute(rows.delete(_EVENTS).where(condition, _EVENTS.c.log_id <= ids[-1]))
    return len(ids)


def _log_id(ms: int, number: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, tz=UTC)
    return f"900{moment:%Y%m%d%H%M%S}{ms % 1000:03}{number:036}"


def _event(row: RowMapping) -> LogEvent:
    return LogEvent(**{name: row[name] for name in LogEvent.__dataclass_fields__})
