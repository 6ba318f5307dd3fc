"""The store: questions and changes run on its own threads, in transactions, and are answered by futures.

One thread writes. It gathers the changes that wait into one transaction, each behind a savepoint, and answers all of
them after the COMMIT: the disk is synced once for many. Two threads read, each in a snapshot of its own.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from tenants.database import Collided, Database, emptied_log, translated
from tenants.errors import StoreError, Unavailable
from tenants.migrating import migrate
from tenants.rows import Everything, Rows

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 2
_MOST_CHANGES = 128  # of one transaction
_MOST_S = 0.05  # that they may take before it is committed
_ATTEMPTS = 5  # at a change that collides with another node's
_PAUSE_S = 0.02  # between them, in which the other one goes on


@dataclass(eq=False, slots=True)
class _Asked:
    """A question or a change that waits."""

    tenant_id: str | None  # None: the operator's
    answer: Callable[[Any], Any]
    changes: bool = False
    future: Future[Any] = field(default_factory=Future)
    value: Any = None
    error: Exception | None = None
    attempts: int = 0

    def seen(self, connection: Connection) -> Rows | Everything:
        """What of the database it may see."""
        return Everything(connection) if self.tenant_id is None else Rows(connection, self.tenant_id)

    def settle(self) -> None:
        """Tells the future what has come of it, once that is certain."""
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


_Queue = queue.SimpleQueue["_Asked | None"]  # None: nothing comes any more


class Store:
    """Tenants and all that is theirs, in the database that `url` names."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._database = Database(url)
        self._reads: _Queue = queue.SimpleQueue()
        self._writes: _Queue = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Lock()
        self._closed = True

    def open(self) -> None:
        """Migrates, and starts the threads. Raises StoreError."""
        migrate(self._url)
        workers: list[_Reader | _Writer] = [_Writer(self._database, self._writes)]
        workers += [_Reader(self._database, self._reads) for _ in range(_READERS)]
        self._threads = [threading.Thread(target=worker.run, name="hookcell-store") for worker in workers]
        for thread in self._threads:
            thread.start()
        self._closed = False

    def close(self) -> None:
        """Answers what waits, then ends the threads. A question after it is answered with Unavailable."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._writes.put(None)
            for _ in range(_READERS):
                self._reads.put(None)
        for thread in self._threads:
            thread.join()

    def read(
        self, tenant_id: str, question: Callable[Concatenate[Rows, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """What `question` finds among the tenant's rows, in one snapshot."""
        return self._ask(self._reads, _Asked(tenant_id, lambda rows: question(rows, *args, **kwargs)))

    def write(
        self, tenant_id: str, change: Callable[Concatenate[Rows, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """What `change` returns, once it is committed. If it raises, nothing of it is kept. Missing: no such tenant."""
        return self._ask(self._writes, _Asked(tenant_id, lambda rows: change(rows, *args, **kwargs), changes=True))

    def read_all(
        self, question: Callable[Concatenate[Everything, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """As read(), for the operator."""
        return self._ask(self._reads, _Asked(None, lambda everything: question(everything, *args, **kwargs)))

    def write_all(
        self, change: Callable[Concatenate[Everything, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """As write(), for the operator."""
        return self._ask(self._writes, _Asked(None, lambda everything: change(everything, *args, **kwargs)))

    def _ask(self, waiting: _Queue, asked: _Asked) -> Future[Any]:
        with self._closing:
            if self._closed:
                asked.future.set_exception(Unavailable("the store is closed"))
            else:
                waiting.put(asked)
        return asked.future


class _Link:
    """One thread's connection. It is given up when it fails, and made anew for the next one who asks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    @property
    def used(self) -> bool:
        """Whether the connection has answered before."""
        return self._connection is not None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Committed at its end. If it raises, nothing of it was kept."""
        try:
            with translated():
                connection = self._connection = self._connection or self._engine.connect()
                with connection.begin():
                    yield connection
        except Exception:
            self.drop()
            raise

    def forget_deleted(self) -> bool:
        """Whether what was deleted is not readable in the database's files any more, as far as we can see to it.

        SQLite's log is written into its file, where deleted rows are overwritten, and emptied. PostgreSQL keeps
        what was deleted until its own VACUUM, and its log until that is used again.
        """
        try:
            with translated():
                self._connection = self._connection or self._engine.connect()
                return emptied_log(self._connection)
        except StoreError:
            self.drop()
            return False

    def drop(self) -> None:
        """Close the connection, with whatever it has under way."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(StoreError), translated():
                connection.close()


class _Reader:
    """Answers questions, one after the other."""

    def __init__(self, database: Database, waiting: _Queue) -> None:
        self._link = _Link(database.engine("read"))
        self._waiting = waiting

    def run(self) -> None:
        """Until nothing comes any more."""
        while asked := self._waiting.get():
            if asked.future.set_running_or_notify_cancel():
                used = self._link.used
                self._answer(asked)
                if used and isinstance(asked.error, Unavailable):  # the connection may have been lost long ago
                    self._answer(asked)
                asked.settle()
        self._link.drop()

    def _answer(self, asked: _Asked) -> None:
        try:
            with self._link.transaction() as connection:
                _try(asked, connection)
        except Exception as error:  # noqa: BLE001 - a thread that ended would leave everybody waiting
            asked.error = asked.error or error  # an answer that was found in no transaction is none
        if isinstance(asked.error, Unavailable):
            self._link.drop()


class _Writer:
    """Makes changes, many in one transaction."""

    def __init__(self, database: Database, waiting: _Queue) -> None:
        self._database = database
        self._link = _Link(database.engine("write"))
        self._waiting = waiting
        self._destroyed = False  # something was deleted that stands in SQLite's log yet

    def run(self) -> None:
        """Until nothing comes any more."""
        open_ = True
        while open_:
            batch, open_ = self._gather()
            while batch:
                batch = self._commit(batch)
        self._link.drop()

    def _gather(self) -> tuple[list[_Asked], bool]:
        """Waits for a change, takes all that wait with it; and whether there will be more."""
        batch: list[_Asked] = []
        with contextlib.suppress(queue.Empty):
            while len(batch) < _MOST_CHANGES:
                asked = self._waiting.get(block=not batch)
                if asked is None:
                    return batch, False
                if asked.future.set_running_or_notify_cancel():
                    batch.append(asked)
        if not self._database.sqlite:  # every node locks tenants in the same order, so that none waits for another
            batch.sort(key=lambda asked: asked.tenant_id or "")
        return batch, True

    def _commit(self, batch: list[_Asked]) -> list[_Asked]:
        """Makes the first changes of `batch` and answers them; what is left for the next transaction."""
        made: list[_Asked] = []
        try:
            with self._link.transaction() as connection:
                self._make(connection, batch, made)
        except Exception as error:  # noqa: BLE001 - a thread that ended would leave everybody waiting
            made = made or batch  # no transaction could be begun
            _fail_all(made, error)
        self._forget_deleted()
        again = [asked for asked in made if _collided(asked)]
        for asked in made:
            if asked not in again:
                asked.settle()
        if again:
            time.sleep(_PAUSE_S)
        return again + batch[len(made) :]

    def _make(self, connection: Connection, batch: list[_Asked], made: list[_Asked]) -> None:
        until = time.monotonic() + _MOST_S
        for asked in batch:
            made.append(asked)
            savepoint = connection.begin_nested()
            seen = _try(asked, connection)
            if asked.error is None:
                savepoint.commit()
                self._destroyed |= seen.destroyed
            else:
                savepoint.rollback()  # raises if SQLite has rolled back the whole transaction by itself
            if time.monotonic() > until:
                break

    def _forget_deleted(self) -> None:
        if self._destroyed:
            self._destroyed = not self._link.forget_deleted()


def _try(asked: _Asked, connection: Connection) -> Rows | Everything:
    """Asks, and keeps what comes of it in `asked`."""
    asked.value = asked.error = None
    seen = asked.seen(connection)
    try:
        with translated():
            if asked.changes and isinstance(seen, Rows):
                seen.lock()
            asked.value = asked.answer(seen)
    except Exception as error:  # noqa: BLE001 - it is the future's
        asked.error = error
    return seen


def _fail_all(made: list[_Asked], error: Exception) -> None:
    """None of them was kept. Each learns why the last one ended the transaction, if it did."""
    reason = made[-1].error if isinstance(made[-1].error, Unavailable) else error
    said = str(reason) if isinstance(reason, StoreError) else None
    for asked in made:
        asked.error = Unavailable(said)
        asked.error.__cause__ = reason


def _collided(asked: _Asked) -> bool:
    """Whether it is to be tried again."""
    asked.attempts += 1
    return isinstance(asked.error, Collided) and asked.attempts < _ATTEMPTS
