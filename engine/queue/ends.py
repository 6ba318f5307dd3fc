"""What becomes of an invocation whose attempt has ended: it has succeeded or failed, is run again later, or is dead.

A hook's own end is tried again as its `retry` says, on the statuses that it names. A worker that died without having
told an end (killed, crashed, out of the machine's memory) is nobody's end yet: the invocation runs again, whatever
`retry` says, until that has happened `most_attempts` times. A hook that is not run for a while, because it kept
crashing, is waited for, and that counts as no attempt. Between two attempts lies an exponential pause with full jitter:
anything between nothing and all of it.

Failures are counted for the hook that failed, one after the other, in the outcome that the queue keeps meanwhile
(`failures`): `attempt` counts starts, also those of a hook that went well, and of an engine that was lost.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from engine.invocation import Ended, HookRun
from tenants.records import Execution, Retry

_LOST = Retry(first_ms=250, most_ms=60_000)  # pauses after a worker or a zygote was lost
_PASSED_OVER_MS = (100, 1_000)  # until what was not run is looked at again, once its hook is not left alone
_DEATHS = ("crashed", "out_of_memory")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of it."""

    status: Literal["queued", "success", "error", "dead"]  # queued: it is run again
    again_in_ms: int = 0
    counted: bool = True  # False: this start was none
    failures: int = 0  # of the hook that failed, one after the other, this one included


def verdict(execution: Execution, ended: Ended, retry: Retry, most_attempts: int) -> Verdict:
    """`execution`: as this attempt began; `retry`: of the hook that failed; `most_attempts`: of lost workers."""
    failed = ended.failed
    if ended.error is None:
        return Verdict("success")
    if failed is None:
        return Verdict("error")
    if failed.left_alone_ms is not None:
        return passed_over(_before(execution, ended.position), failed.left_alone_ms)
    failures = 1 + _before(execution, ended.position)
    if failed.lost and failed.outcome.status in _DEATHS:
        return verdict_of_loss(failures, most_attempts)
    return _of_own(failed, failures, retry)


def verdict_of_loss(failures: int, most_attempts: int) -> Verdict:
    """After so many lost workers or zygotes, one after the other."""
    if failures < most_attempts:
        return Verdict("queued", pause_ms(_LOST, failures), failures=failures)
    return Verdict("dead", failures=failures)


def passed_over(failures: int, left_alone_ms: int = 0) -> Verdict:
    """Nothing was run: there is no worker for it now, or its hook is left alone for so long yet."""
    again_in_ms = left_alone_ms + random.randint(*_PASSED_OVER_MS)  # noqa: S311 - nobody gains by guessing it
    return Verdict("queued", again_in_ms, counted=False, failures=failures)


def failures_of(execution: Execution) -> int:
    """How often the hook that is next has failed before this attempt."""
    return _before(execution, execution.position)


def pause_ms(retry: Retry, failures: int) -> int:
    """Before the next attempt: full jitter over what doubles with each failure."""
    longest = min(retry.most_ms, retry.first_ms << min(failures - 1, 40))
    return random.randint(0, longest)  # noqa: S311 - nobody gains by guessing it


def _of_own(failed: HookRun, failures: int, retry: Retry) -> Verdict:
    if failed.outcome.status not in retry.on or retry.attempts == 1:
        return Verdict("error", failures=failures)
    if failures < retry.attempts:
        return Verdict("queued", pause_ms(retry, failures), failures=failures)
    return Verdict("dead", failures=failures)


def _before(execution: Execution, position: int) -> int:
    """Failures of the hook at `position` in earlier attempts."""
    kept = execution.outcome
    if execution.attempt <= 1 or position != execution.position or not isinstance(kept, dict):
        return 0
    return int(kept.get("failures", 0))
