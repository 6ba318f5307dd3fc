"""One call of an extensibility point: what is asked, and what came of it.

The words of DESIGN.md: an invocation is run as one job for each of its hooks, in their order, until one of them ends
with an error.
"""

from __future__ import annotations

import msgspec

from engine.mask import NOTHING, Mask
from engine.outcome import Outcome
from engine.points import Point
from tenants.records import Tenant


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked."""

    id: str  # of the execution, a ULID; `context.webtask.execution_id` in every attempt
    tenant: Tenant
    point: Point
    arguments: bytes  # JSON that fits the point
    deadline: float  # of the monotonic clock: waiting, hooks, their calls, all
    hook_ids: tuple[str, ...] | None = None  # of a queued one, those to be run; None: those enabled now
    attempt: int = 1
    position: int = 0  # hooks that have ended well before
    response: bytes = b"null"  # JSON: what these have answered
    revision: int | None = None  # of the tenant, if nothing else ran since it was read

    def __repr__(self) -> str:
        """Without the arguments, which may hold a password."""
        return f"Invocation({self.id!r}, {self.point.id!r}, attempt={self.attempt})"


class HookRun(msgspec.Struct, frozen=True, kw_only=True):
    """One hook's part in it."""

    hook_id: str
    name: str
    version: int
    lease_ms: float  # waited for a worker
    outcome: Outcome
    left_alone_ms: int | None = None  # it was not run, and is not for so long yet, as it kept crashing; None: it was
    lost: bool = False  # its worker was gone before it told an end
    mask: Mask = NOTHING  # of the secrets that it had: its result is not stored without it


class Ended(msgspec.Struct, frozen=True, kw_only=True):
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
