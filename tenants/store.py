"""The store: questions and changes run on its own threads, in transactions, and are answered by futures.

One thread writes. It gathers the changes that wait into one transaction, each behind a savepoint, and answers all of
them after the COMMIT: the disk is synced once for many. Two threads read, each in a snapshot of its own, and a third
one answers what takes long. Whoever waits for them waits in a line of their tenant's, and tenants are served in turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from tenants.database import Collided, Database, translated
from tenants.errors import StoreError, Unavailable
from tenants.link import Link
from tenants.migrating import migrate
from tenants.rows import Everything, Rows
from tenants.waiting import Waiting

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 2
_MOST_WAITING = 1_000  # of one tenant, for each of: reading, studying, writing
_MOST_CHANGES = 128  # of one transaction
_MOST_S = 0.05  # that they may take before it is committed
_PATIENCE_S = 5.0  # with a change that meets another node's lock: so long it is tried again
_PAUSE_S = 0.02  # after the first try, in which the other one goes on; after the second one twice that, and so on
_FORGET_S = (0.1, 10.0)  # between two tries to empty SQLite's log, which whoever reads prevents: the first, the longest


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
    first_try: float = 0.0
    line: Hashable = field(init=False)

    def __post_init__(self) -> None:
        self.line = self.tenant_id

    def begun(self) -> bool:
        """Whether it is to be answered: it was not cancelled while it waited."""
        return self.future.running() or self.future.set_running_or_notify_cancel()

    def seen(self, connection: Connection) -> Rows | Everything:
        """What of the database it may see."""
        return Everything(connection) if self.tenant_id is None else Rows(connection, self.tenant_id)

    def settle(self) -> None:
        """Tells the future what has come of it, once that is certain."""
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


class Store:
    """Tenants and all that is theirs, in the database that `url` names."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._database = Database(url)
        self._threads: list[threading.Thread] = []
        self._closing = threading.Lock()
        self._closed = True
        self._new_lines()
        self._close_lines()

    def _new_lines(self) -> None:
        self._reads: Waiting[_Asked] = Waiting(_MOST_WAITING)
        self._studies: Waiting[_Asked] = Waiting(_MOST_WAITING)
        self._writes: Waiting[_Asked] = Waiting(_MOST_WAITING)

    def _close_lines(self) -> None:
        for waiting in (self._reads, self._studies, self._writes):
            waiting.close()

    def open(self) -> None:
        """Migrates, and starts the threads. Raises StoreError."""
        migrate(self._url)
        self._new_lines()
        workers: list[_Reader | _Writer] = [_Writer(self._database, self._writes)]
        workers += [_Reader(self._database, self._studies)]
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
            self._close_lines()
        for thread in self._threads:
            thread.join()

    def read(
        self, tenant_id: str, question: Callable[Concatenate[Rows, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """What `question` finds among the tenant's rows, in one snapshot."""
        return self._ask(self._reads, _Asked(tenant_id, lambda rows: question(rows, *args, **kwargs)))

    def study(
        self, tenant_id: str, question: Callable[Concatenate[Rows, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """As read(), for a question that may take long: nobody's quick question waits for it."""
        return self._ask(self._studies, _Asked(tenant_id, lambda rows: question(rows, *args, **kwargs)))

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

    def study_all(
        self, question: Callable[Concatenate[Everything, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """As study(), for the operator."""
        return self._ask(self._studies, _Asked(None, lambda everything: question(everything, *args, **kwargs)))

    def write_all(
        self, change: Callable[Concatenate[Everything, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """As write(), for the operator."""
        return self._ask(self._writes, _Asked(None, lambda everything: change(everything, *args, **kwargs)))

    def _ask(self, waiting: Waiting[_Asked], asked: _Asked) -> Future[Any]:
        try:
            waiting.put(asked)
        except Unavailable as error:
            asked.future.set_exception(error)
        return asked.future


class _Reader:
    """Answers questions, one after the other."""

    def __init__(self, database: Database, waiting: Waiting[_Asked]) -> None:
        self._link = Link(database, "read")
        self._waiting = waiting

    def run(self) -> None:
        """Until nothing comes any more."""
        while (taken := self._waiting.take()) is not None:
            for asked in taken:
                if asked.begun():
                    self._settle(asked)
        self._link.drop()

    def _settle(self, asked: _Asked) -> None:
        used = self._link.used
        self._answer(asked)
        if used and isinstance(asked.error, Unavailable):  # the connection may have been lost long ago
            self._answer(asked)
        asked.settle()

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

    def __init__(self, database: Database, waiting: Waiting[_Asked]) -> None:
        self._database = database
        self._link = Link(database, "write")
        self._waiting = waiting
        self._most = _MOST_CHANGES
        self._destroyed = False  # something was deleted that stands in SQLite's log yet
        self._pause_s, self._forget_at = _FORGET_S[0], 0.0

    def run(self) -> None:
        """Until nothing comes any more."""
        while (taken := self._waiting.take(self._most, self._idle_s())) is not None:
            if batch := [asked for asked in taken if asked.begun()]:
                self._commit(batch)
            self._forget_deleted()
        self._link.drop()

    def _idle_s(self) -> float | None:
        return max(self._forget_at - time.monotonic(), 0.0) if self._destroyed else None

    def _commit(self, batch: list[_Asked]) -> None:
        """Makes changes of `batch` and answers them. What is left, or met another node's lock, waits again."""
        if not self._database.sqlite:  # every node locks tenants in the same order, so that none waits for another
            batch.sort(key=lambda asked: asked.tenant_id or "")
        made: list[_Asked] = []
        try:
            with self._link.transaction() as connection:
                self._make(connection, batch, made)
        except Exception as error:  # noqa: BLE001 - a thread that ended would leave everybody waiting
            made = made or batch  # no transaction could be begun
            _fail_all(made, error)
        if any(isinstance(asked.error, Unavailable) and not isinstance(asked.error, Collided) for asked in made):
            self._link.drop()  # the next ones have a new connection
        again = [asked for asked in made if _is_to_be_tried_again(asked)]
        for asked in again:
            asked.line = asked.tenant_id or object()  # no other one of the operator's has to wait for it
            self._waiting.hold(asked.line, _PAUSE_S * asked.attempts)
        self._waiting.put_back([asked for asked in batch if asked in again or asked not in made])
        for asked in made:
            if asked not in again:
                asked.settle()

    def _make(self, connection: Connection, batch: list[_Asked], made: list[_Asked]) -> None:
        until = time.monotonic() + _MOST_S
        locked: set[str] = set()  # tenants; their later changes stay behind
        for asked in batch:
            if asked.tenant_id in locked:
                continue
            self._link.save()  # raises if the connection was lost: then this one was not begun
            made.append(asked)
            seen = _try(asked, connection)
            if asked.error is None:
                self._link.keep()
                self._destroyed |= seen.destroyed
            else:
                self._link.undo()  # raises if SQLite has rolled back the whole transaction by itself
            if asked.tenant_id and isinstance(asked.error, Collided):
                locked.add(asked.tenant_id)
            if time.monotonic() > until:
                self._most = len(made)  # the next ones in turn are those that were left: nobody gets before them
                return
        self._most = min(2 * self._most, _MOST_CHANGES)

    def _forget_deleted(self) -> None:
        """Empties SQLite's log if something was deleted; nobody waits for it. If it could not be, later again."""
        if not self._destroyed or time.monotonic() < self._forget_at:
            return
        self._destroyed = not self._link.forget_deleted()
        if self._destroyed:
            self._forget_at = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, _FORGET_S[1])
        else:
            self._pause_s, self._forget_at = _FORGET_S[0], 0.0


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


def _is_to_be_tried_again(asked: _Asked) -> bool:
    """Whether it met another node's lock, and not for too long yet."""
    if not isinstance(asked.error, Collided):
        return False
    now = time.monotonic()
    asked.first_try = asked.first_try or now
    asked.attempts += 1
    if now - asked.first_try < _PATIENCE_S:
        return True
    asked.error = Unavailable(str(asked.error))
    return False
