"""The only place where statements are made: one tenant's rows, or everything.

`Rows` adds the tenant to whatever it makes, so a question cannot forget it. `Everything` is the operator's view; which
functions take it is a list in a test.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
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
    Insert,
    Select,
    Table,
    Update,
    func,
    literal,
)

from tenants import schema
from tenants.database import translated
from tenants.errors import Missing

Values = Mapping[str, Any]
S = TypeVar("S", bound=Executable)
_NOT_GONE = schema.tenants.c.gone_ms.is_(None)


class _Asking:
    """A connection with its transaction open."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.destroyed = False  # something must not be readable in the files either, once this is committed

    def execute(self, statement: Executable, values: Values | Sequence[Values] | None = None) -> CursorResult[Any]:
        """The statement's result; of an insert, with `values` for its row or rows. Raises StoreError."""
        with translated():
            return cast("CursorResult[Any]", self._connection.execute(statement, values))


class Rows(_Asking):
    """One tenant's rows."""

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        super().__init__(connection)
        self.tenant_id = tenant_id

    def select(self, table: Table, *columns: ColumnElement[Any], beside: Table | None = None) -> Select[Any]:
        """All columns of `table`, or `columns` of it and of the table `beside` it, which where() is to join.

        There are none when the tenant is gone, also while its rows are being swept away.
        """
        tables = [table] if beside is None else [table, beside]
        chosen = sqlalchemy.select(*(columns or [table])).where(*map(self._own, tables))
        return chosen if table is schema.tenants else chosen.where(self._there)

    def select_nobodys(self, table: Table) -> Select[Any]:
        """What is no tenant's: an operator's token, which changes a tenant's rows too."""
        return _named(sqlalchemy.select(table).where(table.c.tenant_id.is_(None)))

    def insert(self, table: Table) -> Insert:
        """An insert that carries the tenant."""
        return sqlalchemy.insert(table).values(tenant_id=self.tenant_id)

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
        mine = self.select(schema.tenants, schema.tenants.c.tenant_id).with_for_update()
        if self.execute(mine).first() is None:
            raise Missing("there is no such tenant", what="tenant")

    def count_change(self) -> None:
        """Adds 1 to the tenant's revision: what somebody remembers of it may be otherwise now."""
        self.execute(self.update(schema.tenants).values(revision=schema.tenants.c.revision + 1))

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
        return Rows(self._connection, tenant_id)

    def select(self, table: Table | CTE, *columns: ColumnElement[Any]) -> Select[Any]:
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

    def values(self, column: Column[str], among: ColumnElement[bool], after: str, most: int) -> CTE:
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
