"""Statements about rows that are given: many small ones in one step, and each large one by itself.

@bulk(_ROWS, of_everything)
def _kept(everything: Everything, given: Shape) -> Statement:
    return everything.insert(_EVENTS).from_select(_COLUMNS, everything.select(given.table, *given.columns))

_kept.count(everything, _ROWS.parts(rows))
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from tenants.given_rows import Given, Parts, Shape
from tenants.prepared import Asking, Prepared, Statement

A = TypeVar("A", bound=Asking)
_Make: TypeAlias = Callable[[A, Shape], Statement]
_Prepare: TypeAlias = Callable[[Callable[[A], Statement]], Prepared[A]]


class Bulk(Generic[A]):
    """A statement in two: for what stands in one parameter, and for one row whose values are parameters."""

    def __init__(self, given: Given, prepare: _Prepare[A], make: _Make[A]) -> None:
        self._parameter = given.parameter
        self._many = prepare(_of(make, given))
        self._one = prepare(_of(make, given.one))

    def all(self, asking: A, parts: Parts, **values: Any) -> list[Any]:
        """The rows that it returns, by position, in any order. Raises StoreError."""
        found = [row for text in parts.texts for row in self._many.all(asking, **{self._parameter: text}, **values)]
        return found + [row for large in parts.large for row in self._one.all(asking, **large, **values)]

    def count(self, asking: A, parts: Parts, **values: Any) -> int:
        """How many rows it has changed. Raises StoreError."""
        changed = sum(self._many.count(asking, **{self._parameter: text}, **values) for text in parts.texts)
        return changed + (self._one.count_each(asking, [large | values for large in parts.large]) if parts.large else 0)


def bulk(given: Given, prepare: _Prepare[A]) -> Callable[[_Make[A]], Bulk[A]]:
    """Makes one of a function that is told in which shape the rows come."""
    return functools.partial(Bulk, given, prepare)


def _of(make: _Make[A], shape: Shape) -> Callable[[A], Statement]:
    @functools.wraps(make)
    def made(asking: A) -> Statement:
        return make(asking, shape)

    return made
