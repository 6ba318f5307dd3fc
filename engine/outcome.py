"""How a job ended, as callers see it: the whole outcome, as `hookcell run --json` prints it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from sandbox.wire import Status


def lines_of(source: str) -> list[str]:
    """The lines of a source as Python counts them."""
    return re.split(r"\r\n|\r|\n", source)


class LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line that the hook logged."""

    level: str  # info, warn, error
    text: str
    line: int | None  # of the hook's source
    at: str  # RFC 3339, UTC, milliseconds


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What the job cost."""

    wall_ms: float  # by the engine's clock
    cpu_ms: float  # by the worker's word
    peak_bytes: int  # largest resident size of the worker, by its word


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the policy refuses, or that a check warns of. `line` and `column` count from 1."""

    rule: str
    line: int
    column: int
    end: int
    message: str
    hint: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the hook's source that an error passed through."""

    line: int
    function: str  # whose line it is; empty: the file itself
    source: str | None = None  # the text of that line


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One error of a chain, with its way through the hook, outermost call first."""

    message: str  # "KeyError: 'email'"
    steps: tuple[Step, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended. Whatever a hook did is one of these; nothing it does raises in the engine."""

    status: Status
    message: str  # what happened and what to do; empty when `ok`
    line: int | None = None  # of the hook's source, where it ended
    source: str | None = None  # the text of that line
    result: msgspec.Raw = msgspec.Raw(b"null")  # JSON of what cb() was given, when `ok`
    error: msgspec.Raw = msgspec.Raw(b"null")  # {name, message, …}, when `denied` or `raised`
    logs: tuple[LogEvent, ...] = ()
    egress: tuple[Any, ...] = ()  # exchanges with other hosts: none until hooks can talk HTTP
    usage: Usage = Usage(wall_ms=0.0, cpu_ms=0.0, peak_bytes=0)
    diagnostics: tuple[Finding, ...] = ()  # when `rejected`
    warnings: tuple[Finding, ...] = ()  # of a check: they refuse nothing
    causes: tuple[Cause, ...] = ()  # when `raised`, or `denied` with what was raised: the error, then what led to it

    def json(self) -> bytes:
        """The whole outcome as JSON."""
        return msgspec.json.encode(self)

    def value(self) -> Any:
        """The result as Python data."""
        return msgspec.json.decode(self.result)
