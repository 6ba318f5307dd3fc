"""A search of a tenant's log: as a tree, as the condition of a statement, and what it finds.

The tree is made by engine/search.py from the `q` of GET /api/v2/logs. Case does not matter, for letters of ASCII:
SQLite knows the case of no others. A field of words (description, user_agent, client_name, user_name) is searched for
the text anywhere in it; every other field must be the text as a whole. Wildcards widen both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, and_, not_, or_

from tenants.records import LogEvent
from tenants.rows import Rows
from tenants.schema import log_events

# As GET /api/v2/logs names them; source: AUTH0.md section 5.1.
FIELDS = frozenset(
    {
        "client_id",
        "client_name",
        "connection",
        "connection_id",
        "date",
        "description",
        "hostname",
        "ip",
        "log_id",
        "organization_id",
        "strategy",
        "strategy_type",
        "type",
        "user_agent",
        "user_id",
        "user_name",
    }
)
RANGED = frozenset({"date", "log_id"})
# What a term without a field is looked for in.
BARE = ("client_name", "connection", "description", "ip", "log_id", "type", "user_name")
_NAMES = LogEvent.__struct_fields__
_OF_WORDS = frozenset({"client_name", "description", "user_agent", "user_name"})
SORTED = FIELDS - {"organization_id"}  # no event of ours has one
_ESCAPE = "!"  # not a backslash, which databases write in different ways


# SECURITY: not false(), which swallows the tenant beside it in a statement: tests/tenants/test_log_search.py
_NEVER = log_events.c.log_id.is_(None)
_ALWAYS = log_events.c.log_id.is_not(None)


class Wild(Enum):
    """A wildcard of a text."""

    ANY = "*"  # any characters, or none
    ONE = "?"  # one character


@dataclass(frozen=True, slots=True)
class Text:
    """The field holds this text."""

    field: str
    pieces: tuple[str | Wild, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range. Of `date`: milliseconds since the epoch."""

    value: int | str
    included: bool


@dataclass(frozen=True, slots=True)
class Range:
    """The field lies between these. None: no bound on that side."""

    field: str
    lower: Bound | None
    upper: Bound | None


@dataclass(frozen=True, slots=True)
class Every:
    """All of these hold."""

    parts: tuple[Search, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of these holds."""

    parts: tuple[Search, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Search


Search: TypeAlias = Text | Range | Every | Some | Not
Condition: TypeAlias = ColumnElement[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """By which of SORTED; events that are equal there stand in order of their ids."""

    field: str = "date"
    ascending: bool = False


def found(rows: Rows, search: Search | None, *, order: Order, start: int, limit: int) -> list[LogEvent]:
    """Events from the one of number `start` on. `search` None: of all."""
    column = _column(order.field)
    latest = log_events.c.log_id
    by = (column.asc(), latest.asc()) if order.ascending else (column.desc(), latest.desc())
    chosen = rows.select(log_events).where(*_where(search)).order_by(*by).offset(start).limit(limit)
    return [LogEvent(**{name: row[name] for name in _NAMES}) for row in rows.execute(chosen).mappings()]


def number(rows: Rows, search: Search | None) -> int:
    """How many events there are."""
    return rows.count(log_events, *_where(search))


def _where(search: Search | None) -> tuple[Condition, ...]:
    return () if search is None else (condition(search),)


def _column(field: str) -> ColumnElement[Any]:
    return log_events.c["date_ms" if field == "date" else field]


def condition(search: Search) -> Condition:
    """What a statement over the log's events asks for. The depth of `search` is bounded by who made it."""
    match search:
        case Every(parts):
            return and_(_ALWAYS, *map(condition, parts))
        case Some(parts):
            return or_(_NEVER, *map(condition, parts))
        case Not(part):
            return not_(condition(part))
        case Range():
            return _in_range(search)
        case Text(field, pieces):
            return _holds(field, pieces)


def _in_range(search: Range) -> Condition:
    column = _column(search.field)
    parts: list[Condition] = [_ALWAYS]
    if lower := search.lower:
        parts.append(column >= lower.value if lower.included else column > lower.value)
    if upper := search.upper:
        parts.append(column <= upper.value if upper.included else column < upper.value)
    return and_(*parts)


def _holds(field: str, pieces: tuple[str | Wild, ...]) -> Condition:
    """Nothing has a field that our events lack; `field:*` is whatever has the field at all."""
    if field not in log_events.c:
        return _NEVER
    column = log_events.c[field]
    if pieces == (Wild.ANY,):
        return column != ""
    pattern = "".join(map(_like, pieces))
    return column.ilike(f"%{pattern}%" if field in _OF_WORDS else pattern, escape=_ESCAPE)


def _like(piece: str | Wild) -> str:
    if isinstance(piece, Wild):
        return "%" if piece is Wild.ANY else "_"
    for special in (_ESCAPE, "%", "_"):
        piece = piece.replace(special, _ESCAPE + special)
    return piece
