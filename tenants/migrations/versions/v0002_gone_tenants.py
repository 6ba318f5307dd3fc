"""Tenants that are gone while their rows are swept away."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Those that are there are not gone."""
    op.add_column("tenants", Column("gone_ms", BigInteger(), nullable=True))
