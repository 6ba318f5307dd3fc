"""Which executions are to be run now: taken from the queue in turns of their tenants, each under a lease.

Whoever has one runs it until the lease is over, or longer if the lease is extended in time. An execution whose lease is
over was lost with its engine: it is taken over, unless it was lost too often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NotRequired, TypeAlias, TypedDict, Unpack

from sqlalchemy import Row, Select, and_, bindparam

from tenants import schema
from tenants.execution_rows import execution_of, log, outcome_columns
from tenants.records import Execution, Json
from tenants.rows import Everything

_ALL = schema.executions
_TENANTS = schema.tenants
_WALKED = 500  # tenants of one statement
THIS_ONE = and_(_ALL.c.tenant_id == bindparam("of_tenant"), _ALL.c.execution_id == bindparam("of_execution"))

Room: TypeAlias = Mapping[str, int] | Callable[[str], int]
Ending: TypeAlias = Callable[[str, Execution], tuple[Json, Mapping[str, Any] | None]]


class Terms(TypedDict):
    """On what terms executions are taken. `room` and `ending` are called on the store's thread, with a tenant's id."""

    now_ms: int
    lease_ms: int
    most_attempts: int  # starts, one after the other, that nobody finished: then it is dead
    room: Room  # how many more the tenant may have under way; a mapping has no room for whom it leaves out
    most: int  # starts of all tenants
    after: str  # id of the tenant that had the last turn; "" at first
    ending: NotRequired[Ending]  # of one that is dead: its outcome, and its log event if it is to have one


@dataclass(frozen=True, slots=True)
class Claims:
    """What was taken."""

    starts: list[tuple[str, Execution]]  # with the tenant's id; running, under their new fencing tokens
    last: str  # the tenant that had the last turn: `after` of the next claim
    dead: list[tuple[str, Execution]]  # with the tenant's id; lost too often, and ended


@dataclass(frozen=True, slots=True)
class _Due:
    """One that is to be run, or that is dead."""

    tenant_id: str
    execution: Execution  # as it was found
    lost: int  # its starts, one after the other, that nobody finished

    def started(self, terms: Terms) -> Execution:
        """As it is under way."""
        return replace(
            self.execution,
            status="running",
            attempt=self.execution.attempt + 1,
            fencing_token=self.execution.fencing_token + 1,
            lease_until_ms=terms["now_ms"] + terms["lease_ms"],
            started_ms=terms["now_ms"],
        )


def claim(everything: Everything, **terms: Unpack[Terms]) -> Claims:
    """Takes what is due, each tenant's earliest first, the tenants in turn from the one behind `after`.

    What another node takes at this moment is passed over. The cost grows with the tenants that have something in the
    queue, not with what they have there.
    """
    claims = Claims([], terms["after"], [])
    firsts, rooms = _turns(everything, terms)
    turns = list(firsts)
    while turns and (left := terms["most"] - len(claims.starts)) > 0:
        share = max(1, left // len(turns))
        shares = {tenant_id: min(share, rooms[tenant_id]) for tenant_id in turns[:left]}
        if share == 1 and firsts:
            found = _due_first(everything, firsts, terms)
        else:
            found = {tenant_id: _due(everything, tenant_id, terms, most) for tenant_id, most in shares.items()}
        firsts = {}
        for tenant_id, due in found.items():
            rooms[tenant_id] -= sum(one.lost < terms["most_attempts"] for one in due)
        _take(everything, [one for due in found.values() for one in due], terms, claims)
        turns = [one for one in turns if len(found.get(one, ())) == shares.get(one) and rooms[one] > 0]
    return replace(claims, last=next(reversed(rooms), terms["after"]))


def next_due_ms(everything: Everything) -> int | None:
    """When something is due next: the first run_at_ms of what is queued, or lease_until_ms of what is running."""
    mine = and_(_TENANTS.c.tenant_id == _ALL.c.tenant_id, _TENANTS.c.gone_ms.is_(None))
    there = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(mine).correlate(_ALL).exists()
    due = everything.select(_ALL, _ALL.c.due_ms).where(_ALL.c.due_ms.is_not(None), there)
    first: int | None = everything.execute(due.order_by(_ALL.c.due_ms).limit(1)).scalar()
    return first


def _turns(everything: Everything, terms: Terms) -> tuple[dict[str, str], dict[str, int]]:
    """The tenants that have their turn, in that order, at most `most`: what is due first, and how many may start."""
    room = terms["room"]
    firsts: dict[str, str] = {}
    rooms: dict[str, int] = {}
    for tenant_id, first in _due_tenants(everything, terms):
        if len(rooms) >= terms["most"]:
            break
        if (free := room(tenant_id) if callable(room) else room.get(tenant_id, 0)) > 0:
            firsts[tenant_id], rooms[tenant_id] = first, free
    return firsts, rooms


def _due_tenants(everything: Everything, terms: Terms) -> Iterator[tuple[str, str]]:
    """Those that have something due, once around from the one behind `after`; and the id of the first of it."""
    after = terms["after"]
    for row in _walk(everything, after, terms["now_ms"]):
        if row.first:
            yield row.tenant_id, row.first
    for row in _walk(everything, "", terms["now_ms"]) if after else ():
        if row.tenant_id > after:
            return
        if row.first:
            yield row.tenant_id, row.first


def _walk(everything: Everything, after: str, now_ms: int) -> Iterator[Row[Any]]:
    """Tenants with something in the queue, from the one behind `after` on: `tenant_id`, and the `first` that is due."""
    while True:
        walk = everything.values(_ALL.c.tenant_id, _ALL.c.due_ms.is_not(None), after, _WALKED)
        there = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(_TENANTS.c.tenant_id == walk.c.value)
        there = there.where(_TENANTS.c.gone_ms.is_(None)).correlate(walk)
        due = everything.select(_ALL, _ALL.c.execution_id).where(_ALL.c.tenant_id == walk.c.value, there.exists())
        earliest = due.where(_ALL.c.due_ms <= now_ms).order_by(_ALL.c.due_ms, _ALL.c.execution_id).limit(1)
        first = earliest.correlate(walk).scalar_subquery().label("first")
        chosen = everything.select(walk, walk.c.value.label("tenant_id"), first)
        rows = everything.execute(chosen.where(walk.c.value.is_not(None)).order_by(walk.c.value)).all()
        yield from rows
        if len(rows) < _WALKED:
            return
        after = rows[-1].tenant_id


def _due_first(everything: Everything, firsts: Mapping[str, str], terms: Terms) -> dict[str, list[_Due]]:
    """As _due(), one of each tenant, in one statement."""
    these = (_ALL.c.execution_id.in_(sorted(firsts.values())), _ALL.c.due_ms <= terms["now_ms"])
    chosen = everything.select(_ALL).where(*these).order_by(_ALL.c.execution_id).with_for_update(skip_locked=True)
    found = {one.tenant_id: [one] for one in _read(everything, chosen) if firsts.get(one.tenant_id) == one.execution.id}
    return {tenant_id: found[tenant_id] for tenant_id in firsts if tenant_id in found}


def _due(everything: Everything, tenant_id: str, terms: Terms, most: int) -> list[_Due]:
    """A tenant's earliest ones that are due, locked for us."""
    due = everything.select(_ALL).where(_ALL.c.tenant_id == tenant_id, _ALL.c.due_ms <= terms["now_ms"])
    earliest = due.order_by(_ALL.c.due_ms, _ALL.c.execution_id).limit(most).with_for_update(skip_locked=True)
    return _read(everything, earliest)


