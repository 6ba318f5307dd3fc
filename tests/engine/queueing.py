"""A database with tenants and their hooks, and nodes that run its queue, over the session's engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from engine.admission import Admission
from engine.checking import Checker
from engine.compiler import fingerprint
from engine.config import Config
from engine.dispatch import Dispatcher
from engine.live import Live
from engine.points import Point, point_named
from engine.queue.jobs import JobQueue
from engine.standings import Standings
from tenants import executions, hooks, register, secret_values
from tenants.log_search import Order, found
from tenants.records import Execution, Hook, LogEvent, Settings, Tenant
from tenants.revisions import Revisions
from tenants.rows import Rows
from tenants.store import Store
from tenants.vault import open_vault

T = TypeVar("T")
POINT = "post-change-password"
LOOPBACK = {"exceptions": ["127.0.0.0/8"]}
ENDED = ("success", "error", "dead")
_POLL_S = 0.01
_PATIENCE_S = 60.0


class Node:
    """A queue of its own over the same database, as another process has it."""

    def __init__(self, place: Place, config: Config) -> None:
        self.store = Store(place.url)
        self.store.open()
        self.revisions = Revisions(place.url, self.store)
        vault = open_vault(self.store, place.folder / "master.key", None)
        standings = Standings(self.store, vault, place.checker, self.revisions)
        self.admission = Admission(config)
        self.live = Live()
        self.dispatcher = Dispatcher(place.engine, standings, self.live)
        self.queue = JobQueue(self.store, self.dispatcher, standings, self.admission, config, self.live)

    def die(self) -> None:
        """As a killed process: nothing is given back, nothing is written any more. On the engine's loop."""
        for task in (*self.queue._own, *self.queue._tasks):
            task.cancel()

    def stop_beating(self) -> None:
        """As a paused process, whose leases end. On the engine's loop."""
        for task in self.queue._own:
            task.cancel()

    async def close(self) -> None:
        """Drain it, if it has not been."""
        await self.queue.drain(0)
        self.revisions.close()
        await asyncio.to_thread(self.store.close)


class Place:
    """The database, and who asks it."""

    def __init__(self, wait: Callable[[Coroutine[Any, Any, Any]], Any], engine: Any, url: str, folder: Path) -> None:
        self.wait, self.engine, self.url, self.folder = wait, engine, url, folder
        self.store = Store(url)
        self.store.open()
        self._vault = open_vault(self.store, folder / "master.key", None)
        self.checker = Checker(engine, fingerprint())
        self._nodes: list[Node] = []

    def node(self, *, open: bool = True, **settings: Any) -> Node:  # noqa: A002 - as the queue's own
        """One more; it runs what is due unless it is not to be opened."""
        return self.wait(self._node(Config(**{"wall_ms": 3_000, "lease_ms": 1_000} | settings), opened=open))

    async def _node(self, config: Config, *, opened: bool) -> Node:
        self._nodes.append(Node(self, config))
        if opened:
            self._nodes[-1].queue.open()
        return self._nodes[-1]

    def tenant(self, name: str = "acme", **settings: Any) -> Tenant:
        """A new one, whose hooks may call this machine."""
        given = Settings(**{"egress": LOOPBACK} | settings)
        made: Tenant = self.store.write_all(register.create, name, given, self._vault.new_data_key).result(60)
        return made

    def hook(self, tenant: Tenant, body: str, *, name: str = "it", **fields: Any) -> Hook:
        """A new one, enabled, of post-change-password."""
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        source = f"import requests\n\ndef hook(user, context, cb):\n{lines}"
        draft = self.wait(self.checker.accept(tenant, POINT, source, {}, "tests"))
        new = {"name": name, "trigger_id": POINT, "enabled": True, "draft": draft} | fields
        made: Hook = self.store.write(tenant.id, hooks.create, **new).result(60)
        return made

    def enqueue(self, node: Node, tenant: Tenant, *run: Hook, point: Point | None = None, **named: Any) -> str:
        """The id of a new invocation."""
        told = node.queue.enqueue(tenant, point or point_named(POINT), sample(), ids_of(run), **named)
        return str(self.wait(told).id)

    def secret(self, tenant: Tenant, hook: Hook, name: str, value: str) -> None:
        """Give the hook a secret."""

        def put(rows: Rows) -> None:
            key = secret_values.data_key(rows)
            secret_values.put(rows, hook.id, {name: self._vault.seal(rows.tenant_id, key, hook.id, name, value)}, 20)

        self.store.write(tenant.id, put).result(60)

    def execution(self, tenant: Tenant, execution_id: str) -> Execution:
        """As it stands now."""
        read: Execution = self.store.read(tenant.id, executions.get, execution_id).result(60)
        return read

    def ended(self, tenant: Tenant, execution_id: str) -> Execution:
        """As it stands once it has ended."""
        self.until(lambda: self.execution(tenant, execution_id).status in ENDED)
        return self.execution(tenant, execution_id)

    @staticmethod
    def until(condition: Callable[[], Any]) -> None:
        """What has no event for the test is looked at again and again."""
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(_POLL_S)

    def log(self, tenant: Tenant) -> list[LogEvent]:
        """The tenant's log, the oldest first."""
        asked = self.store.read(tenant.id, found, None, order=Order(ascending=True), start=0, limit=1_000)
        return list(asked.result(60))

    def close(self) -> None:
        """Every node, and the store."""
        for node in self._nodes:
            self.wait(node.close())
        self.store.close()


def sample() -> bytes:
    """Arguments."""
    return b'{"user":{"id":"u1","email":"user1@foo.com"},"context":{"connection":{"name":"users"}}}'


def ids_of(run: tuple[Hook, ...]) -> tuple[str, ...]:
    """As an invocation names its hooks."""
    return tuple(hook.id for hook in run)


async def call(function: Callable[[], T]) -> T:
    """What it returns, on the engine's loop."""
    return function()
