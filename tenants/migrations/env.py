"""What Alembic runs: the changes that are missing, in the transaction it is given (tenants/migrating.py)."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
