"""The first tables."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None

ID = String().with_variant(String(collation="C"), "postgresql")
TEXT = Text()
NUMBER = BigInteger()
BYTES = LargeBinary()
BOOLEAN = Boolean()


def upgrade() -> None:
    """From nothing."""
    _meta()
    _tenants()
    _data_keys()
    _executions()
    _hooks()
    _log_events()
    _tokens()
    _secrets()
    _versions()
    _checks()


def _meta() -> None:
    op.create_table(
        "meta",
        Column("name", TEXT, nullable=False),
        Column("value", BYTES, nullable=False),
        PrimaryKeyConstraint("name", name="pk_meta"),
    )


def _tenants() -> None:
    op.create_table(
        "tenants",
        Column("tenant_id", ID, nullable=False),
        Column("name", TEXT, nullable=False),
        Column("settings", TEXT, nullable=False),
        Column("revision", NUMBER, nullable=False),
        Column("log_number", NUMBER, nullable=False),
        Column("log_ms", NUMBER, nullable=False),
        Column("created_ms", NUMBER, nullable=False),
        PrimaryKeyConstraint("tenant_id", name="pk_tenants"),
        UniqueConstraint("name", name="uq_tenants_name"),
    )


def _data_keys() -> None:
    op.create_table(
        "data_keys",
        Column("tenant_id", ID, nullable=False),
        Column("master_key_id", TEXT, nullable=False),
        Column("wrapped", BYTES, nullable=False),
        ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="fk_data_keys_tenant_id"),
        PrimaryKeyConstraint("tenant_id", name="pk_data_keys"),
    )
    op.create_index("ix_data_keys_master_key_id", "data_keys", ["master_key_id"])


def _executions() -> None:
    op.create_table(
        "executions",
        Column("tenant_id", ID, nullable=False),
        Column("execution_id", ID, nullable=False),
        Column("trigger_id", TEXT, nullable=False),
        Column("hook_id", ID, nullable=False),
        Column("version", NUMBER, nullable=False),
        Column("arguments", TEXT, nullable=False),
        Column("status", TEXT, nullable=False),
        Column("attempt", NUMBER, nullable=False),
        Column("fencing_token", NUMBER, nullable=False),
        Column("lease_until_ms", NUMBER, nullable=True),
        Column("run_at_ms", NUMBER, nullable=False),
        Column("idempotency_key", TEXT, nullable=True),
        Column("outcome", TEXT, nullable=True),
        Column("created_ms", NUMBER, nullable=False),
        ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="fk_executions_tenant_id"),
        PrimaryKeyConstraint("tenant_id", "execution_id", name="pk_executions"),
        UniqueConstraint("tenant_id", "idempotency_key", name="uq_executions_tenant_id_idempotency_key"),
    )
    op.create_index("ix_executions_status_run_at_ms", "executions", ["status", "run_at_ms"])


def _hooks() -> None:
    op.create_table(
        "hooks",
        Column("tenant_id", ID, nullable=False),
        Column("hook_id", ID, nullable=False),
        Column("name", TEXT, nullable=False),
        Column("trigger_id", TEXT, nullable=False),
        Column("enabled", BOOLEAN, nullable=False),
        Column("run_order", NUMBER, nullable=False),
        Column("mode", TEXT, nullable=True),
        Column("version", NUMBER, nullable=False),
        Column("created_ms", NUMBER, nullable=False),
        Column("updated_ms", NUMBER, nullable=False),
        ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="fk_hooks_tenant_id"),
        PrimaryKeyConstraint("tenant_id", "hook_id", name="pk_hooks"),
        UniqueConstraint("tenant_id", "name", name="uq_hooks_tenant_id_name"),
    )
    op.create_index(
        "ix_hooks_tenant_id_trigger_id_enabled_run_order_hook_id",
        "hooks",
        ["tenant_id", "trigger_id", "enabled", "run_order", "hook_id"],
    )


def _log_events() -> None:
    op.create_table(
        "log_events",
        Column("tenant_id", ID, nullable=False),
        Column("log_id", ID, nullable=False),
        Column("number", NUMBER, nullable=False),
        Column("date_ms", NUMBER, nullable=False),
        Column("type", TEXT, nullable=False),
        Column("description", TEXT, nullable=False),
        Column("ip", TEXT, nullable=False),
        Column("user_agent", TEXT, nullable=False),
        Column("client_id", TEXT, nullable=False),
        Column("client_name", TEXT, nullable=False),
        Column("connection", TEXT, nullable=False),
        Column("connection_id", TEXT, nullable=False),
        Column("hostname", TEXT, nullable=False),
        Column("user_id", TEXT, nullable=False),
        Column("user_name", TEXT, nullable=False),
        Column("strategy", TEXT, nullable=False),
        Column("strategy_type", TEXT, nullable=False),
        Column("details", TEXT, nullable=False),
        ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="fk_log_events_tenant_id"),
        PrimaryKeyConstraint("tenant_id", "log_id", name="pk_log_events"),
    )
    op.create_index("ix_log_events_tenant_id_date_ms_log_id", "log_events", ["tenant_id", "date_ms", "log_id"])


def _tokens() -> None:
    op.create_table(
        "tokens",
        Column("token_id", ID, nullable=False),
        Column("tenant_id", ID, nullable=True),
        Column("name", TEXT, nullable=False),
        Column("scopes", TEXT, nullable=False),
        Column("created_ms", NUMBER, nullable=False),
        Column("expires_ms", NUMBER, nullable=True),
        Column("parent_id", ID, nullable=True),
        Column("digest", BYTES, nullable=False),
        ForeignKeyConstraint(
            ["tenant_id", "parent_id"], ["tokens.tenant_id", "tokens.token_id"], name="fk_tokens_tenant_id_parent_id"
        ),
        ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="fk_tokens_tenant_id"),
        PrimaryKeyConstraint("token_id", name="pk_tokens"),
        UniqueConstraint("digest", name="uq_tokens_digest"),
        UniqueConstraint("tenant_id", "token_id", name="uq_tokens_tenant_id_token_id"),
    )
    op.create_index("ix_tokens_expires_ms", "tokens", ["expires_ms"])
    op.create_index("ix_tokens_tenant_id_parent_id", "tokens", ["tenant_id", "parent_id"])


def _secrets() -> None:
    op.create_table(
        "secrets",
        Column("tenant_id", ID, nullable=False),
        Column("hook_id", ID, nullable=False),
        Column("name", TEXT, nullable=False),
        Column("sealed", BYTES, nullable=False),
        ForeignKeyConstraint(
            ["tenant_id", "hook_id"], ["hooks.tenant_id", "hooks.hook_id"], name="fk_secrets_tenant_id_hook_id"
        ),
        PrimaryKeyConstraint("tenant_id", "hook_id", "name", name="pk_secrets"),
    )


def _versions() -> None:
    op.create_table(
        "versions",
        Column("tenant_id", ID, nullable=False),
        Column("hook_id", ID, nullable=False),
        Column("number", NUMBER, nullable=False),
        Column("source", TEXT, nullable=False),
        Column("sha256", TEXT, nullable=False),
        Column("dependencies", TEXT, nullable=False),
        Column("created_ms", NUMBER, nullable=False),
        Column("created_by", TEXT, nullable=False),
        ForeignKeyConstraint(
            ["tenant_id", "hook_id"], ["hooks.tenant_id", "hooks.hook_id"], name="fk_versions_tenant_id_hook_id"
        ),
        PrimaryKeyConstraint("tenant_id", "hook_id", "number", name="pk_versions"),
    )


def _checks() -> None:
    op.create_table(
        "checks",
        Column("tenant_id", ID, nullable=False),
        Column("hook_id", ID, nullable=False),
        Column("number", NUMBER, nullable=False),
        Column("compiler", ID, nullable=False),
        Column("code", BYTES, nullable=True),
        Column("diagnostics", TEXT, nullable=False),
        Column("warnings", TEXT, nullable=False),
        ForeignKeyConstraint(
            ["tenant_id", "hook_id", "number"],
            ["versions.tenant_id", "versions.hook_id", "versions.number"],
            name="fk_checks_tenant_id_hook_id_number",
        ),
        PrimaryKeyConstraint("tenant_id", "hook_id", "number", "compiler", name="pk_checks"),
    )
