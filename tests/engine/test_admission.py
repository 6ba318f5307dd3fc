"""Who may begin: each limit refuses by its name, is the tenant's own, and lets go of everything again."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.admission import Admission, CrashBackoff
from engine.config import Config
from engine.errors import Refusal
from engine.outcome import Outcome
from tenants.records import Settings, Tenant

CRASHED = Outcome(status="crashed", message="the hook crashed its Python process (signal 11)")
OUT_OF_MEMORY = Outcome(status="out_of_memory", message="the hook asked for more memory than a worker has")
FINE = Outcome(status="ok", message="")
KEY = ("tenant", "hook", 1)


class Clock:
    """Seconds that pass when a test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def tenant(name: str = "acme", **own: Any) -> Tenant:
    return Tenant(id=name.upper(), name=name, settings=Settings(**own), revision=0, created_ms=0)


def admission(clock: Clock | None = None, **config: Any) -> Admission:
    return Admission(Config(**config), clock or Clock())


def begin(admitting: Any, *args: Any) -> None:
    """And end at once."""
    made = admitting(*args)
    if made is not None:
        with made:
            pass


def refusal(admitting: Any, *args: Any) -> tuple[int, str | None, str]:
    """Status, code and Retry-After of what is refused."""
    with pytest.raises(Refusal) as caught:
        begin(admitting, *args)
    return caught.value.status, caught.value.code, caught.value.headers["Retry-After"]


def test_one_more_than_may_be_under_way_is_refused_by_the_name_of_the_limit() -> None:
    made = admission(jobs_at_once=2)
    with made.admit(tenant()), made.admit(tenant()):
        assert (429, "jobs_at_once", "1") == refusal(made.admit, tenant())
        with made.admit(tenant("globex")):
            pass
    with made.admit(tenant()):
        pass


def test_a_refusal_says_how_many_there_may_be() -> None:
    made = admission(jobs_at_once=1)
    with made.admit(tenant()), pytest.raises(Refusal, match=r"^1 invocations .* \(jobs_at_once\)$"):
        begin(made.admit, tenant())


def test_a_call_that_fails_is_under_way_no_longer() -> None:
    made = admission(jobs_at_once=1)
    with pytest.raises(KeyError), made.admit(tenant()):
        raise KeyError
    with made.admit(tenant()):
        pass


def test_a_tenants_own_setting_goes_before_that_of_the_server_for_as_long_as_it_has_one() -> None:
    made = admission(jobs_at_once=1)
    with made.admit(tenant(jobs_at_once=2)), made.admit(tenant(jobs_at_once=2)):
        assert "jobs_at_once" == refusal(made.admit, tenant(jobs_at_once=2))[1]
    with made.admit(tenant()):
        assert "jobs_at_once" == refusal(made.admit, tenant())[1]


def test_one_more_call_than_there_may_be_a_minute_is_refused_until_there_is_room_again() -> None:
    clock = Clock()
    made = admission(clock, calls_per_minute=3)
    for _ in range(3):
        made.count(tenant())

    assert (429, "calls_per_minute", "20") == refusal(made.count, tenant())
    made.count(tenant("globex"))
    made.count(tenant("globex", calls_per_minute=60_000))
    clock.now += 20
    made.count(tenant())


def test_what_is_refused_is_not_under_way() -> None:
    made = admission(jobs_at_once=1)
    with made.admit(tenant()):
        for _ in range(10):
            refusal(made.admit, tenant())

    assert not made._under_way


def test_the_queue_leaves_calls_half_of_what_may_be_under_way_and_one_worker() -> None:
    made = admission(jobs_at_once=6, workers_per_tenant=8)
    assert 3 == made.room("ACME")
    assert 1 == admission(jobs_at_once=64, workers_per_tenant=2).room("ACME")
    with made.queued("ACME"), made.queued("ACME"), made.queued("ACME"):
        assert (0, 3) == (made.room("ACME"), made.room("GLOBEX"))
        with made.admit(tenant()), made.admit(tenant()), made.admit(tenant()):
            assert "jobs_at_once" == refusal(made.admit, tenant())[1]


def test_one_queued_invocation_may_always_begin() -> None:
    """A tenant whose callers never stop has its queue worked off all the same."""
    made = admission(jobs_at_once=1)
    with made.admit(tenant()):
        assert 1 == made.room("ACME")
        with made.queued("ACME"):
            assert 0 == made.room("ACME")


def test_the_queue_leaves_a_quarter_of_the_workers_to_calls() -> None:
    made = admission(workers=8, reserve=0)
    assert 6 == made.room_for_queue()
    with contextlib.ExitStack() as stack:
        for number in range(6):
            stack.enter_context(made.queued(f"TENANT{number}"))
        assert 0 == made.room_for_queue()
    assert 6 == made.room_for_queue()
    assert 1 == admission(workers=1, reserve=0).room_for_queue()


