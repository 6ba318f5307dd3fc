"""A tenant's log events: appended, followed, and swept when they are old or too many.

A log_id is 56 digits: 900, the time as yyyymmddHHMMSSmmm, and 36 of a counter. The counter is the tenant's own and the
time never goes back, so ids ascend also when the clock does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, TypedDict, Unpack

import msgspec
from sqlalchemy import BigInteger, ColumnElement, RowMapping, Update, bindparam, case, or_

from tenants import given_rows, schema
from tenants.bulk import bulk
from tenants.errors import Missing, Unstorable
from tenants.given_rows import Given, Shape
from tenants.prepared import Statement
from tenants.records import Json, LogEvent
from tenants.rows import Everything, Rows, of_everything, of_tenant
from tenants.stamps import now_ms

_EVENTS = schema.log_events
_TENANTS = schema.tenants
_IDS = ("tenant_id", "log_id", "number")  # which an event is given
_SAID = [column.name for column in _EVENTS.c if column.name not in (*_IDS, "details")]
_COLUMNS = [*_IDS, "details", *_SAID]
_ROWS = Given("rows", *(_EVENTS.c[name] for name in _COLUMNS))
_COUNTS = Given("tenants", _TENANTS.c.tenant_id, _TENANTS.c.log_number)
_said = itemgetter(*_SAID)
_EMPTY: Mapping[str, Any] = dict.fromkeys(_SAID, "") | {"details": {}}
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
    details: Mapping[str, Json] | msgspec.Raw


def append(rows: Rows, *, type: str, description: str = "", **said: Unpack[Said]) -> LogEvent:  # noqa: A002 - Auth0's
    """The event, kept under the tenant's next id; its date is now, unless it says another. Raises Missing.

    The time in the id is that of the event before when the clock has gone back; the date is what the clock says.
    """
    return append_all(rows, [{"type": type, "description": description, **said}])[0]


def append_all(rows: Rows, events: Sequence[Mapping[str, Any]]) -> list[LogEvent]:
    """As append() each, in two statements. Raises Missing."""
    now = now_ms()
    head = _counted.first(rows, events=len(events), now_ms=now)
    if head is None:
        raise Missing("there is no such tenant", what="tenant")
    made = [
        LogEvent(**{"date_ms": now, **event, "log_id": log_id})
        for event, (_, log_id) in zip(events, _ids(len(events), *head), strict=True)
    ]
    _kept.count(rows, _ROWS.checked(_rows(rows.tenant_id, events, now, head)))
    return made


def append_of_all(everything: Everything, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """As append_all() for several tenants, by their ids; events of tenants that are gone are passed over.

    They tell what hooks said. A character in it that no text may have does not keep the others from being stored.
    """
    by_tenant: dict[str, list[Mapping[str, Any]]] = {}
    for tenant_id, event in events:
        by_tenant.setdefault(tenant_id, []).append(event)
    if not by_tenant:
        return
    counts = [(tenant_id, len(of_tenant)) for tenant_id, of_tenant in by_tenant.items()]
    now = now_ms()
    made: list[tuple[Any, ...]] = []
    for tenant_id, *head in _counted_of_all.all(everything, tenants=_COUNTS.text(counts), now_ms=now):
        made += _rows(tenant_id, by_tenant[tenant_id], now, head)
    try:
        given = _ROWS.checked(made)
    except Unstorable:
        given = _ROWS.checked([_storable(value) for value in row] for row in made)
    _kept_of_all.count(everything, given)


def _storable(value: Any) -> Any:
    return value.replace("\0", "\ufffd").encode(errors="replace").decode() if isinstance(value, str) else value


def _rows(
    tenant_id: str, events: Sequence[Mapping[str, Any]], now: int, head: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    """Rows of _kept, under the tenant's next ids."""
    for event, (number, log_id) in zip(events, _ids(len(events), *head), strict=True):
        told = {**_EMPTY, "date_ms": now, **event}
        yield (tenant_id, log_id, number, given_rows.dumped(told["details"]), *_said(told))


def _ids(events: int, last: int, ms: int) -> Iterator[tuple[int, str]]:
    """The numbers and the ids of a tenant's newest events, of which the last one has number `last`."""
    moment = datetime.fromtimestamp(ms // 1000, tz=UTC)
    beginning = f"900{moment:%Y%m%d%H%M%S}{ms % 1000:03}"
    for number in range(last - events + 1, last + 1):
        yield number, f"{beginning}{number:036}"


@of_tenant
def _counted(rows: Rows) -> Statement:
    number, now = (bindparam(name, type_=BigInteger) for name in ("events", "now_ms"))
    return _count(rows.update(_TENANTS), number, now).returning(_TENANTS.c.log_number, _TENANTS.c.log_ms)


@of_everything
def _counted_of_all(everything: Everything) -> Statement:
    tenant_id, number = _COUNTS.columns
    there = everything.select(_TENANTS, _TENANTS.c.tenant_id, number.label("number"))
    there = there.where(_TENANTS.c.tenant_id == tenant_id, _TENANTS.c.gone_ms.is_(None))
    ordered = there.order_by(_TENANTS.c.tenant_id)  # on all nodes, so that none waits for another
    locked = ordered.with_for_update(of=_TENANTS, key_share=True).subquery()  # as weakly as the update itself does
    changed = everything.update(_TENANTS).where(_TENANTS.c.tenant_id == locked.c.tenant_id)
    counted = _count(changed, locked.c.number, bindparam("now_ms", type_=BigInteger))
    return counted.returning(_TENANTS.c.tenant_id, _TENANTS.c.log_number, _TENANTS.c.log_ms)


def _count(change: Update, number: ColumnElement[int], now: ColumnElement[int]) -> Update:
    """The time of the last event never goes back."""
    latest = case((_TENANTS.c.log_ms > now, _TENANTS.c.log_ms), else_=now)
    return change.values(log_number=_TENANTS.c.log_number + number, log_ms=latest)


@bulk(_ROWS, of_tenant)
def _kept(rows: Rows, given: Shape) -> Statement:
    return rows.insert_given(_EVENTS, given.table, dict(zip(_COLUMNS, given.columns, strict=True)))


@bulk(_ROWS, of_everything)
def _kept_of_all(everything: Everything, given: Shape) -> Statement:
    return everything.insert(_EVENTS).from_select(_COLUMNS, everything.select(given.table, *given.columns))


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


def _event(row: RowMapping) -> LogEvent:
    return LogEvent(**{name: row[name] for name in LogEvent.__struct_fields__})
