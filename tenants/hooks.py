"""Hooks, their versions and what was found of these: one tenant's questions. A change adds 1 to the revision."""

from __future__ import annotations

import enum
import functools
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NotRequired, TypedDict, Unpack

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    RowMapping,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    func,
    type_coerce,
)

from tenants import schema
from tenants.errors import Missing, Taken, TooMany
from tenants.prepared import Prepared, Statement
from tenants.records import Check, Draft, Hook, Mode, Retry, Version, VersionInfo
from tenants.register import settings_in
from tenants.rows import Rows, of_tenant
from tenants.stamps import id_after, now_ms

_HOOKS = schema.hooks
_VERSIONS = schema.versions
_CHECKS = schema.checks
_HOOK_COLUMNS = (
    *(_HOOKS.c[name] for name in ("hook_id", "name", "trigger_id", "enabled", "run_order", "mode")),
    type_coerce(_HOOKS.c.retry, Text()).label("retry"),  # as JSON
    *(_HOOKS.c[name] for name in ("created_ms", "updated_ms")),
)
_LIVE_COLUMNS = tuple(
    _VERSIONS.c[name].label(f"v_{name}")
    for name in ("number", "sha256", "dependencies", "created_ms", "created_by", "source")
)
WIDTH = len(_HOOK_COLUMNS) + len(_LIVE_COLUMNS)
IN_ORDER = (_HOOKS.c.trigger_id, _HOOKS.c.run_order, _HOOKS.c.hook_id)  # of hooks that run
_ALL = 2**62  # hooks of a page
_INFO_COLUMNS = tuple(_VERSIONS.c[name] for name in VersionInfo.__struct_fields__)


class _Unset(enum.Enum):
    UNSET = enum.auto()


UNSET: Final = _Unset.UNSET
Unset = Literal[_Unset.UNSET]


class NewHook(TypedDict):
    """What a hook is made with."""

    name: str
    trigger_id: str
    enabled: bool
    draft: Draft
    order: NotRequired[int]
    mode: NotRequired[Mode | None]
    retry: NotRequired[Retry]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookChanges:
    """What is to become of a hook; UNSET stays as it is."""

    name: str | Unset = UNSET
    enabled: bool | Unset = UNSET
    order: int | Unset = UNSET
    mode: Mode | Unset | None = UNSET
    retry: Retry | Unset = UNSET
    draft: Draft | Unset = UNSET


def create(rows: Rows, **new: Unpack[NewHook]) -> Hook:
    """A new hook with its first version. Raises Taken, TooMany."""
    settings = settings_in(rows)
    if rows.count(_HOOKS) >= settings.most_hooks:
        raise TooMany(f"there are {settings.most_hooks} hooks, the most that there may be", what="hook")
    last = rows.execute(rows.select(_HOOKS, _HOOKS.c.hook_id).order_by(_HOOKS.c.hook_id.desc()).limit(1)).scalar()
    hook_id, now = id_after(last), now_ms()
    values = {
        "hook_id": hook_id,
        "name": new["name"],
        "trigger_id": new["trigger_id"],
        "enabled": new["enabled"],
        "run_order": new.get("order", 0),
        "mode": new.get("mode"),
        "retry": asdict(new.get("retry", Retry())),
        "version": 1,
        "created_ms": now,
        "updated_ms": now,
    }
    try:
        rows.execute(rows.insert(_HOOKS), values)
    except Taken:
        raise _taken(new["name"]) from None
    _add_version(rows, hook_id, 1, new["draft"])
    if new["enabled"] and not settings.multiple_hooks:
        _disable_others(rows, hook_id, new["trigger_id"])
    rows.count_change()
    return get(rows, hook_id)


def get(rows: Rows, hook_id: str) -> Hook:
    """The hook of that id. Raises Missing."""
    return _one(_of_id.first(rows, hook_id=hook_id))


@of_tenant
def _of_id(rows: Rows) -> Statement:
    return live(rows, _HOOKS.c.hook_id == bindparam("hook_id"))


