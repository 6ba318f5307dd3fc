"""Which executions are to be run now: taken from the queue in turns of their tenants, each under a lease.

Whoever has one runs it until the lease is over, or longer if the lease is extended in time. An execution whose lease is
over was lost with its engine: it is taken over, unless it was lost too often.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypeAlias, TypedDict, Unpack

import msgspec
from msgspec.structs import replace
from sqlalchemy import BigInteger, and_, bindparam

from tenants import given_rows, log_events, schema
from tenants.execution_rows import RECORD, execution_of, outcome_texts
from tenants.given_rows import Given, among
from tenants.prepared import Statement
from tenants.records import Execution, Json
from tenants.rows import Everything, Rows, of_everything, of_tenant

_ALL = schema.executions
_TENANTS = schema.tenants
_WALKED = 500  # tenants of one statement
_STARTS = Given("rows", _ALL.c.tenant_id, _ALL.c.execution_id, _ALL.c.lost)
_NOW = bindparam("now_ms", type_=BigInteger)
_READ = (_ALL.c.tenant_id, _ALL.c.lost, *RECORD)

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
    return Claims(claims.starts, next(reversed(rooms), terms["after"]), claims.dead)


def next_due_ms(everything: Everything) -> int | None:
    """When something is due next: the first run_at_ms of what is queued, or lease_until_ms of what is running."""
    first = _next_due.first(everything)
    return None if first is None else int(first[0])


@of_everything
def _next_due(everything: Everything) -> Statement:
    mine = and_(_TENANTS.c.tenant_id == _ALL.c.tenant_id, _TENANTS.c.gone_ms.is_(None))
    there = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(mine).correlate(_ALL).exists()
    due = everything.select(_ALL, _ALL.c.due_ms).where(_ALL.c.due_ms.is_not(None), there)
    return due.order_by(_ALL.c.due_ms).limit(1)


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
    for tenant_id, first in _walk(everything, after, terms["now_ms"]):
        if first:
            yield tenant_id, first
    for tenant_id, first in _walk(everything, "", terms["now_ms"]) if after else ():
        if tenant_id > after:
            return
        if first:
            yield tenant_id, first


def _walk(everything: Everything, after: str, now_ms: int) -> Iterator[tuple[str, str | None]]:
    """Tenants with something in the queue, from the one behind `after` on, and the first of it that is due."""
    while True:
        found = _walked.all(everything, after=after, now_ms=now_ms)
        yield from found
        if len(found) < _WALKED:
            return
        after = found[-1][0]


@of_everything
def _walked(everything: Everything) -> Statement:
    after = bindparam("after", type_=schema.Sorted())
    walk = everything.values(_ALL.c.tenant_id, _ALL.c.due_ms.is_not(None), after, _WALKED)
    there = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(_TENANTS.c.tenant_id == walk.c.value)
    there = there.where(_TENANTS.c.gone_ms.is_(None)).correlate(walk)
    due = everything.select(_ALL, _ALL.c.execution_id).where(_ALL.c.tenant_id == walk.c.value, there.exists())
    earliest = due.where(_ALL.c.due_ms <= _NOW).order_by(_ALL.c.due_ms, _ALL.c.execution_id).limit(1)
    chosen = everything.select(walk, walk.c.value, earliest.correlate(walk).scalar_subquery())
    return chosen.where(walk.c.value.is_not(None)).order_by(walk.c.value)


def _due_first(everything: Everything, firsts: Mapping[str, str], terms: Terms) -> dict[str, list[_Due]]:
    """As _due(), one of each tenant, in one statement."""
    ids = given_rows.texts(firsts.values())
    read = map(_read, _first_ones.all(everything, ids=ids, now_ms=terms["now_ms"]))
    found = {one.tenant_id: [one] for one in read if firsts.get(one.tenant_id) == one.execution.id}
    return {tenant_id: found[tenant_id] for tenant_id in firsts if tenant_id in found}


@of_everything
def _first_ones(everything: Everything) -> Statement:
    chosen = everything.select(_ALL, *_READ).where(among(_ALL.c.execution_id, "ids"), _ALL.c.due_ms <= _NOW)
    return chosen.order_by(_ALL.c.execution_id).with_for_update(skip_locked=True)


def _due(everything: Everything, tenant_id: str, terms: Terms, most: int) -> list[_Due]:
    """A tenant's earliest ones that are due, locked for us."""
    found = _earliest.all(everything, tenant_id=tenant_id, now_ms=terms["now_ms"], most=most)
    return [*map(_read, found)]


