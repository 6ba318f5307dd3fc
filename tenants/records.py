"""What the store holds, as frozen objects: one function per type makes them from rows, beside its statements.

Times are milliseconds since the epoch, UTC, as integers. Ids are ULIDs, 26 upper-case characters, unless
said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tenants.states import ExecutionStatus

Json = Any  # what json.loads makes

Mode = Literal["tenant", "invocation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator has set for one tenant. None: as the engine's settings say."""

    wall_ms: int | None = None  # of one job; the engine's own limit caps it
    result_bytes: int | None = None
    log_bytes: int | None = None
    mode: Mode | None = None  # how long a worker lives
    modules: tuple[str, ...] | None = None  # of the module map: those that its hooks may import. None: all
    egress: Mapping[str, Json] | None = None  # fields of EgressPolicy; it replaces that of the settings whole
    multiple_hooks: bool = False  # several enabled hooks of a point, in `order`; else the last one enabled wins
    most_hooks: int = 100
    most_versions: int = 100  # of each hook that are kept: the newest, and the live one
    api_per_second: int | None = None  # requests to /api/v2
    jobs_at_once: int | None = None  # invocations under way, blocking and not
    queued_jobs: int | None = None  # invocations that wait in the queue
    calls_per_minute: int | None = None  # invocations


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Owner and isolation unit of hooks, secrets, executions and logs."""

    id: str  # never used again, also when a later tenant has the same name
    name: str  # ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$, unique
    settings: Settings
    revision: int  # one more with every change of its hooks, secrets and settings, and every end of a token
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a worker made of a version under one compiler: Python and policy together."""

    compiler: str  # which Python and which policy made it; another one must check again
    code: bytes | None  # marshalled, opaque; None: rejected
    diagnostics: tuple[Mapping[str, Json], ...] = ()  # {rule, line, column, end, message, hint}
    warnings: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A source that was accepted, on its way to become a version."""

    source: str
    dependencies: Mapping[str, str]
    check: Check
    created_by: str  # for people: the name of the token


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a version without its source."""

    hook_id: str
    number: int  # 1, 2, 3 … of its hook
    sha256: str  # of the source in UTF-8, hex
    dependencies: Mapping[str, str]
    created_ms: int
    created_by: str


class Version(VersionInfo, frozen=True, kw_only=True, gc=False):
    """Immutable source of a hook, with what it was checked against."""

    source: str


RetryOn = Literal["denied", "raised", "no_callback", "bad_result", "timeout", "out_of_memory", "crashed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a hook of a non-blocking point is tried again after an end of its own."""

    attempts: int = 1  # all in all, 1 to 20
    on: tuple[RetryOn, ...] = ("denied", "raised", "timeout", "out_of_memory", "crashed")
    first_ms: int = 1_000  # between the first and the second; then twice that, and so on, each with jitter
    most_ms: int = 3_600_000


class Hook(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One tenant's named Python file, bound to one extensibility point; with its live version."""

    id: str
    name: str  # unique in its tenant
    trigger_id: str
    enabled: bool
    order: int  # ascending, where the tenant has multiple_hooks; ties in order of creation
    mode: Mode | None  # None: as its tenant
    retry: Retry = Retry()
    version: Version  # the live one
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token as the store knows it: its digest alone is kept, beside these."""

    id: str
    tenant_id: str | None  # None: an operator's
    name: str
    scopes: frozenset[str]
    created_ms: int
    expires_ms: int | None
    parent_id: str | None = None  # the token it was given for at /oauth/token; it ends with it


class LogEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event of a tenant's log. Source: AUTH0.md section 5.2."""

    log_id: str  # 56 digits, ascending within a tenant
    date_ms: int
    type: str  # AUTH0.md section 5.3
    description: str = ""
    ip: str = ""
    user_agent: str = ""
    client_id: str = ""
    client_name: str = ""
    connection: str = ""
    connection_id: str = ""
    hostname: str = ""
    user_id: str = ""
    user_name: str = ""
    strategy: str = ""
    strategy_type: str = ""
    details: Mapping[str, Json] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A tenant's data key as it is stored: wrapped by the operator's master key."""

    master_key_id: str
    wrapped: bytes = field(repr=False)


class Execution(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The record of an invocation: in the queue, under way, or ended. It is the truth of it."""

    id: str
    trigger_id: str
    blocking: bool
    hook_ids: tuple[str, ...]  # that were enabled when it was triggered, in order
    arguments: str  # JSON; of a blocking point without its secret fields
    status: ExecutionStatus  # dead: its attempts are used up, or nobody could run it
    attempt: int = 0  # starts
    fencing_token: int = 0  # of the last start: a finish with another one does not count
    position: int = 0  # hooks that have ended well, in earlier attempts
    response: str = "null"  # JSON: what these have answered together
    lease_until_ms: int | None = None  # while it is running
    run_at_ms: int  # not before
    idempotency_key: str | None = None
    request_sha256: str | None = None  # of point and arguments, where there is a key
    outcome: Json = None  # engine/invocation.py, `told`
    created_ms: int
    started_ms: int | None = None  # the last start
    ended_ms: int | None = None
