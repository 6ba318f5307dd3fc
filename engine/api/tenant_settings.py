"""A tenant's settings as an operator sends them: checked against those of the engine, then as the store keeps them."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import Field

from engine import modules
from engine.api.bodies import Body
from engine.checking import egress_of
from engine.config import PREFIX, Config
from engine.egress.policy import Kept
from engine.errors import BadInput, Refusal
from tenants.records import Mode, Settings

_CAPPED = ("wall_ms", "result_bytes", "log_bytes")
_MOST = 1 << 40  # of what has no other bound: any database takes it


class EgressBody(Body):
    """Where a tenant's hooks may call; it replaces the engine's own policy whole."""

    listed_only: bool = Field(default=False, description="Only the hosts of `hosts`; otherwise any public one")
    hosts: list[str] = Field(default=[], max_length=1_000, description="api.example.com, *.example.com")
    ports: list[str | int] = Field(default=["80", "443", "1024-65535"], max_length=100, description="443, 1024-65535")
    exceptions: list[str] = Field(
        default=[], max_length=1_000, description="Hosts and networks that may be private: 127.0.0.1:8080, 10.1.0.0/16"
    )
    calls: int = Field(default=20, ge=0, le=_MOST, description="Of one job")
    request_bytes: int = Field(default=1 << 20, ge=0, le=_MOST, description="Of a request's body")
    response_bytes: int = Field(default=2 << 20, ge=0, le=_MOST, description="Of a response's body, decoded")
    exchange_ms: int = Field(default=10_000, ge=1, le=_MOST, description="Of one call, all in all")
    at_once: int = Field(default=16, ge=1, le=_MOST, description="Calls under way")
    keep_bodies: Kept = Field(default="none", description="In the record of a call")
    kept_bytes: int = Field(default=64 << 10, ge=0, le=_MOST, description="Of each body that is kept")


class SettingsBody(Body):
    """What is set for a tenant; null is as the engine's settings say, or the default."""

    wall_ms: int | None = Field(default=None, ge=1, description="Milliseconds that a job may take")
    result_bytes: int | None = Field(default=None, ge=2, description="Bytes of JSON that a hook may answer with")
    log_bytes: int | None = Field(default=None, ge=0, description="Bytes of log events of one job")
    mode: Mode | None = Field(default=None, description="How long a worker lives: for one tenant's jobs, or for one")
    modules: list[str] | None = Field(
        default=None,
        max_length=1_000,
        description="The modules that hooks may import; null: all",
        examples=[["json", "requests"]],
    )
    egress: EgressBody | None = Field(default=None, description="Where hooks may call")
    multiple_hooks: bool | None = Field(
        default=None, description="Several enabled hooks of a point run, in their order"
    )
    most_hooks: int | None = Field(default=None, ge=1, le=10_000, description="How many hooks there may be; null: 100")
    most_versions: int | None = Field(
        default=None, ge=1, le=10_000, description="How many versions of each hook are kept; null: 100"
    )
    api_per_second: int | None = Field(
        default=None, ge=1, le=100_000, description="Requests to the API, of all its tokens; triggers are not counted"
    )
    jobs_at_once: int | None = Field(default=None, ge=1, le=_MOST, description="Invocations under way")
    queued_jobs: int | None = Field(default=None, ge=1, le=_MOST, description="Invocations that wait in the queue")
    calls_per_minute: int | None = Field(default=None, ge=1, le=_MOST, description="Invocations")


def merged(old: Settings, body: SettingsBody, config: Config) -> Settings:
    """`old` with what was sent; null resets one. Raises Refusal 400."""
    sent = {name: getattr(body, name) for name in body.model_fields_set}
    _check_caps(sent, config)
    try:
        settings = dataclasses.replace(old, **{name: _stored(name, value) for name, value in sent.items()})
        egress_of(settings)
    except BadInput as error:
        raise _refusal(str(error), "settings") from None
    return settings


def _stored(name: str, value: Any) -> Any:
    if value is None:
        return next(each.default for each in dataclasses.fields(Settings) if each.name == name)
    if isinstance(value, EgressBody):
        return value.model_dump(exclude_unset=True)
    return modules.chosen(value) if name == "modules" else value


def _check_caps(sent: dict[str, Any], config: Config) -> None:
    for name in _CAPPED:
        value, most = sent.get(name), getattr(config, name)
        if value is not None and value > most:
            told = f"{name} is {value}; the most allowed is {most}, the engine's own setting {PREFIX}{name.upper()}"
            raise _refusal(told, f"settings.{name}")


def _refusal(said: str, where: str) -> Refusal:
    return Refusal(400, "invalid_body", f"Payload validation error: '{said}' on property {where}.")
