"""The server: everything it holds open, and the routes over it.

    async with Engine(config) as engine, open_services(config, engine) as services:
        app = make_app(services)

What is opened last is closed first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from pathlib import Path
from typing import ParamSpec, TypeVar

from fastapi import FastAPI
from starlette.types import ASGIApp

from engine.admission import Admission
from engine.api import (
    checks,
    deployments,
    document,
    events,
    executions,
    health,
    hooks,
    logs,
    management,
    oauth,
    operators,
    points,
    runs,
    secrets,
    tenants,
    tokens,
    triggers,
    versions,
)
from engine.api.headers import WithHeaders
from engine.api.rates import Rates
from engine.api.replies import add_errors
from engine.api.services import Services
from engine.app import Engine
from engine.checking import Checker
from engine.compiler import fingerprint
from engine.config import Config
from engine.dispatch import Calls, Dispatcher
from engine.live import Live
from engine.queue.jobs import JobQueue
from engine.queue.recording import Recorder
from engine.retention import keep_sweeping
from engine.standings import Standings
from engine.tokens import Tokens
from tenants.revisions import Revisions
from tenants.store import Store
from tenants.vault import Vault, open_vault

_P = ParamSpec("_P")
_Result = TypeVar("_Result")

_ROUTES = (
    oauth.router,
    *management.routers,
    tenants.router,
    tokens.router,
    hooks.router,
    secrets.router,
    versions.router,
    deployments.router,
    checks.router,
    triggers.router,
    executions.router,
    runs.router,
    logs.router,
    events.router,
    points.router,
    operators.router,
    health.router,
)


@contextlib.asynccontextmanager
async def open_services(config: Config, engine: Engine) -> AsyncIterator[Services]:
    """The store and the vault, until the block ends; with the engine, which is up. Raises EngineError, StoreError."""
    data = Path(config.data)
    store = Store(database_url(config))
    try:
        await _to_its_end(store.open)
        vault = await _to_its_end(open_vault, store, data / "master.key", config.master_key)
        tokens_ = Tokens(store)
        await _to_its_end(tokens_.first_start, data / "operator.token")
        async with contextlib.AsyncExitStack() as closed_last, keep_sweeping(store, config):
            running = _Running(config, engine, store, vault)
            await running.open(closed_last)
            yield Services(
                config=config,
                store=store,
                vault=vault,
                engine=engine,
                checker=running.checker,
                tokens=tokens_,
                rates=Rates(config),
                revisions=running.revisions,
                standings=running.standings,
                admission=running.admission,
                live=running.live,
                calls=running.calls,
                queue=running.queue,
            )
    finally:
        await _to_its_end(store.close)


class _Running:
    """What runs invocations, each part over those before it."""

    def __init__(self, config: Config, engine: Engine, store: Store, vault: Vault) -> None:
        self.checker = Checker(engine, fingerprint())
        self.revisions = Revisions(database_url(config), store)
        self.standings = Standings(store, vault, self.checker, self.revisions)
        self.admission = Admission(config)
        self.live = Live()
        self._recorder = Recorder(store)
        self._drain_s = config.drain_ms / 1000
        dispatcher = Dispatcher(engine, self.standings, self.live)
        self.calls = Calls(dispatcher, self.admission, self._recorder)
        self.queue = JobQueue(store, dispatcher, self.standings, self.admission, config, self.live)

    async def open(self, closing: contextlib.AsyncExitStack) -> None:
        """Begin. They end in turn: the queue gives back what it has, then what is recorded is written."""
        closing.callback(self.revisions.close)
        self._recorder.open()
        closing.push_async_callback(self._recorder.close)
        self.queue.open()
        closing.push_async_callback(self.queue.drain, self._drain_s)
        closing.callback(self.live.close)


async def _to_its_end(work: Callable[_P, _Result], *args: _P.args, **kwargs: _P.kwargs) -> _Result:
    """What `work` returns, in a thread. If we are cancelled it ends first: no thread opens what was closed already."""
    under_way = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        while not under_way.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({under_way})
        under_way.exception()  # nobody else asks for it
        raise


def database_url(config: Config) -> str:
    """Where the store is: as the settings say, else SQLite in the data folder."""
    return config.database_url or f"sqlite:///{Path(config.data).absolute()}/hookcell.db"


def make_app(services: Services) -> ASGIApp:
    """All that is served: the one route that is asked all the time in front of the others."""
    return triggers.Triggers(make_routes(services), services)


def make_routes(services: Services) -> FastAPI:
    """The routes over these services."""
    app = FastAPI(
        title="Hookcell",
        version=version("hookcell"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    for router in _ROUTES:
        app.include_router(router)
    document.add_to(app)
    add_errors(app)
    app.add_middleware(WithHeaders)
    return app
