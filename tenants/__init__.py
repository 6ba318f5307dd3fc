"""Trusted storage: tenants, hooks, secrets, executions. Empty until the store lands."""
