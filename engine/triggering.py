"""Calls of points, and the executions that became of them: of a running server, over its /v1 API."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.client import Client
from engine.outcome import Outcome
from tenants.states import ExecutionStatus

_CALL_S = 700  # the longest that a server can be set to let a hook run, and some more
_SPARE_S = 30  # over the time that the caller allows
_PAGE = 100

Raw = msgspec.Raw


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a call of a point was answered with."""

    execution_id: str
    status: Literal["success", "error", "queued"]
    data: Raw = Raw(b"null")  # the response, or the error {name, message, statusCode, …}
    fail: str | None = None  # of an error: open or closed, what the point tells its callers to do then


class HookRun(msgspec.Struct, frozen=True, kw_only=True):
    """One hook's part in an execution."""

    hook_id: str
    name: str
    version: int
    lease_ms: float  # waited for a worker
    outcome: Outcome


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of the last attempt of an execution; in lists without its error and its hooks."""

    status: str
    message: str
    timings: dict[str, float]  # milliseconds
    error: Any = None
    hooks: list[HookRun] = []


class ExecutionRow(msgspec.Struct, frozen=True, kw_only=True):
    """An execution, as /v1 tells of it."""

    id: str
    trigger_id: str
    blocking: bool
    status: ExecutionStatus
    attempt: int
    hooks: list[str]  # ids
    outcome: Ended | None  # None: no attempt has ended yet
    idempotency_key: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    run_at: str

    @property
    def message(self) -> str:
        """Of the error that ended it; empty where there is none."""
        return self.outcome.message if self.outcome else ""


class ShownExecution(ExecutionRow, frozen=True, kw_only=True):
    """An execution with all that is kept of it."""

    arguments: Raw


def sample_of(client: Client, point: str) -> bytes | None:
    """The sample call of a point, as JSON. None: the server has no such point."""
    points = client.get(_Points, "points").points
    return next((bytes(each.sample) for each in points if each.id == point), None)


def call(
    client: Client, tenant: str, point: str, arguments: bytes, *, key: str | None = None, wait_s: float | None = None
) -> Answer:
    """Call a point with JSON as it is. `key`: makes a repeated call one. `wait_s`: so long at most."""
    headers = {} if key is None else {"Idempotency-Key": key}
    headers |= {} if wait_s is None else {"Prefer": f"wait={wait_s:.3f}"}
    read_s = _CALL_S if wait_s is None else wait_s + _SPARE_S
    return client.call(Answer, arguments, "tenants", tenant, "triggers", point, headers=headers, read_s=read_s)


def executions(client: Client, tenant: str, limit: int, **chosen: str | None) -> list[ExecutionRow]:
    """The newest so many, the newest first. `chosen`: trigger_id, hook, status, before (an id)."""
    found: list[ExecutionRow] = []
    while len(found) < limit:
        most = min(_PAGE, limit - len(found))
        page = client.get(_Executions, "tenants", tenant, "executions", limit=most, **chosen)
        found += page.executions
        if page.next is None or page.next == chosen.get("before"):
            break
        chosen["before"] = page.next
    return found


def execution(client: Client, tenant: str, execution_id: str) -> ShownExecution:
    """All that is kept of one."""
    return client.get(ShownExecution, "tenants", tenant, "executions", execution_id)


def redrive(client: Client, tenant: str, execution_id: str) -> ExecutionRow:
    """Queue it again, as it was called."""
    return client.post(ExecutionRow, None, "tenants", tenant, "executions", execution_id, "redrive")


class _Point(msgspec.Struct):
    id: str
    sample: Raw


class _Points(msgspec.Struct):
    points: list[_Point]


class _Executions(msgspec.Struct):
    executions: list[ExecutionRow]
    next: str | None  # for `before`; None: there are no more
