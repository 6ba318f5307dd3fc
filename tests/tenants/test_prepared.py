"""Statements that are prepared: compiled once, run in the transaction of whoever asks, with the same errors."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam

from tenants import prepared, schema
from tenants.errors import Missing, Taken, Unavailable, Unstorable
from tenants.prepared import Prepared, Statement
from tenants.records import Tenant
from tenants.rows import TENANT, Rows, of_tenant


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is prepared here stands in no list."""
    monkeypatch.setattr(prepared, "ALL", [])


@pytest.fixture
def of_name() -> Prepared[Rows]:
    def made(rows: Rows) -> Statement:
        hooks = schema.hooks.c
        chosen = rows.select(schema.hooks, hooks.name, hooks.enabled, hooks.retry, hooks.run_order)
        return chosen.where(hooks.name == bindparam("name"))

    return of_tenant(made)


@pytest.fixture
def renamed() -> Prepared[Rows]:
    return of_tenant(lambda rows: rows.update(schema.hooks).values(name=bindparam("new")))


def test_columns_are_read_as_their_types_say(asked: Any, acme: Tenant, of_name: Prepared[Rows]) -> None:
    asked.hook(acme, "one", enabled=True, order=3)
    name, enabled, retry, order = asked.read(acme, of_name.first, name="one")

    assert ("one", True, 1, 3) == (name, enabled, retry["attempts"], order)
    assert enabled is True
    assert [[name, enabled, retry, order]] == asked.read(acme, of_name.all, name="one")
    assert (None, []) == (asked.read(acme, of_name.first, name="two"), asked.read(acme, of_name.all, name="two"))


def test_a_tenant_sees_and_changes_its_own_rows_alone(
    asked: Any, acme: Tenant, of_name: Prepared[Rows], renamed: Prepared[Rows]
) -> None:
    other = asked.tenant("other")
    for tenant in (acme, other):
        asked.hook(tenant, "one")
    assert 1 == asked.write(acme, renamed.count, new="two")

    assert (None, "one") == (
        asked.read(acme, of_name.first, name="one"),
        asked.read(other, of_name.first, name="one")[0],
    )


def test_no_value_says_whose_rows_they_are(asked: Any, acme: Tenant, of_name: Prepared[Rows]) -> None:
    """Who asks says it, whatever else is given under the name of that parameter."""
    other = asked.tenant("other")
    asked.hook(other, "one")

    assert [] == asked.read(acme, of_name.all, name="one", **{TENANT: other.id})


def test_a_tenants_statement_is_nothing_that_the_operator_can_ask(asked: Any, of_name: Prepared[Rows]) -> None:
    """There is no tenant then whose rows they would be."""
    asked.hook(asked.tenant("acme"), "one")

    with pytest.raises(KeyError, match=TENANT):
        asked.read_all(of_name.all, name="one")


def test_it_is_in_the_same_transaction_as_everything_else(
    asked: Any, acme: Tenant, of_name: Prepared[Rows], renamed: Prepared[Rows]
) -> None:
    """It sees what was changed in it before, and is undone with it."""
    asked.hook(acme, "one")
    seen = []

    def change(rows: Rows) -> None:
        rows.execute(rows.update(schema.hooks).values(name="two"))
        seen.append(of_name.first(rows, name="two")[0])
        renamed.count(rows, new="three")
        seen.append(rows.execute(rows.select(schema.hooks, schema.hooks.c.name)).scalar())
        raise Missing

    with pytest.raises(Missing):
        asked.write(acme, change)
    assert ["two", "three"] == seen
    assert "one" == asked.read(acme, of_name.first, name="one")[0]


def test_its_errors_are_the_stores(asked: Any, acme: Tenant, of_name: Prepared[Rows], renamed: Prepared[Rows]) -> None:
    for name in ("one", "two"):
        asked.hook(acme, name)
    with pytest.raises(Taken):
        asked.write(acme, renamed.count, new="three")
    for text in ("a\0", "\ud800"):
        with pytest.raises(Unstorable):
            asked.read(acme, of_name.all, name=text)
    with pytest.raises(Unavailable):  # a reader writes nothing
        asked.read(acme, renamed.count, new="three")


def test_a_list_of_values_is_not_prepared(asked: Any, acme: Tenant) -> None:
    """Its parameters have no fixed number."""
    these = of_tenant(lambda rows: rows.select(schema.hooks).where(schema.hooks.c.name.in_(["a", "b"])))

    with pytest.raises(AssertionError, match="no fixed number"):
        asked.read(acme, these.all)


def test_it_is_compiled_once(asked: Any, acme: Tenant, of_name: Prepared[Rows]) -> None:
    asked.read(acme, of_name.all, name="one")
    texts = dict(of_name._texts)
    asked.write(acme, of_name.all, name="two")

    assert 1 == len(texts)
    assert all(text is of_name._texts[dialect] for dialect, text in texts.items())
