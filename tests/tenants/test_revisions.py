"""Revisions as they are now: whoever has committed, and whatever was remembered."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tenants import hooks, register, secret_values, token_rows
from tenants.errors import StoreError
from tenants.hooks import HookChanges
from tenants.records import Retry, Settings, Tenant, Token
from tenants.revisions import Revisions
from tenants.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def revisions(url: str, asked: Any) -> Iterator[Revisions]:
    made = Revisions(url, asked.store)
    yield made
    made.close()


async def test_every_change_that_is_acknowledged_is_seen(revisions: Revisions, asked: Any, acme: Tenant) -> None:
    """Each counts one; what changes nothing of the tenant's does not."""
    seen = [await revisions.of(acme.id)]
    hook = asked.hook(acme, "one")
    token = Token(id="1", tenant_id=acme.id, name="t", scopes=frozenset(), created_ms=1, expires_ms=None)
    for change, *given in (
        (hooks.change, hook.id, HookChanges(enabled=True)),
        (hooks.change, hook.id, HookChanges(retry=Retry(attempts=3))),
        (hooks.change, hook.id, HookChanges(retry=Retry(attempts=3))),
        (secret_values.add, hook.id, {"A": b"1", "B": b"1"}, 20),
        (secret_values.replace, hook.id, {"A": b"2"}),
        (secret_values.put, hook.id, {"C": b"3"}, 20),
        (secret_values.put, hook.id, {}, 20),
        (secret_values.remove, hook.id, ["A", "B"]),
        (secret_values.remove, hook.id, ["A"]),
        (token_rows.create, token, b"digest"),
        (token_rows.remove, "1"),
        (hooks.remove, hook.id),
    ):
        asked.write(acme, change, *given)
        seen.append(await revisions.of(acme.id))
    asked.write_all(register.change, acme.id, Settings(most_hooks=1))
    asked.tenant("other")

    assert [0, 2, 3, 3, 4, 5, 6, 6, 7, 7, 7, 8, 9, 10] == [*seen, await revisions.of(acme.id)]


async def test_a_tenant_that_is_not_there_has_none(revisions: Revisions, asked: Any, acme: Tenant) -> None:
    assert (0, None, None) == (await revisions.of(acme.id), await revisions.of("nobody"), await revisions.of(""))
    asked.write_all(register.remove, acme.id)

    assert None is await revisions.of(acme.id)


async def test_one_that_was_not_there_is_seen_when_it_is(revisions: Revisions, asked: Any) -> None:
    first = asked.tenant("first")
    assert None is await revisions.of("0" * 26)
    assert 0 == await revisions.of(first.id)
    second = asked.tenant("second")

    assert 0 == await revisions.of(second.id)


async def test_another_process_is_seen(revisions: Revisions, acme: Tenant, url: str) -> None:
    assert 0 == await revisions.of(acme.id)
    program = (
        "import sys\nfrom tenants import register\nfrom tenants.records import Settings\nfrom tenants.store import Store\n"
        "store = Store(sys.argv[1])\nstore.open()\n"
        "store.write_all(register.change, sys.argv[2], Settings(most_hooks=1)).result()\nstore.close()\n"
    )
    command = [sys.executable, "-c", program, url, acme.id]
    await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=True)

    assert 1 == await revisions.of(acme.id)


async def test_what_was_not_committed_is_not_seen(revisions: Revisions, asked: Any, acme: Tenant) -> None:
    def change_and_fail(rows: Any) -> None:
        rows.count_change()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asked.write(acme, change_and_fail)

    assert 0 == await revisions.of(acme.id)


async def test_a_tenant_waits_in_no_line_but_its_own(revisions: Revisions, asked: Any, acme: Tenant) -> None:
    """However long that of the operator is, which all tenants share."""
    readers, go = threading.Barrier(3), threading.Event()
    for _ in range(2):
        asked.store.read("another", lambda _: (readers.wait(60), go.wait(60)))
    readers.wait(60)
    others = [asked.store.read_all(lambda _: None) for _ in range(1_001)]
    assert others[-1].done()
    told = asyncio.ensure_future(revisions.of(acme.id))
    await asyncio.sleep(0)
    go.set()

    assert 0 == await told


async def test_a_closed_one_lets_the_file_go_and_opens_it_again(revisions: Revisions, acme: Tenant) -> None:
    assert 0 == await revisions.of(acme.id)
    revisions.close()
    revisions.close()

    assert 0 == await revisions.of(acme.id)


async def test_it_does_not_keep_the_log_from_being_emptied(
    sqlite_url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any], tmp_path: Path
) -> None:
    """No question of it stays open."""
    asked = asked_of(opened(sqlite_url))
    acme = asked.tenant("acme")
    revisions = Revisions(sqlite_url)
    assert 0 == await revisions.of(acme.id)
    asked.write_all(register.remove, acme.id)
    asked.store.close()
    asked.store.open()

    assert 0 == (tmp_path / "store.db-wal").stat().st_size
    revisions.close()


async def test_a_file_that_is_no_database_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"nothing of the kind" * 100)

    with pytest.raises(StoreError):
        await Revisions(f"sqlite:///{tmp_path}/store.db").of("t")


def test_postgresql_is_asked_through_a_store() -> None:
    with pytest.raises(StoreError):
        Revisions("postgresql+psycopg://user@host/name")
