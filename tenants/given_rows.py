"""Rows that a statement is given: as one parameter of JSON, or as a list of rows whose values are parameters each.

Between two steps of SQLite's Python runs; within one it does not, and everybody else's goes on: many rows are to be one
step. To take JSON apart costs SQLite more than to store what stands in it, so many rows are listed for it. PostgreSQL's
driver would read the text of a long list anew each time: that is given JSON, but for rows that are large, since what it
takes as JSON has a limit. Which of them it is decides tenants/bulk.py; a few ids are JSON for both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, NewType, TypeAlias

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Text, bindparam
from sqlalchemy import column as named_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias

from tenants import schema
from tenants.errors import Unstorable
from tenants.records import Json

_MOST = 2**63 - 1  # of a number
_LARGE_CHARS = 4_096  # of a row's texts
_MOST_CHARS = 1_000_000  # of one parameter, and one row's less

Row: TypeAlias = Sequence[Any]  # a value for each column: a text, a number of 64 bits, true or false, None
Checked = NewType("Checked", list[Row])  # every database takes them


class Shape:
    """How rows stand in a statement: a table of them, and the columns of it."""

    table: TableValuedAlias
    columns: Sequence[ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows as PostgreSQL is given them."""

    texts: list[str]  # of those that are small, as Given.text() makes it
    large: list[dict[str, Any]]  # the others' values, by the parameters of Given.listed


class Given(Shape):
    """A parameter as a table: a JSON array of rows, each an array of values for `columns`."""

    def __init__(self, parameter: str, *columns: Column[Any]) -> None:
        self.parameter = parameter
        self.table = _Elements(bindparam(parameter, type_=Text())).table_valued("value", name=f"given_{parameter}")
        self.columns = [_Cell(self.table.c.value, number, column.type) for number, column in enumerate(columns)]
        self.listed = Listed(parameter, columns)
        self._numbers = _places(columns, lambda type_: isinstance(type_, BigInteger))
        self._texts = _places(columns, lambda type_: isinstance(type_, schema.Words | schema.JsonText))

    def checked(self, rows: Iterable[Row]) -> Checked:
        """The same. Raises Unstorable, as columns do."""
        made = [*rows]
        numbers = [*filter(None, chain.from_iterable(map(self._numbers, made)))]
        if numbers and (max(numbers) > _MOST or min(numbers) < -_MOST - 1):
            raise Unstorable("a number is too long")
        schema.storable("".join(filter(None, chain.from_iterable(map(self._texts, made)))))
        return Checked(made)

    def text(self, rows: Iterable[Row]) -> str:
        """What the parameter is given. Raises Unstorable, as columns do."""
        return _encoded(self.checked(rows))

    def parts(self, rows: Checked) -> Parts:
        """The large ones each by itself."""
        pages: list[list[Row]] = []
        large: list[Row] = []
        room = 0
        for row in rows:
            size = sum(map(len, filter(None, self._texts(row))))
            if size > _LARGE_CHARS:
                large.append(row)
                continue
            if room < size or not pages:
                pages.append([])
                room = _MOST_CHARS
            pages[-1].append(row)
            room -= size
        return Parts([*map(_encoded, pages)], [*map(self.listed.values, large)])


class Listed(Shape):
    """One row, each value of it a parameter: the first of as many as are listed. Both databases name columns so."""

    def __init__(self, parameter: str, columns: Sequence[Column[Any]]) -> None:
        self.names = [f"{parameter}_{number}" for number in range(len(columns))]
        types = [column.type if isinstance(column.type, BigInteger | Boolean) else Text() for column in columns]
        cells = [bindparam(name, type_=type_) for name, type_ in zip(self.names, types, strict=True)]
        made = [named_column(f"column{number}", type_) for number, type_ in enumerate(types, 1)]
        self.table = _Listed(*cells).table_valued(*made, name=f"listed_{parameter}")
        self.columns = list(self.table.c)

    def values(self, row: Row) -> dict[str, Any]:
        """By parameter."""
        return dict(zip(self.names, row, strict=True))


def _places(columns: Sequence[Column[Any]], wanted: Callable[[Any], bool]) -> Callable[[Row], tuple[Any, ...]]:
    """Takes from a row what stands in columns of those types."""
    places = [number for number, column in enumerate(columns) if wanted(column.type)]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[place] for place in places)


class _Elements(FunctionElement[Any]):
    """The elements of a JSON array, as rows of `value`."""

    inherit_cache = True


class _Listed(FunctionElement[Any]):
    """Rows that are listed: one, until it is repeated."""

    inherit_cache = True


class _Among(FunctionElement[bool]):
    """Whether a text is one of a JSON array."""

    inherit_cache = True
    type = Boolean()

    def __init__(self, column: ColumnElement[str], texts_: ColumnElement[str]) -> None:
        super().__init__(column, texts_)


class _Cell(FunctionElement[Any]):
    """One value of a row."""

    inherit_cache = False

    def __init__(self, row: ColumnElement[Any], number: int, type_: Any) -> None:
        super().__init__(row)
        self.number = number
        self.type = type_


def among(column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
    """Whether the column's value is one of the texts in a JSON array, which the parameter is."""
    return _Among(column, bindparam(parameter, type_=Text()))


@compiles(_Among)
def _among(element: _Among, compiler: SQLCompiler, **how: Any) -> str:
    column, texts_ = (compiler.process(part, **how) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts_}))"  # noqa: S608 - no value stands in it


@compiles(_Among, "postgresql")
def _among_of_postgresql(element: _Among, compiler: SQLCompiler, **how: Any) -> str:
    """It would join a table of unknown length by reading all rows; of an array it takes an index."""
    column, texts_ = (compiler.process(part, **how) for part in element.clauses)
    return f"{column} = ANY(ARRAY(SELECT jsonb_array_elements_text(CAST({texts_} AS JSONB))))"


@compiles(_Elements)
def _elements(element: _Elements, compiler: SQLCompiler, **how: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **how)})"


@compiles(_Elements, "postgresql")
def _elements_of_postgresql(element: _Elements, compiler: SQLCompiler, **how: Any) -> str:
    return f"jsonb_array_elements(CAST({compiler.process(element.clauses, **how)} AS JSONB))"


@compiles(_Listed)
def _listed(element: _Listed, compiler: SQLCompiler, **how: Any) -> str:
    return f"(VALUES ({compiler.process(element.clauses, **how)}))"


@compiles(_Cell)
def _cell(element: _Cell, compiler: SQLCompiler, **how: Any) -> str:
    return f"json_extract({compiler.process(element.clauses, **how)}, '$[{element.number}]')"


@compiles(_Cell, "postgresql")
def _cell_of_postgresql(element: _Cell, compiler: SQLCompiler, **how: Any) -> str:
    text = f"({compiler.process(element.clauses, **how)} ->> {element.number})"
    kind = next((kind for kind in (BigInteger, Boolean) if isinstance(element.type, kind)), None)
    return f"CAST({text} AS {compiler.dialect.type_compiler_instance.process(kind())})" if kind else text


def texts(values: Iterable[str]) -> str:
    """What the parameter of among() is given. Raises Unstorable."""
    given = [*values]
    schema.storable("".join(given))
    return _encoded(given)


def _encoded(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()


def dumped(value: Json | msgspec.Raw) -> str:
    """JSON as a column keeps it. Raises Unstorable."""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise Unstorable("a value cannot be written down") from None
