"""Tenants: made, found, changed, removed with all that is theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from queue_rows import new

from tenants import executions, hooks, log_events, register, schema, secret_values, token_rows
from tenants.errors import Missing, Taken
from tenants.records import Draft, SealedKey, Settings, Tenant, Token
from tenants.store import Store

KEY = SealedKey(master_key_id="m1", wrapped=bytes(range(60)))


def test_a_tenant_is_found_by_name_and_id(asked: Any) -> None:
    settings = {
        "wall_ms": 5_000, "mode": "invocation", "modules": ("json", "re"), "egress": {"hosts": ["a.example"]},
        "multiple_hooks": True, "most_hooks": 3, "api_per_second": 7,
    }  # fmt: skip
    made = asked.tenant("acme", **settings)

    assert Settings(**settings) == made.settings
    assert made == asked.read_all(register.named, "acme")
    assert made == asked.read_all(register.by_id, made.id)
    assert 26 == len(made.id)


def test_the_name_of_a_tenant_is_its_own(asked: Any, acme: Tenant) -> None:
    with pytest.raises(Taken) as caught:
        asked.tenant("acme")

    assert "tenant" == caught.value.what
    assert ([acme], 1) == asked.read_all(register.page, 0, 10)


@pytest.mark.parametrize("name", ["ACME", "acm", "acme ", "%", "", "' OR 1=1 --"])
def test_a_tenant_that_is_not_there_is_missing(asked: Any, acme: Tenant, name: str) -> None:
    assert "acme" == acme.name
    for question in (register.named, register.by_id):
        with pytest.raises(Missing) as caught:
            asked.read_all(question, name)
        assert "tenant" == caught.value.what


def test_tenants_are_listed_in_the_order_they_were_made(asked: Any) -> None:
    made = [asked.tenant(name) for name in ("b", "c", "a", "d")]

    assert (made, 4) == asked.read_all(register.page, 0, 10)
    assert (made[1:3], 4) == asked.read_all(register.page, 1, 2)
    assert ([], 4) == asked.read_all(register.page, 4, 2)


def test_ids_of_tenants_made_at_once_ascend(asked: Any) -> None:
    futures = [asked.store.write_all(register.create, f"t{number}", Settings(), KEY) for number in range(50)]
    ids = [future.result(60).id for future in futures]

    assert sorted(set(ids)) == ids


def test_a_data_key_may_be_made_from_the_tenants_id(asked: Any) -> None:
    def key(tenant_id: str) -> SealedKey:
        return SealedKey(master_key_id="m", wrapped=tenant_id.encode())

    made = asked.write_all(register.create, "acme", Settings(), key)

    assert key(made.id) == asked.read(made, secret_values.data_key)


def test_settings_are_changed_whole(asked: Any) -> None:
    made = asked.tenant("acme", wall_ms=1, most_hooks=2)
    changed = asked.write_all(register.change, made.id, Settings(result_bytes=3))

    assert Settings(result_bytes=3) == changed.settings
    assert changed == asked.read_all(register.named, "acme")
    with pytest.raises(Missing):
        asked.write_all(register.change, "nobody", Settings())


def fill(asked: Any, tenant: Tenant, draft: Callable[..., Draft]) -> None:
    """One row or more in every table that a tenant has rows in."""
    hook = asked.hook(tenant, "one", enabled=True)
    asked.write(tenant, hooks.change, hook.id, hooks.HookChanges(draft=draft("other")))
    asked.write(tenant, secret_values.add, hook.id, {"A": b"sealed"}, 20)
    asked.write(tenant, log_events.append, type="sapi")
    fields = {"tenant_id": tenant.id, "scopes": frozenset({"x"}), "created_ms": 1, "expires_ms": None}
    asked.write(tenant, token_rows.create, Token(id="1" + tenant.name, name="a", **fields), tenant.id.encode())
    given = Token(id="0" + tenant.name, name="b", parent_id="1" + tenant.name, **fields)
    asked.write(tenant, token_rows.create, given, b"given for " + tenant.id.encode())
    asked.write_all(executions.enqueue, [new(tenant)])


def rows_by_tenant(url: str) -> dict[str, dict[str, int]]:
    """How many rows each tenant has in each table, read past the store."""
    counted: dict[str, dict[str, int]] = {}
    with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect() as connection:
        for table in schema.METADATA.sorted_tables:
            if "tenant_id" in table.c:
                sql = f"SELECT tenant_id, count(*) FROM {table.name} GROUP BY tenant_id"
                for tenant_id, number in connection.exec_driver_sql(sql):
                    counted.setdefault(tenant_id, {})[table.name] = number
    return counted


def test_a_tenant_is_removed_with_all_that_is_its_and_nothing_else(
    asked: Any, acme: Tenant, url: str, draft: Callable[..., Draft]
) -> None:
    other = asked.tenant("other")
    fill(asked, acme, draft)
    fill(asked, other, draft)
    before = rows_by_tenant(url)
    tables = {table.name for table in schema.METADATA.sorted_tables} - {"meta"}
    assert [tables, tables] == [set(counted) for counted in before.values()]
    asked.write_all(register.remove, acme.id)
    assert tables - {"data_keys", "tokens"} == set(rows_by_tenant(url)[acme.id])
    sweep_away(asked, acme)

    assert {other.id: before[other.id]} == rows_by_tenant(url)
    with pytest.raises(Missing):
        asked.write_all(register.remove, acme.id)
    assert not asked.write_all(register.sweep, other.id)
    assert {other.id: before[other.id]} == rows_by_tenant(url)


def sweep_away(asked: Any, tenant: Tenant) -> int:
    """Takes away what a removed tenant left; in how many changes."""
    assert [tenant.id] == asked.read_all(register.gone)
    parts = 1
    while asked.write_all(register.sweep, tenant.id):
        parts += 1
    assert [] == asked.read_all(register.gone)
    return parts


def test_a_removed_tenant_is_seen_by_nobody_before_it_is_swept_away(
    asked: Any, acme: Tenant, draft: Callable[..., Draft]
) -> None:
    """Nor by who knows its id, its hook's id, or its name; nobody can write to it, and it is not removed again."""
    other = asked.tenant("other")
    fill(asked, acme, draft)
    hook = asked.read(acme, hooks.named, "one")
    asked.write_all(register.remove, acme.id)

    assert ([other], 1) == asked.read_all(register.page, 0, 10)
    for table in schema.METADATA.sorted_tables:
        if table is not schema.meta:
            assert 0 == asked.read(acme, lambda rows, table=table: rows.count(table)), table
    assert ([], []) == (asked.events(acme), asked.read(acme, log_events.after, "", 10))
    for ask in (
        lambda: asked.read_all(register.named, "acme"),
        lambda: asked.read_all(register.named, f"gone: {acme.id}"),
        lambda: asked.read_all(register.by_id, acme.id),
        lambda: asked.read(acme, hooks.get, hook.id),
        lambda: asked.read(acme, hooks.revision),
        lambda: asked.write(acme, log_events.append, type="x"),
        lambda: asked.write_all(lambda everything: log_events.append(everything.of(acme.id), type="x")),
        lambda: asked.write_all(register.change, acme.id, Settings()),
        lambda: asked.write_all(register.remove, acme.id),
    ):
        with pytest.raises(Missing):
            ask()


