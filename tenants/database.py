"""SQLite or PostgreSQL: how each is opened and what its errors mean. The rest of the store does not know which it is.

Transactions are begun by us, never by the driver. SQLite: WAL, synced at every COMMIT; what is deleted is overwritten.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, NullPool, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from tenants.errors import Corrupt, Missing, StoreError, Taken, TooLong, Unavailable, Unstorable

_WAIT_S = 5  # for another process's lock, and for PostgreSQL to answer a connection
_LOCK_MS = 50  # that a change waits for another node's lock of a row: it is tried again, and others go on meanwhile
_DEADLINE_S = 5.0  # of a question
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock: half a millisecond or so
_SQLITE_AT_LEAST = (3, 38)  # JSON is always built in, from then on

_SQLITE_PRAGMAS = (
    f"busy_timeout = {_WAIT_S * 1000}",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    "trusted_schema = OFF",
    "cache_size = -8000",  # KiB, of each connection: the upper pages of every index
)

_POSTGRES = {
    "connect_timeout": _WAIT_S,
    "tcp_user_timeout": 2 * _WAIT_S * 1000,
    "application_name": "hookcell",
}

_SAYS = {  # by SQLite's name of the error, or by PostgreSQL's code, or by the class of that
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the database cannot be written: its file or its folder is read-only",
    "SQLITE_CANTOPEN": "the database cannot be opened: its folder is not there, or may not be written",
    "SQLITE_PERM": "the database may not be opened",
    "SQLITE_AUTH": "the database may not be used",
    "SQLITE_BUSY": "the database is locked by another process",
    "SQLITE_LOCKED": "the database is locked",
    "SQLITE_IOERR": "the disk cannot be read or written",
    "SQLITE_NOMEM": "the database has no memory left",
    "53100": "the database's disk is full",
    "53": "the database has no resources left",
    "25006": "the database cannot be written: it is read-only",
    "08": "the database cannot be reached",
    "28": "the database does not let us in",
    "3D": "there is no such database",
    "57": "the database was stopped",
}
_DRIVERS = ("sqlite3", "psycopg")  # modules of errors; the second one may not be there
_CUT_SHORT = ("SQLITE_INTERRUPT", "57014")
_ENDED = ("57P01", "57P02", "57P05")  # a connection: the server stops, or was told to end it
_NO_VALUE = "22"  # PostgreSQL's class of values that do not fit


class Collided(Unavailable):
    """The rows are locked by another transaction; or the two waited for each other."""

    def __init__(self) -> None:
        super().__init__("the rows are locked by another transaction")


def _damaged() -> Corrupt:
    return Corrupt("the database is damaged")


_MEANS: tuple[tuple[set[str], Callable[[], StoreError]], ...] = (
    ({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID", "23505"}, Taken),
    ({"SQLITE_CONSTRAINT_FOREIGNKEY", "23503"}, Missing),
    ({"SQLITE_CORRUPT", "SQLITE_NOTADB", "XX001", "XX002"}, _damaged),
    ({"40001", "40P01", "55P03"}, Collided),
)


class _Translated:
    """A class, not a generator: it is entered for every statement."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None and (meaning := meaning_of(error)) is not error:
            raise meaning from error


_TRANSLATED = _Translated()


def translated() -> _Translated:
    """Raises a StoreError for each error of SQLAlchemy, of a driver, or of a value that no column takes."""
    return _TRANSLATED


def meaning_of(error: BaseException) -> BaseException:
    """The StoreError that it is, or itself if it is none of the store's."""
    if isinstance(error, OverflowError | UnicodeError):
        return _too_long()
    if isinstance(error, SQLAlchemyError):
        return _meaning(error)
    if type(error).__module__.partition(".")[0] in _DRIVERS:
        return _lost(error) or _meaning_of_driver(error)
    return error


def _lost(error: BaseException) -> StoreError | None:
    """What a driver says of a connection that it had: psycopg says it without a code, or PostgreSQL why it ends it."""
    code = _code(error)
    if code in _ENDED or (not code and type(error).__name__ == "OperationalError"):
        return Unavailable("the connection to the database was lost")
    return None


def _meaning(error: SQLAlchemyError) -> StoreError:
    if not isinstance(error, StatementError):
        return StoreError()
    if isinstance(error.orig, StoreError):
        return error.orig
    if isinstance(error.orig, OverflowError | UnicodeError):
        return _too_long()
    if not isinstance(error, DBAPIError):  # of no driver: it came about while the values were made ready
        return Unstorable("a value cannot be written down")
    if error.connection_invalidated:
        return Unavailable("the connection to the database was lost")
    return _meaning_of_driver(error.orig)


