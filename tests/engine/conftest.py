"""Engines and workers for one test each, and the one way to wait for what has no event."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop
from counting import Counting, counting
from hostile import Client, networks_of_a_test
from house import House, a_house
from queueing import Place

from engine.app import Engine, zygote_setting
from engine.config import Config
from engine.egress.network import Network
from engine.hook import Hook
from engine.points import point_named
from engine.spawner import Spawner

POINT = "post-change-password"
_POLL_S = 0.01
_PATIENCE_S = 60.0  # what this machine may take when it does something else at the same time
_ON_BOTH_LOOPS = {  # what speaks to the event loop itself: the server runs on uvloop, the commands on asyncio's own
    "test_alarms.py",
    "test_egress_connection.py",
    "test_egress_kept.py",
    "test_egress_names.py",
    "test_egress_network.py",
    "test_egress_walk.py",
    "test_pool.py",
    "test_pool_waiting.py",
    "test_spawner.py",
    "test_turn.py",
    "test_turn_calls.py",
}


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """pytest-asyncio's: the event loops that a test runs on, one after the other."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    return loops | ({"uvloop": uvloop.new_event_loop} if item.path.name in _ON_BOTH_LOOPS else {})


async def _until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never came: {what}"
        await asyncio.sleep(_POLL_S)
    return found


@pytest.fixture
def until() -> Callable[..., Any]:
    """`await until(condition, what)`: poll until `condition()` is true and return that; fail when it never comes."""
    return _until


@pytest.fixture
def hook() -> Callable[..., Hook]:
    """`hook(body, **fields)`: a hook of post-change-password whose function has that body."""

    def make(body: str, **fields: Any) -> Hook:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        return Hook(f"def hook(user, context, cb):\n{lines}", **{"trigger_id": POINT} | fields)

    return make


@pytest.fixture
def sample() -> dict[str, Any]:
    """Arguments that post-change-password takes."""
    return point_named(POINT).sample


@pytest.fixture
def spawner_of() -> Callable[..., contextlib.AbstractAsyncContextManager[Spawner]]:
    """`async with spawner_of(**zygote_setting) as spawner`: one that is closed in the end."""

    @contextlib.asynccontextmanager
    async def make(**setting: Any) -> AsyncIterator[Spawner]:
        spawner = Spawner(dataclasses.replace(zygote_setting(Config()), **setting))
        try:
            yield spawner
        finally:
            await spawner.close()

    return make


@pytest.fixture
def zygote_pid() -> Callable[[Engine], int]:
    """`zygote_pid(engine)`: the process that the engine started and still uses."""

    def find(engine: Engine) -> int:
        zygote = engine._spawner._current
        assert zygote is not None
        return zygote._process.pid

    return find


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    """One for the tests of a file that all run on one event loop; hooks have ten seconds."""
    async with Engine(Config(workers=12, wall_ms=10_000)) as made:
        yield made


def _empty_database(request: pytest.FixtureRequest) -> str:
    """Its address: of SQLite, unless the fixture is asked for with `postgres`."""
    if getattr(request, "param", "sqlite") == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/store.db"


@pytest_asyncio.fixture(loop_scope="module")
async def house(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """A store with tenants and their hooks over that engine, for one test."""
    async with a_house(engine, tmp_path, _empty_database(request)) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def place(engine_thread: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """An empty database, and who runs queues over it."""
    place = Place(engine_thread.wait, engine_thread.engine, _empty_database(request), tmp_path)
    yield place
    place.close()


@pytest.fixture
def counter() -> Iterator[Counting]:
    """Who hooks call."""
    with counting() as server:
        yield server


@pytest.fixture
async def networks() -> AsyncIterator[Callable[..., Network]]:
    """`networks(**fields)`: networks that end with the test, and leave no task behind."""
    async with networks_of_a_test() as make:
        yield make


@pytest.fixture
def network(networks: Callable[..., Network]) -> Network:
    """One of them."""
    return networks()


@pytest.fixture
def client(network: Network) -> Client:
    """One tenant's transport over it."""
    return Client(network)


@pytest.fixture(autouse=True)
def _no_loose_ends(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The event loop met no exception that nobody caught."""
    yield
    loose = [record.getMessage() for record in caplog.get_records("call") if record.name == "asyncio"]
    assert [] == loose
