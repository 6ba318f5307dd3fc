"""A server that is told to stop ends what runs, or gives it back; told twice, it waits for nothing."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from counting import Counting, counting

LONG_MS = "60000"  # far more than any of this takes
LONG = {"HOOKCELL_DRAIN_MS": LONG_MS, "HOOKCELL_WALL_MS": LONG_MS, "HOOKCELL_EGRESS_EXCHANGE_MS": LONG_MS}
PATIENCE_S = 45  # less than LONG_MS
POINTS = {"queued": "post-change-password", "blocking": "pre-user-registration"}
HOOK = "import requests\n\ndef hook(user, context, cb):\n    requests.get('{url}/' + user.id)\n    cb()\n"


@pytest.fixture
def counter() -> Iterator[Counting]:
    with counting() as server:
        yield server


@pytest.fixture
def start(serve: Callable[..., Any], counter: Counting) -> Callable[[], Any]:
    """`start()`: a server that waits long for what runs, whose hooks call the counter."""
    return lambda: serve(**LONG, HOOKCELL_EGRESS_EXCEPTIONS=counter.url.removeprefix("http://"))


def test_what_runs_ends_before_the_server_does(start: Callable[[], Any], counter: Counting, tmp_path: Path) -> None:
    server = start()
    token = _make_hook(server, counter, "queued")
    counter.hold("slow")
    _trigger(server, token, "slow")
    counter.wait_for("slow")
    server.process.send_signal(signal.SIGTERM)
    _until_closed(server)
    counter.let_go("slow")

    assert 0 == server.process.wait(PATIENCE_S)
    assert [("success", 1)] == _rows(tmp_path)


def test_a_second_word_gives_back_what_runs_and_the_next_start_runs_it(
    start: Callable[[], Any], counter: Counting, tmp_path: Path
) -> None:
    server = start()
    token = _make_hook(server, counter, "queued")
    counter.hold("stuck")
    _trigger(server, token, "stuck")
    counter.wait_for("stuck")
    _stop_twice(server)
    given_back = _rows(tmp_path)
    counter.let_go("stuck")
    server = start()
    counter.wait_for("stuck", 2)

    assert 0 == server.stop()
    assert [("queued", 0)] == given_back
    assert [("success", 1)] == _rows(tmp_path)


def test_a_second_word_frees_the_worker_of_a_caller_that_waits(start: Callable[[], Any], counter: Counting) -> None:
    server = start()
    token = _make_hook(server, counter, "blocking")
    counter.hold("waits")
    body = {"user": {"id": "waits"}, "context": {"connection": {}}}
    ended: list[Any] = []

    def call() -> None:
        path, headers = f"/v1/tenants/acme/triggers/{POINTS['blocking']}", {"Authorization": f"Bearer {token}"}
        try:
            ended.append(httpx.post(server.url + path, json=body, headers=headers, timeout=PATIENCE_S).status_code)
        except httpx.TransportError as error:
            ended.append(type(error))

    thread = threading.Thread(target=call)
    thread.start()
    counter.wait_for("waits")
    _stop_twice(server)
    thread.join(PATIENCE_S)

    assert ended in ([503], [httpx.RemoteProtocolError], [httpx.ReadError])


def test_what_was_acknowledged_before_the_end_is_run_after_it(
    start: Callable[[], Any], counter: Counting, tmp_path: Path
) -> None:
    server = start()
    token = _make_hook(server, counter, "queued")
    for number in range(50):
        _trigger(server, token, f"n{number}")
    assert 0 == server.stop()
    server = start()
    for number in range(50):
        counter.wait_for(f"n{number}")

    assert 0 == server.stop()
    assert [("success", 1)] * 50 == _rows(tmp_path)
    assert 50 == sum(counter.seen.values())


def _make_hook(server: Any, counter: Counting, kind: str) -> str:
    token: str = server.tenant("acme")
    params, source = {"trigger_id": POINTS[kind]}, HOOK.format(url=counter.url)
    put = server.ask("PUT", "/v1/tenants/acme/hooks/calls/source", token, params=params, content=source)
    assert 201 == put.status_code, put.text
    return token


def _trigger(server: Any, token: str, name: str) -> None:
    body = {"user": {"id": name}, "context": {"connection": {}}}
    called = server.ask("POST", f"/v1/tenants/acme/triggers/{POINTS['queued']}", token, json=body)
    assert 202 == called.status_code, called.text


def _stop_twice(server: Any) -> None:
    server.process.send_signal(signal.SIGTERM)
    _until_closed(server)
    server.process.send_signal(signal.SIGTERM)
    assert 0 == server.process.wait(PATIENCE_S)


def _until_closed(server: Any) -> None:
    """Nobody is let in any more: it has heard."""
    deadline = time.monotonic() + PATIENCE_S
    with contextlib.suppress(httpx.TransportError):
        while httpx.get(f"{server.url}/healthz", timeout=PATIENCE_S):
            assert time.monotonic() < deadline, "it goes on to serve"


def _rows(folder: Path) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(folder / "data" / "hookcell.db")) as connection:
        return connection.execute("SELECT status, attempt FROM executions").fetchall()
