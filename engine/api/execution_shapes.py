"""What comes of a trigger as it stands in answers of /v1: its own answer, executions, outcomes of the Runner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from engine.api.shapes import Time, time_of
from tenants.records import Execution
from tenants.states import ExecutionStatus

ExecutionId = Annotated[
    str,
    Field(
        description="A ULID; `context.webtask.execution_id` in every attempt.", examples=["01KACT8J9R0Q2T7Y4W5E6D8F1G"]
    ),
]
_ERROR = {"name": "InvalidScopeError", "message": "not for this client", "statusCode": 400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """What the hooks of a blocking point have answered."""

    execution_id: ExecutionId
    status: Literal["success"]
    data: Annotated[
        Any,
        Field(
            description="The point's default response, with what its hooks answered, by the point's rules.",
            examples=[{"scope": ["read:connections"]}],
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a hook of a blocking point has failed, or refused."""

    execution_id: ExecutionId
    status: Literal["error"]
    data: Annotated[
        dict[str, Any],
        Field(
            description="`message`, `statusCode`, `name` where there is one, and what the error has of its own.",
            examples=[_ERROR],
        ),
    ]
    fail: Annotated[
        Literal["open", "closed"],
        Field(description="What the application is to do: go on as without hooks (open), or refuse (closed)."),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """The invocation of a non-blocking point: it is durable, and will be run."""

    execution_id: ExecutionId
    status: Literal["queued"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedExecution:
    """The record of an invocation, in a list."""

    id: ExecutionId
    trigger_id: Annotated[str, Field(examples=["post-change-password"])]
    blocking: Annotated[bool, Field(description="Whether the caller waited; if so, it was never in the queue.")]
    status: Annotated[
        ExecutionStatus,
        Field(description="`dead`: its attempts are used up, or nobody could run it.", examples=["success"]),
    ]
    attempt: Annotated[int, Field(description="How often it was started.")]
    hooks: Annotated[Sequence[str], Field(description="Ids of the hooks that were enabled when it was triggered.")]
    outcome: Annotated[
        dict[str, Any] | None,
        Field(
            description="Of the last attempt: `status`, `message`, `error`, `hooks` with the whole outcome of each, "
            "and `timings` in milliseconds; in a list `status`, `timings` and the beginning of `message`, a thousand "
            "characters. Null: none has ended yet."
        ),
    ]
    idempotency_key: str | None
    created_at: Time
    started_at: Annotated[str | None, Field(description="The last attempt; null: not yet. ISO 8601, UTC.")]
    ended_at: Annotated[str | None, Field(description="Null: not yet. ISO 8601, UTC.")]
    run_at: Annotated[str, Field(description="When it is, or was, due. ISO 8601, UTC.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExecution(ListedExecution):
    """The record of an invocation: in the queue, under way, or ended."""

    arguments: Annotated[
        Any, Field(description="What it was called with, without what the point names as secret where it has ended.")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """A part of a tenant's executions, newest first."""

    executions: Sequence[ListedExecution]
    next: Annotated[str | None, Field(description="For `before`, to go on; null: there are no more.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a trigger would have answered, had this been the only hook."""

    status: Literal["success", "error"]
    data: Any
    fail: Annotated[Literal["open", "closed"] | None, Field(description="Of an error.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a hook ended: the whole outcome. Nothing of it is stored."""

    execution_id: Annotated[str, Field(description="`context.webtask.execution_id` in it.")]
    status: Annotated[
        Literal[
            "ok", "denied", "raised", "no_callback", "bad_result", "rejected", "timeout", "out_of_memory", "crashed"
        ],
        Field(description="`denied`: cb() got an error. `rejected`: the source is refused before it runs."),
    ]
    message: Annotated[str, Field(description="What happened and what to do; empty when `ok`.")]
    line: Annotated[int | None, Field(description="Of the source, where it ended.")]
    source: Annotated[str | None, Field(description="The text of that line.")]
    result: Annotated[Any, Field(description="What cb() was given, when `ok`.")]
    error: Annotated[Any, Field(description="{name, message, …}, when `denied` or `raised`.")]
    logs: Annotated[Sequence[dict[str, Any]], Field(description="{level, text, line, at} of each console line.")]
    egress: Annotated[Sequence[dict[str, Any]], Field(description="Calls to other hosts, in order.")]
    usage: Annotated[dict[str, Any], Field(description="wall_ms, cpu_ms, peak_bytes.")]
    diagnostics: Annotated[Sequence[dict[str, Any]], Field(description="What is refused, when `rejected`.")]
    warnings: Sequence[dict[str, Any]]
    causes: Annotated[
        Sequence[dict[str, Any]], Field(description="The error, then what led to it, with the lines it went through.")
    ]
    answer: Annotated[Answer, Field(description="What a trigger would have answered.")]


def listed(execution: Execution) -> dict[str, Any]:
    """A record as it stands in lists: ListedExecution."""
    whole = execution.outcome
    return {
        "id": execution.id,
        "trigger_id": execution.trigger_id,
        "blocking": execution.blocking,
        "status": execution.status,
        "attempt": execution.attempt,
        "hooks": execution.hook_ids,
        "outcome": whole and {name: whole[name] for name in ("status", "message", "timings") if name in whole},
        "idempotency_key": execution.idempotency_key,
        "created_at": time_of(execution.created_ms),
        "started_at": _time(execution.started_ms),
        "ended_at": _time(execution.ended_ms),
        "run_at": time_of(execution.run_at_ms),
    }


def shown(execution: Execution) -> dict[str, Any]:
    """A record as it stands alone: ShownExecution."""
    return listed(execution) | {"arguments": msgspec.Raw(execution.arguments.encode()), "outcome": execution.outcome}


def _time(ms: int | None) -> str | None:
    return None if ms is None else time_of(ms)
