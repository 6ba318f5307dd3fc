"""A disk that is full or read-only, a database that is locked or gone: what was acknowledged stays, nothing else does."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from tenants import database, log_events, log_search, register, schema
from tenants import store as store_module
from tenants.errors import Corrupt, StoreError, Unavailable
from tenants.records import SealedKey, Settings, Tenant
from tenants.rows import Everything, Rows
from tenants.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
LARGE = "x" * 30_000


def fill(asked: Any, tenant: Tenant) -> list[str]:
    """Writes until it is refused, in batches; the ids of what was acknowledged."""
    kept: list[str] = []
    for _ in range(1000):
        futures = [
            asked.store.write(tenant.id, log_events.append, type="x", description=LARGE, hostname=str(number))
            for number in range(8)
        ]
        wait(futures, 60)
        kept += [future.result().log_id for future in futures if future.exception() is None]
        if refused := [future.exception() for future in futures if future.exception() is not None]:
            assert {Unavailable} == {type(error) for error in refused}
            assert {"the disk is full"} == {str(error) for error in refused}
            return kept
    pytest.fail("it is never full")


def ids_of(asked: Any, tenant: Tenant) -> list[str]:
    return [event.log_id for event in asked.events(tenant)]


@pytest.fixture
def most_pages() -> Iterator[list[int]]:
    """`most_pages[0] = n`: so many pages every database of SQLite may have that is connected to from now on."""
    most = [0]

    def limit(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection) and most[0]:
            connection.execute(f"PRAGMA max_page_count = {most[0]}")

    event.listen(Engine, "connect", limit)
    yield most
    event.remove(Engine, "connect", limit)


def test_a_full_database_keeps_what_it_said_and_goes_on_when_there_is_room(
    most_pages: list[int], sqlite_url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    opened(sqlite_url).close()
    most_pages[0] = 200
    asked = asked_of(opened(sqlite_url))
    tenant = asked.tenant("acme")
    kept = fill(asked, tenant)

    assert kept == ids_of(asked, tenant)
    most_pages[0] = 100_000
    with contextlib.suppress(Unavailable):  # the connection that met the limit has it yet
        asked.write(tenant, log_events.append, type="y", description=LARGE)
    kept = ids_of(asked, tenant)
    kept.append(asked.write(tenant, log_events.append, type="y", description=LARGE).log_id)
    assert kept == ids_of(asked, tenant)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 3 MB; root alone can make one."""
    folder = Path(tempfile.mkdtemp(prefix="disk"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


def test_a_full_disk_keeps_what_it_said_and_goes_on_when_there_is_room(
    small_disk: Path, asked_of: Callable[[Store], Any]
) -> None:
    """The same store, without being opened again."""
    store = Store(f"sqlite:///{small_disk}/store.db")
    store.open()
    try:
        asked = asked_of(store)
        (small_disk / "ballast").write_bytes(bytes(1 << 20))
        tenant = asked.tenant("acme")
        kept = fill(asked, tenant)

        assert kept == ids_of(asked, tenant)
        (small_disk / "ballast").unlink()
        kept.append(asked.write(tenant, log_events.append, type="y", description=LARGE).log_id)
        assert kept == ids_of(asked, tenant)
        assert "ok" == integrity(small_disk / "store.db")
    finally:
        store.close()


def test_a_disk_that_turns_read_only_is_a_clear_error(small_disk: Path, asked_of: Callable[[Store], Any]) -> None:
    store = Store(f"sqlite:///{small_disk}/store.db")
    store.open()
    asked_of(store).tenant("acme")
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(Unavailable, match="cannot be opened: Read-only file system"):
        Store(f"sqlite:///{small_disk}/store.db").open()


def integrity(file: Path) -> str:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        said: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return said


@pytest.mark.parametrize("folder_is", ["with a database", "empty"])
def test_a_read_only_folder_is_a_clear_error(folder_is: str) -> None:
    """Of whoever may not write it, who is not root."""
    folder = Path(tempfile.mkdtemp(prefix="readonly"))
    if folder_is == "with a database":
        store = Store(f"sqlite:///{folder}/store.db")
        store.open()
        store.close()
        (folder / "store.db").chmod(0o444)
        (folder / "store.db.lock").unlink()
    folder.chmod(0o555)
    program = (
        "import os, sys; from tenants.store import Store; from tenants.errors import Unavailable\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: Store(sys.argv[1]).open()\n"
        "except Unavailable as error: print(error)"
    )
    try:
        said = subprocess.run(
            [sys.executable, "-c", program, f"sqlite:///{folder}/store.db"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)

    assert (f"the database {folder}/store.db cannot be opened: Permission denied\n", "") == (said.stdout, said.stderr)


def test_a_locked_database_is_a_clear_error_and_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    monkeypatch.setattr(database, "_SQLITE_PRAGMAS", (*database._SQLITE_PRAGMAS, "busy_timeout = 50"))
    asked = asked_of(opened(sqlite_url))
    tenant = asked.tenant("acme")
    with contextlib.closing(sqlite3.connect(asked.store._database.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="the database is locked by another process"):
            asked.write(tenant, log_events.append, type="x")
        assert [] == ids_of(asked, tenant)
        other.execute("ROLLBACK")

    assert [asked.write(tenant, log_events.append, type="x").log_id] == ids_of(asked, tenant)


def in_one_batch(asked: Any, tenant: Tenant, third: Callable[[Rows], Any]) -> list[BaseException | None]:
    """Five changes in one transaction, of which the third is `third`: what each was told."""
    reached, go_on = threading.Event(), threading.Event()

    def gate(_everything: Everything) -> None:
        reached.set()
        assert go_on.wait(60)

    futures: list[Future[Any]] = [asked.store.write_all(gate)]
    assert reached.wait(60)
    for number in range(5):
        if number == 2:
            futures.append(asked.store.write(tenant.id, third))
        else:
            futures.append(asked.store.write(tenant.id, log_events.append, type=str(number)))
    go_on.set()
    wait(futures, 60)
    return [future.exception() for future in futures[1:]]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction is not committed before all changes that wait are made, however slow the machine is."""
    monkeypatch.setattr(store_module, "_MOST_S", 600)


def end_transaction(rows: Rows) -> None:
    """As SQLite does by itself when it can neither go on nor go back."""
    driver: Any = rows.driver
    driver.execute("ROLLBACK")


def end_transaction_and_fail(rows: Rows) -> None:
    end_transaction(rows)
    raise Unavailable("the disk cannot be read or written")


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("third", [end_transaction, end_transaction_and_fail])
def test_nobody_is_told_of_success_when_the_transaction_ends_by_itself(
    asked_sqlite: Any, third: Callable[[Rows], None]
) -> None:
    tenant = asked_sqlite.tenant("acme")
    told = in_one_batch(asked_sqlite, tenant, third)
    events = asked_sqlite.events(tenant)

    assert [Unavailable] * 3 == [type(error) for error in told[:3]]
    assert [None, None] == told[3:]  # they were not begun, so the next transaction has them
    assert ["3", "4"] == [event.type for event in events]


@pytest.mark.usefixtures("unhurried")
def test_nobody_is_told_of_success_when_the_connection_is_lost(
    postgres_url: str,
    opened: Callable[[str], Store],
    asked_of: Callable[[Store], Any],
    postgres_cluster: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the middle of a transaction; the next change has a new connection. They learn why, and the log of nothing."""
    asked = asked_of(opened(postgres_url))
    tenant = asked.tenant("acme")

    def cut(rows: Rows) -> None:
        with contextlib.closing(psycopg.connect(f"host={postgres_cluster} user=hookcell dbname=postgres")) as other:
            pid = rows.driver.info.backend_pid
            other.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
        log_events.append(rows, type="cut")

    told = in_one_batch(asked, tenant, cut)
    assert [Unavailable] * 3 == [type(error) for error in told[:3]]
    assert {"the connection to the database was lost"} == {str(error) for error in told[:3]}
    assert ["3", "4"] == [event.type for event in asked.events(tenant)]
    assert [] == caplog.messages


def test_a_reader_has_a_new_connection_after_it_lost_its_own(
    postgres_url: str,
    opened: Callable[[str], Store],
    asked_of: Callable[[Store], Any],
    postgres_cluster: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = asked_of(opened(postgres_url))
    tenant = asked.tenant("acme")
    for _ in range(10):
        assert [] == ids_of(asked, tenant)
    with contextlib.closing(psycopg.connect(f"host={postgres_cluster} user=hookcell dbname=postgres")) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'hookcell'"
        )

    assert [[]] * 4 == [ids_of(asked, tenant) for _ in range(4)]
    assert [] == caplog.messages


def test_changes_of_two_nodes_that_wait_for_each_other_are_made_again(
    postgres_url: str, opened: Callable[[str], Store]
) -> None:
    """PostgreSQL ends one of them; nobody is told of it."""
    stores = [opened(postgres_url), opened(postgres_url)]
    key = SealedKey(master_key_id="m", wrapped=b"")
    ids = [stores[0].write_all(register.create, name, Settings(), key).result(60).id for name in ("a", "b")]
    both = threading.Barrier(2)

    def change(everything: Everything, order: list[str], attempts: list[int]) -> None:
        attempts.append(len(attempts))
        log_events.append(everything.of(order[0]), type="x")
        if attempts == [0]:
            both.wait(60)
        log_events.append(everything.of(order[1]), type="x")

    attempts: list[list[int]] = [[], []]
    futures = [
        store.write_all(change, order, tried)
        for store, order, tried in zip(stores, [ids, ids[::-1]], attempts, strict=True)
    ]
    assert [None, None] == [future.result(60) for future in futures]
    assert any(tried > [0] for tried in attempts)
    assert [2, 2] == [stores[0].read(tenant_id, log_search.number, None).result(60) for tenant_id in ids]


def test_a_damaged_database_says_so(sqlite_url: str, opened: Callable[[str], Store], tmp_path: Path) -> None:
    """A page in the middle of the file, of a table that is read."""
    store = opened(sqlite_url)
    key = SealedKey(master_key_id="m", wrapped=b"")
    tenant = store.write_all(register.create, "acme", Settings(), key).result(60)
    for _ in range(50):
        store.write(tenant.id, log_events.append, type="x", description=LARGE).result(60)
    store.close()
    file = tmp_path / "store.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'log_events'").fetchone()[0]
    content = bytearray(file.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    file.write_bytes(content)

    with pytest.raises(Corrupt, match="the database is damaged"):
        opened(sqlite_url).read(tenant.id, log_events.after, "", 100).result(60)


def test_no_error_tells_of_sql_or_paths(asked: Any) -> None:
    """A statement that cannot be run: what is said of it is ours."""
    tenant = asked.tenant("acme")
    with pytest.raises(StoreError) as caught:
        asked.write(tenant, lambda rows: rows.execute(rows.insert(schema.hooks), {"hook_id": "x"}))

    assert "The store could not answer." == str(caught.value)
