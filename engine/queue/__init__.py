"""Durable jobs: what is acknowledged is run, at least once, and recorded once."""
