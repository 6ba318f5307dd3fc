"""Secrets of a tenant's hooks, sealed (tenants/vault.py), and the key they are sealed with.

Every change of them adds 1 to the tenant's revision.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement

from tenants import schema
from tenants.errors import Missing, Taken, TooMany
from tenants.gathered import Pairs
from tenants.prepared import Statement
from tenants.records import SealedKey
from tenants.rows import Rows, of_tenant

_SECRETS = schema.secrets


def names(rows: Rows, hook_id: str) -> list[str]:
    """The names of a hook's secrets, sorted. Raises Missing."""
    found = rows.execute(rows.select(_SECRETS, _SECRETS.c.name).where(_of(hook_id))).scalars().all()
    if not found:
        _expect(rows, hook_id)
    return sorted(found)


def names_by_hook(rows: Rows) -> dict[str, list[str]]:
    """The names of all secrets, sorted, by hook; a hook without any is left out."""
    found: dict[str, list[str]] = {}
    for hook_id, name in sorted(_all_names.first(rows)[0] or ()):
        found.setdefault(hook_id, []).append(name)
    return found


@of_tenant
def _all_names(rows: Rows) -> Statement:
    return rows.select(_SECRETS, Pairs(_SECRETS.c.hook_id, _SECRETS.c.name))


def sealed(rows: Rows, hook_id: str) -> dict[str, bytes]:
    """A hook's secrets by name. Raises Missing."""
    chosen = rows.select(_SECRETS, _SECRETS.c.name, _SECRETS.c.sealed).where(_of(hook_id))
    found = {row.name: row.sealed for row in rows.execute(chosen)}
    if not found:
        _expect(rows, hook_id)
    return found


def add(rows: Rows, hook_id: str, sealed: Mapping[str, bytes], most: int) -> None:
    """New secrets, all or none. Raises Missing, Taken, TooMany."""
    there = names(rows, hook_id)
    if known := sorted(sealed.keys() & set(there)):
        raise Taken(f"there is a secret {known[0]} already", what="secret")
    _limit(len(there) + len(sealed), most)
    _put(rows, hook_id, sealed)


def replace(rows: Rows, hook_id: str, sealed: Mapping[str, bytes]) -> None:
    """Other values for secrets that are there, all or none. Raises Missing."""
    if unknown := sorted(sealed.keys() - set(names(rows, hook_id))):
        raise Missing(f"there is no secret {unknown[0]}", what="secret")
    _put(rows, hook_id, sealed)


def put(rows: Rows, hook_id: str, sealed: Mapping[str, bytes], most: int) -> None:
    """Adds secrets, or replaces them. Raises Missing, TooMany."""
    there = set(names(rows, hook_id))
    if not sealed.keys() <= there:
        _limit(len(there | sealed.keys()), most)
    _put(rows, hook_id, sealed)


def remove(rows: Rows, hook_id: str, names: Collection[str]) -> None:
    """Ends secrets; a name that none has is ignored. Raises Missing."""
    _expect(rows, hook_id)
    if _end(rows, hook_id, names):
        rows.count_change()


def data_key(rows: Rows) -> SealedKey:
    """The tenant's data key. Raises Missing."""
    row = _data_key.first(rows)
    if row is None:
        raise Missing("there is no such tenant", what="tenant")
    return SealedKey(master_key_id=row[0], wrapped=row[1])


@of_tenant
def _data_key(rows: Rows) -> Statement:
    keys = schema.data_keys
    return rows.select(keys, keys.c.master_key_id, keys.c.wrapped)


def _of(hook_id: str) -> ColumnElement[bool]:
    return _SECRETS.c.hook_id == hook_id


def _expect(rows: Rows, hook_id: str) -> None:
    if rows.count(schema.hooks, schema.hooks.c.hook_id == hook_id) == 0:
        raise Missing("there is no such hook", what="hook")


def _limit(number: int, most: int) -> None:
    if number > most:
        raise TooMany(f"there would be {number} secrets; {most} is the most that there may be", what="secret")


def _put(rows: Rows, hook_id: str, sealed: Mapping[str, bytes]) -> None:
    _expect(rows, hook_id)
    if sealed:
        _end(rows, hook_id, sealed)
        values = [{"hook_id": hook_id, "name": name, "sealed": value} for name, value in sealed.items()]
        rows.execute(rows.insert(_SECRETS), values)
        rows.count_change()


def _end(rows: Rows, hook_id: str, names: Collection[str]) -> int:
    """How many there were."""
    return rows.execute(rows.delete(_SECRETS).where(_of(hook_id), _SECRETS.c.name.in_(names))).rowcount