def test_a_large_tenant_is_swept_away_in_small_changes(
    asked: Any, acme: Tenant, monkeypatch: pytest.MonkeyPatch, draft: Callable[..., Draft]
) -> None:
    """Its name is free before that."""
    monkeypatch.setattr(register, "_MOST_SWEPT", 10)
    fill(asked, acme, draft)

    def log(rows: Any) -> None:
        for _ in range(99):
            log_events.append(rows, type="x")

    asked.write(acme, log)
    asked.write_all(register.remove, acme.id)
    again = asked.tenant("acme")

    assert sweep_away(asked, acme) > 10
    assert ([again], 1) == asked.read_all(register.page, 0, 10)


def test_a_name_may_be_used_again_but_the_id_is_not(asked: Any, acme: Tenant) -> None:
    asked.hook(acme, "one")
    asked.write_all(register.remove, acme.id)
    again = asked.tenant("acme")

    assert acme.id != again.id
    assert ([], 0) == asked.read(again, hooks.page)


def files_with(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if text in path.read_bytes()]


def test_a_removed_tenants_data_key_is_in_no_file(asked_sqlite: Any, tmp_path: Path) -> None:
    """Neither in the database nor in its log; the store goes on being open, and others' keys stay."""
    for name in ("acme", "other"):
        asked_sqlite.tenant(name)
    assert [] != files_with(tmp_path, b"wrapped key of acme")
    asked_sqlite.write_all(register.remove, asked_sqlite.read_all(register.named, "acme").id)
    asked_sqlite.write_all(register.keep, "x", b"after the log was emptied")

    assert [] == files_with(tmp_path, b"wrapped key of acme")
    assert [] != files_with(tmp_path, b"wrapped key of other")


