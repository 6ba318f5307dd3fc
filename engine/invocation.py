"""One call of an extensibility point: what is asked, and what came of it.

The words of DESIGN.md: an invocation is run as one job for each of its hooks, in their order, until one of them ends
with an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.mask import Mask
from engine.outcome import Outcome
from engine.points import Point
from tenants.records import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What is asked."""

    id: str  # of the execution, a ULID; `context.webtask.execution_id` in every attempt
    tenant: Tenant
    point: Point
    arguments: bytes = field(repr=False)  # JSON that fits the point
    deadline: float  # of the event loop's clock: waiting, hooks, their calls, all
    hook_ids: tuple[str, ...] | None = None  # of a queued one, those to be run; None: those enabled now
    attempt: int = 1
    position: int = 0  # hooks that have ended well before
    response: bytes = b"null"  # JSON: what these have answered


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRun:
    """One hook's part in it."""

    hook_id: str
    name: str
    version: int
    lease_ms: float  # waited for a worker
    outcome: Outcome
    left_alone_ms: int = 0  # so long yet the hook is not run, as it kept crashing
    mask: Mask = field(default=Mask(()), repr=False)  # of the secrets that it had: its result is not stored without it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came of it."""

    id: str
    runs: tuple[HookRun, ...]  # of this attempt
    position: int  # hooks that have ended well, in this attempt and before
    response: bytes  # JSON: the default response, with what the hooks answered, by the point's rules
    error: bytes | None  # JSON of the error for the caller {name, message, statusCode, ...}; None: success

    @property
    def failed(self) -> HookRun | None:
        """The hook that ended it."""
        return self.runs[-1] if self.error is not None and self.runs else None
