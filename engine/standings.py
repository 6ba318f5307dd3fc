"""What a tenant's calls need of the store, kept in memory for as long as the tenant's revision stays the same.

The revision is asked for at each call, of the database itself: a change that was acknowledged before a call began is
seen by that call, whichever process made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cachetools

from engine.checking import Checker, Rejected, Unchecked, hook_of
from engine.errors import BadInput
from engine.hook import Hook as RunnableHook
from engine.outcome import Outcome
from tenants import ready
from tenants.errors import Corrupt, KeyLost, Missing
from tenants.ready import Ready
from tenants.records import Check, Hook, Tenant
from tenants.revisions import Revisions
from tenants.rows import Rows
from tenants.store import Store
from tenants.vault import Vault

_KEPT_BYTES = 256 << 20  # of all tenants: sources, code and secrets
_OVERHEAD_BYTES = 4 << 10  # of a tenant, and of each hook


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyHook:
    """A hook with all that it needs to run, or with why it cannot."""

    record: Hook
    runnable: RunnableHook | None  # None: see `fault`
    fault: Outcome | None = None  # how each run of it ends, without a worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One tenant at one revision."""

    tenant: Tenant
    hooks: Mapping[str, tuple[ReadyHook, ...]] = field(repr=False)  # enabled ones by point, in their order

    def of_point(self, trigger_id: str) -> tuple[ReadyHook, ...]:
        """The hooks that run at a point, in their order."""
        return self.hooks.get(trigger_id, ())


class Standings:
    """Every tenant's standing, as far as there is room for them."""

    def __init__(self, store: Store, vault: Vault, checker: Checker, revisions: Revisions) -> None:
        self._access = _Access(store)
        self._vault = vault
        self._checker = checker
        self._revisions = revisions
        self._kept: cachetools.LRUCache[str, Standing] = cachetools.LRUCache(_KEPT_BYTES, _weight)
        self._loading: dict[str, asyncio.Task[Standing]] = {}

    def at_once(self, tenant_id: str) -> Standing | None:
        """The same as `of`, if it is known without waiting for anybody. Raises StoreError."""
        return self.known(tenant_id, self._revisions.at_once(tenant_id))

    def known(self, tenant_id: str, revision: int | None) -> Standing | None:
        """The tenant at that revision, which was just read, or a later one; None: ask `of`.

        `revision`: None: nobody has read it.
        """
        if revision is None:
            return None
        kept = self._kept.get(tenant_id)
        return kept if kept is not None and kept.tenant.revision >= revision else None

    async def of(self, tenant_id: str) -> Standing:
        """The tenant with its enabled hooks, as committed when this was asked, or later.

        Raises Missing when there is no such tenant, StoreError; PoolBusy, EngineClosed, SandboxFailed when a hook has
        to be checked anew and cannot be now.
        """
        revision = await self._revisions.of(tenant_id)
        if revision is None:
            self._kept.pop(tenant_id, None)
            raise Missing("there is no such tenant", what="tenant")
        kept = self._kept.get(tenant_id)
        if kept is not None and kept.tenant.revision == revision:
            return kept
        return await self._loaded(tenant_id, revision)

    async def hook(self, tenant_id: str, hook_id: str) -> tuple[Tenant, ReadyHook]:
        """One hook, enabled or not, and its tenant; kept nowhere. Raises as `of`, and Missing for no such hook."""
        there, secrets = await self._access.read(tenant_id, _one, self._vault, self._checker.compiler, hook_id)
        found = await self._ready_hook(there, there.hooks[0], secrets[hook_id])
        if found is None:
            raise Missing("there is no such hook", what="hook")
        return there.tenant, found

    async def _loaded(self, tenant_id: str, revision: int) -> Standing:
        """Loaded by one for all who ask meanwhile, unless that began before a change that they are to see."""
        under_way = self._loading.get(tenant_id)
        if under_way is not None:
            standing = await asyncio.shield(under_way)
            if standing.tenant.revision >= revision:
                return standing
        if self._loading.get(tenant_id) in (None, under_way):
            task = asyncio.create_task(self._load(tenant_id))
            self._loading[tenant_id] = task
            task.add_done_callback(lambda done: self._keep(tenant_id, done))
        return await asyncio.shield(self._loading[tenant_id])

    async def _load(self, tenant_id: str) -> Standing:
        there, secrets = await self._access.read(tenant_id, _enabled, self._vault, self._checker.compiler)
        found: dict[str, tuple[ReadyHook, ...]] = {}
        for hook in there.hooks:
            made = await self._ready_hook(there, hook, secrets[hook.id])
            if made is not None:
                found[hook.trigger_id] = (*found.get(hook.trigger_id, ()), made)
        if not there.tenant.settings.multiple_hooks:
            found = {trigger_id: (max(several, key=_last_changed),) for trigger_id, several in found.items()}
        return Standing(tenant=there.tenant, hooks=found)

    def _keep(self, tenant_id: str, done: asyncio.Task[Standing]) -> None:
        if self._loading.get(tenant_id) is done:
            del self._loading[tenant_id]
        if done.cancelled() or done.exception() is not None:
            return
        if _weight(standing := done.result()) <= _KEPT_BYTES:
            self._kept[tenant_id] = standing

    async def _ready_hook(self, there: Ready, hook: Hook, secrets: _Secrets) -> ReadyHook | None:
        """None: it was removed while it was checked."""
        if secrets is None:
            return ReadyHook(record=hook, runnable=None, fault=_UNREADABLE)
        try:
            check = await self._check(there, hook)
            return ReadyHook(record=hook, runnable=hook_of(there.tenant, hook, check, secrets))
        except Rejected as error:
            findings = error.diagnostics
            line = findings[0].line if findings else None
            fault = Outcome(status="rejected", message=str(error), line=line, diagnostics=findings)
        except BadInput as error:
            fault = Outcome(status="rejected", message=str(error))
        except Missing:
            return None
        return ReadyHook(record=hook, runnable=None, fault=fault)

    async def _check(self, there: Ready, hook: Hook) -> Check:
        """What today's compiler made of it, which is made now if need be; without code if that cannot be now."""
        code = there.codes.get(hook.id)
        if code is not None:
            return Check(compiler=self._checker.compiler, code=code)
        try:
            return await self._checker.current(self._access, there.tenant, hook)
        except Unchecked:
            return Check(compiler=self._checker.compiler, code=None)  # each run of it tries again, until one succeeds


