"""API tokens: what is known of each, found by the digest of its text. A token given for another one ends with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, bindparam, or_

from tenants import register, schema
from tenants.errors import Missing
from tenants.prepared import Statement
from tenants.records import Tenant, Token
from tenants.rows import Everything, Rows, of_everything

_TOKENS = schema.tokens
_KNOWN = ("token_id", "tenant_id", "name", "scopes", "created_ms", "expires_ms", "parent_id")
_OPERATORS = _TOKENS.c.tenant_id.is_(None)
_OPERATORS_META = "operators"  # row of `meta`
_GIVEN_BY_HAND = _TOKENS.c.parent_id.is_(None)


def create(rows: Rows, token: Token, digest: bytes) -> None:
    """Keeps a tenant's token. Raises Taken; Missing of a parent that has ended."""
    try:
        rows.execute(rows.insert(_TOKENS), _values(token, digest))
    except Missing:
        raise Missing("the token that it is given for has ended", what="token") from None


def listed(rows: Rows) -> list[Token]:
    """The tenant's tokens, the oldest first, without those that were given for another."""
    chosen = rows.select(_TOKENS).where(_GIVEN_BY_HAND).order_by(_TOKENS.c.token_id)
    return [_token(row) for row in rows.execute(chosen).mappings()]


def remove(rows: Rows, token_id: str) -> None:
    """Ends a token and those given for it; the tenant's revision is one more. Raises Missing."""
    rows.execute(rows.delete(_TOKENS).where(_TOKENS.c.parent_id == token_id))
    if rows.execute(rows.delete(_TOKENS).where(_TOKENS.c.token_id == token_id)).rowcount == 0:
        raise _missing()
    rows.count_change()


def holder(everything: Everything, digest: bytes) -> tuple[Token, Tenant | None]:
    """Anybody's token and whose it is, in one look; None: an operator's. Raises Missing."""
    row = _of_digest.first(everything, digest=digest)
    if row is None:
        raise _missing()
    known = dict(zip(_KNOWN, row, strict=False))
    owner = dict(zip(register.COLUMNS, row[len(_KNOWN) :], strict=True))
    return _token(known), None if known["tenant_id"] is None else register.tenant_of(owner)


@of_everything
def _of_digest(everything: Everything) -> Statement:
    mine = _TOKENS.c.tenant_id == schema.tenants.c.tenant_id
    columns = (*(_TOKENS.c[name] for name in _KNOWN), *(schema.tenants.c[name] for name in register.COLUMNS))
    chosen = everything.select(_TOKENS, *columns).outerjoin(schema.tenants, mine)
    return chosen.where(_TOKENS.c.digest == bindparam("digest"))


def create_operator(everything: Everything, token: Token, digest: bytes) -> None:
    """Keeps an operator's token. Raises Taken."""
    everything.execute(everything.insert(_TOKENS), _values(token, digest) | {"tenant_id": None})


def operators(everything: Everything) -> list[Token]:
    """The operators' tokens, the oldest first."""
    chosen = everything.select(_TOKENS).where(_OPERATORS).order_by(_TOKENS.c.token_id)
    return [_token(row) for row in everything.execute(chosen).mappings()]


def remove_operator(everything: Everything, token_id: str) -> None:
    """Ends an operator's token. Raises Missing."""
    ended = everything.delete(_TOKENS).where(_OPERATORS, _TOKENS.c.token_id == token_id)
    if everything.execute(ended).rowcount == 0:
        raise _missing()


def still(rows: Rows, token: Token, now_ms: int) -> bool:
    """Whether the tenant's token, or an operator's, is valid. If so, nobody ends it before this change is committed."""
    chosen = rows.select(_TOKENS) if token.tenant_id is not None else rows.select_nobodys(_TOKENS)
    return _holds(rows, chosen, token, now_ms)


def still_operators(everything: Everything, token: Token, now_ms: int) -> bool:
    """As still(), of an operator's token in a change of no tenant."""
    return _holds(everything, everything.select(_TOKENS).where(_OPERATORS), token, now_ms)


def lock_operators(everything: Everything) -> bool:
    """One change at a time, on all nodes, of which operators there are. Whether it is the first. Raises Taken: no more.

    The row that is locked, once it is there, says for good that the store has had an operator.
    """
    row = everything.select(schema.meta).where(schema.meta.c.name == _OPERATORS_META).with_for_update()
    if everything.execute(row).first() is not None:
        return False
    everything.execute(everything.insert(schema.meta), {"name": _OPERATORS_META, "value": b""})
    return True


def purge_expired(everything: Everything, now_ms: int) -> int:
    """Ends the tokens whose time is over, and those given for them; how many these were."""
    over = _TOKENS.c.expires_ms <= now_ms
    parents = everything.select(_TOKENS, _TOKENS.c.token_id).where(over)
    given = everything.delete(_TOKENS).where(or_(over, _TOKENS.c.parent_id.in_(parents)), ~_GIVEN_BY_HAND)
    ended = everything.execute(given).rowcount
    return ended + everything.execute(everything.delete(_TOKENS).where(over)).rowcount


def _holds(asking: Rows | Everything, chosen: Select[Any], token: Token, now_ms: int) -> bool:
    row = asking.execute(chosen.where(_TOKENS.c.token_id == token.id).with_for_update(read=True)).mappings().first()
    return row is not None and (row["expires_ms"] is None or row["expires_ms"] > now_ms)


def _missing() -> Missing:
    return Missing("there is no such token", what="token")


def _values(token: Token, digest: bytes) -> dict[str, object]:
    return {
        "token_id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "created_ms": token.created_ms,
        "expires_ms": token.expires_ms,
        "parent_id": token.parent_id,
        "digest": digest,
    }


def _token(row: Mapping[Any, Any]) -> Token:
    return Token(
        id=row["token_id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        created_ms=row["created_ms"],
        expires_ms=row["expires_ms"],
        parent_id=row["parent_id"],
    )
