"""What a hook logs: `print` and `console.log` as log events, up to a bound; and where in its file it stands."""

from __future__ import annotations

import sys
import time
from types import FrameType
from typing import Any, NoReturn

from sandbox import wire
from sandbox.channel import Channel
from sandbox.compiler import HOOK_FILENAME
from sandbox.naming import stands_for


@stands_for("console")
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

    def print(
        self,
        *values: object,
        sep: str | None = " ",
        end: str | None = "\n",
        file: Any = None,
        flush: object = False,  # noqa: ARG002 - the standard signature
    ) -> None:
        """The builtin print: one log event a call, or what is written to a `file` of the hook's."""
        text = str.join(" " if sep is None else _text(sep, "sep"), map(str, values))
        last = "\n" if end is None else _text(end, "end")
        if file is not None:
            file.write(text + last)
        else:
            self._emit("info", (text + ("" if last == "\n" else last),))

    def __repr__(self) -> str:
        return "<console>"

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("the console cannot be copied")

    def _emit(self, level: wire.Level, values: tuple[object, ...], line: int | None = None) -> None:
        if self._left <= 0:
            return
        text = utf8(" ".join(map(str, values)))
        size = len(text.encode()) + wire.LOG_OVERHEAD_BYTES
        if size > self._left:
            kept = text.encode()[: max(self._left - wire.LOG_OVERHEAD_BYTES, 0)].decode(errors="ignore")
            text, size = f"{kept}… [log truncated: the limit is reached]", self._left
            level = "warn" if level == "info" else level
        self._left -= size
        line = line or line_of(sys._getframe(1))  # noqa: SLF001 - the only way to a caller's line
        self._send(wire.Log(level, text, line, time.time_ns() // 1_000_000))


stands_for("print")(Console.print)  # among the builtins


def _text(given: object, name: str) -> str:
    if isinstance(given, str):
        return given
    raise TypeError(f"{name} must be None or a string, not {type(given).__name__}")


def close(console: Console) -> None:
    """The job has ended: whatever still holds this console talks to nobody."""
    console._left = 0  # noqa: SLF001 - a method would be the hook's to call


def warn_at(console: Console, line: int | None, text: str) -> None:
    """A warning of ours, about that line of the hook."""
    console._emit("warn", (text,), line)  # noqa: SLF001


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
