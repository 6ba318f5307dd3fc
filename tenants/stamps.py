"""Times and ids: milliseconds of the clock, and ULIDs that ascend whatever the clock does."""

from __future__ import annotations

import functools
import os
import threading
import time

from ulid import ULID

_TIME_CHARS, _RANDOM_CHARS = 10, 16  # of a ULID, of five bits each
_STEP_BYTES = 8  # no id can be guessed from the one before it
_FETCHED_BYTES = 4096  # of the kernel's randomness at once
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]  # of ten bits
_AS_DIGIT = bytes(_DIGITS.encode()[byte % 32] for byte in range(256))  # of a random byte: each as likely


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def id_after(last: str | None) -> str:
    """A new ULID, greater than `last` also within one millisecond or when the clock has gone back."""
    made = time_text(now_ms()) + random_bytes(_RANDOM_CHARS).translate(_AS_DIGIT).decode()
    if last is None or made > last:
        return made
    step = 1 + int.from_bytes(random_bytes(_STEP_BYTES), "big")  # so that no id of something deleted is given again
    return str(ULID.from_int(int(ULID.from_str(last)) + step))


def time_text(milliseconds: int) -> str:
    """What a ULID of that time begins with. The library's own way takes ten times as long, once for every call."""
    return _half_minute_text(milliseconds >> 15) + _PAIRS[milliseconds >> 5 & 1023] + _DIGITS[milliseconds & 31]


@functools.lru_cache(maxsize=2)
def _half_minute_text(number: int) -> str:
    return "".join([_DIGITS[number >> 5 * place & 31] for place in reversed(range(_TIME_CHARS - 3))])


def random_bytes(number: int) -> bytes:
    """So many that nobody can guess; fetched many at a time, because each fetch lets other threads go first."""
    begin, end = _fetched.given, _fetched.given + number
    if end > len(_fetched.bytes):
        _fetched.bytes = os.urandom(max(_FETCHED_BYTES, number))
        begin, end = 0, number
    _fetched.given = end
    return _fetched.bytes[begin:end]


class _Fetched(threading.local):
    """By thread: none is given twice, nor to a child of a fork."""

    bytes = b""
    given = 0  # of them


_fetched = _Fetched()
os.register_at_fork(after_in_child=lambda: setattr(_fetched, "bytes", b""))
