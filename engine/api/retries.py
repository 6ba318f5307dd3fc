"""A hook's retry as it is sent: an object that replaces the one there was; what it leaves out is as by default."""

from __future__ import annotations

from typing import get_args

from pydantic import Field

from engine.api.bodies import Body
from tenants.records import Retry, RetryOn

MOST_ATTEMPTS = 20
MOST_MS = 86_400_000  # a day
_EVERY = get_args(RetryOn)
_PLAIN = Retry()


class RetryBody(Body):
    """How often a hook of a non-blocking point is tried again after an end of its own."""

    attempts: int = Field(default=_PLAIN.attempts, ge=1, le=MOST_ATTEMPTS, description="All in all", examples=[5])
    on: list[RetryOn] = Field(
        default=list(_PLAIN.on),
        max_length=len(_EVERY),
        description="The ends that are tried again",
        examples=[["timeout"]],
    )
    first_ms: int = Field(
        default=_PLAIN.first_ms,
        ge=1,
        le=MOST_MS,
        description="Milliseconds before the second attempt, at most; then twice that, and so on",
    )
    most_ms: int = Field(default=_PLAIN.most_ms, ge=1, le=MOST_MS, description="Milliseconds between two, at most")

    def retry(self) -> Retry:
        """The same, for the store: `on` in one order, each once."""
        on = tuple(end for end in _EVERY if end in self.on)
        return Retry(attempts=self.attempts, on=on, first_ms=self.first_ms, most_ms=self.most_ms)