def named(rows: Rows, name: str) -> Hook:
    """The hook of that name. Raises Missing."""
    return _one(_of_name.first(rows, name=name))


@of_tenant
def _of_name(rows: Rows) -> Statement:
    return live(rows, _HOOKS.c.name == bindparam("name"))


def page(
    rows: Rows, *, trigger_id: str | None = None, enabled: bool | None = None, start: int = 0, limit: int | None = None
) -> tuple[list[Hook], int]:
    """Hooks from the one of number `start` on, the oldest first; and how many there are."""
    wanted = {"trigger_id": trigger_id, "enabled": enabled}
    given = {name: value for name, value in wanted.items() if value is not None}
    most = _ALL if limit is None else limit + 1  # one more: whether these are the last
    found = [*map(hook_of, _PAGES[tuple(given)].all(rows, **given, start=start, most=most))]
    if found and (limit is None or len(found) <= limit):
        return found, start + len(found)
    return found[:limit], rows.count(_HOOKS, *(_HOOKS.c[name] == value for name, value in given.items()))


def _page_by(*names: str) -> Prepared[Rows]:
    @of_tenant
    def _page(rows: Rows) -> Statement:
        start, most = (bindparam(name, type_=BigInteger) for name in ("start", "most"))
        return live(rows, *(_HOOKS.c[name] == bindparam(name) for name in names)).offset(start).limit(most)

    return _page


_PAGES = {
    names: _page_by(*names) for count in range(3) for names in itertools.combinations(("trigger_id", "enabled"), count)
}


def enabled_of(rows: Rows, trigger_id: str | None = None) -> list[Hook]:
    """The hooks that run at a point, in their order; without a point, at each of them, one after the other."""
    found = _enabled.all(rows) if trigger_id is None else _enabled_at.all(rows, trigger_id=trigger_id)
    return [*map(hook_of, found)]


@of_tenant
def _enabled(rows: Rows) -> Statement:
    return live(rows, _HOOKS.c.enabled.is_(True)).order_by(None).order_by(*IN_ORDER)


@of_tenant
def _enabled_at(rows: Rows) -> Statement:
    there = (_HOOKS.c.enabled.is_(True), _HOOKS.c.trigger_id == bindparam("trigger_id"))
    return live(rows, *there).order_by(None).order_by(*IN_ORDER)


def change(rows: Rows, hook_id: str, changes: HookChanges) -> Hook:
    """The hook, changed. One that is enabled puts the others of its point out, unless its tenant has several at once.

    A draft whose source and dependencies are those of the live version makes no new one. Raises Missing, Taken.
    """
    hook = get(rows, hook_id)
    values = _wanted(hook, changes)
    if changes.draft is not UNSET:
        values |= _draft_values(rows, hook, changes.draft)
    alone = changes.enabled is True and not settings_in(rows).multiple_hooks
    others = _disable_others(rows, hook_id, hook.trigger_id) if alone else 0
    if values:
        _update(rows, hook_id, values)
    if values or others:
        rows.count_change()
    return get(rows, hook_id)


def remove(rows: Rows, hook_id: str) -> None:
    """Ends a hook, its versions and its secrets. Raises Missing."""
    for table in (schema.secrets, _CHECKS, _VERSIONS):
        rows.execute(rows.delete(table).where(table.c.hook_id == hook_id))
    if rows.execute(rows.delete(_HOOKS).where(_HOOKS.c.hook_id == hook_id)).rowcount == 0:
        raise _missing()
    rows.count_change()


def revision(rows: Rows) -> int:
    """How many changes the tenant has had: of its hooks, secrets and settings, and ends of tokens. Raises Missing."""
    found = _revision.first(rows)
    if found is None:
        raise Missing("there is no such tenant", what="tenant")
    return int(found[0])


@of_tenant
def _revision(rows: Rows) -> Statement:
    return rows.select(schema.tenants, schema.tenants.c.revision)


