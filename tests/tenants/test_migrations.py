"""The database's tables: made by migrations, the same as schema.py's, by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tenants import hooks, migrating, schema
from tenants.database import make_file
from tenants.errors import StoreError
from tenants.migrating import migrate
from tenants.records import Retry
from tenants.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
NEWEST = "0003"


def run_sql(url: str, *statements: str) -> list[Any]:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        return list(results[-1]) if results[-1].returns_rows else []


def test_migrations_make_the_tables_of_the_schema(url: str) -> None:
    migrate(url)

    with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert [] == compare_metadata(context, schema.METADATA)


def test_a_migration_says_from_where_to_where(url: str) -> None:
    assert (None, NEWEST) == migrate(url)
    assert (NEWEST, NEWEST) == migrate(url)


def test_a_database_of_a_newer_version_is_a_clear_error(url: str) -> None:
    migrate(url)
    run_sql(url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match=f"newer Hookcell: its version is 9999, this one knows {NEWEST}"):
        Store(url).open()
    assert [("9999",)] == run_sql(url, "SELECT version_num FROM alembic_version")


def test_a_migration_that_fails_leaves_nothing(url: str) -> None:
    """A table that is in its way: everything before it is taken back."""
    run_sql(url, "CREATE TABLE tokens (x INTEGER)")

    with pytest.raises(StoreError):
        migrate(url)
    run_sql(url, "DROP TABLE tokens")
    assert (None, NEWEST) == migrate(url)


def test_many_processes_migrate_at_once(url: str) -> None:
    """One of them does it; the others wait, then find it done."""
    program = "import sys; from tenants.migrating import migrate; print(migrate(sys.argv[1])[0])"
    command = [sys.executable, "-c", program, url]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in processes)

    assert [NEWEST] * 3 + ["None"] == said


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    """As another process that migrates has it."""
    if url.startswith("sqlite"):
        file = url.removeprefix("sqlite:///")
        make_file(file)
        with Path(file + ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    else:
        with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({migrating._LOCK})")
            yield


def test_nothing_is_migrated_while_another_process_has_the_lock(url: str) -> None:
    """It waits, for longer than a change waits for a lock, and goes on when the other one has ended."""
    done: list[tuple[str | None, str]] = []
    thread = threading.Thread(target=lambda: done.append(migrate(url)))
    with locked(url):
        thread.start()
        thread.join(1)  # without a lock it would have ended long ago

        assert thread.is_alive()
        assert [] == tables_of(url)
    thread.join(60)
    assert [(None, NEWEST)] == done


def tables_of(url: str) -> list[str]:
    with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect() as connection:
        return sqlalchemy.inspect(connection).get_table_names()


def test_a_tenant_of_the_first_version_is_there_after_the_last(url: str) -> None:
    migrate(url)
    run_sql(
        url,
        "ALTER TABLE hooks DROP COLUMN retry",
        "ALTER TABLE tenants DROP COLUMN gone_ms",
        "UPDATE alembic_version SET version_num = '0001'",
        "INSERT INTO tenants VALUES ('t1', 'acme', '{\"modules\": null}', 1, 2, 3, 4)",
    )

    assert ("0001", NEWEST) == migrate(url)
    assert [("acme", None)] == run_sql(url, "SELECT name, gone_ms FROM tenants")


def test_a_hook_of_the_second_version_is_not_tried_again(url: str, opened: Callable[[str], Store]) -> None:
    """As it was; and its point's executions, of which there were none, are recorded from now on."""
    migrate(url)
    run_sql(
        url,
        "ALTER TABLE hooks DROP COLUMN retry",
        "UPDATE alembic_version SET version_num = '0002'",
        "INSERT INTO tenants VALUES ('t1', 'acme', '{\"modules\": null}', 1, 2, 3, 4, NULL)",
        "INSERT INTO hooks VALUES ('t1', 'h1', 'one', 'p', true, 0, NULL, 1, 5, 6)",
        "INSERT INTO versions VALUES ('t1', 'h1', 1, 'source', 'sha', '{}', 5, 'tests')",
    )
    assert ("0002", NEWEST) == migrate(url)

    assert Retry() == opened(url).read("t1", hooks.get, "h1").result(60).retry


@pytest.mark.slow
def test_the_migrations_are_in_the_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    scripts = [path.relative_to(ROOT) for path in (ROOT / "tenants" / "migrations").rglob("*.py")]
    assert len(scripts) >= 3
    assert set() == {str(script) for script in scripts} - set(names)


def test_an_opened_store_is_migrated(url: str, opened: Callable[[str], Store]) -> None:
    opened(url)

    assert (NEWEST, NEWEST) == migrate(url)
