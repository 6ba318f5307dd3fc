"""What becomes of an attempt that has ended, by property."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.invocation import Ended, HookRun
from engine.outcome import Outcome
from engine.queue.ends import failures_of, passed_over, pause_ms, verdict, verdict_of_loss
from tenants.records import Execution, Retry, RetryOn

OWN_ENDS = get_args(RetryOn)

retries = st.builds(
    Retry,
    attempts=st.integers(1, 20),
    on=st.lists(st.sampled_from(OWN_ENDS), unique=True).map(tuple),
    first_ms=st.integers(0, 10_000),
    most_ms=st.integers(0, 100_000),
)


def begun(**fields: Any) -> Execution:
    """One that is under way."""
    given_ = {"id": "01", "trigger_id": "post-change-password", "blocking": False, "hook_ids": ("h",), "attempt": 1}
    return Execution(arguments="{}", status="running", run_at_ms=0, created_ms=0, **given_ | fields)


def ended(status: str, *, position: int = 0, **told: Any) -> Ended:
    """An attempt that ended so in its only hook."""
    outcome = Outcome(status=status, message="why")  # type: ignore[arg-type]
    run = HookRun(hook_id="h", name="it", version=1, lease_ms=0.1, outcome=outcome, **told)
    error = None if status == "ok" else b'{"message":"why"}'
    return Ended(id="01", runs=(run,), position=position, response=b"null", error=error)


@settings(deadline=None)
@given(retry=retries, attempt=st.integers(1, 30))
def test_what_has_ended_well_is_a_success_whatever_it_took(retry: Retry, attempt: int) -> None:
    assert "success" == verdict(begun(attempt=attempt), ended("ok"), retry, 5).status


@settings(deadline=None)
@given(retry=retries, status=st.sampled_from(OWN_ENDS))
def test_a_hook_that_always_fails_is_run_as_often_as_its_retry_says(retry: Retry, status: str) -> None:
    starts, execution = 1, begun()
    while (decided := verdict(execution, ended(status), retry, 5)).status == "queued":
        starts += 1
        assert 0 <= decided.again_in_ms <= min(retry.most_ms, retry.first_ms << 40)
        execution = begun(attempt=starts, outcome={"failures": decided.failures})

    expected = retry.attempts if status in retry.on else 1
    assert expected == starts
    assert ("dead" if expected > 1 else "error") == decided.status


@settings(deadline=None)
@given(retry=retries, most=st.integers(1, 9), status=st.sampled_from(["crashed", "out_of_memory"]))
def test_a_worker_that_died_is_made_up_for_whatever_the_retry_says(retry: Retry, most: int, status: str) -> None:
    starts, execution = 1, begun()
    while (decided := verdict(execution, ended(status, lost=True), retry, most)).status == "queued":
        starts += 1
        execution = begun(attempt=starts, outcome={"failures": decided.failures})

    assert (most, "dead") == (starts, decided.status)


@pytest.mark.parametrize("status", ["crashed", "out_of_memory"])
def test_a_crash_that_the_worker_told_of_itself_is_the_hooks_own(status: str) -> None:
    """However little it says it used: what a hook does to its worker's word gains it no run."""
    assert "error" == verdict(begun(), ended(status), Retry(), 5).status


def test_a_worker_that_was_killed_at_the_deadline_is_no_lost_one() -> None:
    assert "error" == verdict(begun(), ended("timeout", lost=True), Retry(), 5).status


def test_a_hook_that_is_left_alone_is_looked_at_when_that_is_over() -> None:
    passed = ended("crashed", left_alone_ms=40_000)

    assert 40_000 < verdict(begun(), passed, Retry(), 5).again_in_ms <= 41_000


@pytest.mark.parametrize("attempt", [1, 7, 1_000])
def test_a_hook_that_is_left_alone_for_a_while_is_waited_for_and_nothing_is_counted(attempt: int) -> None:
    decided = verdict(begun(attempt=attempt, outcome={"failures": 4}), ended("crashed", left_alone_ms=0), Retry(), 5)

    assert ("queued", False, 4 if attempt > 1 else 0) == (decided.status, decided.counted, decided.failures)
    assert decided.again_in_ms > 0


def test_failures_of_a_hook_that_has_gone_well_are_not_those_of_the_next_one() -> None:
    before = begun(attempt=3, outcome={"failures": 2}, position=0, hook_ids=("h", "i"))
    decided = verdict(before, ended("raised", position=1), Retry(attempts=3), 5)

    assert ("queued", 1) == (decided.status, decided.failures)


def test_failures_begin_anew_when_it_is_redriven() -> None:
    assert 2 == failures_of(begun(attempt=2, outcome={"failures": 2}))
    assert 0 == failures_of(begun(attempt=1, outcome={"failures": 2}))


def test_an_error_that_is_no_hooks_is_final() -> None:
    nobody = Ended(id="01", runs=(), position=0, response=b"null", error=b'{"message":"no hook is left"}')

    assert "error" == verdict(begun(), nobody, Retry(attempts=9), 5).status


@settings(deadline=None)
@given(failures=st.integers(1, 10_000), retry=retries)
def test_a_pause_is_never_longer_than_the_longest(failures: int, retry: Retry) -> None:
    assert 0 <= pause_ms(retry, failures) <= retry.most_ms


def test_pauses_grow_and_are_not_all_the_same() -> None:
    retry = Retry(first_ms=1_000, most_ms=1 << 40)
    pauses = [[pause_ms(retry, failures) for _ in range(200)] for failures in (1, 4)]

    assert 1_000 >= max(pauses[0])
    assert 4_000 < max(pauses[1]) <= 8_000
    assert min(pauses[1]) < 2_000
    assert len(set(pauses[1])) > 100


def test_a_zygote_that_died_counts_as_a_lost_worker() -> None:
    assert "queued" == verdict_of_loss(4, 5).status
    assert "dead" == verdict_of_loss(5, 5).status


def test_what_found_no_worker_keeps_its_count() -> None:
    assert (False, 3) == (passed_over(3).counted, passed_over(3).failures)