def test_what_is_deleted_is_overwritten_whatever_sqlite_does_by_itself(
    tmp_path: Path, sqlite_url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    """Also without the tenant's end, in the database's free pages."""

    def careless(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA secure_delete = OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", careless)
    try:
        asked = asked_of(opened(sqlite_url))
        tenant = asked.tenant("acme")
        hook = asked.hook(tenant, "one", "# a source that is to be forgotten\n" * 1_000)
        asked.write(tenant, hooks.remove, hook.id)
        asked.store.close()
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", careless)

    assert [] == files_with(tmp_path, b"a source that is to be forgotten")


def test_a_rewrapped_data_key_is_in_no_file(asked_sqlite: Any, tmp_path: Path) -> None:
    tenant = asked_sqlite.tenant("acme")
    old = asked_sqlite.read(tenant, secret_values.data_key)
    new = SealedKey(master_key_id="m2", wrapped=b"another text")

    assert asked_sqlite.write_all(register.rewrap, tenant.id, old, new)
    asked_sqlite.write_all(register.keep, "x", b"after the log was emptied")
    assert [] == files_with(tmp_path, old.wrapped)


def test_data_keys_are_rewrapped_once(asked: Any) -> None:
    tenants = [asked.tenant(f"t{number}") for number in range(5)]
    new = SealedKey(master_key_id="m2", wrapped=b"new")
    old = asked.read_all(register.data_keys_not_under, "m2", 3)

    assert [tenant.id for tenant in tenants[:3]] == list(old)
    assert all(asked.write_all(register.rewrap, tenant_id, key, new) for tenant_id, key in old.items())
    assert not any(asked.write_all(register.rewrap, tenant_id, key, new) for tenant_id, key in old.items())
    assert [tenant.id for tenant in tenants[3:]] == list(asked.read_all(register.data_keys_not_under, "m2", 9))
    assert new == asked.read(tenants[0], secret_values.data_key)


def test_what_is_kept_for_the_server_is_replaced(asked: Any) -> None:
    assert None is asked.read_all(register.kept, "x")
    asked.write_all(register.keep, "x", b"\0\xff")
    asked.write_all(register.keep, "x", b"")

    assert b"" == asked.read_all(register.kept, "x")


def test_a_store_that_is_opened_again_has_what_it_had(url: str, opened: Callable[[str], Store]) -> None:
    first = opened(url)
    made = first.write_all(register.create, "acme", Settings(), KEY).result(60)
    first.close()

    assert made == opened(url).read_all(register.named, "acme").result(60)
