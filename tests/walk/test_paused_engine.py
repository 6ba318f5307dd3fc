"""Two engines over one database: one that was paused, and goes on when another one has its jobs, changes nothing."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from counting import Counting, counting

JOBS = 4
PATIENCE_S = 60
_EVENTS = "SELECT details FROM log_events WHERE type = 'fcph'"
HOOK = """
import requests

def hook(user, context, cb):
    requests.get("{url}/" + user.id)
    cb(Error("attempt " + str(context.webtask.attempt)))
"""


@pytest.mark.slow
def test_an_engine_that_was_paused_does_not_overwrite_newer_results(serve: Callable[..., Any], tmp_path: Path) -> None:
    database, names = tmp_path / "data" / "hookcell.db", [f"n{number}" for number in range(JOBS)]
    with counting() as counter:
        environment = {
            "HOOKCELL_LEASE_MS": "2000",
            "HOOKCELL_EGRESS_EXCEPTIONS": counter.url.removeprefix("http://"),
        }
        paused = serve(**environment)
        ids = _begin(paused, counter, names)
        _pause(paused, database)
        other = serve(**environment)
        for name in names:
            counter.wait_for(name, 2)
            counter.let_go(name)
        _until(lambda: set() == {"queued", "running"} & {row[1] for row in _rows(database)})
        newer = _rows(database)
        paused.process.send_signal(signal.SIGCONT)
        statuses = paused.stop(), other.stop()

    assert (0, 0) == statuses
    assert [(made, "error", 2, "attempt 2") for made in sorted(ids)] == [row[:4] for row in newer]
    assert newer == _rows(database)
    assert sorted(ids) == sorted(_told(database))


def _begin(server: Any, counter: Counting, names: list[str]) -> list[str]:
    """Jobs that run, and wait for the counter."""
    token, ids = server.tenant("acme"), []
    put = server.ask(
        "PUT",
        "/v1/tenants/acme/hooks/calls/source",
        token,
        params={"trigger_id": "post-change-password", "enabled": "true"},
        content=HOOK.format(url=counter.url),
    )
    assert 201 == put.status_code, put.text
    for name in names:
        counter.hold(name)
        body = {"user": {"id": name}, "context": {"connection": {}}}
        called = server.ask("POST", "/v1/tenants/acme/triggers/post-change-password", token, json=body)
        assert 202 == called.status_code, called.text
        ids.append(called.json()["execution_id"])
        counter.wait_for(name)
    return ids


def _pause(server: Any, database: Path) -> None:
    """Between two writes: one that is stopped within a write keeps everybody from writing, on SQLite."""
    with contextlib.closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        while True:
            server.process.send_signal(signal.SIGSTOP)
            _until(lambda: "T" == Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(") ")[2][0])
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
                return
            server.process.send_signal(signal.SIGCONT)


def _rows(database: Path) -> list[tuple[Any, ...]]:
    """Id, status, attempt, message, and all the rest."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found = connection.execute(
            "SELECT execution_id, status, attempt, outcome ->> 'message', outcome, fencing_token, ended_ms FROM executions"
            " ORDER BY execution_id"
        )
        return found.fetchall()


def _told(database: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return [json.loads(told)["execution_id"] for (told,) in connection.execute(_EVENTS)]


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