def _meaning_of_driver(error: BaseException | None) -> StoreError:
    code = _code(error)
    if code in _CUT_SHORT:
        return TooLong()
    if code.startswith(_NO_VALUE):
        return _too_long()
    if said := _SAYS.get(code) or _SAYS.get(code[:2]):
        return Unavailable(said)
    if not code:
        return Unavailable("the database cannot be reached")
    return next((meaning() for codes, meaning in _MEANS if code in codes), StoreError())


def _too_long() -> Unstorable:
    return Unstorable("a number is too long, or a text is none")


def _code(error: BaseException | None) -> str:
    """SQLITE_FULL and the like without what SQLite adds to it, or five characters of PostgreSQL."""
    name: str = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith("SQLITE_CONSTRAINT"):
        return name
    if name:
        return "_".join(name.split("_")[:2])
    return getattr(error, "sqlstate", None) or ""


class Database:
    """A database by its URL: sqlite:////var/lib/hookcell/hookcell.db, or postgresql+psycopg://user@host/name."""

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self.sqlite = self._url.get_backend_name() == "sqlite"

    @property
    def file(self) -> str:
        """SQLite's file."""
        return self._url.database or ""

    def engine(self, mode: Literal["write", "read"]) -> Engine:
        """Connections that are opened when asked for, and closed when given back."""
        if self.sqlite:
            return _sqlite_engine(self._url, mode)
        return _postgres_engine(self._url, mode)


def _checked(text: str) -> URL:
    try:
        url = sqlalchemy.make_url(text)
        driver = url.get_dialect().driver
    except (SQLAlchemyError, ValueError, ImportError):
        raise StoreError(f"{_without_password(text)} is no address of a database") from None
    if url.get_backend_name() not in ("sqlite", "postgresql") or driver not in ("pysqlite", "psycopg"):
        raise StoreError("the database is sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")
    if driver == "pysqlite" and (not url.database or url.database == ":memory:" or url.query):
        raise StoreError("SQLite's database is a file: sqlite:///FILE")
    return url


def _without_password(text: str) -> str:
    return text.partition(":")[0][:20] + ":…"


def _sqlite_engine(url: URL, mode: str) -> Engine:
    engine = sqlalchemy.create_engine(
        url, poolclass=NullPool, connect_args={"isolation_level": None}, paramstyle="named"
    )
    pragmas = (*_SQLITE_PRAGMAS, "query_only = ON") if mode == "read" else _SQLITE_PRAGMAS

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        begin(connection.connection.driver_connection, mode)

    return engine


def begin(driver: Any, mode: str) -> None:
    """Begins a transaction on a driver's connection, if it has none. PostgreSQL's begins with its first statement."""
    if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
        if mode == "read":
            _limit_time(driver)
        driver.execute("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")


def _limit_time(driver: sqlite3.Connection) -> None:
    """What SQLite does from now on is cut short at the deadline, whatever statement it is."""
    until = time.monotonic() + _DEADLINE_S
    driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)


def _postgres_engine(url: URL, mode: str) -> Engine:
    options = f"-c timezone=UTC -c lock_timeout={_LOCK_MS} -c jit=off"  # to compile a plan takes longer than it does
    if mode == "read":
        options += f" -c statement_timeout={int(_DEADLINE_S * 1000)}"
    engine = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=_POSTGRES | {"options": options})
    if mode == "read":  # one snapshot for all statements of a question
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine


def emptied_log(connection: Connection) -> bool:
    """Whether nothing stands in SQLite's log any more. True for PostgreSQL, whose log is its own affair.

    It does not wait for those who read: while one does, the answer is no.
    """
    driver: Any = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        return True
    with translated():
        patience = driver.execute("PRAGMA busy_timeout").fetchone()[0]
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            busy: int = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            driver.execute(f"PRAGMA busy_timeout = {patience}")
    return busy == 0


def make_file(name: str) -> None:
    """The file that SQLite is to use, readable by its owner alone, in WAL mode. Raises StoreError."""
    if sqlite3.sqlite_version_info < _SQLITE_AT_LEAST:
        raise StoreError(f"SQLite is {sqlite3.sqlite_version}; it must be 3.38 or newer")
    try:
        os.close(os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Unavailable(f"the database {name} cannot be opened: {error.strerror}") from error
    with translated(), contextlib.closing(sqlite3.connect(name, timeout=_WAIT_S)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
