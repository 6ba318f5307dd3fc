"""Times and ids: milliseconds of the clock, and ULIDs that ascend whatever the clock does."""

from __future__ import annotations

import os
import threading
import time
from itertools import product

from ulid import ULID

_TIME_BYTES, _RANDOM_BYTES = 6, 10  # of a ULID
_STEP_BYTES = 8  # no id can be guessed from the one before it
_FETCHED_BYTES = 4096  # of the kernel's randomness at once
_PAIRS = ["".join(pair) for pair in product("0123456789ABCDEFGHJKMNPQRSTVWXYZ", repeat=2)]  # of ten bits; Crockford's
_SHIFTS = range(120, -1, -10)  # 26 characters


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def id_after(last: str | None) -> str:
    """A new ULID, greater than `last` also within one millisecond or when the clock has gone back."""
    made = ulid_text(now_ms().to_bytes(_TIME_BYTES, "big") + random_bytes(_RANDOM_BYTES))
    if last is None or made > last:
        return made
    step = 1 + int.from_bytes(random_bytes(_STEP_BYTES), "big")  # so that no id of something deleted is given again
    return str(ULID.from_int(int(ULID.from_str(last)) + step))


def ulid_text(raw: bytes) -> str:
    """The sixteen bytes of a ULID as text. The library's own way takes thrice as long, once for every call."""
    number = int.from_bytes(raw, "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def random_bytes(number: int) -> bytes:
    """So many that nobody can guess; fetched many at a time, because each fetch lets other threads go first."""
    left = _fetched.bytes
    if len(left) < number:
        left = os.urandom(max(_FETCHED_BYTES, number))
    _fetched.bytes = left[number:]
    return left[:number]


class _Fetched(threading.local):
    """What is left of it, by thread: none is given twice, nor to a child of a fork."""

    bytes = b""


_fetched = _Fetched()
os.register_at_fork(after_in_child=lambda: setattr(_fetched, "bytes", b""))