def versions(rows: Rows, hook_id: str) -> list[VersionInfo]:
    """The versions of a hook that are kept, the newest first, without their sources. Raises Missing."""
    chosen = rows.select(_VERSIONS, *_INFO_COLUMNS).where(_VERSIONS.c.hook_id == hook_id)
    found = [VersionInfo(**row) for row in rows.execute(chosen.order_by(_VERSIONS.c.number.desc())).mappings()]
    if not found:
        raise _missing()
    return found


def version(rows: Rows, hook_id: str, number: int) -> Version:
    """One version of a hook. Raises Missing."""
    same = and_(_VERSIONS.c.hook_id == hook_id, _VERSIONS.c.number == number)
    row = rows.execute(rows.select(_VERSIONS).where(same)).mappings().first()
    if row is None:
        raise Missing(f"the hook has no version {number}", what="version")
    return _version(row)


def deploy(rows: Rows, hook_id: str, number: int) -> Hook:
    """Makes an old version the live one. Raises Missing."""
    hook = get(rows, hook_id)
    version(rows, hook_id, number)
    if hook.version.number != number:
        _update(rows, hook_id, {"version": number})
        rows.count_change()
    return get(rows, hook_id)


def check_of(rows: Rows, hook_id: str, number: int, compiler: str) -> Check | None:
    """What that compiler made of a version, if it was asked."""
    row = rows.execute(rows.select(_CHECKS).where(_same_check(hook_id, number, compiler))).mappings().first()
    if row is None:
        return None
    diagnostics, warnings = tuple(row["diagnostics"]), tuple(row["warnings"])
    return Check(compiler=compiler, code=row["code"], diagnostics=diagnostics, warnings=warnings)


def keep_check(rows: Rows, hook_id: str, number: int, check: Check) -> None:
    """Keeps what a compiler made of a version, in place of what it made before. Raises Missing."""
    rows.execute(rows.delete(_CHECKS).where(_same_check(hook_id, number, check.compiler)))
    values = {"hook_id": hook_id, "number": number, "compiler": check.compiler, "code": check.code}
    found = {"diagnostics": list(check.diagnostics), "warnings": list(check.warnings)}
    try:
        rows.execute(rows.insert(_CHECKS), values | found)
    except Missing:
        raise Missing(f"the hook has no version {number}", what="version") from None


def live(
    rows: Rows,
    *conditions: ColumnElement[bool],
    beside: Sequence[Table] = (),
    more: Sequence[ColumnElement[Any]] = (),
) -> Select[Any]:
    """Hooks with their live versions, the oldest first; and `more` columns, of tables `beside` them too."""
    same = and_(_VERSIONS.c.hook_id == _HOOKS.c.hook_id, _VERSIONS.c.number == _HOOKS.c.version)
    columns = (*_HOOK_COLUMNS, *_LIVE_COLUMNS, *more)
    chosen = rows.select(_HOOKS, *columns, beside=(_VERSIONS, *beside))
    return chosen.where(same, *conditions).order_by(_HOOKS.c.hook_id)


def _one(row: Sequence[Any] | None) -> Hook:
    if row is None:
        raise _missing()
    return hook_of(row)


def _missing() -> Missing:
    return Missing("there is no such hook", what="hook")


def _taken(name: str) -> Taken:
    return Taken(f"there is a hook {name} already", what="hook")


def _wanted(hook: Hook, changes: HookChanges) -> dict[str, Any]:
    """Columns that are to have another value."""
    wanted = {"name": changes.name, "enabled": changes.enabled, "run_order": changes.order, "mode": changes.mode}
    today = {"name": hook.name, "enabled": hook.enabled, "run_order": hook.order, "mode": hook.mode}
    values: dict[str, Any] = {
        name: value for name, value in wanted.items() if value is not UNSET and value != today[name]
    }
    if changes.retry is not UNSET and changes.retry != hook.retry:
        values["retry"] = asdict(changes.retry)
    return values


