"""Executions: the record of each invocation, which is its place in the queue too.

What sees everything here works for many tenants in one change. An execution is queued, then running under a lease and a
fencing token, and ends once: who finishes it with an older token changes nothing. One of a blocking point is recorded
when it has ended.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import and_, func, or_

from tenants import schema
from tenants.claims import THIS_ONE, Claims, Ending, Room, Terms, claim, next_due_ms
from tenants.database import Collided
from tenants.errors import Missing, StoreError, Taken, TooMany
from tenants.execution_rows import get, log, outcome_columns, overfull, page, redrive, sweep, values_of
from tenants.records import Execution, Json
from tenants.rows import Everything
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
_LONG = 1_000  # queued executions of one tenant: fewer are counted each time
_FRESH_S = 0.5  # so long more are believed to be as many as they were


@dataclass(frozen=True, slots=True)
class New:
    """What is to be queued."""

    tenant_id: str
    execution: Execution  # queued, under an id that nobody has had
    most_queued: int  # executions of the tenant that may wait


@dataclass(frozen=True, slots=True)
class Enqueued:
    """It is in the queue, or was before."""

    id: str
    again: bool  # that idempotency key had made this execution before


@dataclass(frozen=True, slots=True)
class Held:
    """One's right to run an execution, until another one starts it."""

    tenant_id: str
    id: str
    fencing_token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How one attempt ended."""

    held: Held
    status: Literal["queued", "success", "error", "dead"]  # queued: it is tried again
    outcome: Json
    position: int  # hooks that have ended well
    response: str  # JSON: what these have answered together
    run_at_ms: int | None = None  # when it is tried again; None: at once
    log_event: Mapping[str, Any] | None = None  # as log_events.append takes it; kept only if this end counts
    counted: bool = True  # False: tried again as if this start had not been


@dataclass(frozen=True, slots=True)
class Recorded:
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
            everything.execute(everything.insert(_ALL), made.values)
        except Taken:  # another node has used such a key since we looked: look again
            raise Collided if made.keys else Taken("there is an execution of that id", what="execution") from None
    for tenant_id, number in made.queued.items():
        made.fill.keep(tenant_id, number)
    return answers


class _Batch:
    """What is known while a batch is queued, one by one."""

    def __init__(self, everything: Everything, batch: Sequence[New], fill: Fill) -> None:
        self._there = _there(everything, {new.tenant_id for new in batch})
        self.fill = fill
        self.keys = _keyed(everything, batch)
        seen = {tenant_id: fill.of(tenant_id) for tenant_id in self._there}
        counted = _count_queued(everything, [tenant_id for tenant_id, number in seen.items() if number is None])
        self.queued = {tenant_id: number or counted.get(tenant_id, 0) for tenant_id, number in seen.items()}
        self.values: list[dict[str, Any]] = []  # of the new rows

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
        self.values.append(values_of(tenant_id, execution))
        if execution.idempotency_key is not None:
            self.keys[key] = (execution.id, execution.request_sha256)
        return Enqueued(execution.id, again=False)


def _count_queued(everything: Everything, tenant_ids: Sequence[str]) -> dict[str, int]:
    """By tenant; those who have none are left out."""
    if not tenant_ids:
        return {}
    waiting = (_ALL.c.due_ms.is_not(None), _ALL.c.status == "queued")  # as the index has it
    chosen = everything.select(_ALL, _ALL.c.tenant_id, func.count().label("number"))
    chosen = chosen.where(_ALL.c.tenant_id.in_(tenant_ids), *waiting).group_by(_ALL.c.tenant_id)
    return {row.tenant_id: row.number for row in everything.execute(chosen)}


def _there(everything: Everything, tenant_ids: Iterable[str]) -> set[str]:
    """Those that are not gone, and will not be before this change is committed."""
    there = and_(_TENANTS.c.tenant_id.in_(sorted(tenant_ids)), _TENANTS.c.gone_ms.is_(None))
    chosen = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(there).order_by(_TENANTS.c.tenant_id)
    return set(everything.execute(chosen.with_for_update(read=True, key_share=True)).scalars())


def _keyed(everything: Everything, batch: Sequence[New]) -> dict[tuple[str, str], tuple[str, str | None]]:
    """What the keys of a batch have made before: by tenant and key, the id and what the request was."""
    keys: dict[str, list[str]] = {}
    for new in batch:
        if new.execution.idempotency_key is not None:
            keys.setdefault(new.tenant_id, []).append(new.execution.idempotency_key)
    if not keys:
        return {}
    these = [and_(_ALL.c.tenant_id == one, _ALL.c.idempotency_key.in_(given)) for one, given in sorted(keys.items())]
    columns = (_ALL.c.tenant_id, _ALL.c.idempotency_key, _ALL.c.execution_id, _ALL.c.request_sha256)
    found = everything.execute(everything.select(_ALL, *columns).where(or_(*these)))
    return {(row.tenant_id, row.idempotency_key): (row.execution_id, row.request_sha256) for row in found}


def extend(everything: Everything, held: Sequence[Held], lease_until_ms: int) -> set[Held]:
    """Makes leases longer. Those that are still held: whoever has lost one is to stop."""
    still = _still(everything, held)
    lease = {"lease_until_ms": lease_until_ms, "due_ms": lease_until_ms}
    _update(everything, dict.fromkeys(still, lease))
    return set(still)


def finish(everything: Everything, ends: Sequence[End]) -> list[bool]:
    """Ends attempts, and appends the log events of those that count. False: not held any more, nothing was changed."""
    still = _still(everything, [end.held for end in ends])
    now = now_ms()
    first: dict[Held, int] = {}  # of several ends of one attempt
    told = [end.held in still and first.setdefault(end.held, number) == number for number, end in enumerate(ends)]
    counted = list(itertools.compress(ends, told))
    _update(everything, {end.held: _ended(end, still[end.held], now) for end in counted})
    log(everything, [(end.held.tenant_id, end.log_event) for end in counted if end.log_event is not None])
    return told


def _ended(end: End, attempt: int, now: int) -> dict[str, Any]:
    """The columns of an attempt that has ended."""
    again = end.status == "queued"
    at = now if end.run_at_ms is None else end.run_at_ms
    times = {"run_at_ms": at, "due_ms": at, "ended_ms": None} if again else {"due_ms": None, "ended_ms": now}
    made = outcome_columns(end.outcome) | times
    made |= {"status": end.status, "position": end.position, "response": end.response}
    return made | {"lease_until_ms": None, "attempt": attempt if end.counted else attempt - 1, "lost": 0}


def release(everything: Everything, held: Sequence[Held]) -> None:
    """Queues again at once what is still held, as if this start had not been; its fencing token stays used."""
    now = now_ms()
    values = {"status": "queued", "run_at_ms": now, "due_ms": now, "lease_until_ms": None}
    still = _still(everything, held)
    _update(everything, {one: values | {"attempt": attempt - 1} for one, attempt in still.items()})


def record(everything: Everything, batch: Sequence[Recorded]) -> None:
    """Keeps executions that have ended, with their log events. Tenants that are gone are passed over."""
    there = _there(everything, {one.tenant_id for one in batch})
    kept = [one for one in batch if one.tenant_id in there]
    if kept:
        everything.execute(everything.insert(_ALL), [values_of(one.tenant_id, one.execution) for one in kept])
    log(everything, [(one.tenant_id, one.log_event) for one in kept if one.log_event is not None])


def _still(everything: Everything, held: Sequence[Held]) -> dict[Held, int]:
    """Those that are held yet, with their attempts; nobody takes them over before this change is committed."""
    wanted = set(held)
    if not wanted:
        return {}
    these = (_ALL.c.execution_id.in_(sorted(one.id for one in wanted)), _ALL.c.status == "running")
    columns = (_ALL.c.tenant_id, _ALL.c.execution_id, _ALL.c.fencing_token, _ALL.c.attempt)
    chosen = everything.select(_ALL, *columns).where(*these).order_by(_ALL.c.execution_id).with_for_update()
    found = {
        Held(row.tenant_id, row.execution_id, row.fencing_token): int(row.attempt) for row in everything.execute(chosen)
    }
    return {one: attempt for one, attempt in found.items() if one in wanted}


def _update(everything: Everything, changes: Mapping[Held, Mapping[str, Any]]) -> None:
    """Other values for rows that are locked; all of them for the same columns, or of two kinds."""
    groups: dict[frozenset[str], list[dict[str, Any]]] = {}
    for held, values in changes.items():
        key = {"of_tenant": held.tenant_id, "of_execution": held.id}
        groups.setdefault(frozenset(values), []).append(key | dict(values))
    for group in groups.values():
        everything.execute(everything.update(_ALL).where(THIS_ONE), group)
