"""What the calls of one tenant need, in one snapshot: its hooks with what was made of them and what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_

from tenants import hooks, register, schema, secret_values
from tenants.records import Hook, SealedKey, Tenant
from tenants.rows import Rows

_HOOKS = schema.hooks
_CHECKS = schema.checks
_SECRETS = schema.secrets


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
    return _ready(rows, hooks.enabled_of(rows), compiler, _HOOKS.c.enabled.is_(True))


def one(rows: Rows, compiler: str, hook_id: str) -> Ready:
    """With that hook alone, enabled or not. Raises Missing."""
    return _ready(rows, [hooks.get(rows, hook_id)], compiler, _HOOKS.c.hook_id == hook_id)


def _ready(rows: Rows, found: list[Hook], compiler: str, chosen: ColumnElement[bool]) -> Ready:
    sealed = _sealed(rows, chosen) if found else {}
    return Ready(
        tenant=register.of(rows),
        hooks=tuple(found),
        codes=_codes(rows, compiler, chosen) if found else {},
        sealed=sealed,
        data_key=secret_values.data_key(rows) if sealed else None,
    )


def _codes(rows: Rows, compiler: str, chosen: ColumnElement[bool]) -> dict[str, bytes]:
    live = and_(_CHECKS.c.hook_id == _HOOKS.c.hook_id, _CHECKS.c.number == _HOOKS.c.version)
    asked = rows.select(_CHECKS, _CHECKS.c.hook_id, _CHECKS.c.code, beside=_HOOKS)
    made = rows.execute(asked.where(live, _CHECKS.c.compiler == compiler, _CHECKS.c.code.is_not(None), chosen))
    return {row.hook_id: row.code for row in made}


def _sealed(rows: Rows, chosen: ColumnElement[bool]) -> dict[str, dict[str, bytes]]:
    asked = rows.select(_SECRETS, _SECRETS.c.hook_id, _SECRETS.c.name, _SECRETS.c.sealed, beside=_HOOKS)
    found: dict[str, dict[str, bytes]] = {}
    for row in rows.execute(asked.where(_SECRETS.c.hook_id == _HOOKS.c.hook_id, chosen)):
        found.setdefault(row.hook_id, {})[row.name] = row.sealed
    return found
