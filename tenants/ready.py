"""What the calls of one tenant need, in one snapshot: its hooks with what was made of them and what they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BinaryExpression, ColumnElement, Select, bindparam

from tenants import hooks, register, schema
from tenants.errors import Missing
from tenants.gathered import Sealed
from tenants.prepared import Statement
from tenants.records import Hook, SealedKey, Tenant
from tenants.rows import Rows, of_tenant

_HOOKS = schema.hooks
_CHECKS = schema.checks
_SECRETS = schema.secrets
_KEYS = schema.data_keys
_TENANT = tuple(schema.tenants.c[name] for name in register.COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A tenant and some of its hooks; the rest by hook's id."""

    tenant: Tenant
    hooks: tuple[Hook, ...]  # point by point, in their order
    codes: Mapping[str, bytes] = field(repr=False)  # of the live version, by the compiler that was asked about
    sealed: Mapping[str, Mapping[str, bytes]] = field(repr=False)  # secrets by name
    data_key: SealedKey | None  # None: there are no secrets


def enabled(rows: Rows, compiler: str) -> Ready:
    """With every enabled hook. Raises Missing."""
    found = _enabled.all(rows, compiler=compiler)
    return _ready(found) if found else _ready_without(rows)


def one(rows: Rows, compiler: str, hook_id: str) -> Ready:
    """With that hook alone, enabled or not. Raises Missing."""
    found = _one.all(rows, compiler=compiler, hook_id=hook_id)
    if not found:
        raise Missing("there is no such hook", what="hook")
    return _ready(found)


@of_tenant
def _enabled(rows: Rows) -> Statement:
    return _whole(rows, _HOOKS.c.enabled.is_(True)).order_by(None).order_by(*hooks.IN_ORDER)


@of_tenant
def _one(rows: Rows) -> Statement:
    return _whole(rows, _HOOKS.c.hook_id == bindparam("hook_id"))


def _whole(rows: Rows, chosen: ColumnElement[bool]) -> Select[Any]:
    """A row for each hook, with all that is its own and its tenant's: one look, for a call may wait for it."""
    live = (_CHECKS.c.number == _HOOKS.c.version, _CHECKS.c.compiler == bindparam("compiler"))
    code = rows.select(_CHECKS, _CHECKS.c.code).where(_of_hook(_CHECKS), *live)
    sealed = rows.select(_SECRETS, Sealed(_SECRETS.c.name, _SECRETS.c.sealed)).where(_of_hook(_SECRETS))
    keys = (rows.select(_KEYS, column).scalar_subquery() for column in (_KEYS.c.master_key_id, _KEYS.c.wrapped))
    whole = (code.correlate(_HOOKS).scalar_subquery(), sealed.correlate(_HOOKS).scalar_subquery(), *keys)
    return hooks.live(rows, chosen, beside=(schema.tenants,), more=(*whole, *_TENANT))


def _of_hook(table: Any) -> BinaryExpression[bool]:
    same: BinaryExpression[bool] = table.c.hook_id == _HOOKS.c.hook_id
    return same


def _ready(found: Sequence[Sequence[Any]]) -> Ready:
    codes: dict[str, bytes] = {}
    all_sealed: dict[str, dict[str, bytes]] = {}
    made: list[Hook] = []
    for row in found:
        hook = hooks.hook_of(row[: hooks.WIDTH])
        code, sealed, *_ = row[hooks.WIDTH :]
        made.append(hook)
        if code is not None:
            codes[hook.id] = code
        if sealed:
            all_sealed[hook.id] = {name: bytes.fromhex(value) for name, value in sealed.items()}
    _, _, key_id, wrapped, *tenant = found[0][hooks.WIDTH :]
    return Ready(
        tenant=register.tenant_of(dict(zip(register.COLUMNS, tenant, strict=True))),
        hooks=tuple(made),
        codes=codes,
        sealed=all_sealed,
        data_key=SealedKey(master_key_id=key_id, wrapped=wrapped) if all_sealed and wrapped is not None else None,
    )


def _ready_without(rows: Rows) -> Ready:
    return Ready(tenant=register.of(rows), hooks=(), codes={}, sealed={}, data_key=None)
