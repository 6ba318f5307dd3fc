"""The only place where statements are made: one tenant's rows, or everything.

`Rows` adds the tenant to whatever it makes, so a question cannot forget it. `Everything` is the operator's view; which
functions take it is a list in a test.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import sqlalchemy
from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Delete,
    Executable,
    FromClause,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    func,
    literal,
)

from tenants import schema
from tenants.database import translated
from tenants.errors import Missing
from tenants.prepared import Prepared, Statement

Values = Mapping[str, Any]
S = TypeVar("S", bound=Executable)
TENANT = "whose_tenant"  # parameter of a prepared statement
_NOT_GONE = schema.tenants.c.gone_ms.is_(None)


class _Asking:
    """A connection with its transaction open."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.whose: Values = {}  # parameters of prepared statements
        self.destroyed = False  # something must not be readable in the files either, once this is committed

    @functools.cached_property
    def driver(self) -> Any:
        """The driver's own connection, in the same transaction."""
        return self.connection.connection.driver_connection

    @property
    def sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.connection.dialect.name == "sqlite"

    def execute(self, statement: Executable, values: Values | Sequence[Values] | None = None) -> CursorResult[Any]:
        """The statement's result; of an insert, with `values` for its row or rows. Raises StoreError."""
        with translated():
            return cast("CursorResult[Any]", self.connection.execute(statement, values))


class Rows(_Asking):
    """One tenant's rows."""

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        super().__init__(connection)
        self.tenant_id = tenant_id
        self.whose = {TENANT: tenant_id}

    def select(self, table: Table, *columns: ColumnElement[Any], beside: Sequence[Table] = ()) -> Select[Any]:
        """All columns of `table`, or `columns` of it and of the tables `beside` it, which where() is to join.

        There are none when the tenant is gone, also while its rows are being swept away.
        """
        tables = [table, *beside]
        chosen = sqlalchemy.select(*(columns or [table])).where(*map(self._own, tables))
        return chosen if schema.tenants in tables else chosen.where(self._there)

    def select_nobodys(self, table: Table) -> Select[Any]:
        """What is no tenant's: an operator's token, which changes a tenant's rows too."""
        return _named(sqlalchemy.select(table).where(table.c.tenant_id.is_(None)))

    def insert(self, table: Table) -> Insert:
        """An insert that carries the tenant."""
        return sqlalchemy.insert(table).values(tenant_id=self.tenant_id)

    def insert_given(self, table: Table, given: FromClause, cells: Mapping[str, ColumnElement[Any]]) -> Insert:
        """An insert of rows that are given in a parameter (tenants/given_rows.py), which all carry the tenant."""
        values = {**cells, "tenant_id": sqlalchemy.type_coerce(self.tenant_id, table.c.tenant_id.type)}
        return sqlalchemy.insert(table).from_select(
            list(values), sqlalchemy.select(*values.values()).select_from(given)
        )

    def update(self, table: Table) -> Update:
        """An update of the tenant's rows; of the tenant itself if it is not gone."""
        return sqlalchemy.update(table).where(self._own(table))

    def delete(self, table: Table) -> Delete:
        """A delete of the tenant's rows."""
        return sqlalchemy.delete(table).where(self._own(table))

    def count(self, table: Table, *conditions: ColumnElement[bool]) -> int:
        """How many rows."""
        return int(self.execute(self.select(table, func.count()).where(*conditions)).scalar_one())

    def lock(self) -> None:
        """One write of a tenant at a time, on PostgreSQL. Raises Missing."""
        if _locked.first(self) is None:
            raise Missing("there is no such tenant", what="tenant")

    def count_change(self) -> None:
        """Adds 1 to the tenant's revision: what somebody remembers of it may be otherwise now."""
        _revised.count(self)

    def _own(self, table: Table) -> ColumnElement[bool]:
        mine = table.c.tenant_id == self.tenant_id
        return sqlalchemy.and_(mine, _NOT_GONE) if table is schema.tenants else mine

    @functools.cached_property
    def _there(self) -> ColumnElement[bool]:
        return sqlalchemy.select(schema.tenants.c.tenant_id).where(self._own(schema.tenants)).exists()


class Everything(_Asking):
    """The operator's view: all tenants' rows."""

    def of(self, tenant_id: str) -> Rows:
        """One tenant's rows, in the same transaction."""
        return Rows(self.connection, tenant_id)

    def select(self, table: FromClause, *columns: ColumnElement[Any]) -> Select[Any]:
        """All columns of `table`, or `columns`."""
        return _named(sqlalchemy.select(*(columns or [table])).select_from(table))

    def insert(self, table: Table) -> Insert:
        """An insert."""
        return _named(sqlalchemy.insert(table))

    def update(self, table: Table) -> Update:
        """An update of any row."""
        return _named(sqlalchemy.update(table))

    def delete(self, table: Table) -> Delete:
        """A delete of any row."""
        return _named(sqlalchemy.delete(table))

    def count(self, table: Table, *conditions: ColumnElement[bool]) -> int:
        """How many rows."""
        return int(self.execute(self.select(table, func.count()).where(*conditions)).scalar_one())

    def values(self, column: Column[str], among: ColumnElement[bool], after: ColumnElement[str], most: int) -> CTE:
        """The next `most` values of a column behind `after`, each once, as column `value`: NULL behind the last one.

        One look at an index for each, however many rows have it: SELECT DISTINCT would read all of them.
        """

        def following(before: Any) -> ColumnElement[str]:
            chosen = sqlalchemy.select(column).where(among, column > before).order_by(column).limit(1)
            return chosen.scalar_subquery()

        walk = sqlalchemy.select(following(after).label("value"), literal(1).label("step")).cte("walk", recursive=True)
        step = sqlalchemy.select(following(walk.c.value), walk.c.step + 1)
        return walk.union_all(step.where(walk.c.value.is_not(None), walk.c.step < most))


def _named(statement: S) -> S:
    """Marked as the operator's, for the test that reads all others."""
    return statement.execution_options(everything=True)


def of_tenant(make: Callable[[Rows], Statement]) -> Prepared[Rows]:
    """A prepared statement about one tenant's rows."""
    return Prepared(make, Rows(None, bindparam(TENANT, type_=schema.Sorted())))  # type: ignore[arg-type]  # whoever it will be


def of_everything(make: Callable[[Everything], Statement]) -> Prepared[Everything]:
    """A prepared statement of the operator's."""
    return Prepared(make, Everything(None))  # type: ignore[arg-type]  # whoever it will be


@of_tenant
def _locked(rows: Rows) -> Statement:
    return rows.select(schema.tenants, schema.tenants.c.tenant_id).with_for_update()


@of_tenant
def _revised(rows: Rows) -> Statement:
    return rows.update(schema.tenants).values(revision=schema.tenants.c.revision + 1)