_Secrets = Mapping[str, str] | None  # by name; None: they cannot be read
_UNREADABLE = Outcome(
    status="rejected", message="the hook's secrets cannot be read; set them anew, or ask who runs this server"
)


class _Access:
    """The store, asked without waiting on the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, tenant_id: str, question: Callable[..., Any], *args: Any) -> Any:
        """What `question(rows, *args)` returns."""
        return await asyncio.wrap_future(self._store.read(tenant_id, question, *args))

    async def write(self, tenant_id: str, change: Callable[..., Any], *args: Any) -> Any:
        """The same, of a change, once it is durable."""
        return await asyncio.wrap_future(self._store.write(tenant_id, change, *args))


def _enabled(rows: Rows, vault: Vault, compiler: str) -> tuple[Ready, dict[str, _Secrets]]:
    return _opened(ready.enabled(rows, compiler), vault)


def _one(rows: Rows, vault: Vault, compiler: str, hook_id: str) -> tuple[Ready, dict[str, _Secrets]]:
    return _opened(ready.one(rows, compiler, hook_id), vault)


def _opened(there: Ready, vault: Vault) -> tuple[Ready, dict[str, _Secrets]]:
    """With the secrets of each hook, opened: on the store's thread, where nobody's call waits for it."""
    return there, {hook.id: _secrets(there, hook.id, vault) for hook in there.hooks}


def _secrets(there: Ready, hook_id: str, vault: Vault) -> _Secrets:
    key, sealed = there.data_key, there.sealed.get(hook_id)
    if key is None or sealed is None:
        return {}
    try:
        return {name: vault.open(there.tenant.id, key, hook_id, name, sealed[name]) for name in sealed}
    except (Corrupt, KeyLost):
        return None


def _last_changed(hook: ReadyHook) -> tuple[int, str]:
    return hook.record.updated_ms, hook.record.id


def _weight(standing: Standing) -> int:
    return _OVERHEAD_BYTES + sum(_hook_weight(hook) for several in standing.hooks.values() for hook in several)


def _hook_weight(hook: ReadyHook) -> int:
    secrets = hook.runnable.secrets.values() if hook.runnable else ()
    code = hook.runnable.code if hook.runnable else None
    return _OVERHEAD_BYTES + 4 * len(hook.record.version.source) + len(code or b"") + sum(map(len, secrets))
