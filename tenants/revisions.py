"""The revision of a tenant, now: whether what one remembers of it still holds.

SQLite is asked on the caller's own thread, which takes a few microseconds: whether anybody has committed anything since
the last time, and the tenant's row if so. PostgreSQL is asked through the store, in the
tenant's own line.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

from tenants import schema
from tenants.database import Database, translated
from tenants.errors import StoreError
from tenants.rows import Rows
from tenants.store import Store

_TENANTS = schema.tenants
_WAIT_MS = 100  # for another process that repairs SQLite's log after a crash; nobody else is ever waited for
_SQL = "SELECT revision FROM tenants WHERE tenant_id = ? AND gone_ms IS NULL"


class Revisions:
    """Tells revisions to one event loop. `store` is needed for PostgreSQL, and is to be open."""

    def __init__(self, url: str, store: Store | None = None) -> None:
        database = Database(url)
        self._store = store
        self._reader = _Reader(database.file) if database.sqlite else None
        if self._reader is None and store is None:
            raise StoreError("revisions of PostgreSQL are asked through a store")

    async def of(self, tenant_id: str) -> int | None:
        """The tenant's revision as committed when this is asked, by any process; None: there is no such tenant.

        Raises StoreError.
        """
        if self._reader is not None:
            return self._reader.of(tenant_id)
        assert self._store is not None
        return await asyncio.wrap_future(self._store.read(tenant_id, _revision))

    def at_once(self, tenant_id: str) -> int | None:
        """The same, if it can be told without waiting for anybody, as SQLite's can; None: ask `of`."""
        return self._reader.of(tenant_id) if self._reader is not None else None

    def close(self) -> None:
        """The database's file is let go."""
        if self._reader is not None:
            self._reader.close()


class _Reader:
    """A connection to SQLite's file that only reads, and what it has read since anybody committed."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._version = -1  # of the data, in SQLite's count: it changes when another connection commits
        self._known: dict[str, int | None] = {}

    def of(self, tenant_id: str) -> int | None:
        """Raises StoreError."""
        try:
            return self._read(self._connection or self._open(), tenant_id)
        except sqlite3.Error:
            self.close()
            with translated():
                raise

    def close(self) -> None:
        """It is opened again if it is asked again."""
        connection, self._connection = self._connection, None
        self._known.clear()
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, isolation_level=None, timeout=_WAIT_MS / 1000)
        self._connection = connection
        for pragma in ("query_only = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _read(self, connection: sqlite3.Connection, tenant_id: str) -> int | None:
        """The count is read first: what is committed between the two is seen the next time, at the latest."""
        ((version,),) = connection.execute("PRAGMA data_version")
        if version != self._version:
            self._version = version
            self._known.clear()
        elif tenant_id in self._known:
            return self._known[tenant_id]
        found = connection.execute(_SQL, (tenant_id,)).fetchall()
        self._known[tenant_id] = found[0][0] if found else None
        return self._known[tenant_id]


def _revision(rows: Rows) -> int | None:
    found: int | None = rows.execute(rows.select(_TENANTS, _TENANTS.c.revision)).scalar()
    return found
