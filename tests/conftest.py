"""An engine of real workers for the whole session, and hooks run in it; a PostgreSQL for who asks for one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

import postgres
import pytest

from engine.app import Engine
from engine.config import Config
from engine.hook import Hook, Limits
from engine.outcome import Outcome
from engine.points import point_named

T = TypeVar("T")
POINT = "post-change-password"


class EngineThread:
    """An engine on an event loop of its own, for tests that are not asynchronous."""

    def __init__(self, config: Config) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.engine = self.wait(self._enter(config))

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of `coroutine`, run on the engine's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)

    def run(self, source: str, arguments: Mapping[str, Any] | bytes | None = None, **hook: Any) -> Outcome:
        """How the hook ended. `hook`: fields of engine.Hook; `trigger_id` defaults to post-change-password."""
        made = Hook(source, **{"trigger_id": POINT} | hook)
        given = point_named(made.trigger_id).sample if arguments is None else arguments
        return self.wait(self.engine.run(made, given))

    def close(self) -> None:
        """End the engine and its loop."""
        self.wait(self.engine.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @staticmethod
    async def _enter(config: Config) -> Engine:
        return await Engine(config).__aenter__()


@pytest.fixture(scope="session")
def engine_thread() -> Iterator[EngineThread]:
    """The session's engine: hooks have three seconds, the rest is default."""
    thread = EngineThread(Config(wall_ms=3_000, check_ms=3_000, workers=16))
    yield thread
    thread.close()


@pytest.fixture(scope="module")
def new_engine() -> Iterator[Callable[[Config], EngineThread]]:
    """`new_engine(config)`: another engine, for the tests of one file."""
    with contextlib.ExitStack() as stack:

        def start(config: Config) -> EngineThread:
            thread = EngineThread(config)
            stack.callback(thread.close)
            return thread

        yield start


@pytest.fixture
def run_hook(engine_thread: EngineThread) -> Callable[..., Outcome]:
    """`run_hook(source, arguments=None, *, trigger_id=…, tenant=…, secrets=…, mode=…, limits=…, seed=…)` → Outcome."""
    return engine_thread.run


@pytest.fixture
def limits() -> type[Limits]:
    """The class of a hook's own limits."""
    return Limits


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[str]:
    """The folder of the socket of a PostgreSQL of our own, which keeps nothing."""
    with postgres.cluster() as folder:
        yield folder


@pytest.fixture
def postgres_url(postgres_cluster: str) -> Iterator[str]:
    """The address of an empty database."""
    with postgres.database(postgres_cluster) as url:
        yield url
