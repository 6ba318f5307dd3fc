"""Times and ids: milliseconds of the clock, and ULIDs that ascend whatever the clock does."""

from __future__ import annotations

import secrets
import time

from ulid import ULID

_STEP_BITS = 64  # of the 80 random ones: no id can be guessed from the one before it


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def id_after(last: str | None) -> str:
    """A new ULID, greater than `last` also within one millisecond or when the clock has gone back."""
    made = ULID()
    if last is None or str(made) > last:
        return str(made)
    step = 1 + secrets.randbits(_STEP_BITS)  # random, so that the id of something deleted is not given again
    return str(ULID.from_int(int(ULID.from_str(last)) + step))
