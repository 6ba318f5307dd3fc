"""What a hook logs: `print` and `console.log` as log events, up to a bound; and where in its file it stands."""

from __future__ import annotations

import sys
import time
from types import FrameType
from typing import Any, NoReturn

from sandbox import wire
from sandbox.channel import Channel
from sandbox.compiler import HOOK_FILENAME


class Console:
    """`console.log` and `print`: log events, up to a bound, then one visible mark and silence."""

    def __init__(self, channel: Channel, log_bytes: int) -> None:
        self._send = channel.send
        self._left = log_bytes

    def log(self, *values: object) -> None:
        """Level info."""
        self._emit("info", values)

    info = debug = log  # as in JavaScript

    def warn(self, *values: object) -> None:
        """Level warn."""
        self._emit("warn", values)

    warning = warn  # as in Python's logging

    def error(self, *values: object) -> None:
        """Level error."""
        self._emit("error", values)

    def print(self, *values: object, sep: str | None = " ", end: str | None = "\n", **_: object) -> None:
        """The builtin print: one log event a call. `file` and `flush` mean nothing here."""
        text = (" " if sep is None else str(sep)).join(map(str, values)) + ("" if end in ("\n", None) else str(end))
        self._emit("info", (text,))

    def close(self) -> None:
        """The job has ended: whatever still holds this console talks to nobody."""
        self._left = 0

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("the console cannot be copied")

    def _emit(self, level: wire.Level, values: tuple[object, ...]) -> None:
        if self._left <= 0:
            return
        text = utf8(" ".join(map(str, values)))
        size = len(text.encode()) + wire.LOG_OVERHEAD_BYTES
        if size > self._left:
            kept = text.encode()[: max(self._left - wire.LOG_OVERHEAD_BYTES, 0)].decode(errors="ignore")
            text, size = f"{kept}… [log truncated: the limit is reached]", self._left
            level = "warn" if level == "info" else level
        self._left -= size
        self._send(wire.Log(level, text, line_of(sys._getframe(1)), time.time_ns() // 1_000_000))  # noqa: SLF001 - the only way to a caller's line


def line_of(frame: FrameType | None) -> int | None:
    """The line of the innermost frame of the hook's own file, at or above `frame`."""
    while frame is not None:
        if frame.f_code.co_filename == HOOK_FILENAME:
            return frame.f_lineno
        frame = frame.f_back
    return None


def utf8(text: str) -> str:
    """`text` as UTF-8 can carry it: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
