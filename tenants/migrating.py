"""Brings a database to today's tables: one process at a time, all in one transaction."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from tenants.database import Database, make_file, translated
from tenants.errors import StoreError, Unavailable

_LOCK = 7_236_551_190_214  # of PostgreSQL's advisory locks; any number that nobody else of the database takes
_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(url: str) -> tuple[str | None, str]:
    """The version that the database had, None for an empty one, and the one it has now. Raises StoreError."""
    database = Database(url)
    with _alone(database), translated(), database.engine("write").begin() as connection:
        if not database.sqlite:
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
    try:
        lock = Path(database.file + ".lock").open("ab")  # noqa: SIM115 - closed below
    except OSError as error:
        raise Unavailable(f"{database.file}.lock cannot be opened: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
