"""A running server for the session: real store, real workers, real HTTP on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hearing import ears

from engine.api.app import make_app, open_services
from engine.app import Engine
from engine.config import Config
from engine.points import point_named
from engine.scopes import TENANT_SCOPES
from engine.server import Server as HttpServer

HOOK = "def hook(user, context, cb):\n    cb()\n"


@dataclass(frozen=True, slots=True)
class TenantApi:
    """A tenant, with a token that may do all that a tenant's token can."""

    name: str
    token: str
    url: str
    client: httpx.Client

    def ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """Ask with its token; `path` under /v1/tenants/NAME when it does not begin with a slash."""
        where = path if path.startswith("/") else f"/v1/tenants/{self.name}/{path}"
        return self.client.request(method, where, headers={"Authorization": f"Bearer {self.token}"}, **sent)

    def hook(self, name: str, source: str, trigger_id: str, **query: Any) -> dict[str, Any]:
        """A hook of that source, enabled."""
        made = self.ask("PUT", f"hooks/{name}/source", content=source, params={"trigger_id": trigger_id} | query)
        assert made.status_code in (200, 201), made.text
        hook: dict[str, Any] = made.json()
        return hook

    def trigger(self, trigger_id: str, arguments: Any = None, **headers: str) -> httpx.Response:
        """Call a point, with its sample unless told otherwise. `headers`: Idempotency_Key for Idempotency-Key."""
        given = point_named(trigger_id).sample if arguments is None else arguments
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = f"Bearer {self.token}"
        return self.client.post(f"/v1/tenants/{self.name}/triggers/{trigger_id}", json=given, headers=sent)

    def ended(self, execution_id: str) -> dict[str, Any]:
        """The execution, once it has ended."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            answer = self.ask("GET", f"executions/{execution_id}")
            shown: dict[str, Any] = answer.json()
            if answer.status_code == 200 and shown["status"] not in ("queued", "running"):
                return shown
        raise AssertionError(f"{execution_id} has not ended: {answer.text}")


class Server:
    """A server in a thread of its own."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._names = itertools.count(1)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait(60)
        if self._fault:
            self._thread.join()
            raise self._fault
        self.operator = Path(config.data, "operator.token").read_text().strip()
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            self._fault = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with Engine(self.config) as engine, open_services(self.config, engine) as services:
            self.services = services
            self.app = make_app(services)
            async with listening(self.config, self.app, services.live.close) as self.url:
                self._ready.set()
                await self._stop.wait()

    def ask(self, method: str, path: str, token: str | None = None, **sent: Any) -> httpx.Response:
        """Ask with a token; the operator's when none is given, none at all when it is empty."""
        token = self.operator if token is None else token
        headers = dict(sent.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.request(method, path, headers=headers, **sent)

    def tenant(self, name: str | None = None, **settings: Any) -> TenantApi:
        """A new tenant."""
        name = name or f"tenant-{next(self._names)}"
        made = self.ask("POST", "/v1/tenants", json={"name": name, "settings": {"api_per_second": 10_000} | settings})
        assert made.status_code == 201, made.text
        return TenantApi(name, self.token(name, sorted(TENANT_SCOPES)), self.url, self.client)

    def token(self, tenant: str, scopes: list[str], **fields: Any) -> str:
        """A new token of a tenant."""
        made = self.ask("POST", f"/v1/tenants/{tenant}/tokens", json={"name": "test", "scopes": scopes} | fields)
        assert made.status_code == 201, made.text
        token: str = made.json()["token"]
        return token

    def close(self) -> None:
        """End the server and its thread."""
        self.client.close()
        with contextlib.suppress(RuntimeError):  # a test has stopped it, and its loop is closed already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@contextlib.asynccontextmanager
async def listening(config: Config, app: Any, stopping: Callable[[], None]) -> AsyncIterator[str]:
    """A uvicorn on a free port; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server, opened = HttpServer(config, app, listener, stopping), asyncio.Event()
        task = asyncio.create_task(server.run(opened.set))
        await opened.wait()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.stop()
        await task


@pytest.fixture(scope="module")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """`new_server(**settings)`: another server, for the tests of one file."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Server:
            data = settings.pop("data", None) or tmp_path_factory.mktemp("data")
            server = Server(Config(data=str(data), **{"wall_ms": 3_000, "check_ms": 3_000} | settings))
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture(scope="session", autouse=True)
def _ears() -> Iterator[None]:
    """Tests can hear what the servers ask of SQLite: hearing.statements()."""
    with ears():
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The session's server."""
    data = tmp_path_factory.mktemp("data")
    server = Server(Config(data=str(data), wall_ms=3_000, check_ms=3_000, failed_logins_per_minute=100_000))
    yield server
    server.close()


@pytest.fixture
def acme(server: Server) -> TenantApi:
    """A fresh tenant."""
    return server.tenant()
