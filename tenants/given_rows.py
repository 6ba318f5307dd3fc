"""Rows that a statement is given in one parameter, as JSON: however many they are, it is one statement and one step.

Between two steps of SQLite's Python runs; within one it does not, and everybody else's goes on. A row that is large is
given by itself, value by value: SQLite copies the whole row for each value that it takes from it, and what PostgreSQL
takes as JSON has a limit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Text, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias

from tenants import schema
from tenants.errors import Unstorable
from tenants.records import Json

_MOST = 2**63 - 1  # of a number
_LARGE_CHARS = 4_096  # of a row's texts; from then on it is quicker by itself
_MOST_CHARS = 1_000_000  # of one parameter, and one large row's less
_LONG = (schema.Words, schema.JsonText)  # types of columns that may be
_NUL = b"\\u0000"  # how JSON writes it; a text of JSON that stands in a row has it too, behind another backslash


class Shape:
    """How rows stand in a statement: a table of them, and the columns of it."""

    table: TableValuedAlias
    columns: Sequence[ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows as statements are given them (tenants/bulk.py)."""

    texts: list[str]  # of those that are small, as Given.text() makes it
    large: list[dict[str, Any]]  # the others' values, by the parameters of Given.one


class Given(Shape):
    """A parameter as a table: a JSON array of rows, each an array of values for `columns`.

    A value is a text, a number of 64 bits, true or false, None, or a list of texts.
    """

    def __init__(self, parameter: str, *columns: Column[Any]) -> None:
        self.parameter = parameter
        self.table = _Elements(bindparam(parameter, type_=Text())).table_valued("value", name=f"given_{parameter}")
        self.columns = [_Cell(self.table.c.value, number, column.type) for number, column in enumerate(columns)]
        self.one = _One(parameter, columns)
        self._numbers = _places(columns, lambda type_: isinstance(type_, BigInteger))
        self._texts = _places(columns, lambda type_: isinstance(type_, _LONG) and not isinstance(type_, schema.Sorted))

    def text(self, rows: Sequence[Sequence[Any]]) -> str:
        """What the parameter is given. Raises Unstorable, as columns do."""
        for row in rows:
            if max(map(abs, filter(None, self._numbers(row))), default=0) > _MOST:
                _check_numbers(self._numbers(row))
        return _encoded(rows)

    def parts(self, rows: Iterable[Sequence[Any]]) -> Parts:
        """The large ones each by itself. Raises Unstorable, as columns do."""
        pages: list[list[Sequence[Any]]] = []
        large: list[Sequence[Any]] = []
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
        for row in large:
            _check_numbers(self._numbers(row))
        _check(large)
        return Parts([*map(self.text, pages)], [*map(self.one.values, large)])


class _One(Shape):
    """One row, each value of it a parameter."""

    def __init__(self, parameter: str, columns: Sequence[Column[Any]]) -> None:
        self.table = _Elements(literal("[0]", Text())).table_valued("value", name=f"one_of_{parameter}")
        types = [column.type if isinstance(column.type, BigInteger | Boolean) else Text() for column in columns]
        self._names = [f"{parameter}_{number}" for number in range(len(columns))]
        self.columns = [bindparam(name, type_=type_) for name, type_ in zip(self._names, types, strict=True)]

    def values(self, row: Sequence[Any]) -> dict[str, Any]:
        """By parameter."""
        cells = [_encoded([value])[1:-1] if isinstance(value, list | tuple) else value for value in row]
        return dict(zip(self._names, cells, strict=True))


def _places(
    columns: Sequence[Column[Any]], wanted: Callable[[Any], bool]
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Takes from a row what stands in columns of those types."""
    places = [number for number, column in enumerate(columns) if wanted(column.type)]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[place] for place in places)


def _check_numbers(numbers: Iterable[int | None]) -> None:
    if any(not -_MOST - 1 <= number <= _MOST for number in numbers if number is not None):
        raise Unstorable("a number is too long")


class _Elements(FunctionElement[Any]):
    """The elements of a JSON array, as rows of `value`."""

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
    return _encoded([list(values)])[1:-1]


def _encoded(rows: Sequence[Sequence[Any]]) -> str:
    try:
        made = msgspec.json.encode(rows)
    except UnicodeEncodeError:
        _check(rows)
        raise
    if _NUL in made:
        _check(rows)
    return made.decode()


def _check(rows: Sequence[Sequence[Any]]) -> None:
    """Raises Unstorable of a text that no database takes."""
    for row in rows:
        for value in row:
            if isinstance(value, str):
                schema.storable(value)
            elif isinstance(value, list | tuple):
                _check([value])


def dumped(value: Json | msgspec.Raw) -> str:
    """JSON as a column keeps it. Raises Unstorable."""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise Unstorable("a value cannot be written down") from None
