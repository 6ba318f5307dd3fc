"""What tests of the queue have in common: executions to be queued, and a store's queue with its answers waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ulid import ULID

from tenants import executions
from tenants.executions import Claims, End, Held, New
from tenants.records import Execution, Tenant

LEASE_MS = 1_000


def execution(**fields: Any) -> Execution:
    """One that is queued and due at moment 0, unless `fields` say otherwise."""
    given: dict[str, Any] = {
        "id": str(ULID()),
        "trigger_id": "post-change-password",
        "blocking": False,
        "hook_ids": ("h1",),
        "arguments": '{"user":{"email":"\U0001f600"}}',
        "status": "queued",
        "run_at_ms": 0,
        "created_ms": 0,
    }
    return Execution(**given | fields)


def new(tenant: Tenant, most_queued: int = 1_000, **fields: Any) -> New:
    return New(tenant.id, execution(**fields), most_queued)


def held(start: tuple[str, Execution]) -> Held:
    """The right that a start gives."""
    tenant_id, started = start
    return Held(tenant_id, started.id, started.fencing_token)


def ended(right: Held, status: Any = "success", **fields: Any) -> End:
    return End(
        **{"held": right, "status": status, "outcome": {"status": status}, "position": 1, "response": "{}"} | fields
    )


@dataclass(slots=True)
class Queue:
    """A store's queue."""

    asked: Any
    after: str = ""

    def put(self, *news: New) -> list[str]:
        """The ids, or the names of what went wrong."""
        answers = self.asked.write_all(executions.enqueue, news)
        return [getattr(answer, "id", None) or f"{type(answer).__name__} {answer.what}" for answer in answers]

    def claim(self, now_ms: int = 0, *, most: int = 100, room: Mapping[str, int] | int = 100, **terms: Any) -> Claims:
        """What is taken, in turn after what was taken before."""
        given = room if isinstance(room, Mapping) else lambda _: room
        fixed = {"lease_ms": LEASE_MS, "most_attempts": 3, "after": self.after}
        claims: Claims = self.asked.write_all(executions.claim, now_ms=now_ms, most=most, room=given, **fixed | terms)
        self.after = claims.last
        return claims

    def started(self, now_ms: int = 0, **terms: Any) -> list[Held]:
        return [held(start) for start in self.claim(now_ms, **terms).starts]

    def finish(self, *ends: End) -> list[bool]:
        told: list[bool] = self.asked.write_all(executions.finish, ends)
        return told

    def get(self, tenant: Tenant, id_: str) -> Execution:
        found: Execution = self.asked.read(tenant, executions.get, id_)
        return found

    def due_ms(self) -> int | None:
        due: int | None = self.asked.read_all(executions.next_due_ms)
        return due
