"""What a question to the store can end with, as exceptions; no error of a database leaves this package.

StoreError
├── Missing                   there is no such thing, or it is another tenant's: nobody can tell
├── Taken                     the name is in use
├── TooMany                   the tenant has as many as it may
├── Stale                     it has changed since it was looked at
├── Unstorable                a text that no database takes
├── Unavailable               the database cannot be read or written now: disk full, read-only, gone; try again
├── TooLong                   the question takes too long
├── Corrupt                   what is stored is not what was written
└── KeyLost                   the master key is not the one that the secrets were sealed with
"""

from __future__ import annotations


class StoreError(Exception):
    """The store could not answer."""

    def __init__(self, message: str | None = None, *, what: str = "") -> None:
        super().__init__(message or type(self).__doc__)
        # Of Missing, Taken, TooMany, Stale: "hook", "secret", "version", "token", "tenant", "log_event", "execution",
        # "idempotency_key" (Taken), "queued_jobs" (TooMany).
        self.what = what


class Missing(StoreError):
    """There is no such thing."""


class Taken(StoreError):
    """The name is in use."""


class TooMany(StoreError):
    """There are as many as there may be."""


class Stale(StoreError):
    """It has changed since it was looked at."""


class Unstorable(StoreError):
    """The text cannot be stored."""


class Unavailable(StoreError):
    """The store cannot be read or written now."""


class TooLong(StoreError):
    """The question takes too long; ask for less."""

    def __init__(self) -> None:
        super().__init__("the question takes too long; ask for less")


class Corrupt(StoreError):
    """What is stored is not what was written."""


class KeyLost(StoreError):
    """The master key is not the one that the secrets were sealed with."""
