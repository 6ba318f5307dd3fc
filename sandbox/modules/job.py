"""What the makers of facades know of the job that asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox import wire

HOOK_MODULE = "hook"  # what a hook's functions and classes name as their module


def _no_exchange(_: wire.Http) -> NoReturn:
    raise RuntimeError("there is no engine to send a call to")


@dataclass(frozen=True, slots=True)
class Job:
    """What a maker may know of the job that asks."""

    seed: int  # of its `random`
    made: Callable[[Any], bool]  # whether a class or function is the hook's own
    read: Callable[[Any, str], Any]  # getattr, as the hook may use it
    exchange: Callable[[wire.Http], wire.Answer] = _no_exchange  # an HTTP call, and the wait for its answer
