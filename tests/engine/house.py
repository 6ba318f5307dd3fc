"""A store with tenants and their hooks, and what answers their calls: on one event loop, over one engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from engine.app import Engine
from engine.checking import Checker
from engine.compiler import fingerprint
from engine.dispatch import Dispatcher
from engine.invocation import Invocation
from engine.live import Live
from engine.points import point_named
from engine.standings import Standings
from tenants import hooks, register, secret_values
from tenants.hooks import HookChanges
from tenants.records import Check, Draft, Hook, Settings, Tenant
from tenants.revisions import Revisions
from tenants.rows import Rows
from tenants.stamps import id_after
from tenants.store import Store
from tenants.vault import Vault, open_vault

POINT = "pre-user-registration"
LOOPBACK = {"exceptions": ["127.0.0.0/8"]}


class House:
    """`other`: a second store over the same database, as another process has it."""

    def __init__(self, engine: Engine, folder: Path, url: str) -> None:
        self.store, self.other = Store(url), Store(url)
        for store in (self.store, self.other):
            store.open()
        self.engine = engine
        self.vault = open_vault(self.store, folder / "master.key", None)
        self.checker = Checker(engine, fingerprint())
        self.revisions = Revisions(url, self.store)
        self.standings = Standings(self.store, self.vault, self.checker, self.revisions)
        self.live = Live()
        self.dispatcher = Dispatcher(engine, self.standings, self.live)

    def close(self) -> None:
        """Let go of the database."""
        self.revisions.close()
        for store in (self.store, self.other):
            store.close()

    def tenant(self, name: str = "acme", **own: Any) -> Tenant:
        """A new one, which may have several hooks at a point."""
        given = Settings(**{"multiple_hooks": True, "egress": LOOPBACK} | own)
        made: Tenant = self.store.write_all(register.create, name, given, self.vault.new_data_key).result(60)
        return made

    async def hook(self, tenant: Tenant, body: str, *, name: str = "it", **fields: Any) -> Hook:
        """A new one, enabled, whose function has that body."""
        trigger_id = fields.setdefault("trigger_id", POINT)
        draft = await self.draft(tenant, body, trigger_id)
        return self.stored(tenant, draft, name=name, **fields)

    async def draft(self, tenant: Tenant, body: str, trigger_id: str = POINT) -> Draft:
        """One that was checked."""
        return await self.checker.accept(tenant, trigger_id, source(body, trigger_id), {}, "tests")

    def stored(self, tenant: Tenant, draft: Draft, **fields: Any) -> Hook:
        """A new hook of that draft."""
        new = {"name": "it", "enabled": True, "trigger_id": POINT, "draft": draft} | fields
        made: Hook = self.store.write(tenant.id, hooks.create, **new).result(60)
        return made

    def change(self, tenant: Tenant, hook: Hook, *, by: Store | None = None, **changes: Any) -> Hook:
        """The hook, changed."""
        asked = (by or self.store).write(tenant.id, hooks.change, hook.id, HookChanges(**changes))
        made: Hook = asked.result(60)
        return made

    def secret(self, tenant: Tenant, hook: Hook, name: str, value: str | bytes, *, by: Store | None = None) -> None:
        """Give the hook a secret; of bytes, sealed as they are."""
        (by or self.store).write(tenant.id, _put_secret, self.vault, hook.id, name, value).result(60)

    def invocation(self, tenant: Tenant, trigger_id: str = POINT, within_s: float = 30, **fields: Any) -> Invocation:
        """A call of the point on its sample."""
        point = point_named(trigger_id)
        deadline = asyncio.get_running_loop().time() + within_s
        given = {"arguments": point.encode_arguments(point.sample, 1 << 20), "id": id_after(None)} | fields
        return Invocation(tenant=tenant, point=point, deadline=deadline, **given)

    async def run(self, tenant: Tenant, trigger_id: str = POINT, **fields: Any) -> Any:
        """What came of a call of the point."""
        return await self.dispatcher.run(self.invocation(tenant, trigger_id, **fields))


def source(body: str, trigger_id: str = POINT) -> str:
    """A hook's file."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"def hook({', '.join(point_named(trigger_id).parameters)}):\n{lines}"


def draft_of_old(text: str, code: bytes = b"old") -> Draft:
    """One that another compiler made something of."""
    return Draft(source=text, dependencies={}, check=Check(compiler="another", code=code), created_by="tests")


@contextlib.asynccontextmanager
async def a_house(engine: Engine, folder: Path, url: str | None = None) -> AsyncIterator[House]:
    """One for one test; `folder` has its master key, and its database unless that is elsewhere."""
    house = House(engine, folder, url or f"sqlite:///{folder}/store.db")
    try:
        yield house
    finally:
        house.close()


def _put_secret(rows: Rows, vault: Vault, hook_id: str, name: str, value: str | bytes) -> None:
    key = secret_values.data_key(rows)
    sealed = value if isinstance(value, bytes) else vault.seal(rows.tenant_id, key, hook_id, name, value)
    secret_values.put(rows, hook_id, {name: sealed}, 20)
