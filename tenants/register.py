"""The register of tenants, and what is kept for the whole server: the operator's questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping

from tenants import schema
from tenants.errors import Missing, Taken
from tenants.records import Json, SealedKey, Settings, Tenant
from tenants.rows import Everything, Rows
from tenants.stamps import id_after, now_ms

_TENANTS = schema.tenants
_OWNED = [table for table in reversed(schema.METADATA.sorted_tables) if table not in (schema.meta, _TENANTS)]


def create(
    everything: Everything, name: str, settings: Settings, data_key: SealedKey | Callable[[str], SealedKey]
) -> Tenant:
    """A new tenant with its data key, which may be made from the tenant's id. Raises Taken."""
    last = everything.execute(
        everything.select(_TENANTS, _TENANTS.c.tenant_id).order_by(_TENANTS.c.tenant_id.desc()).limit(1)
    )
    tenant = Tenant(id=id_after(last.scalar()), name=name, settings=settings, revision=0, created_ms=now_ms())
    rows = everything.of(tenant.id)
    values = {"name": name, "settings": asdict(settings), "revision": 0, "log_number": 0, "log_ms": 0}
    try:
        rows.execute(rows.insert(_TENANTS), values | {"created_ms": tenant.created_ms})
    except Taken:
        raise Taken(f"there is a tenant {name} already", what="tenant") from None
    key = data_key(tenant.id) if callable(data_key) else data_key
    rows.execute(rows.insert(schema.data_keys), asdict(key))
    return tenant


def named(everything: Everything, name: str) -> Tenant:
    """The tenant of that name. Raises Missing."""
    return _tenant(everything.execute(everything.select(_TENANTS).where(_TENANTS.c.name == name)).mappings().first())


def by_id(everything: Everything, tenant_id: str) -> Tenant:
    """The tenant of that id. Raises Missing."""
    rows = everything.of(tenant_id)
    return _tenant(rows.execute(rows.select(_TENANTS)).mappings().first())


def settings_in(rows: Rows) -> Settings:
    """A tenant's settings as they are in this transaction. Raises Missing."""
    return _tenant(rows.execute(rows.select(_TENANTS)).mappings().first()).settings


def page(everything: Everything, start: int, limit: int) -> tuple[list[Tenant], int]:
    """`limit` tenants from the one of number `start` on, the oldest first; and how many there are."""
    chosen = everything.select(_TENANTS).order_by(_TENANTS.c.tenant_id).offset(start).limit(limit)
    return [_tenant(row) for row in everything.execute(chosen).mappings()], everything.count(_TENANTS)


def change(everything: Everything, tenant_id: str, settings: Settings) -> Tenant:
    """The tenant with other settings. Raises Missing."""
    rows = everything.of(tenant_id)
    rows.execute(rows.update(_TENANTS).values(settings=asdict(settings)))
    return by_id(everything, tenant_id)


def remove(everything: Everything, tenant_id: str) -> None:
    """Ends a tenant and all that is its: its data key first, without which its secrets are noise. Raises Missing."""
    rows = everything.of(tenant_id)
    rows.lock()
    rows.execute(rows.delete(schema.data_keys))
    rows.execute(rows.delete(schema.tokens).where(schema.tokens.c.parent_id.is_not(None)))
    for table in _OWNED:
        rows.execute(rows.delete(table))
    rows.execute(rows.delete(_TENANTS))
    everything.destroyed = True


def kept(everything: Everything, name: str) -> bytes | None:
    """What keep() was given under that name."""
    meta = schema.meta.c
    found: bytes | None = everything.execute(
        everything.select(schema.meta, meta.value).where(meta.name == name)
    ).scalar()
    return found


def keep(everything: Everything, name: str, value: bytes) -> None:
    """Keeps something of the whole server's, in place of what had the name."""
    everything.execute(everything.delete(schema.meta).where(schema.meta.c.name == name))
    everything.execute(everything.insert(schema.meta), {"name": name, "value": value})


def data_keys_not_under(everything: Everything, master_key_id: str, most: int) -> dict[str, SealedKey]:
    """Up to `most` data keys that another master key wraps, by tenant."""
    keys = schema.data_keys
    chosen = everything.select(keys).where(keys.c.master_key_id != master_key_id).order_by(keys.c.tenant_id)
    found = everything.execute(chosen.limit(most)).mappings()
    return {row["tenant_id"]: SealedKey(master_key_id=row["master_key_id"], wrapped=row["wrapped"]) for row in found}


def rewrap(everything: Everything, tenant_id: str, old: SealedKey, new: SealedKey) -> bool:
    """Puts `new` in place of `old`; False if the tenant has another one by now, or is gone."""
    rows = everything.of(tenant_id)
    same = schema.data_keys.c.wrapped == old.wrapped
    changed = rows.execute(rows.update(schema.data_keys).where(same).values(**asdict(new)))
    everything.destroyed = True
    return changed.rowcount == 1


def _tenant(row: RowMapping | None) -> Tenant:
    if row is None:
        raise Missing("there is no such tenant", what="tenant")
    return Tenant(
        id=row["tenant_id"],
        name=row["name"],
        settings=_settings(row["settings"]),
        revision=row["revision"],
        created_ms=row["created_ms"],
    )


def _settings(kept: dict[str, Json]) -> Settings:
    modules: Any = kept["modules"]
    return Settings(**kept | {"modules": None if modules is None else tuple(modules)})
