"""One tenant's executions: found, redriven, and swept when they are old or too many; and how a row is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, bindparam, func, literal, type_coerce

from tenants import schema
from tenants.errors import Missing, Stale
from tenants.given_rows import dumped
from tenants.prepared import Statement
from tenants.records import Execution, Json
from tenants.rows import Everything, Rows, of_tenant
from tenants.stamps import now_ms
from tenants.states import ExecutionStatus

_ALL = schema.executions
_TENANTS = schema.tenants
_SWEPT = 100  # executions of one transaction, so that nobody waits long for it: some are large
_LOOKED_AT = 100  # tenants of one look for those that have too many
_MESSAGE_CHARS = 1_000  # in a list
_FIELDS = Execution.__struct_fields__
_INSTEAD = {"response": literal("null"), "arguments": literal("null"), "outcome": _ALL.c.brief}  # of what is large
RECORD = [_ALL.c["execution_id" if name == "id" else name] for name in _FIELDS]
_LISTED = [_INSTEAD.get(name, column) for name, column in zip(_FIELDS, RECORD, strict=True)]
ENDED: Final = frozenset({"success", "error", "dead"})


def get(rows: Rows, execution_id: str) -> Execution:
    """The execution of that id. Raises Missing."""
    row = _of_id.first(rows, execution_id=execution_id)
    if row is None:
        raise Missing("there is no such execution", what="execution")
    return execution_of(row)


@of_tenant
def _of_id(rows: Rows) -> Statement:
    return rows.select(_ALL, *RECORD).where(_ALL.c.execution_id == bindparam("execution_id"))


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
    return [execution_of(row) for row in rows.execute(newest_first)]


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


def execution_of(row: Sequence[Any]) -> Execution:
    """A row of RECORD."""
    values = dict(zip(_FIELDS, row, strict=True))
    values["hook_ids"] = tuple(values["hook_ids"])
    return Execution(**values)


def outcome_texts(outcome: Json | msgspec.Raw) -> tuple[str | None, str | None]:
    """An outcome as it is kept: the JSON of it, and of what lists show of it. Raises Unstorable."""
    if outcome is None:
        return None, None
    if isinstance(outcome, msgspec.Raw):
        return bytes(outcome).decode(), _brief_of(outcome)
    brief = _cut(outcome) if isinstance(outcome, dict) else None
    return dumped(outcome), None if brief is None else dumped(brief)


def _brief_of(outcome: msgspec.Raw) -> str | None:
    """From what was written down already, of which nothing else is read."""
    try:
        brief = _decode_brief(outcome)
    except (msgspec.DecodeError, RecursionError):  # it is none of an invocation, or it has half a surrogate pair in it
        decoded = json.loads(bytes(outcome))
        return dumped(_cut(decoded)) if isinstance(decoded, dict) else None
    if isinstance(brief.message, str) and len(brief.message) > _MESSAGE_CHARS:
        brief.message = brief.message[:_MESSAGE_CHARS]
    return msgspec.json.encode(brief).decode()


class _Brief(msgspec.Struct, omit_defaults=True):
    """What lists show of an outcome."""

    status: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
    timings: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_brief = msgspec.json.Decoder(_Brief).decode


def _cut(outcome: dict[str, Json]) -> dict[str, Json]:
    brief = {name: outcome[name] for name in _Brief.__struct_fields__ if name in outcome}
    if isinstance(message := brief.get("message"), str):
        brief["message"] = message[:_MESSAGE_CHARS]
    return brief
