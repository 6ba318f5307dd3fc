"""The register of tenants, and what is kept for the whole server: the operator's questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam

from tenants import schema
from tenants.errors import Missing, Taken
from tenants.prepared import Statement
from tenants.records import Json, SealedKey, Settings, Tenant
from tenants.rows import Everything, Rows, of_everything, of_tenant
from tenants.stamps import id_after, now_ms

_TENANTS = schema.tenants
COLUMNS = ("tenant_id", "name", "settings", "revision", "created_ms", "gone_ms")  # what a Tenant is made of
_MADE_OF = tuple(_TENANTS.c[name] for name in COLUMNS)
_THERE = _TENANTS.c.gone_ms.is_(None)
_MOST_SWEPT = 500  # rows of one change, so that nobody waits long for it
_SWEPT = {"versions": 20, "executions": 100}  # where rows are large
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
    return _tenant_of_row(_of_name.first(everything, name=name))


@of_everything
def _of_name(everything: Everything) -> Statement:
    return everything.select(_TENANTS, *_MADE_OF).where(_TENANTS.c.name == bindparam("name"), _THERE)


def by_id(everything: Everything, tenant_id: str) -> Tenant:
    """The tenant of that id. Raises Missing."""
    return of(everything.of(tenant_id))


def of(rows: Rows) -> Tenant:
    """The tenant whose rows these are, as it is in this transaction. Raises Missing."""
    return _tenant_of_row(_of_id.first(rows))


@of_tenant
def _of_id(rows: Rows) -> Statement:
    return rows.select(_TENANTS, *_MADE_OF)


def settings_in(rows: Rows) -> Settings:
    """A tenant's settings as they are in this transaction. Raises Missing."""
    return of(rows).settings


def page(everything: Everything, start: int, limit: int) -> tuple[list[Tenant], int]:
    """`limit` tenants from the one of number `start` on, the oldest first; and how many there are."""
    chosen = everything.select(_TENANTS).where(_THERE).order_by(_TENANTS.c.tenant_id).offset(start).limit(limit)
    return [tenant_of(row) for row in everything.execute(chosen).mappings()], everything.count(_TENANTS, _THERE)


def change(everything: Everything, tenant_id: str, settings: Settings) -> Tenant:
    """The tenant with other settings; its revision is one more. Raises Missing."""
    rows = everything.of(tenant_id)
    rows.execute(rows.update(_TENANTS).values(settings=asdict(settings), revision=_TENANTS.c.revision + 1))
    return by_id(everything, tenant_id)


def remove(everything: Everything, tenant_id: str) -> None:
    """Ends a tenant: its name is free, its tokens and its data key are destroyed, nobody sees anything of it.

    The rest, of which there may be much, stays for sweep() to take away. Raises Missing.
    """
    rows = everything.of(tenant_id)
    rows.lock()
    rows.execute(rows.delete(schema.data_keys))
    rows.execute(rows.delete(schema.tokens).where(schema.tokens.c.parent_id.is_not(None)))
    rows.execute(rows.delete(schema.tokens))
    rows.execute(rows.update(_TENANTS).values(name=f"gone: {tenant_id}", settings={}, gone_ms=now_ms()))
    everything.destroyed = True


def gone(everything: Everything) -> list[str]:
    """The ids of tenants that are removed and have rows yet."""
    chosen = everything.select(_TENANTS, _TENANTS.c.tenant_id).where(~_THERE)
    return list(everything.execute(chosen).scalars())


def sweep(everything: Everything, tenant_id: str) -> bool:
    """Takes away a part of what a removed tenant has left, then its row. False: nothing is left."""
    if everything.execute(_left(everything, _TENANTS, tenant_id).where(~_THERE)).first() is None:
        return False
    for table in _OWNED:
        ids = everything.execute(_left(everything, table, tenant_id).limit(_SWEPT.get(table.name, _MOST_SWEPT))).all()
        if ids:
            mine, key = table.c.tenant_id == tenant_id, _second_key(table)
            everything.execute(everything.delete(table).where(mine, key <= ids[-1][0]))
            return True
    everything.execute(everything.delete(_TENANTS).where(_TENANTS.c.tenant_id == tenant_id, ~_THERE))
    everything.destroyed = True
    return False


def _left(everything: Everything, table: Table, tenant_id: str) -> Select[Any]:
    """The second part of the keys of what is left, in their order."""
    key = _second_key(table)
    return everything.select(table, key).where(table.c.tenant_id == tenant_id).order_by(key)


def _second_key(table: Table) -> ColumnElement[Any]:
    """After the tenant's id: of a table that has one row of each tenant, that id itself."""
    keys: list[ColumnElement[Any]] = [column for column in table.primary_key.columns if column.name != "tenant_id"]
    return (keys or [table.c.tenant_id])[0]


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


def _tenant_of_row(row: Sequence[Any] | None) -> Tenant:
    return tenant_of(None if row is None else dict(zip(COLUMNS, row, strict=True)))


def tenant_of(row: Mapping[Any, Any] | None) -> Tenant:
    """The tenant of a row that has COLUMNS, by name. Raises Missing when there is none, or it is gone."""
    if row is None or row["gone_ms"] is not None:
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
