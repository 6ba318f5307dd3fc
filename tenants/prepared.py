"""A statement that is written down once, and then run on the driver's own cursor.

To build and compile a statement anew costs SQLAlchemy ten times what SQLite takes to answer it. So what is asked often
is made once, by a function of Rows or of Everything (tenants/rows.py), with `bindparam` for each value that differs:

    @of_tenant
    def _name_of(rows: Rows) -> Select[Any]:
        return rows.select(_HOOKS, _HOOKS.c.name).where(_HOOKS.c.hook_id == bindparam("hook_id"))

    found = _name_of.first(rows, hook_id=hook_id)

It runs in the transaction of whoever asks, who says whose rows they are. Values and columns are checked and converted
as their types say. One about a row that stands in `VALUES` can be about several: see Listing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection, Delete, Insert, LargeBinary, Select, Update
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate
from sqlalchemy.types import TypeEngine

from tenants.database import translated

ALL: list[Prepared[Any]] = []  # for the test that reads them

Statement: TypeAlias = Select[Any] | Insert | Update | Delete | ReturningInsert[Any] | ReturningUpdate[Any]
_Change: TypeAlias = Callable[[Any], Any]


class Asking(Protocol):
    """A connection with its transaction open, and the parameters that say whose rows are asked for."""

    connection: Connection
    whose: Mapping[str, Any]

    @property
    def driver(self) -> Any:
        """The driver's own connection."""

    @property
    def sqlite(self) -> bool:
        """Whether the database is SQLite."""


class Listing(NamedTuple):
    """Rows that stand in a statement one after the other, `VALUES (…), (…)`: of one that is made for one row."""

    names: Sequence[str]  # of the parameters of that row
    rows: Sequence[Sequence[Any]]  # which the driver takes as they are


A = TypeVar("A", bound=Asking)


class Prepared(Generic[A]):
    """A statement, made from `nobody`: who asks on no connection, for the rows of whoever it will be."""

    def __init__(self, make: Callable[[A], Statement], nobody: A) -> None:
        self.name = f"{make.__module__}.{make.__name__}"
        self._make: Callable[[A], Statement] = make
        self._nobody: A = nobody
        self._texts: dict[tuple[str, int], _Text] = {}  # by the dialect's name, and how many rows are listed
        ALL.append(self)

    def statement(self) -> Statement:
        """What it is in SQLAlchemy's language."""
        return self._make(self._nobody)

    def all(self, asking: A, **values: Any) -> list[Any]:
        """The rows, by position. Raises StoreError."""
        with translated():
            text, cursor = self.run(asking, values)
            found: list[Any] = cursor.fetchall()
        return [text.read(row) for row in found] if text.columns else found

    def first(self, asking: A, **values: Any) -> Any:
        """The first row, by position; None: there is none. Raises StoreError."""
        with translated():
            text, cursor = self.run(asking, values)
            row = cursor.fetchone()
        return text.read(row) if text.columns and row is not None else row

    def count(self, asking: A, **values: Any) -> int:
        """How many rows it has changed. Raises StoreError."""
        with translated():
            changed: int = self.run(asking, values)[1].rowcount
        return changed

    def count_each(self, asking: A, each: Iterable[Mapping[str, Any]]) -> int:
        """As count(), once for each of these values; PostgreSQL is not waited for in between. Raises StoreError."""
        with translated():
            text, cursor = self._text(asking), asking.driver.cursor()
            cursor.executemany(text.sql, [text.write(asking.whose, values) for values in each])
            changed: int = cursor.rowcount
        return changed

    def run(self, asking: A, values: Mapping[str, Any], listing: Listing | None = None) -> tuple[_Text, Any]:
        """The driver's cursor, and how its rows are read."""
        text = self._text(asking, listing)
        return text, asking.driver.execute(text.sql, text.write(asking.whose, values, listing))

    def _text(self, asking: A, listing: Listing | None = None) -> _Text:
        key = (asking.connection.dialect.name, 0 if listing is None else len(listing.rows))
        text = self._texts.get(key)
        if text is None:
            statement, dialect = self.statement(), asking.connection.dialect
            made = _Text(statement, dialect) if listing is None else _Repeated(statement, dialect, listing)
            text = self._texts[key] = made
        return text


class _Text:
    """A statement as one kind of database takes it."""

    def __init__(self, statement: Statement, dialect: Any, apart: Collection[str] = ()) -> None:
        """`apart`: parameters that are neither checked nor converted."""
        made = statement.compile(dialect=dialect)
        assert isinstance(made, SQLCompiler)
        self.sql = str(made)
        assert "POSTCOMPILE" not in self.sql, "a list of values has no fixed number of parameters"
        self._order = made.positiontup or []  # of the parameters, where they have places instead of names
        writes = {name: _writes(bind.type, dialect) for name, bind in made.binds.items() if name not in apart}
        self._fixed = {
            name: _changed(writes[name], bind.value) for name, bind in made.binds.items() if not bind.required
        }
        self._writes = {
            name: change for name, change in writes.items() if change is not None and name not in self._fixed
        }
        reads = [_reads(column.type, dialect) for column in getattr(statement, "exported_columns", ())]
        self.columns = [(number, change) for number, change in enumerate(reads) if change is not None]

    def write(self, whose: Mapping[str, Any], values: Mapping[str, Any], _listing: Listing | None = None) -> Any:
        """What the driver gets. Raises Unstorable."""
        given = {**self._fixed, **values, **whose}
        for name, change in self._writes.items():
            given[name] = change(given[name])
        return given

    def read(self, row: Any) -> list[Any]:
        """A row that the driver has found, by the types of its columns."""
        read = list(row)
        for number, change in self.columns:
            read[number] = change(read[number])
        return read


class _Repeated(_Text):
    """The same, of as many rows as are listed: parameters have places, for thousands of names would take their time."""

    def __init__(self, statement: Statement, dialect: Any, listing: Listing) -> None:
        super().__init__(statement, type(dialect)(paramstyle="qmark"), apart=listing.names)
        first, width = self._order.index(listing.names[0]), len(listing.names)
        assert [*listing.names] == self._order[first : first + width], "the row stands in one place"
        self._before, self._after = self._order[:first], self._order[first + width :]
        row = f"VALUES ({', '.join('?' * width)})"
        assert self.sql.count(row) == 1, "the row stands there once"
        self.sql = self.sql.replace(row, ", ".join([row, *[row.removeprefix("VALUES ")] * (len(listing.rows) - 1)]))

    def write(self, whose: Mapping[str, Any], values: Mapping[str, Any], listing: Listing | None = None) -> list[Any]:
        """What the driver gets. Raises Unstorable."""
        assert listing is not None, "it was made for some"
        given = super().write(whose, values)
        before, after = (map(given.__getitem__, names) for names in (self._before, self._after))
        return [*before, *chain.from_iterable(listing.rows), *after]


def _changed(change: _Change | None, value: Any) -> Any:
    return value if change is None else change(value)


def _writes(type_: TypeEngine[Any], dialect: Any) -> _Change | None:
    """Both drivers take bytes as they are."""
    return None if isinstance(type_, LargeBinary) else type_.dialect_impl(dialect).bind_processor(dialect)


def _reads(type_: TypeEngine[Any], dialect: Any) -> _Change | None:
    """Both drivers give bytes."""
    return None if isinstance(type_, LargeBinary) else type_.dialect_impl(dialect).result_processor(dialect, None)