def _read(everything: Everything, chosen: Select[Any]) -> list[_Due]:
    return [
        _Due(row["tenant_id"], execution_of(row), row["lost"] + (row["status"] == "running"))
        for row in everything.execute(chosen).mappings()
    ]


def _take(everything: Everything, found: Sequence[_Due], terms: Terms, claims: Claims) -> None:
    """Starts them, or ends them for good."""
    starts = [(one, one.started(terms)) for one in found if one.lost < terms["most_attempts"]]
    if starts:
        everything.execute(everything.update(_ALL).where(THIS_ONE), [_start(one, begun) for one, begun in starts])
    claims.starts.extend((one.tenant_id, begun) for one, begun in starts)
    for one in found:
        if one.lost >= terms["most_attempts"]:
            claims.dead.append((one.tenant_id, _end(everything, one, terms)))


def _start(one: _Due, begun: Execution) -> dict[str, Any]:
    names = ("status", "attempt", "fencing_token", "lease_until_ms", "started_ms")
    key = {"of_tenant": one.tenant_id, "of_execution": begun.id}
    return key | {name: getattr(begun, name) for name in names} | {"due_ms": begun.lease_until_ms, "lost": one.lost}


def _end(everything: Everything, one: _Due, terms: Terms) -> Execution:
    ending, now_ms = terms.get("ending"), terms["now_ms"]
    dead = replace(one.execution, status="dead", lease_until_ms=None, ended_ms=now_ms)
    outcome, event = ending(one.tenant_id, dead) if ending else (dead.outcome, None)
    dead = replace(dead, outcome=outcome)
    rows = everything.of(one.tenant_id)
    values = {"status": "dead", "lost": one.lost, "lease_until_ms": None, "due_ms": None, "ended_ms": now_ms}
    ended = rows.update(_ALL).where(_ALL.c.execution_id == dead.id)
    rows.execute(ended.values(**outcome_columns(outcome), **values))
    log(everything, [] if event is None else [(one.tenant_id, event)])
    return dead
