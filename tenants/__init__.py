"""Trusted storage: tenants, hooks, versions, secrets, tokens, log events. Nobody else sees the database."""
