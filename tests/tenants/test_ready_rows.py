"""What the calls of a tenant need, in one snapshot: enabled hooks, what was made of them, and their secrets."""

from __future__ import annotations

from typing import Any

import pytest

from tenants import hooks, ready, register, secret_values
from tenants.errors import Missing
from tenants.hooks import HookChanges
from tenants.records import Tenant


@pytest.fixture
def several(asked: Any) -> Tenant:
    """A tenant that may have several hooks at a point."""
    made: Tenant = asked.tenant("several", multiple_hooks=True)
    return made


def test_enabled_hooks_come_point_by_point_in_their_order(asked: Any, several: Tenant) -> None:
    for name, order, enabled in (("c", 2, True), ("a", 1, True), ("off", 0, False), ("b", 1, True)):
        asked.hook(several, name, order=order, enabled=enabled)
    asked.hook(several, "z", order=9, enabled=True, trigger_id="p")
    there = asked.read(several, ready.enabled, "c1")

    assert ["z", "a", "b", "c"] == [hook.name for hook in there.hooks]
    assert several.id == there.tenant.id
    assert 5 == there.tenant.revision


def test_code_is_that_of_the_live_version_by_the_compiler_that_was_asked_about(
    asked: Any, several: Tenant, draft: Any
) -> None:
    known = asked.hook(several, "known", enabled=True)
    asked.hook(several, "of another", enabled=True, draft=draft("x", compiler="c0"))
    changed = asked.hook(several, "changed", enabled=True)
    asked.write(several, hooks.change, changed.id, HookChanges(draft=draft("new", compiler="c0")))
    there = asked.read(several, ready.enabled, "c1")

    assert {known.id: b"code of it"} == there.codes


def test_secrets_come_with_the_key_and_only_those_of_the_hooks_that_come(asked: Any, several: Tenant) -> None:
    one, other, off = (asked.hook(several, name, enabled=name != "off") for name in ("one", "other", "off"))
    before = asked.read(several, ready.enabled, "c1")
    assert ({}, None) == (before.sealed, before.data_key)
    for hook in (one, other, off):
        asked.write(several, secret_values.add, hook.id, {"A": hook.name.encode(), "B": b""}, 20)
    there = asked.read(several, ready.enabled, "c1")

    assert {one.id: {"A": b"one", "B": b""}, other.id: {"A": b"other", "B": b""}} == there.sealed
    assert asked.read(several, secret_values.data_key) == there.data_key


def test_one_hook_comes_enabled_or_not_and_nothing_of_others(asked: Any, several: Tenant) -> None:
    off, other = asked.hook(several, "off"), asked.hook(several, "other", enabled=True)
    for hook in (off, other):
        asked.write(several, secret_values.add, hook.id, {"A": hook.name.encode()}, 20)
    there = asked.read(several, ready.one, "c1", off.id)

    assert (["off"], [off.id], {off.id: {"A": b"off"}}) == (
        [hook.name for hook in there.hooks],
        list(there.codes),
        there.sealed,
    )


def test_nothing_comes_of_another_tenant_or_of_one_that_is_gone(asked: Any, several: Tenant, acme: Tenant) -> None:
    hook = asked.hook(several, "one", enabled=True)
    with pytest.raises(Missing):
        asked.read(acme, ready.one, "c1", hook.id)
    assert () == asked.read(acme, ready.enabled, "c1").hooks

    asked.write_all(register.remove, several.id)
    with pytest.raises(Missing) as caught:
        asked.read(several, ready.enabled, "c1")
    assert "tenant" == caught.value.what


def test_neither_code_nor_secrets_stand_in_what_is_printed_of_it(asked: Any, several: Tenant) -> None:
    hook = asked.hook(several, "one", enabled=True)
    asked.write(several, secret_values.add, hook.id, {"NAME_OF_IT": b"sealed bytes"}, 20)
    said = repr(asked.read(several, ready.enabled, "c1"))

    assert f"id='{hook.id}'" in said
    assert [] == [part for part in ("code of it", "NAME_OF_IT", "sealed bytes", "wrapped key") if part in said]