def _draft_values(rows: Rows, hook: Hook, draft: Draft) -> dict[str, Any]:
    live = hook.version
    if draft.source == live.source and dict(draft.dependencies) == dict(live.dependencies):
        keep_check(rows, hook.id, live.number, draft.check)
        return {}
    numbers = rows.select(_VERSIONS, func.max(_VERSIONS.c.number)).where(_VERSIONS.c.hook_id == hook.id)
    number = 1 + int(rows.execute(numbers).scalar_one())
    _add_version(rows, hook.id, number, draft)
    _end_versions(rows, hook.id, live=number)
    return {"version": number}


def _end_versions(rows: Rows, hook_id: str, live: int) -> None:
    """Ends the oldest versions of those that are too many, but for the live one."""
    kept = settings_in(rows).most_versions
    newest_first = rows.select(_VERSIONS, _VERSIONS.c.number).where(_VERSIONS.c.hook_id == hook_id)
    last = rows.execute(newest_first.order_by(_VERSIONS.c.number.desc()).offset(kept).limit(1)).scalar()
    if last is not None:
        for table in (_CHECKS, _VERSIONS):
            old = and_(table.c.hook_id == hook_id, table.c.number <= last, table.c.number != live)
            rows.execute(rows.delete(table).where(old))


def _add_version(rows: Rows, hook_id: str, number: int, draft: Draft) -> None:
    values = {
        "hook_id": hook_id,
        "number": number,
        "source": draft.source,
        "sha256": hashlib.sha256(draft.source.encode(errors="surrogatepass")).hexdigest(),
        "dependencies": dict(draft.dependencies),
        "created_ms": now_ms(),
        "created_by": draft.created_by,
    }
    rows.execute(rows.insert(_VERSIONS), values)
    keep_check(rows, hook_id, number, draft.check)


def _disable_others(rows: Rows, hook_id: str, trigger_id: str) -> int:
    """How many it were."""
    others = and_(_HOOKS.c.trigger_id == trigger_id, _HOOKS.c.enabled.is_(True), _HOOKS.c.hook_id != hook_id)
    return rows.execute(rows.update(_HOOKS).where(others).values(enabled=False, updated_ms=now_ms())).rowcount


def _update(rows: Rows, hook_id: str, values: Mapping[str, Any]) -> None:
    changed = rows.update(_HOOKS).where(_HOOKS.c.hook_id == hook_id).values(**values, updated_ms=now_ms())
    try:
        rows.execute(changed)
    except Taken:
        raise _taken(values["name"]) from None


def _same_check(hook_id: str, number: int, compiler: str) -> ColumnElement[bool]:
    return and_(_CHECKS.c.hook_id == hook_id, _CHECKS.c.number == number, _CHECKS.c.compiler == compiler)


def hook_of(row: Sequence[Any]) -> Hook:
    """The first WIDTH values of a row of live()."""
    hook_id, name, trigger_id, enabled, order, mode, retry, created_ms, updated_ms, *version = row
    number, sha256, dependencies, version_ms, created_by, source = version
    return Hook(
        id=hook_id,
        name=name,
        trigger_id=trigger_id,
        enabled=enabled,
        order=order,
        mode=mode,
        retry=_retry(retry),
        version=Version(
            hook_id=hook_id,
            number=number,
            sha256=sha256,
            dependencies=dependencies,
            created_ms=version_ms,
            created_by=created_by,
            source=source,
        ),
        created_ms=created_ms,
        updated_ms=updated_ms,
    )


@functools.lru_cache(maxsize=128)
def _retry(kept: str | None) -> Retry:
    """From JSON, which is the same for most hooks. NULL: it was made before hooks had one."""
    if kept is None:
        return Retry()
    told = json.loads(kept)
    return Retry(**told | {"on": tuple(told["on"])})


def _version(row: RowMapping) -> Version:
    return Version(**{name: value for name, value in row.items() if name != "tenant_id"})
