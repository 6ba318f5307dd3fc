"""The tables. What is a tenant's carries tenant_id, in every key: a foreign key cannot cross tenants either.

Migrations make these tables (tenants/migrations); a test compares the two. Texts are checked on their way in, so that
SQLite and PostgreSQL refuse the same ones. JSON is text, which nobody but us reads.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from tenants.errors import Unstorable

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class Words(TypeDecorator[str]):
    """Text of any length. PostgreSQL takes no NUL and neither takes half of a surrogate pair: here, both refuse."""

    impl: Any = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - overridden
        """Raises Unstorable."""
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """The text. Raises Unstorable."""
    if "\0" in text:
        raise Unstorable("a text has a NUL character in it, which no text may have")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unstorable("a text has half of a surrogate pair in it, which is no character") from None
    return text


class Sorted(Words):
    """Text that is compared by its bytes, whatever the database's language is: ids, which are ASCII."""

    impl = String().with_variant(String(collation="C"), "postgresql")
    cache_ok = True


class JsonText(TypeDecorator[Any]):
    """What json.loads makes, as JSON in which no NUL stands and no half of a surrogate pair: they are escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - overridden
        """JSON without spaces."""
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - overridden
        """The value again."""
        return None if value is None else _decode(value)[0]


_decode = json.JSONDecoder().raw_decode  # of what we wrote, which has no space around it


def _id(name: str, *, key: bool = True, nullable: bool = False) -> Column[str]:
    return Column(name, Sorted(), primary_key=key, nullable=nullable)


def _words(*names: str) -> list[Column[str]]:
    return [Column(name, Words(), nullable=False) for name in names]


def _of_a_tenant() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"])


def _number(name: str, *, key: bool = False, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=nullable, autoincrement=False)


meta = Table(
    "meta",
    METADATA,
    Column("name", Words(), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

tenants = Table(
    "tenants",
    METADATA,
    _id("tenant_id"),
    Column("name", Words(), nullable=False),
    Column("settings", JsonText(), nullable=False),
    _number("revision"),
    _number("log_number"),  # log events that it ever had
    _number("log_ms"),  # the time in the id of the last one
    _number("created_ms"),
    _number("gone_ms", nullable=True),  # when it was removed; then its rows are swept away, and this one last
    UniqueConstraint("name"),
)

data_keys = Table(
    "data_keys",
    METADATA,
    _id("tenant_id"),
    Column("master_key_id", Words(), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    _of_a_tenant(),
    Index(None, "master_key_id"),
)

hooks = Table(
    "hooks",
    METADATA,
    _id("tenant_id"),
    _id("hook_id"),
    *_words("name", "trigger_id"),
    Column("enabled", Boolean, nullable=False),
    _number("run_order"),
    Column("mode", Words(), nullable=True),
    Column("retry", JsonText(), nullable=True),  # NULL: as records.Retry is made
    _number("version"),  # the live one; no foreign key, for versions has one to here
    _number("created_ms"),
    _number("updated_ms"),
    _of_a_tenant(),
    UniqueConstraint("tenant_id", "name"),
    Index(None, "tenant_id", "trigger_id", "enabled", "run_order", "hook_id"),
)

versions = Table(
    "versions",
    METADATA,
    _id("tenant_id"),
    _id("hook_id"),
    _number("number", key=True),
    *_words("source", "sha256"),
    Column("dependencies", JsonText(), nullable=False),
    _number("created_ms"),
    *_words("created_by"),
    ForeignKeyConstraint(["tenant_id", "hook_id"], ["hooks.tenant_id", "hooks.hook_id"]),
)

checks = Table(
    "checks",
    METADATA,
    _id("tenant_id"),
    _id("hook_id"),
    _number("number", key=True),
    _id("compiler"),
    Column("code", LargeBinary, nullable=True),
    Column("diagnostics", JsonText(), nullable=False),
    Column("warnings", JsonText(), nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "hook_id", "number"], ["versions.tenant_id", "versions.hook_id", "versions.number"]
    ),
)

secrets = Table(
    "secrets",
    METADATA,
    _id("tenant_id"),
    _id("hook_id"),
    Column("name", Words(), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    ForeignKeyConstraint(["tenant_id", "hook_id"], ["hooks.tenant_id", "hooks.hook_id"]),
)

tokens = Table(
    "tokens",
    METADATA,
    _id("token_id"),
    _id("tenant_id", key=False, nullable=True),  # NULL: an operator's
    *_words("name"),
    Column("scopes", JsonText(), nullable=False),
    _number("created_ms"),
    _number("expires_ms", nullable=True),
    _id("parent_id", key=False, nullable=True),
    Column("digest", LargeBinary, nullable=False),
    _of_a_tenant(),
    UniqueConstraint("tenant_id", "token_id"),
    UniqueConstraint("digest"),
    ForeignKeyConstraint(["tenant_id", "parent_id"], ["tokens.tenant_id", "tokens.token_id"]),
    Index(None, "tenant_id", "parent_id"),
    Index(None, "expires_ms"),
)

log_events = Table(
    "log_events",
    METADATA,
    _id("tenant_id"),
    _id("log_id"),
    _number("number"),  # 1, 2, 3 … of its tenant, ascending as log_id does
    _number("date_ms"),
    *_words("type", "description", "ip", "user_agent", "client_id", "client_name", "connection", "connection_id"),
    *_words("hostname", "user_id", "user_name", "strategy", "strategy_type"),
    Column("details", JsonText(), nullable=False),
    _of_a_tenant(),
    Index(None, "tenant_id", "date_ms", "log_id"),
)

executions = Table(  # what is large stands last: SQLite reads a row from its beginning
    "executions",
    METADATA,
    _id("tenant_id"),
    _id("execution_id"),
    *_words("trigger_id"),
    Column("blocking", Boolean, nullable=False),
    Column("hook_ids", JsonText(), nullable=False),  # no foreign key: the record outlives the hooks
    *_words("status"),
    _number("attempt"),
    _number("lost"),  # starts one after the other that nobody has finished
    _number("fencing_token"),
    _number("position"),
    _number("due_ms", nullable=True),  # run_at_ms of what is queued, lease_until_ms of what is running; NULL: ended
    _number("lease_until_ms", nullable=True),
    _number("run_at_ms"),
    Column("idempotency_key", Words(), nullable=True),
    Column("request_sha256", Words(), nullable=True),
    _number("created_ms"),
    _number("started_ms", nullable=True),
    _number("ended_ms", nullable=True),
    Column("brief", JsonText(), nullable=True),  # of the outcome, for lists: they read nothing that is large
    *_words("response", "arguments"),
    Column("outcome", JsonText(), nullable=True),
    _of_a_tenant(),
)
_DUE, _ENDED, _KEYED = executions.c.due_ms, executions.c.ended_ms, executions.c.idempotency_key


def _among(condition: ColumnElement[bool]) -> dict[str, Any]:
    """Of an index that holds some rows only."""
    return {"sqlite_where": condition, "postgresql_where": condition}


Index(  # of each tenant, what is due first; and how many are queued
    "ix_executions_tenant_id_due_ms",
    *(executions.c[name] for name in ("tenant_id", "due_ms", "execution_id", "status")),
    **_among(_DUE.is_not(None)),
)
Index("ix_executions_execution_id", executions.c.execution_id)  # those of many tenants at once
Index("ix_executions_due_ms", _DUE, **_among(_DUE.is_not(None)))
Index(
    "ix_executions_tenant_id_ended_ms",
    *(executions.c[name] for name in ("tenant_id", "ended_ms", "execution_id")),
    **_among(_ENDED.is_not(None)),
)
Index(
    "uq_executions_tenant_id_idempotency_key",
    executions.c.tenant_id,
    _KEYED,
    unique=True,
    **_among(_KEYED.is_not(None)),
)
