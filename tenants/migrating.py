"""Brings a database to today's tables: one process at a time, all in one transaction."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from tenants.database import Database, make_file, translated
from tenants.errors import StoreError, Unavailable

_LOCK = 7_236_551_190_214  # of PostgreSQL's advisory locks; any number that nobody else of the database takes
_WAIT_S = 60  # for another node that migrates
_LOCK_S = 30  # for another process that opens the same file
_PAUSE_S = 0.05  # between two attempts at that
_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(url: str) -> tuple[str | None, str]:
    """The version that the database had, None for an empty one, and the one it has now. Raises StoreError."""
    database = Database(url)
    with _alone(database), translated(), database.engine("write").begin() as connection:
        if not database.sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT_S}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        return _upgraded(connection)


def _upgraded(connection: Connection) -> tuple[str | None, str]:
    from alembic import command  # noqa: PLC0415 - a fifth of a second, for those alone that open a store
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    assert newest
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(f"the database is of a newer Hookcell: its version is {found}, this one knows {newest}")
    if found != newest:
        command.upgrade(config, "head")
    return found, newest


@contextlib.contextmanager
def _alone(database: Database) -> Iterator[None]:
    """SQLite: no other process opens it now. The lock ends with the process that has it."""
    if not database.sqlite:
        yield
        return
    make_file(database.file)
    name = database.file + ".lock"
    try:
        lock = os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Unavailable(f"{name} cannot be opened: {error.strerror}") from error
    try:
        _take(lock, name)
        yield
    finally:
        os.close(lock)


def _take(lock: int, name: str) -> None:
    """Raises Unavailable when another process keeps it."""
    until = time.monotonic() + _LOCK_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                said = (
                    f"another process has had {name} for {_LOCK_S} seconds: is a server starting there, or migrating?"
                )
                raise Unavailable(said) from None
        except OSError as error:
            raise Unavailable(f"{name} cannot be locked: {error.strerror}") from error
        time.sleep(_PAUSE_S)
