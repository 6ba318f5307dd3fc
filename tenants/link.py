"""One thread's connection to the database, with its transactions and savepoints.

These are said to the driver itself. SQLAlchemy, whose statements run within them, is told nothing but the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

from sqlalchemy import Connection

from tenants.database import Database, begin, emptied_log, translated
from tenants.errors import StoreError


class Link:
    """A connection. It is given up when it fails, and made anew for the next one who asks."""

    def __init__(self, database: Database, mode: Literal["write", "read"]) -> None:
        self._engine = database.engine(mode)
        self._mode = mode
        self._connection: Connection | None = None
        self._driver: Any = None

    @property
    def used(self) -> bool:
        """Whether the connection has answered before."""
        return self._connection is not None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Committed at its end. If it raises, nothing of it was kept."""
        try:
            with translated():
                connection = self._connected()
                begin(self._driver, self._mode)
                yield connection
                if connection.in_transaction():  # of SQLAlchemy, which has begun one when it was asked something
                    connection.commit()
                self._driver.commit()
        except Exception:
            self.drop()
            raise

    def save(self) -> None:
        """Begins what keep() or undo() ends: a part of the transaction. Raises StoreError."""
        self._say("SAVEPOINT change")

    def keep(self) -> None:
        """Ends it. Raises StoreError."""
        self._say("RELEASE SAVEPOINT change")

    def undo(self) -> None:
        """Ends it as if it had not been. Raises StoreError."""
        self._say("ROLLBACK TO SAVEPOINT change")
        self._say("RELEASE SAVEPOINT change")

    def forget_deleted(self) -> bool:
        """Whether what was deleted is not readable in the database's files any more, as far as we can see to it.

        SQLite's log is written into its file, where deleted rows are overwritten, and emptied. PostgreSQL keeps
        what was deleted until its own VACUUM, and its log until that is used again.
        """
        try:
            with translated():
                return emptied_log(self._connected())
        except StoreError:
            self.drop()
            return False

    def drop(self) -> None:
        """Close the connection, with whatever it has under way."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(StoreError), translated():
                connection.invalidate()  # otherwise SQLAlchemy would roll it back first, also one that was lost
                connection.close()

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect()
            self._driver = connection.connection.driver_connection
            self._connection = connection
        return self._connection

    def _say(self, sql: str) -> None:
        with translated():
            self._driver.execute(sql)
