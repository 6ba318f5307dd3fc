"""A server that is killed in the middle of writing: all it had acknowledged is there, and no half of anything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy

from tenants import hooks, log_events, register, secret_values
from tenants.records import SealedKey, Settings, Tenant
from tenants.rows import Rows
from tenants.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
ROUNDS = 4
KEY = SealedKey(master_key_id="m", wrapped=b"")

WRITER = """
import sys
import threading
from tenants import hooks, log_events, secret_values
from tenants.records import Check, Draft
from tenants.store import Store

url, tenant_id, round_ = sys.argv[1:]
draft = Draft(source="x" * 5000, dependencies={}, check=Check(compiler="c", code=b"y" * 5000), created_by="me")

def whole(rows, name):  # seven statements that belong together
    new = {"name": name, "trigger_id": "p", "enabled": True, "draft": draft}
    hook = hooks.create(rows, **new)
    secret_values.add(rows, hook.id, {"A": b"a", "B": b"b"}, 20)
    log_events.append(rows, type="sapi", description=name)

def acknowledge(name, future):
    waiting.release()
    if future.exception() is None:
        print(name, flush=True)

waiting = threading.Semaphore(200)
store = Store(url)
store.open()
print("open", flush=True)
for number in range(100_000):
    name = f"{round_}-{number}"
    waiting.acquire()
    store.write(tenant_id, whole, name).add_done_callback(lambda future, name=name: acknowledge(name, future))
"""


def killed(url: str, tenant: Tenant, round_: int) -> list[str]:
    """What a writer acknowledged before it was killed, after so many words as chance says."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, tenant.id, str(round_)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "open\n" == process.stdout.readline()
    said = [process.stdout.readline() for _ in range(Random(round_).randint(1, 100))]
    process.kill()
    said += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    return [line.strip() for line in said if line.endswith("\n")]


def kept(rows: Rows) -> tuple[list[str], list[str], list[str]]:
    """The names of hooks, of those with both secrets and a version, and of those that were logged."""
    found = hooks.page(rows)[0]
    secrets = secret_values.names_by_hook(rows)
    logged = log_events.after(rows, "", 1_000_000)
    whole = [hook.name for hook in found if secrets.get(hook.id) == ["A", "B"] and hooks.versions(rows, hook.id)]
    return [hook.name for hook in found], whole, [event.description for event in logged]


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_it_acknowledged(
    url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    """Several times over, on the same database; with one that is opened meanwhile on PostgreSQL, as another node."""
    first = opened(url)
    future: Future[Tenant] = first.write_all(register.create, "acme", Settings(most_hooks=1_000_000), KEY)
    tenant = future.result(60)
    if url.startswith("sqlite"):
        first.close()
    acknowledged: list[str] = []
    for round_ in range(ROUNDS):
        acknowledged += killed(url, tenant, round_)
        store = opened(url)
        names, whole, logged = asked_of(store).read(tenant, kept)
        enabled = asked_of(store).read(tenant, hooks.enabled_of, "p")
        store.close()

        assert set() == set(acknowledged) - set(names)
        assert names == whole == logged
        assert names[-1:] == [hook.name for hook in enabled]
        if url.startswith("sqlite"):
            with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect() as connection:
                assert [("ok",)] == list(connection.exec_driver_sql("PRAGMA integrity_check"))
                assert [] == list(connection.exec_driver_sql("PRAGMA foreign_key_check"))
    assert len(acknowledged) > ROUNDS
