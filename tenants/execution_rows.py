"""One tenant's executions: found, redriven, and swept when they are old or too many; and how a row is read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, func, type_coerce

from tenants import log_events, schema
from tenants.errors import Missing, Stale
from tenants.records import Execution, ExecutionStatus, Json
from tenants.rows import Everything, Rows
from tenants.stamps import now_ms

_ALL = schema.executions
_TENANTS = schema.tenants
_SWEPT = 100  # executions of one transaction, so that nobody waits long for it: some are large
_LOOKED_AT = 100  # tenants of one look for those that have too many
_BRIEF = ("status", "message", "timings")
_MESSAGE_CHARS = 1_000  # in a list
_FIELDS = tuple(name for name in Execution.__dataclass_fields__ if name not in ("id", "hook_ids"))
_LARGE = frozenset({"response", "arguments", "outcome"})
_LISTED = [column for column in _ALL.c if column.name not in _LARGE]
ENDED: Final = frozenset({"success", "error", "dead"})


def get(rows: Rows, execution_id: str) -> Execution:
    """The execution of that id. Raises Missing."""
    row = rows.execute(rows.select(_ALL).where(_ALL.c.execution_id == execution_id)).mappings().first()
    if row is None:
        raise Missing("there is no such execution", what="execution")
    return execution_of(row)


def page(
    rows: Rows,
    *,
    trigger_id: str | None = None,
    hook_id: str | None = None,
    status: ExecutionStatus | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[Execution]:
    """Up to `limit` executions, the newest first, older than the one of id `before`.

    Each as it is listed: `arguments` and `response` are `null`, and of `outcome` there is what lists show, `status`,
    `timings` and the beginning of `message`: reading all of a hundred takes seconds.
    `hook_id`: those that this hook was to run in. A filter that few fit reads all of the tenant's: study() it.
    """
    wanted = {_ALL.c.trigger_id: trigger_id, _ALL.c.status: status}
    conditions = [column == value for column, value in wanted.items() if value is not None]
    conditions += [] if before is None else [_ALL.c.execution_id < before]
    conditions += [] if hook_id is None else [_has_hook(hook_id)]
    newest_first = rows.select(_ALL, *_LISTED).where(*conditions).order_by(_ALL.c.execution_id.desc()).limit(limit)
    found = rows.execute(newest_first).mappings()
    return [_record(row, arguments="null", response="null", outcome=row["brief"]) for row in found]


def redrive(rows: Rows, execution_id: str) -> Execution:
    """Queues one again that has failed: its attempts begin anew, after the hooks that have ended well.

    Raises Missing; Stale for one that has not failed, or that nobody waits for any more because it was blocking.
    """
    found = get(rows, execution_id)
    if found.blocking:
        raise Stale("the execution is of a blocking point, whose caller has had its answer", what="execution")
    if found.status not in ("error", "dead"):
        raise Stale(f"the execution is {found.status}: only error and dead are run again", what="execution")
    now = now_ms()
    values = {"status": "queued", "attempt": 0, "lost": 0, "run_at_ms": now, "due_ms": now, "ended_ms": None}
    rows.execute(rows.update(_ALL).where(_ALL.c.execution_id == execution_id).values(**values))
    return get(rows, execution_id)


def overfull(everything: Everything, before_ms: int, most: int, after: str = "") -> tuple[list[str], str | None]:
    """Of the next hundred tenants after the one of id `after`, those that have executions to end.

    And the id of the last of the hundred; None: there are no more.
    """
    there = (_TENANTS.c.gone_ms.is_(None), _TENANTS.c.tenant_id > after)
    chosen = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(*there).order_by(_TENANTS.c.tenant_id)
    ids = list(everything.execute(chosen.limit(_LOOKED_AT)).scalars())
    found = [tenant_id for tenant_id in ids if _too_much(everything.of(tenant_id), before_ms, most)]
    return found, ids[-1] if len(ids) == _LOOKED_AT else None


def sweep(rows: Rows, before_ms: int, most: int) -> int:
    """Ends executions that ended before then, or are more than `most` that have ended, the oldest first: up to 100.

    How many they were. 0: there are no more; otherwise ask again. What is queued or under way stays.
    """
    until = _too_much(rows, before_ms, most)
    if until is None:
        return 0
    order = (_ALL.c.ended_ms, _ALL.c.execution_id)
    oldest = rows.select(_ALL, *order).where(_ALL.c.ended_ms <= until[0]).order_by(*order).limit(_SWEPT)
    ids = [row.execution_id for row in rows.execute(oldest) if tuple(row) <= until]
    return rows.execute(rows.delete(_ALL).where(_ALL.c.execution_id.in_(ids))).rowcount


def _too_much(rows: Rows, before_ms: int, most: int) -> tuple[int, str] | None:
    """When the last one ended that is to go, and its id; None: all may stay."""
    order = (_ALL.c.ended_ms, _ALL.c.execution_id)
    there = rows.select(_ALL, *order).where(_ALL.c.ended_ms.is_not(None))
    latest_first = there.order_by(*(column.desc() for column in order))
    over = rows.execute(latest_first.offset(most).limit(1)).first()
    first = rows.execute(there.order_by(*order).limit(1)).first()
    if over is None and (first is None or first.ended_ms >= before_ms):
        return None
    old = (before_ms - 1, "~")  # behind every id
    return old if over is None else max(old, tuple(over))


def _has_hook(hook_id: str) -> ColumnElement[bool]:
    """Its id stands in the list. Not LIKE, to which SQLite's case is all one."""
    text = type_coerce(_ALL.c.hook_ids, schema.Words())
    return func.replace(text, json.dumps(hook_id), "") != text


def execution_of(row: RowMapping) -> Execution:
    """A row of all columns, as a record."""
    return _record(row, **{name: row[name] for name in _LARGE})


def _record(row: RowMapping, **large: Any) -> Execution:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS if name not in _LARGE}
    return Execution(id=row["execution_id"], hook_ids=tuple(row["hook_ids"]), **values, **large)


def outcome_columns(outcome: Json) -> dict[str, Any]:
    """The columns that an outcome is kept in."""
    brief = None
    if isinstance(outcome, dict):
        brief = {name: outcome[name] for name in _BRIEF if name in outcome}
        if isinstance(message := brief.get("message"), str):
            brief["message"] = message[:_MESSAGE_CHARS]
    return {"outcome": outcome, "brief": brief}


def values_of(tenant_id: str, execution: Execution) -> dict[str, Any]:
    """The columns of a record that is queued or has ended."""
    values = {name: getattr(execution, name) for name in _FIELDS}
    values |= {"tenant_id": tenant_id, "execution_id": execution.id, "hook_ids": list(execution.hook_ids), "lost": 0}
    values |= outcome_columns(execution.outcome)
    return values | {"due_ms": None if execution.status in ENDED else execution.run_at_ms}


def log(everything: Everything, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Appends log events of executions, by tenant's id; those of tenants that are gone are passed over.

    They tell what hooks said. A character in it that no text may have does not keep the others from being stored.
    """
    by_tenant: dict[str, list[dict[str, Any]]] = {}
    for tenant_id, event in events:
        clean = {name: _storable(value) if isinstance(value, str) else value for name, value in event.items()}
        by_tenant.setdefault(tenant_id, []).append(clean)
    for tenant_id in sorted(by_tenant):  # every node locks tenants in the same order
        with contextlib.suppress(Missing):
            log_events.append_all(everything.of(tenant_id), by_tenant[tenant_id])


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
