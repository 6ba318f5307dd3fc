"""Settings: read here, once, from a YAML file and the environment, into one frozen object; nowhere else.

The environment (`HOOKCELL_WALL_MS=5000`) goes before the file (`HOOKCELL_CONFIG=/etc/hookcell.yaml`), which goes before
the defaults. Every fault is reported at once. Each setting stands in docs/settings.md with unit and reason.
"""

from __future__ import annotations

import difflib
import json
import os
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from engine.egress.policy import EgressPolicy
from engine.errors import BadConfig
from sandbox.wire import JOB_BYTES, LAYER_NAMES, REPLY_BYTES, Limits

PREFIX = "HOOKCELL_"
_CONFIG_FILE = PREFIX + "CONFIG"

Mode = Literal["tenant", "invocation"]


def _as_list(value: Any) -> Any:
    """A list as a variable of the environment holds it: `a, b`, or JSON; numbers as YAML reads them."""
    if isinstance(value, str):
        listed = _json_list(value)
        value = value.replace(",", " ").split() if listed is None else listed
    return [str(item) if type(item) is int else item for item in value] if isinstance(value, list) else value


def _json_list(text: str) -> Any:
    """None for what is none: an IPv6 address begins with a bracket too."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, list) else None


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_as_list)]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]


class Config(BaseSettings):
    """Every setting of an engine."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    source_bytes: Annotated[int, Field(ge=1, le=1 << 20)] = 100_000  # of a hook's file
    arguments_bytes: Annotated[int, Field(ge=2, le=JOB_BYTES // 4)] = 1 << 20  # JSON of an invocation's arguments
    result_bytes: Annotated[int, Field(ge=2, le=REPLY_BYTES // 2)] = 256 << 10  # JSON of what cb() was given
    log_bytes: Annotated[int, Field(ge=0, le=1 << 20)] = 64 << 10  # all log events of one execution, then a mark
    wall_ms: Annotated[int, Field(ge=1, le=600_000)] = 20_000  # from job sent to outcome received
    check_ms: Annotated[int, Field(ge=1, le=600_000)] = 5_000  # the same, of compiling a source
    grace_ms: Annotated[int, Field(ge=0, le=10_000)] = 100  # before the deadline: a stuck hook is asked for its line
    memory_bytes: Annotated[int, Field(ge=16 << 20)] = 256 << 20  # address space of a worker over that of a blank one

    mode: Mode = "tenant"  # how long a worker lives: for one tenant's jobs, or for one invocation
    workers: Positive = 32  # processes at most, the reserve included
    workers_per_tenant: Positive = 8  # of those, at most for one tenant
    reserve: NotNegative = 4  # blank locked-down workers kept waiting
    waiting: NotNegative = 256  # callers that may wait for a worker; of one more, the longest line's last is refused
    wait_ms: Positive = 5_000  # and how long each may wait
    worker_jobs: Positive = 10_000  # a worker is replaced after so many jobs
    worker_age_s: Positive = 3_600  # after so long, or soon after
    worker_idle_s: Positive = 300  # after so long without a job
    worker_growth_bytes: Positive = 64 << 20  # when a job has left it so much larger than blank
    zygote_age_s: Positive = 3_600  # workers share its address layout and hash seed, so a fresh one takes over
    drain_ms: NotNegative = 20_000  # how long a stopping engine waits for jobs under way

    egress_listed_only: bool = False  # hooks call only the hosts of egress_hosts; otherwise any public one
    egress_hosts: Texts = ()  # api.example.com, *.example.com
    egress_ports: Texts = ("80", "443", "1024-65535")
    egress_exceptions: Texts = ()  # hosts and networks that may be private: 127.0.0.1:8080, 10.1.0.0/16
    egress_ca_file: str | None = None  # PEM: certificate authorities that are trusted beside the public ones
    egress_calls: NotNegative = 20  # of one job
    egress_request_bytes: Annotated[int, Field(ge=0, le=REPLY_BYTES // 2)] = 1 << 20  # of a request's body
    egress_response_bytes: Annotated[int, Field(ge=0, le=JOB_BYTES // 8 * 3)] = 2 << 20  # of a response's, decoded
    egress_exchange_ms: Positive = 10_000  # of one call, all in all
    egress_at_once: Positive = 16  # calls of one tenant under way
    egress_keep_bodies: Literal["none", "errors", "all"] = "none"  # in the record of a call
    egress_kept_bytes: NotNegative = 64 << 10  # of each

    data: str = "data"  # folder of the store, the master key and the first operator's token
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_787  # 0: any that is free
    tls_cert: str | None = None  # PEM file of the server's certificate, with its chain
    tls_key: str | None = None  # and of its key
    database_url: str | None = None  # postgresql+psycopg://…; None: SQLite in `data`
    master_key: Annotated[str | None, Field(repr=False)] = (
        None  # base64 of 32 bytes, `new,old` while rotating; None: data/master.key
    )
    log_days: Positive = 30  # a tenant's log events are kept so long
    log_events: Positive = 100_000  # and so many of them
    api_per_second: Annotated[int, Field(ge=1, le=100_000)] = 50  # requests of one tenant to the management API
    failed_logins_per_minute: Positive = 30  # of one address

    jobs_at_once: Positive = 64  # invocations of one tenant under way
    queued_jobs: Positive = 100_000  # invocations of one tenant in the queue
    calls_per_minute: Positive = 60_000  # invocations of one tenant
    lease_ms: Annotated[int, Field(ge=500)] = 30_000  # an engine that is silent for so long has lost its jobs
    most_attempts: Annotated[int, Field(ge=1, le=100)] = 5  # of an invocation whose engine or worker was lost
    execution_days: Positive = 30  # executions that have ended are kept so long
    executions: Positive = 100_000  # and so many of a tenant
    points: str | None = None  # folder of the operator's own extensibility points, YAML

    worker_uid: Annotated[int, Field(ge=1, le=2**31)] = 61_061  # whom workers become under an engine run by root
    allow_missing_layers: Annotated[frozenset[str], NoDecode, BeforeValidator(_as_list)] = (
        frozenset()
    )  # layers that this machine's kernel may refuse

    def __init__(self, **settings: Any) -> None:
        faults = _unknown_names(type(self).model_fields)
        try:
            super().__init__(**settings)
        except ValidationError as error:
            faults += [_fault(fault) for fault in error.errors()]
        if faults:
            raise BadConfig("; ".join(faults))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the overridden signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - nor a folder of files
    ) -> tuple[Any, ...]:
        """Arguments, then the environment, then the file."""
        return init_settings, env_settings, _file_settings

    @field_validator("reserve")
    @classmethod
    def _fits_into_workers(cls, reserve: int, info: ValidationInfo) -> int:
        if reserve > info.data.get("workers", reserve):
            raise ValueError(f"reserve is {reserve}; the most is workers, {info.data['workers']}")
        return reserve

    @field_validator("egress_ca_file")
    @classmethod
    def _holds_certificates(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(name)
        except OSError as error:  # ssl.SSLError is one
            said = "holds no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise ValueError(f"{name} cannot be used: {said}") from None
        return name

    @field_validator("allow_missing_layers")
    @classmethod
    def _are_layers(cls, names: frozenset[str]) -> frozenset[str]:
        if strangers := names - set(LAYER_NAMES):
            raise ValueError(f"{', '.join(sorted(strangers))} is no layer; the layers are {', '.join(LAYER_NAMES)}")
        return names

    @model_validator(mode="after")
    def _has_an_egress_policy(self) -> Self:
        try:
            assert self.egress_policy
        except ValueError as error:
            raise ValueError(f"egress_{error}") from None
        return self

    @property
    def egress_policy(self) -> EgressPolicy:
        """Where hooks may call, unless their tenant has a policy of its own. Raises ValueError."""
        names = EgressPolicy.__dataclass_fields__
        return EgressPolicy(**{name: getattr(self, f"egress_{name}") for name in names})

    @property
    def limits(self) -> Limits:
        """What one job may use."""
        return Limits(self.wall_ms, self.result_bytes, self.log_bytes)


class ClientConfig(BaseSettings):
    """Where the commands that talk to a server find it. Of the environment alone."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    server: str = "http://127.0.0.1:8787"
    token: Annotated[str | None, Field(repr=False)] = None
    tenant: str | None = None
    ca_file: str | None = None  # PEM: certificate authorities that are trusted, instead of the public ones

    def __init__(self, **settings: Any) -> None:
        if faults := _unknown_names(Config.model_fields):
            raise BadConfig("; ".join(faults))
        super().__init__(**settings)


def _unknown_names(fields: Iterable[str]) -> list[str]:
    known = {PREFIX + name.upper() for name in (*fields, *ClientConfig.model_fields)} | {_CONFIG_FILE}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    return [f"the environment has {name}, which is no setting{_nearest(name, known)}" for name in unknown]


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _file_settings() -> dict[str, Any]:
    name = os.environ.get(_CONFIG_FILE)
    if not name:
        return {}
    try:
        read = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise BadConfig(f"{_CONFIG_FILE} names {name}, which cannot be read as YAML: {said}") from None
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise BadConfig(f"{name} is not a mapping of settings by name")
    if strangers := [key for key in read if not isinstance(key, str)]:
        raise BadConfig(f"{name}: {strangers[0]!r} is not the name of a setting")
    return read


def _fault(fault: Any) -> str:
    where = ".".join(str(step) for step in fault["loc"])
    said = fault["msg"].removeprefix("Value error, ")
    return f"{where}: {said} (found {fault['input']!r:.80})" if where else said
