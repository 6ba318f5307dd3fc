"""Executions as they are recorded: nobody has written any before. And how often a hook is tried again."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Text,
    column,
)

revision = "0003"
down_revision = "0002"

ID = String().with_variant(String(collation="C"), "postgresql")
TEXT = Text()
NUMBER = BigInteger()
TABLE = "executions"


def upgrade() -> None:
    """Hooks that are there are not tried again, as before."""
    op.add_column("hooks", Column("retry", TEXT, nullable=True))
    op.drop_table(TABLE)
    _executions()
    _index("ix_executions_tenant_id_due_ms", "tenant_id", "due_ms", "execution_id", "status", among="due_ms")
    op.create_index("ix_executions_execution_id", TABLE, ["execution_id"])
    _index("ix_executions_due_ms", "due_ms", among="due_ms")
    _index("ix_executions_tenant_id_ended_ms", "tenant_id", "ended_ms", "execution_id", among="ended_ms")
    keyed = ("tenant_id", "idempotency_key")
    _index("uq_executions_tenant_id_idempotency_key", *keyed, among="idempotency_key", unique=True)


def _executions() -> None:
    op.create_table(
        TABLE,
        Column("tenant_id", ID, nullable=False),
        Column("execution_id", ID, nullable=False),
        Column("trigger_id", TEXT, nullable=False),
        Column("blocking", Boolean(), nullable=False),
        Column("hook_ids", TEXT, nullable=False),
        Column("status", TEXT, nullable=False),
        Column("attempt", NUMBER, nullable=False),
        Column("lost", NUMBER, nullable=False),
        Column("fencing_token", NUMBER, nullable=False),
        Column("position", NUMBER, nullable=False),
        Column("due_ms", NUMBER, nullable=True),
        Column("lease_until_ms", NUMBER, nullable=True),
        Column("run_at_ms", NUMBER, nullable=False),
        Column("idempotency_key", TEXT, nullable=True),
        Column("request_sha256", TEXT, nullable=True),
        Column("created_ms", NUMBER, nullable=False),
        Column("started_ms", NUMBER, nullable=True),
        Column("ended_ms", NUMBER, nullable=True),
        Column("brief", TEXT, nullable=True),
        Column("response", TEXT, nullable=False),
        Column("arguments", TEXT, nullable=False),
        Column("outcome", TEXT, nullable=True),
        ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="fk_executions_tenant_id"),
        PrimaryKeyConstraint("tenant_id", "execution_id", name="pk_executions"),
    )


def _index(name: str, *columns: str, among: str, **more: Any) -> None:
    there = column(among).is_not(None)
    op.create_index(name, TABLE, list(columns), sqlite_where=there, postgresql_where=there, **more)
