"""The database's tables: made by migrations, the same as schema.py's, by one process at a time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tenants import schema
from tenants.errors import StoreError
from tenants.migrating import migrate
from tenants.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
NEWEST = "0001"


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
