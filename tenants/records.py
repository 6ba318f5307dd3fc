"""What the store holds, as frozen objects: one function per type makes them from rows, beside its statements.

Times are milliseconds since the epoch, UTC, as integers. Ids are ULIDs, 26 upper-case characters, unless
said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Owner and isolation unit of hooks, secrets, executions and logs."""

    id: str  # never used again, also when a later tenant has the same name
    name: str  # ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$, unique
    settings: Settings
    revision: int  # one more with every change of its hooks
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


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """What is known of a version without its source."""

    hook_id: str
    number: int  # 1, 2, 3 … of its hook
    sha256: str  # of the source in UTF-8, hex
    dependencies: Mapping[str, str]
    created_ms: int
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(VersionInfo):
    """Immutable source of a hook, with what it was checked against."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One tenant's named Python file, bound to one extensibility point; with its live version."""

    id: str
    name: str  # unique in its tenant
    trigger_id: str
    enabled: bool
    order: int  # ascending, where the tenant has multiple_hooks; ties in order of creation
    mode: Mode | None  # None: as its tenant
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
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
    details: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A tenant's data key as it is stored: wrapped by the operator's master key."""

    master_key_id: str
    wrapped: bytes = field(repr=False)
