"""Executions: the record of each invocation, which is its place in the queue too.

What sees everything here works for many tenants in one change. An execution is queued, then running under a lease and a
fencing token, and ends once: who finishes it with an older token changes nothing. One of a blocking point is recorded
when it has ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Literal

import msgspec
from msgspec.structs import astuple
from sqlalchemy import BigInteger, ColumnElement, bindparam, false, func, literal

from tenants import given_rows, log_events, schema
from tenants.bulk import bulk
from tenants.claims import Claims, Ending, Room, Terms, claim, next_due_ms
from tenants.database import Collided
from tenants.errors import Missing, StoreError, Taken, TooMany, Unstorable
from tenants.execution_rows import ENDED, get, outcome_texts, overfull, page, redrive, sweep
from tenants.given_rows import Given, Shape, among
from tenants.prepared import Statement
from tenants.records import Execution, Json
from tenants.rows import Everything, of_everything
from tenants.stamps import now_ms

__all__ = [
    "Claims",
    "End",
    "Ending",
    "Enqueued",
    "Fill",
    "Held",
    "New",
    "Recorded",
    "Room",
    "Terms",
    "claim",
    "enqueue",
    "extend",
    "finish",
    "get",
    "next_due_ms",
    "overfull",
    "page",
    "record",
    "redrive",
    "release",
    "sweep",
]

_ALL = schema.executions
_TENANTS = schema.tenants
_RIGHT = (_ALL.c.tenant_id, _ALL.c.execution_id, _ALL.c.fencing_token)  # as Held
_TOLD = tuple(name for name in Execution.__struct_fields__ if name not in ("id", "hook_ids", "outcome"))
_told = attrgetter(*_TOLD)
_WAITS = (
    "trigger_id", "blocking", "position", "run_at_ms", "idempotency_key", "request_sha256", "created_ms",
    "response", "arguments",
)  # fmt: skip
_waits = attrgetter(*_WAITS)
_QUEUED = ("tenant_id", "execution_id", "due_ms", "hook_ids", *_WAITS)
_NEW_ROWS = Given("rows", *(_ALL.c[name] for name in _QUEUED))
_RECORDED = ("tenant_id", "execution_id", "due_ms", "hook_ids", "outcome", "brief", *_TOLD)
_ENDED_ROWS = Given("rows", *(_ALL.c[name] for name in _RECORDED))
_ENDED = ("status", "position", "response", "run_at_ms", "due_ms", "ended_ms", "outcome", "brief")
_ENDS = Given("ends", *_RIGHT, *(_ALL.c[name] for name in _ENDED), _ALL.c.attempt)
_HELD = Given("held", *_RIGHT)
_KEYED = (_ALL.c.tenant_id, _ALL.c.idempotency_key)
_KEYS = Given("keys", *_KEYED)
_TENANT_IDS = Given("tenant_ids", _ALL.c.tenant_id)
_LONG = 1_000  # queued executions of one tenant: fewer are counted each time
_FRESH_S = 0.5  # so long more are believed to be as many as they were


class New(msgspec.Struct, frozen=True, gc=False):
    """What is to be queued."""

    tenant_id: str
    execution: Execution  # queued, under an id that nobody has had
    most_queued: int  # executions of the tenant that may wait


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """It is in the queue, or was before."""

    id: str
    again: bool  # that idempotency key had made this execution before


class Held(msgspec.Struct, frozen=True, gc=False):
    """One's right to run an execution, until another one starts it."""

    tenant_id: str
    id: str
    fencing_token: int


