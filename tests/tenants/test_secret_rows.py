"""Sealed secrets: all or none, and the names alone without the key."""

from __future__ import annotations

from typing import Any

import pytest

from tenants import secret_values
from tenants.errors import Missing, Taken, TooMany
from tenants.records import Hook, SealedKey, Tenant


@pytest.fixture
def hook(asked: Any, acme: Tenant) -> Hook:
    made: Hook = asked.hook(acme, "one")
    return made


def test_secrets_come_back_as_they_were_sealed(asked: Any, acme: Tenant, hook: Hook) -> None:
    sealed = {"b": bytes(range(256)), "A": b"", "é": b"3"}
    asked.write(acme, secret_values.add, hook.id, sealed, 3)

    assert sealed == asked.read(acme, secret_values.sealed, hook.id)
    assert ["A", "b", "é"] == asked.read(acme, secret_values.names, hook.id)


def test_a_name_that_is_there_is_not_added_and_nothing_is(asked: Any, acme: Tenant, hook: Hook) -> None:
    asked.write(acme, secret_values.add, hook.id, {"A": b"1"}, 20)
    with pytest.raises(Taken, match="A") as caught:
        asked.write(acme, secret_values.add, hook.id, {"B": b"2", "A": b"2"}, 20)

    assert "secret" == caught.value.what
    assert {"A": b"1"} == asked.read(acme, secret_values.sealed, hook.id)


def test_a_name_that_is_not_there_is_not_replaced_and_nothing_is(asked: Any, acme: Tenant, hook: Hook) -> None:
    asked.write(acme, secret_values.add, hook.id, {"A": b"1"}, 20)
    with pytest.raises(Missing, match="B") as caught:
        asked.write(acme, secret_values.replace, hook.id, {"A": b"2", "B": b"2"})

    assert "secret" == caught.value.what
    assert {"A": b"1"} == asked.read(acme, secret_values.sealed, hook.id)
    asked.write(acme, secret_values.replace, hook.id, {"A": b"3"})
    assert {"A": b"3"} == asked.read(acme, secret_values.sealed, hook.id)


def test_putting_adds_and_replaces(asked: Any, acme: Tenant, hook: Hook) -> None:
    asked.write(acme, secret_values.put, hook.id, {"A": b"1", "B": b"1"}, 2)
    asked.write(acme, secret_values.put, hook.id, {"A": b"2"}, 2)

    assert {"A": b"2", "B": b"1"} == asked.read(acme, secret_values.sealed, hook.id)


@pytest.mark.parametrize("change", [secret_values.add, secret_values.put])
def test_a_hook_has_so_many_secrets_and_no_more(asked: Any, acme: Tenant, hook: Hook, change: Any) -> None:
    asked.write(acme, change, hook.id, {str(number): b"" for number in range(19)}, 20)
    with pytest.raises(TooMany) as caught:
        asked.write(acme, change, hook.id, {"x": b"", "y": b""}, 20)

    assert "secret" == caught.value.what
    assert 19 == len(asked.read(acme, secret_values.names, hook.id))
    asked.write(acme, change, hook.id, {"x": b""}, 20)
    assert 20 == len(asked.read(acme, secret_values.names, hook.id))


def test_removing_ignores_a_name_that_is_not_there(asked: Any, acme: Tenant, hook: Hook) -> None:
    asked.write(acme, secret_values.add, hook.id, {"A": b"1", "B": b"2"}, 20)
    asked.write(acme, secret_values.remove, hook.id, ["A", "none", "A"])

    assert {"B": b"2"} == asked.read(acme, secret_values.sealed, hook.id)


def test_secrets_are_their_hooks_own(asked: Any, acme: Tenant, hook: Hook) -> None:
    two = asked.hook(acme, "two")
    asked.write(acme, secret_values.add, hook.id, {"A": b"1"}, 20)
    asked.write(acme, secret_values.add, two.id, {"A": b"2"}, 20)
    asked.write(acme, secret_values.remove, hook.id, ["A"])

    assert [{}, {"A": b"2"}] == [asked.read(acme, secret_values.sealed, one.id) for one in (hook, two)]
    assert {two.id: ["A"]} == asked.read(acme, secret_values.names_by_hook)


def test_a_data_key_is_its_tenants_own(asked: Any, acme: Tenant) -> None:
    other = asked.tenant("other")

    assert SealedKey(master_key_id="m1", wrapped=b"wrapped key of acme") == asked.read(acme, secret_values.data_key)
    assert b"wrapped key of other" == asked.read(other, secret_values.data_key).wrapped


def test_a_sealed_key_does_not_print_itself() -> None:
    assert "secret" not in repr(SealedKey(master_key_id="m1", wrapped=b"secret"))
