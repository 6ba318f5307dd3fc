"""A statement that is written down once, and then run on the driver's own cursor.

To build and compile a statement anew costs SQLAlchemy ten times what SQLite takes to answer it. So what is asked often
is made once, by a function of Rows or of Everything (tenants/rows.py), with `bindparam` for each value that differs:

    @of_tenant
    def _name_of(rows: Rows) -> Select[Any]:
        return rows.select(_HOOKS, _HOOKS.c.name).where(_HOOKS.c.hook_id == bindparam("hook_id"))

    found = _name_of.first(rows, hook_id=hook_id)

It runs in the transaction of whoever asks, who says whose rows they are. Values and columns are checked and converted
as their types say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

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


A = TypeVar("A", bound=Asking)


class Prepared(Generic[A]):
    """A statement, made from `nobody`: who asks on no connection, for the rows of whoever it will be."""

    def __init__(self, make: Callable[[A], Statement], nobody: A) -> None:
        self.name = f"{make.__module__}.{make.__name__}"
        self._make: Callable[[A], Statement] = make
        self._nobody: A = nobody
        self._texts: dict[str, _Text] = {}  # by the dialect's name
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

    def run(self, asking: A, values: Mapping[str, Any]) -> tuple[_Text, Any]:
        """The driver's cursor, and how its rows are read."""
        text = self._text(asking)
        return text, asking.driver.execute(text.sql, text.write(asking.whose, values))

    def _text(self, asking: A) -> _Text:
        name = asking.connection.dialect.name
        text = self._texts.get(name)
        if text is None:
            text = self._texts[name] = _Text(self.statement(), asking.connection.dialect)
        return text


class _Text:
    """A statement as one kind of database takes it."""

    def __init__(self, statement: Statement, dialect: Any) -> None:
        made = statement.compile(dialect=dialect)
        assert isinstance(made, SQLCompiler)
        self.sql = str(made)
        assert "POSTCOMPILE" not in self.sql, "a list of values has no fixed number of parameters"
        writes = {name: _writes(bind.type, dialect) for name, bind in made.binds.items()}
        self._fixed = {
            name: _changed(writes[name], bind.value) for name, bind in made.binds.items() if not bind.required
        }
        self._writes = {
            name: change for name, change in writes.items() if change is not None and name not in self._fixed
        }
        reads = [_reads(column.type, dialect) for column in getattr(statement, "exported_columns", ())]
        self.columns = [(number, change) for number, change in enumerate(reads) if change is not None]

    def write(self, whose: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
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


def _changed(change: _Change | None, value: Any) -> Any:
    return value if change is None else change(value)


def _writes(type_: TypeEngine[Any], dialect: Any) -> _Change | None:
    """Both drivers take bytes as they are."""
    return None if isinstance(type_, LargeBinary) else type_.dialect_impl(dialect).bind_processor(dialect)


def _reads(type_: TypeEngine[Any], dialect: Any) -> _Change | None:
    """Both drivers give bytes."""
    return None if isinstance(type_, LargeBinary) else type_.dialect_impl(dialect).result_processor(dialect, None)
