"""The engine's part in a worker's calls: each `http` frame is answered by a function of the test's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import wire

Answering = Callable[[wire.Http], wire.Answer]


def converse(worker: Any, job: wire.Run, answer: Answering) -> tuple[wire.Done, list[wire.Http]]:
    """(how the job ended, the calls it made)."""
    worker.send(job)
    made: list[wire.Http] = []
    while not isinstance(frame := worker.receive(), wire.Done):
        if isinstance(frame, wire.Http):
            made.append(frame)
            worker.send(answer(frame))
    return frame, made


def ok(_: wire.Http) -> wire.Answered:
    """An empty response."""
    return wire.Answered(200, "OK", (), b"")
