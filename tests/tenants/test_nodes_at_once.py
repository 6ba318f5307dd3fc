"""Two engines on one PostgreSQL: neither one's work for a tenant waits for what the other has under way for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from queue_rows import execution, new

from tenants import executions, log_events
from tenants.executions import Recorded
from tenants.rows import Everything
from tenants.store import Store


def test_a_tenants_executions_are_kept_while_another_node_logs_for_it(
    postgres_url: str, opened: Callable[[str], Store], asked_of: Callable[[Store], Any]
) -> None:
    """Its row is counted in by the one, and held to by the other: at the first attempt."""
    one, other = (asked_of(opened(postgres_url)) for _ in range(2))
    tenant = one.tenant("acme")
    logged, done = threading.Event(), threading.Event()
    attempts: list[str] = []

    def log(everything: Everything) -> None:
        log_events.append_of_all(everything, [(tenant.id, {"type": "x"})])
        logged.set()
        done.wait(60)

    def enqueue(everything: Everything) -> Any:
        attempts.append("enqueue")
        return executions.enqueue(everything, [new(tenant)])

    def record(everything: Everything) -> None:
        attempts.append("record")
        executions.record(everything, [Recorded(tenant.id, execution(status="success", ended_ms=1))])

    logging = one.store.write_all(log)
    try:
        assert logged.wait(60)
        (queued,) = other.write_all(enqueue)
        other.write_all(record)
        assert not logging.done()
    finally:
        done.set()
    logging.result(60)

    assert ["enqueue", "record"] == attempts
    assert {queued.id} < {kept.id for kept in one.read(tenant, executions.page)}
    assert ["x"] == [event.type for event in other.events(tenant)]