class End(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How one attempt ended."""

    held: Held
    status: Literal["queued", "success", "error", "dead"]  # queued: it is tried again
    outcome: Json | msgspec.Raw
    position: int  # hooks that have ended well
    response: str  # JSON: what these have answered together
    run_at_ms: int | None = None  # when it is tried again; None: at once
    log_event: Mapping[str, Any] | None = None  # as log_events.append takes it; kept only if this end counts
    counted: bool = True  # False: tried again as if this start had not been


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One that has ended and was never queued."""

    tenant_id: str
    execution: Execution
    log_event: Mapping[str, Any] | None = None  # as log_events.append takes it


class Fill:
    """How many executions long queues had a moment ago, so that they are not counted at each enqueue.

    For one who enqueues much and keeps it. A queue may seem longer than it is for half a second, and what other
    processes add meanwhile is not seen.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}  # how many, and when they were counted

    def of(self, tenant_id: str) -> int | None:
        """None: they must be counted."""
        number, then = self._seen.get(tenant_id, (0, 0.0))
        if number >= _LONG and time.monotonic() - then < _FRESH_S:
            return number
        self._seen.pop(tenant_id, None)
        return None

    def keep(self, tenant_id: str, number: int) -> None:
        """How many there are now, as far as is known."""
        if number >= _LONG:
            _, then = self._seen.get(tenant_id, (0, time.monotonic()))
            self._seen[tenant_id] = (number, then)


def enqueue(everything: Everything, batch: Sequence[New], fill: Fill | None = None) -> list[Enqueued | StoreError]:
    """Queues each, or says why not, without raising: Missing, TooMany of "queued_jobs", Taken of "idempotency_key".

    Taken: that key has made an execution of another request. It is free again when that execution was swept away.
    One that has no hooks makes no row, and its key none either; what the key has made before is found.
    """
    made = _Batch(everything, batch, fill or Fill())
    answers = [made.answer(new) for new in batch]
    if made.values:
        try:
            _queue.count(everything, _NEW_ROWS.checked(made.values))
        except Taken:  # another node has used such a key since we looked: look again
            raise Collided if made.keys else Taken("there is an execution of that id", what="execution") from None
    for tenant_id, number in made.queued.items():
        made.fill.keep(tenant_id, number)
    return answers


@bulk(_NEW_ROWS, of_everything)
def _queue(everything: Everything, given: Shape) -> Statement:
    fixed = {"lost": 0, "status": "queued", "attempt": 0, "fencing_token": 0}
    queued = everything.select(given.table, *given.columns, *map(literal, fixed.values()))
    return everything.insert(_ALL).from_select([*_QUEUED, *fixed], queued)


class _Batch:
    """What is known while a batch is queued, one by one."""

    def __init__(self, everything: Everything, batch: Sequence[New], fill: Fill) -> None:
        self._there = _there(everything, {new.tenant_id for new in batch})
        self.fill = fill
        self.keys = _keyed(everything, batch)
        seen = {tenant_id: fill.of(tenant_id) for tenant_id in self._there}
        unseen = [tenant_id for tenant_id, number in seen.items() if number is None]
        counted = _count_queued(everything, unseen) if unseen else {}
        self.queued = {tenant_id: number or counted.get(tenant_id, 0) for tenant_id, number in seen.items()}
        self.values: list[tuple[Any, ...]] = []  # the new rows, of _queue

    def answer(self, new: New) -> Enqueued | StoreError:
        """What becomes of it; its row stands in `values` then."""
        execution, tenant_id = new.execution, new.tenant_id
        if tenant_id not in self._there:
            return Missing("there is no such tenant", what="tenant")
        key = (tenant_id, execution.idempotency_key or "")
        if key in self.keys:
            known_id, sha256 = self.keys[key]
            if sha256 == execution.request_sha256:
                return Enqueued(known_id, again=True)
            return Taken("the Idempotency-Key was used for another request", what="idempotency_key")
        if not execution.hook_ids:
            return Enqueued(execution.id, again=False)
        if self.queued[tenant_id] >= new.most_queued:
            return TooMany(f"{new.most_queued} invocations wait, the most that may", what="queued_jobs")
        self.queued[tenant_id] += 1
        hook_ids = _json(execution.hook_ids)
        self.values.append((tenant_id, execution.id, execution.run_at_ms, hook_ids, *_waits(execution)))
        if execution.idempotency_key is not None:
            self.keys[key] = (execution.id, execution.request_sha256)
        return Enqueued(execution.id, again=False)


def _count_queued(everything: Everything, tenant_ids: Sequence[str]) -> dict[str, int]:
    """By tenant."""
    return dict(_number_queued.all(everything, tenant_ids=_TENANT_IDS.text([(tenant_id,) for tenant_id in tenant_ids])))


@of_everything
def _number_queued(everything: Everything) -> Statement:
    """Each looked for on its own: one has more than all others, and PostgreSQL does not know which is asked about."""
    (tenant_id,) = _TENANT_IDS.columns
    waiting = (_ALL.c.due_ms.is_not(None), _ALL.c.status == "queued")  # as the index has it
    number = everything.select(_ALL, func.count()).where(_ALL.c.tenant_id == tenant_id, *waiting)
    return everything.select(_TENANT_IDS.table, tenant_id, number.correlate(_TENANT_IDS.table).scalar_subquery())


def _there(everything: Everything, tenant_ids: Iterable[str]) -> set[str]:
    """Those that are not gone, and will not be before this change is committed."""
    return {tenant_id for (tenant_id,) in _that_are_there.all(everything, tenant_ids=given_rows.texts(tenant_ids))}


@of_everything
def _that_are_there(everything: Everything) -> Statement:
    wanted = among(_TENANTS.c.tenant_id, "tenant_ids")
    chosen = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(wanted, _TENANTS.c.gone_ms.is_(None))
    return chosen.order_by(_TENANTS.c.tenant_id).with_for_update(read=True, key_share=True)


def _keyed(everything: Everything, batch: Sequence[New]) -> dict[tuple[str, str], tuple[str, str | None]]:
    """What the keys of a batch have made before: by tenant and key, the id and what the request was."""
    keys = {
        (new.tenant_id, new.execution.idempotency_key) for new in batch if new.execution.idempotency_key is not None
    }
    if not keys:
        return {}
    found = _made_by_keys.all(everything, keys=_KEYS.text(sorted(keys)))
    return {(tenant_id, key): (execution_id, sha256) for tenant_id, key, execution_id, sha256 in found}


@of_everything
def _made_by_keys(everything: Everything) -> Statement:
    these = [column == cell for column, cell in zip(_KEYED, _KEYS.columns, strict=True)]
    return everything.select(_ALL, *_KEYED, _ALL.c.execution_id, _ALL.c.request_sha256).where(*these)


def extend(everything: Everything, held: Sequence[Held], lease_until_ms: int) -> set[Held]:
    """Makes leases longer. Those that are still held: whoever has lost one is to stop."""
    these = _HELD.text([*map(astuple, set(held))])
    return {Held(*row) for row in _extended.all(everything, held=these, lease_until_ms=lease_until_ms)}


@of_everything
def _extended(everything: Everything) -> Statement:
    until = bindparam("lease_until_ms", type_=BigInteger)
    changed = everything.update(_ALL).where(*_still(_HELD))
    return changed.values(lease_until_ms=until, due_ms=until).returning(*_RIGHT)


def finish(everything: Everything, ends: Sequence[End]) -> list[bool]:
    """Ends attempts, and appends the log events of those that count. False: not held any more, nothing was changed."""
    now = now_ms()
    first: dict[Held, int] = {}  # of several ends of one attempt
    for number, end in enumerate(ends):
        first.setdefault(end.held, number)
    try:
        given = _ENDS.checked(_ended(ends[number], now) for number in first.values())
    except (Unstorable, ValueError, RecursionError):  # the fault of one that counts, or nobody's
        still = {Held(*row) for row in _held_yet.all(everything, held=_HELD.text([*map(astuple, first)]))}
        given = _ENDS.checked(_ended(ends[number], now) for one, number in first.items() if one in still)
    counted = {first[Held(*row)] for row in _finished.all(everything, given)}
    events = [(ends[number].held.tenant_id, ends[number].log_event) for number in sorted(counted)]
    log_events.append_of_all(everything, [(tenant_id, event) for tenant_id, event in events if event is not None])
    return [number in counted for number in range(len(ends))]


def _ended(end: End, now: int) -> tuple[Any, ...]:
    """A row of _finished."""
    at: int | None = None
    if again := end.status == "queued":
        at = now if end.run_at_ms is None else end.run_at_ms
    given_back = 0 if end.counted else 1
    return (
        *astuple(end.held), end.status, end.position, end.response, at, at, None if again else now,
        *outcome_texts(end.outcome), given_back,
    )  # fmt: skip


@of_everything
def _held_yet(everything: Everything) -> Statement:
    return everything.select(_ALL, *_RIGHT).where(*_still(_HELD))


@bulk(_ENDS, of_everything)
def _finished(everything: Everything, given: Shape) -> Statement:
    *cells, given_back = given.columns[len(_RIGHT) :]
    values: dict[str, Any] = dict(zip(_ENDED, cells, strict=True))
    values["run_at_ms"] = func.coalesce(values["run_at_ms"], _ALL.c.run_at_ms)
    values |= {"attempt": _ALL.c.attempt - given_back, "lost": 0, "lease_until_ms": None}
    return everything.update(_ALL).where(*_still(given)).values(values).returning(*_RIGHT)


def release(everything: Everything, held: Sequence[Held]) -> None:
    """Queues again at once what is still held, as if this start had not been; its fencing token stays used."""
    _released.count(everything, held=_HELD.text([*map(astuple, set(held))]), now_ms=now_ms())


@of_everything
def _released(everything: Everything) -> Statement:
    now = bindparam("now_ms", type_=BigInteger)
    values = {"status": "queued", "run_at_ms": now, "due_ms": now, "lease_until_ms": None}
    changed = everything.update(_ALL).where(*_still(_HELD))
    return changed.values(values | {"attempt": _ALL.c.attempt - 1})


def record(everything: Everything, batch: Sequence[Recorded]) -> None:
    """Keeps executions that have ended, with their log events. Tenants that are gone are passed over."""
    there = _there(everything, {one.tenant_id for one in batch})
    kept = [one for one in batch if one.tenant_id in there]
    if kept:
        _recorded.count(everything, _ENDED_ROWS.checked(_record(one.tenant_id, one.execution) for one in kept))
    events = [(one.tenant_id, one.log_event) for one in kept if one.log_event is not None]
    log_events.append_of_all(everything, events)


def _record(tenant_id: str, execution: Execution) -> tuple[Any, ...]:
    """A row of _recorded."""
    due_ms = None if execution.status in ENDED else execution.run_at_ms
    hook_ids = _json(execution.hook_ids)
    return (tenant_id, execution.id, due_ms, hook_ids, *outcome_texts(execution.outcome), *_told(execution))


def _json(ids: Sequence[str]) -> str:
    return msgspec.json.encode(ids).decode()


@bulk(_ENDED_ROWS, of_everything)
def _recorded(everything: Everything, given: Shape) -> Statement:
    made = everything.select(given.table, *given.columns, literal(0))
    return everything.insert(_ALL).from_select([*_RECORDED, "lost"], made)


def _still(given: Shape) -> list[ColumnElement[bool]]:
    """What is held yet, of rows that begin with a right.

    They are few, says PostgreSQL when it counted them long ago, and goes through all of them for each row: it is not
    to know what is asked.
    """
    right = [column == cell for column, cell in zip(_RIGHT, given.columns, strict=False)]
    return [*right, func.coalesce(_ALL.c.status == "running", false())]