class UnderWay(RuleBasedStateMachine):
    """Whatever begins and ends in whatever order: nobody gets over a limit, and in the end nothing is left."""

    def __init__(self) -> None:
        super().__init__()
        self.made = admission(jobs_at_once=3, workers_per_tenant=3, workers=4, reserve=0)
        self.calls: list[tuple[str, contextlib.ExitStack]] = []
        self.queued: list[tuple[str, contextlib.ExitStack]] = []

    @rule(name=st.sampled_from(["a", "b"]))
    def call(self, name: str) -> None:
        there = sum(of == name for of, _ in (*self.calls, *self.queued))
        stack = contextlib.ExitStack()
        try:
            stack.enter_context(self.made.admit(tenant(name)))
        except Refusal:
            assert there >= 3
        else:
            assert there < 3
            self.calls.append((name, stack))

    @rule(name=st.sampled_from(["a", "b"]))
    def take_from_queue(self, name: str) -> None:
        if self.made.room(name.upper()) and self.made.room_for_queue():
            stack = contextlib.ExitStack()
            stack.enter_context(self.made.queued(name.upper()))
            self.queued.append((name, stack))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def end_call(self, data: st.DataObject) -> None:
        self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))[1].close()

    @precondition(lambda self: self.queued)
    @rule(data=st.data())
    def end_queued(self, data: st.DataObject) -> None:
        self.queued.pop(data.draw(st.integers(0, len(self.queued) - 1)))[1].close()

    @invariant()
    def is_within_its_limits(self) -> None:
        for name in "ab":
            queued = sum(of == name for of, _ in self.queued)
            assert queued <= 1
            assert queued + sum(of == name for of, _ in self.calls) <= 4
        assert len(self.queued) <= 3

    def teardown(self) -> None:
        for _, stack in (*self.calls, *self.queued):
            stack.close()
        assert not self.made._under_way
        assert not self.made._queued


UnderWay.TestCase.settings = settings(deadline=None)
test_under_way = UnderWay.TestCase


def crash(backoff: CrashBackoff, times: int, outcome: Outcome = CRASHED) -> None:
    for _ in range(times):
        assert backoff.refused(KEY) is None
        backoff.note(KEY, outcome)


def pause_s(backoff: CrashBackoff, clock: Clock) -> float:
    """How long the hook is left alone, to the hundredth; the clock stands behind that."""
    begun = clock.now
    while backoff.refused(KEY):
        clock.now += 0.01
    return round(clock.now - begun, 1)


@pytest.mark.parametrize("outcome", [CRASHED, OUT_OF_MEMORY])
def test_a_hook_that_crashes_three_times_in_a_row_is_left_alone(outcome: Outcome) -> None:
    backoff = CrashBackoff(Clock())
    crash(backoff, 3, outcome)
    refused = backoff.refused(KEY)

    assert refused is not None
    assert "crashed" == refused.status
    assert "the hook was not run: it crashed 3 times in a row, and is left alone for 1.0 s" == refused.message


def test_each_further_crash_makes_the_pause_twice_as_long_up_to_a_minute() -> None:
    clock = Clock()
    backoff = CrashBackoff(clock)
    crash(backoff, 2)
    pauses = []
    for _ in range(9):
        crash(backoff, 1)
        pauses.append(pause_s(backoff, clock))

    assert [1, 2, 4, 8, 16, 32, 60, 60, 60] == pauses


def test_runs_that_had_begun_before_the_pause_do_not_make_it_longer() -> None:
    """However many of them crash at the same time."""
    clock = Clock()
    backoff = CrashBackoff(clock)
    crash(backoff, 3)
    for _ in range(20):
        backoff.note(KEY, CRASHED)

    assert 1 == pause_s(backoff, clock)


@pytest.mark.parametrize("status", ["ok", "raised", "timeout", "denied"])
def test_any_other_end_starts_the_count_anew(status: Any) -> None:
    backoff = CrashBackoff(Clock())
    crash(backoff, 2)
    backoff.note(KEY, Outcome(status=status, message=""))
    crash(backoff, 2)

    assert backoff.refused(KEY) is None


def test_other_hooks_and_other_versions_are_let_be() -> None:
    backoff = CrashBackoff(Clock())
    crash(backoff, 3)

    assert backoff.refused(KEY) is not None
    assert [None] * 3 == [
        backoff.refused(key) for key in (("tenant", "hook", 2), ("tenant", "other", 1), ("x", "hook", 1))
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([CRASHED, FINE, OUT_OF_MEMORY]), st.floats(0, 100)), max_size=60))
def test_no_hook_is_left_alone_for_more_than_a_minute(ends: list[tuple[Outcome, float]]) -> None:
    clock = Clock()
    backoff = CrashBackoff(clock)
    for outcome, wait_s in ends:
        backoff.note(KEY, outcome)
        clock.now += wait_s
    clock.now += 60

    assert backoff.refused(KEY) is None
