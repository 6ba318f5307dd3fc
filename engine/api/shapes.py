"""The objects of /v1 as they stand in answers: what a route returns, and what the OpenAPI document says of it.

Times are ISO 8601, UTC, with milliseconds: "2026-11-18T07:30:00.000Z".
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import Field, StringConstraints

from engine.outcome import Finding as OutcomeFinding
from tenants import records
from tenants.records import Mode, RetryOn

HOOK_PATTERN = r"^[a-zA-Z0-9]([ \-a-zA-Z0-9]*[a-zA-Z0-9])?$"  # Source: AUTH0.md section 4.2
TENANT_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
NAME_CHARS = 256  # of a hook's name, and of a token's
ORDER = 1_000_000  # either way

HookName = Annotated[str, StringConstraints(pattern=HOOK_PATTERN, max_length=NAME_CHARS)]
HookInPath = Annotated[
    str,
    Path(pattern=HOOK_PATTERN, max_length=NAME_CHARS, description="The hook's id or its name.", examples=["welcome"]),
]
Order = Annotated[int, Field(ge=-ORDER, le=ORDER)]
SentDependencies = Annotated[dict[str, str], Field(fail_fast=True)]
Time = Annotated[str, Field(description="ISO 8601, UTC.", examples=["2026-11-18T07:30:00.000Z"])]
Dependencies = Annotated[
    Mapping[str, str],
    Field(
        description="Modules that the hook is written for, with their versions or empty texts.", examples=[{"json": ""}]
    ),
]
HookId = Annotated[str, Field(description="A ULID.", examples=["01GEPVQEH9SX3RSTYY561TR92N"])]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """What the operator has set for a tenant; null is as the engine's settings say."""

    wall_ms: Annotated[int | None, Field(description="Milliseconds that a job may take.")]
    result_bytes: Annotated[int | None, Field(description="Bytes of JSON that a hook may answer with.")]
    log_bytes: Annotated[int | None, Field(description="Bytes of log events of one job.")]
    mode: Annotated[Mode | None, Field(description="How long a worker lives.")]
    modules: Annotated[Sequence[str] | None, Field(description="The modules that hooks may import; null: all.")]
    egress: Annotated[
        Mapping[str, Any] | None, Field(description="Where hooks may call, instead of the engine's own policy.")
    ]
    multiple_hooks: Annotated[bool, Field(description="Whether several enabled hooks of a point run, in their order.")]
    most_hooks: Annotated[int, Field(description="How many hooks there may be.")]
    most_versions: Annotated[int, Field(description="How many versions of each hook are kept.")]
    api_per_second: Annotated[int | None, Field(description="Requests to the API, of all its tokens together.")]
    jobs_at_once: Annotated[int | None, Field(description="Invocations under way.")]
    queued_jobs: Annotated[int | None, Field(description="Invocations that wait in the queue.")]
    calls_per_minute: Annotated[int | None, Field(description="Invocations.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant."""

    id: Annotated[str, Field(description="Never used again, also when a later tenant has the same name.")]
    name: Annotated[str, Field(examples=["acme"])]
    settings: TenantSettings
    revision: Annotated[
        int,
        Field(description="One more with every change of its hooks, secrets and settings, and every end of a token."),
    ]
    created_at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenants:
    """A part of the tenants, in order of creation."""

    tenants: Sequence[Tenant]
    total: int
    start: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a hook of a non-blocking point is tried again after an end of its own."""

    attempts: Annotated[int, Field(description="All in all.")]
    on: Annotated[Sequence[RetryOn], Field(description="The ends that are tried again.")]
    first_ms: Annotated[int, Field(description="Milliseconds to the second attempt, at most; then twice that.")]
    most_ms: Annotated[int, Field(description="Milliseconds between two, at most.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A hook, with its live version."""

    id: HookId
    name: Annotated[str, Field(description="Unique in its tenant.", examples=["welcome"])]
    trigger_id: Annotated[str, Field(description="Its extensibility point.", examples=["post-change-password"])]
    enabled: bool
    order: Annotated[int, Field(description="Ascending, where several hooks of a point run.")]
    mode: Annotated[Mode | None, Field(description="How long its workers live; null: as its tenant's.")]
    retry: Retry
    version: Annotated[int, Field(description="The number of the live version.", examples=[3])]
    source_sha256: Annotated[str, Field(description="SHA-256 of its source in UTF-8, in hexadecimal digits.")]
    dependencies: Dependencies
    secrets: Annotated[Sequence[str], Field(description="The names of its secrets; values are never shown.")]
    created_at: Time
    updated_at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class HookWithSource(Hook):
    """A hook, with its live version and that one's source where it was asked for."""

    source: Annotated[str | None, Field(description="Where it was asked for.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """A part of a tenant's hooks, in order of creation."""

    hooks: Sequence[HookWithSource]
    total: int
    start: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedTenant:
    """A tenant in its export."""

    id: str
    name: Annotated[str, Field(examples=["acme"])]
    settings: Annotated[TenantSettings | None, Field(description="Null for a token that may not read them.")]
    revision: Annotated[
        int,
        Field(description="One more with every change of its hooks, secrets and settings, and every end of a token."),
    ]
    created_at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """All of a tenant that can be read again: not the secrets' values, the tokens and the log."""

    tenant: ExportedTenant
    hooks: Sequence[HookWithSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An immutable source of a hook."""

    number: Annotated[int, Field(description="1, 2, 3 … of its hook.")]
    live: Annotated[bool, Field(description="Whether it is the one that runs.")]
    source_sha256: Annotated[str, Field(description="SHA-256 of its source in UTF-8, in hexadecimal digits.")]
    dependencies: Dependencies
    created_at: Time
    created_by: Annotated[str, Field(description="The name of the token that uploaded it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionWithSource(Version):
    """An immutable source of a hook, itself with it."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The versions of a hook, newest first."""

    versions: Sequence[Version]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What has changed between two versions."""

    version: int
    against: Annotated[
        int | None, Field(description="The version it is compared with; null: nothing, it is the first.")
    ]
    diff: Annotated[str, Field(description="A unified diff; empty when the sources are the same.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token, without its text."""

    id: str
    name: Annotated[str, Field(description="For people; it stands in the log beside what was done with it.")]
    scopes: Annotated[Sequence[str], Field(examples=[["read:hooks"]])]
    created_at: Time
    expires_at: Annotated[str | None, Field(description="ISO 8601, UTC; null: never.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken(Token):
    """A token at its birth: the one answer that tells its text."""

    token: Annotated[str, Field(description="Shown this once.", examples=["hc_…"])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of a tenant."""

    tokens: Sequence[Token]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretNames:
    """The names of a hook's secrets, sorted."""

    secrets: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the policy refuses, or that a check warns of. Lines and columns count from 1."""

    rule: str
    line: int
    column: int
    end: Annotated[int, Field(description="The column after it.")]
    message: str
    hint: Annotated[str, Field(description="What to write instead; may be empty.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check of a source has found."""

    ok: Annotated[bool, Field(description="Whether it could be uploaded.")]
    message: Annotated[
        str, Field(description="Why not, when that is no finding in the source, as a time that ran out.")
    ]
    diagnostics: Annotated[Sequence[Finding], Field(description="What is refused.")]
    warnings: Annotated[Sequence[Finding], Field(description="What is taken, and looks like a mistake.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookChange:
    """What a deployment does to one hook."""

    action: Literal["create", "update", "delete", "unchanged"]
    name: str
    trigger_id: str
    fields: Annotated[Sequence[str], Field(description="What differs, of an update.")]
    diff: Annotated[str, Field(description="A unified diff of the script; empty when it stays as it is.")]
    version: Annotated[int | None, Field(description="The live version; null: none yet, in a dry run.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a deployment has done, or would do."""

    applied: Annotated[bool, Field(description="False in a dry run.")]
    revision: Annotated[int, Field(description="Of the tenant, after it.")]
    changes: Sequence[HookChange]
    live: Annotated[Sequence[str], Field(description="The names of the hooks that are enabled after it.")]


def time_of(ms: int) -> str:
    """Milliseconds since the epoch as ISO 8601."""
    second, millisecond = divmod(ms, 1000)
    return f"{_second(second)}.{millisecond:03}Z"


@functools.lru_cache(10_000)
def _second(second: int) -> str:
    """Kept, for a list tells the same times again and again."""
    return datetime.datetime.fromtimestamp(second, datetime.UTC).isoformat()[:19]


def tenant_shape(tenant: records.Tenant) -> Tenant:
    """A tenant as it stands in answers."""
    settings = TenantSettings(**{each.name: getattr(tenant.settings, each.name) for each in fields(TenantSettings)})
    return Tenant(
        id=tenant.id,
        name=tenant.name,
        settings=settings,
        revision=tenant.revision,
        created_at=time_of(tenant.created_ms),
    )


def hook_shape(hook: records.Hook, secrets: Sequence[str], *, with_source: bool = False) -> dict[str, Any]:
    """A hook as it stands in answers: HookWithSource, without `source` unless it was asked for."""
    shape = {
        "id": hook.id,
        "name": hook.name,
        "trigger_id": hook.trigger_id,
        "enabled": hook.enabled,
        "order": hook.order,
        "mode": hook.mode,
        "retry": dict(_retry_fields(hook.retry)),
        "version": hook.version.number,
        "source_sha256": hook.version.sha256,
        "dependencies": hook.version.dependencies,
        "secrets": secrets,
        "created_at": time_of(hook.created_ms),
        "updated_at": time_of(hook.updated_ms),
    }
    return shape | {"source": hook.version.source} if with_source else shape


@functools.lru_cache(1_000)
def _retry_fields(retry: records.Retry) -> Mapping[str, Any]:
    """Kept, for the hooks of a list mostly have the same."""
    return asdict(retry)


def token_shape(token: records.Token) -> Token:
    """A token as it stands in lists."""
    return Token(**token_fields(token))


def token_fields(token: records.Token) -> dict[str, Any]:
    """What every shape of a token has."""
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "created_at": time_of(token.created_ms),
        "expires_at": None if token.expires_ms is None else time_of(token.expires_ms),
    }


def version_fields(version: records.VersionInfo, live: int) -> dict[str, Any]:
    """What every shape of a version has. `live`: the number of the one that runs."""
    return {
        "number": version.number,
        "live": version.number == live,
        "source_sha256": version.sha256,
        "dependencies": version.dependencies,
        "created_at": time_of(version.created_ms),
        "created_by": version.created_by,
    }


def finding_shape(finding: OutcomeFinding) -> Finding:
    """A finding as it stands in answers."""
    return Finding(**{each.name: getattr(finding, each.name) for each in fields(Finding)})
