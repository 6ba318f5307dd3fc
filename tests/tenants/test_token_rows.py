"""Tokens: found by digest, listed by tenant, ended with what was given for them."""

from __future__ import annotations

from typing import Any

import pytest

from tenants import token_rows
from tenants.errors import Missing, Taken
from tenants.records import Tenant, Token


def token_of(tenant: Tenant | None, id_: str, **fields: Any) -> Token:
    known: dict[str, Any] = {"name": id_, "scopes": frozenset({"read:hooks", "a"}), "created_ms": 1, "expires_ms": None}
    return Token(id=id_, tenant_id=tenant and tenant.id, **known | fields)


def digest_of(id_: str) -> bytes:
    return id_.encode().ljust(32, b"\0")


@pytest.fixture
def give(asked: Any) -> Any:
    """`give(tenant, id, **fields)`: a tenant's token, or an operator's without tenant."""

    def give_token(tenant: Tenant | None, id_: str, **fields: Any) -> Token:
        token = token_of(tenant, id_, **fields)
        if tenant is None:
            asked.write_all(token_rows.create_operator, token, digest_of(id_))
        else:
            asked.write(tenant, token_rows.create, token, digest_of(id_))
        return token

    return give_token


def test_a_token_is_found_by_its_digest(asked: Any, acme: Tenant, give: Any) -> None:
    tokens = [give(acme, "1", expires_ms=9), give(asked.tenant("other"), "2"), give(None, "3", scopes=frozenset())]

    assert tokens == [asked.read_all(token_rows.holder, digest_of(token.id))[0] for token in tokens]
    with pytest.raises(Missing) as caught:
        asked.read_all(token_rows.holder, digest_of("4"))
    assert "token" == caught.value.what


def test_tokens_are_listed_without_those_given_for_another(asked: Any, acme: Tenant, give: Any) -> None:
    tokens = [give(acme, "1"), give(acme, "3")]
    give(acme, "2", parent_id="1")
    give(asked.tenant("other"), "4")
    operators = [give(None, "5")]

    assert tokens == asked.read(acme, token_rows.listed)
    assert operators == asked.read_all(token_rows.operators)


def test_a_token_ends_with_those_given_for_it(asked: Any, acme: Tenant, give: Any) -> None:
    for id_, parent in (("1", None), ("2", "1"), ("3", None), ("4", "3")):
        give(acme, id_, parent_id=parent)
    asked.write(acme, token_rows.remove, "1")

    for id_ in "12":
        with pytest.raises(Missing):
            asked.read_all(token_rows.holder, digest_of(id_))
    assert ["3", "4"] == [asked.read_all(token_rows.holder, digest_of(id_))[0].id for id_ in "34"]


def test_a_token_of_somebody_else_is_missing(asked: Any, acme: Tenant, give: Any) -> None:
    """A tenant removes neither another's nor an operator's; the operator's list is the operators'."""
    theirs, operators = give(asked.tenant("other"), "1"), give(None, "2")
    for change, id_ in ((token_rows.remove, "1"), (token_rows.remove, "2"), (token_rows.remove, "3")):
        with pytest.raises(Missing) as caught:
            asked.write(acme, change, id_)
        assert "token" == caught.value.what
    with pytest.raises(Missing):
        asked.write_all(token_rows.remove_operator, "1")

    assert [theirs, operators] == [asked.read_all(token_rows.holder, digest_of(id_))[0] for id_ in "12"]


def test_an_operators_token_can_be_ended(asked: Any, give: Any) -> None:
    give(None, "1")
    asked.write_all(token_rows.remove_operator, "1")

    assert [] == asked.read_all(token_rows.operators)


def test_a_token_is_not_given_for_one_that_has_ended_or_is_anothers(asked: Any, acme: Tenant, give: Any) -> None:
    give(asked.tenant("other"), "1")
    for parent in ("1", "2"):
        with pytest.raises(Missing) as caught:
            give(acme, "3", parent_id=parent)
        assert "token" == caught.value.what


def test_a_digest_is_kept_once(asked: Any, acme: Tenant, give: Any) -> None:
    give(acme, "1")
    with pytest.raises(Taken):
        asked.write(acme, token_rows.create, token_of(acme, "2"), digest_of("1"))


def test_expired_tokens_are_purged_with_those_given_for_them(asked: Any, acme: Tenant, give: Any) -> None:
    for id_, parent, expires_ms in (
        ("1", None, 10), ("2", "1", None), ("3", None, 11), ("4", "3", 10), ("5", None, None), ("6", "5", 11),
    ):  # fmt: skip
        give(acme, id_, parent_id=parent, expires_ms=expires_ms)
    give(None, "7", expires_ms=1)

    assert 4 == asked.write_all(token_rows.purge_expired, 10)
    assert 0 == asked.write_all(token_rows.purge_expired, 10)
    assert ["3", "5"] == [token.id for token in asked.read(acme, token_rows.listed)]
    assert "6" == asked.read_all(token_rows.holder, digest_of("6"))[0].id


def test_a_token_is_found_with_its_tenant_and_an_operators_with_none(asked: Any, acme: Tenant, give: Any) -> None:
    theirs, operators = give(acme, "1"), give(None, "2")

    assert (theirs, acme) == asked.read_all(token_rows.holder, digest_of("1"))
    assert (operators, None) == asked.read_all(token_rows.holder, digest_of("2"))
