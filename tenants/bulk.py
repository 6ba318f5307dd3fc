"""Statements about rows that are given, however many: in the way that its database takes them (tenants/given_rows.py).

@bulk(_ROWS, of_everything)
def _kept(everything: Everything, given: Shape) -> Statement:
    return everything.insert(_EVENTS).from_select(_COLUMNS, everything.select(given.table, *given.columns))

_kept.count(everything, _ROWS.checked(rows))
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from tenants.database import translated
from tenants.given_rows import Checked, Given, Shape
from tenants.prepared import Asking, Listing, Prepared, Statement

A = TypeVar("A", bound=Asking)
_Make: TypeAlias = Callable[[A, Shape], Statement]
_Prepare: TypeAlias = Callable[[Callable[[A], Statement]], Prepared[A]]

_MOST_LISTED = 64  # rows of one step: more are no quicker


class Bulk(Generic[A]):
    """A statement in two: for rows that stand in one parameter, and for rows that are listed."""

    def __init__(self, given: Given, prepare: _Prepare[A], make: _Make[A]) -> None:
        self._given = given
        self._many = prepare(_of(make, given))
        self._listed = prepare(_of(make, given.listed))

    def all(self, asking: A, rows: Checked, **values: Any) -> list[Any]:
        """The rows that it returns, by position, in any order. Raises StoreError."""
        if asking.sqlite:
            return [row for cursor in self._run(asking, rows, values) for row in cursor.fetchall()]
        parts, parameter = self._given.parts(rows), self._given.parameter
        found = [row for text in parts.texts for row in self._many.all(asking, **{parameter: text}, **values)]
        return found + [row for large in parts.large for row in self._listed.all(asking, **large, **values)]

    def count(self, asking: A, rows: Checked, **values: Any) -> int:
        """How many rows it has changed. Raises StoreError."""
        if asking.sqlite:
            return sum(cursor.rowcount for cursor in self._run(asking, rows, values))
        parts, parameter = self._given.parts(rows), self._given.parameter
        changed = sum(self._many.count(asking, **{parameter: text}, **values) for text in parts.texts)
        large = [each | values for each in parts.large]
        return changed + (self._listed.count_each(asking, large) if large else 0)

    def _run(self, asking: A, rows: Checked, values: Mapping[str, Any]) -> Iterator[Any]:
        """SQLite's cursors: of 64 rows, and of what is left by powers of two, so that there are few texts."""
        names, first, number = self._given.listed.names, 0, _MOST_LISTED
        with translated():
            while first < len(rows):
                while number > len(rows) - first:
                    number //= 2
                yield self._listed.run(asking, values, Listing(names, rows[first : first + number]))[1]
                first += number


def bulk(given: Given, prepare: _Prepare[A]) -> Callable[[_Make[A]], Bulk[A]]:
    """Makes one of a function that is told in which shape the rows come."""
    return functools.partial(Bulk, given, prepare)


def _of(make: _Make[A], shape: Shape) -> Callable[[A], Statement]:
    @functools.wraps(make)
    def made(asking: A) -> Statement:
        return make(asking, shape)

    return made
