"""What the routes ask: the store, the vault, the engine. Made once, by app.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

from fastapi import Depends, Request

from engine.admission import Admission
from engine.api.rates import Rates
from engine.app import Engine
from engine.checking import Checker
from engine.config import Config
from engine.dispatch import Calls
from engine.live import Live
from engine.queue.jobs import JobQueue
from engine.standings import Standings
from engine.tokens import Tokens
from tenants.revisions import Revisions
from tenants.rows import Everything, Rows
from tenants.store import Store
from tenants.vault import Vault

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One of each, for as long as the server runs."""

    config: Config
    store: Store
    vault: Vault
    engine: Engine
    checker: Checker
    tokens: Tokens
    rates: Rates
    revisions: Revisions
    standings: Standings
    admission: Admission
    live: Live
    calls: Calls  # blocking points
    queue: JobQueue  # the others

    async def read(
        self, tenant_id: str, question: Callable[Concatenate[Rows, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """What the question answers for one tenant. Raises StoreError."""
        return await asyncio.wrap_future(self.store.read(tenant_id, question, *args, **named))

    async def study(
        self, tenant_id: str, question: Callable[Concatenate[Rows, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """As `read`, for a question that may take long. Raises StoreError."""
        return await asyncio.wrap_future(self.store.study(tenant_id, question, *args, **named))

    async def write(
        self, tenant_id: str, change: Callable[Concatenate[Rows, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """What the change returns, once it is durable. Raises StoreError."""
        return await asyncio.wrap_future(self.store.write(tenant_id, change, *args, **named))

    async def read_all(self, question: Callable[Concatenate[Everything, P], T], *args: P.args, **named: P.kwargs) -> T:
        """As `read`, of all tenants."""
        return await asyncio.wrap_future(self.store.read_all(question, *args, **named))

    async def write_all(self, change: Callable[Concatenate[Everything, P], T], *args: P.args, **named: P.kwargs) -> T:
        """As `write`, of all tenants."""
        return await asyncio.wrap_future(self.store.write_all(change, *args, **named))


async def _services(request: Request) -> Services:
    services: Any = request.app.state.services
    assert isinstance(services, Services)
    return services


Served = Annotated[Services, Depends(_services)]