@of_everything
def _earliest(everything: Everything) -> Statement:
    mine = _ALL.c.tenant_id == bindparam("tenant_id", type_=schema.Sorted())
    due = everything.select(_ALL, *_READ).where(mine, _ALL.c.due_ms <= _NOW)
    earliest = due.order_by(_ALL.c.due_ms, _ALL.c.execution_id).limit(bindparam("most", type_=BigInteger))
    return earliest.with_for_update(skip_locked=True)


def _read(row: Sequence[Any]) -> _Due:
    tenant_id, lost, *record = row
    execution = execution_of(record)
    return _Due(tenant_id, execution, lost + (execution.status == "running"))


def _take(everything: Everything, found: Sequence[_Due], terms: Terms, claims: Claims) -> None:
    """Starts them, or ends them for good."""
    starts = [one for one in found if one.lost < terms["most_attempts"]]
    if starts:
        rows = _STARTS.text([(one.tenant_id, one.execution.id, one.lost) for one in starts])
        until = terms["now_ms"] + terms["lease_ms"]
        _started.count(everything, rows=rows, now_ms=terms["now_ms"], lease_until_ms=until)
    claims.starts.extend((one.tenant_id, one.started(terms)) for one in starts)
    for one in found:
        if one.lost >= terms["most_attempts"]:
            claims.dead.append((one.tenant_id, _end(everything, one, terms)))


@of_everything
def _started(everything: Everything) -> Statement:
    tenant_id, execution_id, lost = _STARTS.columns
    until = bindparam("lease_until_ms", type_=BigInteger)
    changed = everything.update(_ALL).where(_ALL.c.tenant_id == tenant_id, _ALL.c.execution_id == execution_id)
    counts = {"attempt": _ALL.c.attempt + 1, "fencing_token": _ALL.c.fencing_token + 1, "lost": lost}
    return changed.values(counts | {"status": "running", "started_ms": _NOW, "lease_until_ms": until, "due_ms": until})


def _end(everything: Everything, one: _Due, terms: Terms) -> Execution:
    ending, now_ms = terms.get("ending"), terms["now_ms"]
    dead = replace(one.execution, status="dead", lease_until_ms=None, ended_ms=now_ms)
    outcome, event = ending(one.tenant_id, dead) if ending else (dead.outcome, None)
    told, brief = outcome_texts(outcome)
    values = {"execution_id": dead.id, "lost": one.lost, "now_ms": now_ms, "told": told, "told_briefly": brief}
    _ended.count(everything.of(one.tenant_id), **values)
    log_events.append_of_all(everything, [] if event is None else [(one.tenant_id, event)])
    return replace(dead, outcome=json.loads(told) if isinstance(outcome, msgspec.Raw) and told else outcome)


@of_tenant
def _ended(rows: Rows) -> Statement:
    told, brief = (bindparam(name, type_=schema.Words()) for name in ("told", "told_briefly"))  # they are JSON already
    same = _ALL.c.execution_id == bindparam("execution_id")
    values = {"status": "dead", "lost": bindparam("lost", type_=BigInteger), "lease_until_ms": None, "due_ms": None}
    return rows.update(_ALL).where(same).values(values | {"ended_ms": _NOW, "outcome": told, "brief": brief})
