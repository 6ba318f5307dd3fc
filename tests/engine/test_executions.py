"""What is kept of an invocation that has ended, and what its tenant's log is told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executions import Timings, add_record_ms, fault_of, kept_of, timings_of
from engine.invocation import Ended, HookRun, Invocation
from engine.outcome import Exchange, LogEvent, Outcome, Usage
from engine.points import point_named
from tenants.records import Execution, Settings, Tenant

ACME = Tenant(id="t", name="acme", settings=Settings(), revision=1, created_ms=0)


def asked(point: str = "post-change-password", **arguments: Any) -> Invocation:
    """An invocation with the point's sample, or other arguments."""
    given_ = json.dumps(arguments or point_named(point).sample).encode()
    return Invocation(id="01X", tenant=ACME, point=point_named(point), arguments=given_, deadline=0.0, attempt=2)


def run(**outcome: Any) -> HookRun:
    """One hook's part, that ended so."""
    told = {"status": "ok", "message": "", "usage": Usage(wall_ms=30.0, cpu_ms=1.0, peak_bytes=9)} | outcome
    return HookRun(hook_id="h1", name="welcome", version=3, lease_ms=2.0, outcome=Outcome(**told))


def failed(**error: Any) -> HookRun:
    """One that was denied with this error."""
    raw = msgspec.Raw(json.dumps(error).encode())
    return run(status="denied", message=f"Error: {error.get('message')}", error=raw, line=7)


def ended(*runs: HookRun, error: bytes | None = None) -> Ended:
    return Ended(id="01X", runs=runs, position=0, response=b"{}", error=error)


def test_the_outcome_tells_every_hook_whole() -> None:
    logged = LogEvent(level="info", text="hello", line=4, at="2026-01-01T00:00:00.000Z")
    answered = ended(run(logs=(logged,), result=msgspec.Raw(b'{"a": [1]}')))
    kept = kept_of(asked("credentials-exchange"), answered, Timings(queue_ms=5.0))
    (hook,) = kept.outcome["hooks"]

    assert ("success", "", None) == tuple(kept.outcome[name] for name in ("status", "message", "error"))
    assert ("h1", "welcome", 3) == (hook["hook_id"], hook["name"], hook["version"])
    assert ("ok", {"a": [1]}) == (hook["outcome"]["status"], hook["outcome"]["result"])
    assert {"level": "info", "text": "hello", "line": 4, "at": logged.at} == hook["outcome"]["logs"][0]
    assert {"queue_ms": 5.0, "lease_ms": 0.0, "run_ms": 0.0, "egress_ms": 0.0, "record_ms": 0.0} == kept.outcome[
        "timings"
    ]


def test_a_result_that_nobody_waits_for_is_not_kept() -> None:
    kept = kept_of(asked(), ended(run(result=msgspec.Raw(b'{"a": [1]}'))), Timings())

    assert None is kept.outcome["hooks"][0]["outcome"]["result"]


def test_time_in_calls_is_not_counted_as_the_hooks_own() -> None:
    calls = (Exchange(method="GET", url="http://x/", ms=10.0), Exchange(method="GET", url="http://x/", ms=5.0))
    timings = timings_of(ended(run(egress=calls), run()), queue_ms=1.23456)

    assert Timings(queue_ms=1.235, lease_ms=4.0, run_ms=45.0, egress_ms=15.0) == timings


def test_time_never_runs_backwards() -> None:
    calls = (Exchange(method="GET", url="http://x/", ms=100.0),)

    assert 0.0 == timings_of(ended(run(egress=calls))).run_ms


def test_how_long_the_record_waited_is_written_into_it() -> None:
    outcome = kept_of(asked(), ended(run()), Timings()).outcome
    add_record_ms(outcome, 12.34567)

    assert 12.346 == outcome["timings"]["record_ms"]


def test_a_failure_tells_the_log_whose_it_is_and_why() -> None:
    event = kept_of(asked(), ended(failed(message="no quota"), error=b'{"message":"no quota"}'), Timings()).log_event
    assert event is not None

    assert ("fcph", "no quota") == (event["type"], event["description"])
    assert ("abc123", "user1", "Username-Password-Authentication") == (
        event["user_id"],
        event["user_name"],
        event["connection"],
    )
    assert {
        "trigger_id": "post-change-password",
        "execution_id": "01X",
        "attempt": 2,
        "hook_id": "h1",
        "hook_name": "welcome",
        "version": 3,
        "error_class": "hook_error",
        "hook_error": {"status": "denied", "name": None, "message": "no quota", "line": 7},
    } == event["details"]


def test_a_timeout_has_a_class_of_its_own() -> None:
    event = kept_of(asked(), ended(run(status="timeout", message="too slow"), error=b"{}"), Timings()).log_event
    assert event is not None

    assert ("too slow", "hook_timeout") == (event["description"], event["details"]["error_class"])


def test_a_refused_sign_up_is_told_with_the_message_for_the_log_and_no_password() -> None:
    """AUTH0.md section 5.3: the error's message, never the friendly one."""
    secret, sample = "correct horse", point_named("pre-user-registration").sample
    error = {"name": "PreUserRegistrationError", "message": f"refused {secret}", "friendlyMessage": "Sorry."}
    invocation = asked("pre-user-registration", **sample | {"user": sample["user"] | {"password": secret}})
    kept = kept_of(invocation, ended(failed(**error), error=json.dumps(error).encode()), Timings())
    assert kept.log_event is not None

    assert "fs" == kept.log_event["type"]
    assert kept.log_event["description"].startswith("refused ")
    assert secret not in json.dumps([kept.outcome, kept.log_event])
    assert "refused" in json.dumps(kept.outcome["error"])


@pytest.mark.parametrize(
    ("message_type", "type_"), [("sms", "gd_send_sms_failure"), ("voice", "gd_send_voice_failure")]
)
def test_a_message_that_was_not_sent_is_told_by_its_kind(message_type: str, type_: str) -> None:
    sample = point_named("send-phone-message").sample
    arguments = sample | {"context": sample["context"] | {"message_type": message_type}}
    invocation = asked("send-phone-message", **arguments)
    kept = kept_of(invocation, ended(failed(message="no route"), error=b"{}"), Timings())
    assert kept.log_event is not None

    assert (type_, "no route") == (kept.log_event["type"], kept.log_event["description"])
    assert sample["text"] not in json.dumps([kept.outcome, kept.log_event])


def test_what_nobody_could_run_says_so() -> None:
    execution = Execution(
        id="01X",
        trigger_id="post-change-password",
        blocking=False,
        hook_ids=("h1",),
        arguments='{"user":{"id":"u1"},"context":{"connection":{}}}',
        status="dead",
        attempt=5,
        run_at_ms=0,
        created_ms=0,
    )
    kept = fault_of(execution, "its engine was lost")
    assert kept.log_event is not None

    assert ("error", "its engine was lost", []) == tuple(kept.outcome[name] for name in ("status", "message", "hooks"))
    assert ("fcph", "u1", "platform_error", 5) == (
        kept.log_event["type"],
        kept.log_event["user_id"],
        kept.log_event["details"]["error_class"],
        kept.log_event["details"]["attempt"],
    )


def test_an_error_without_a_hook_is_told_too() -> None:
    kept = kept_of(asked(), ended(error=b'{"message":"no hook is left"}'), Timings())
    assert kept.log_event is not None

    assert ("error", "no hook is left") == (kept.outcome["status"], kept.outcome["message"])
    assert ("fcph", "no hook is left") == (kept.log_event["type"], kept.log_event["description"])


@settings(deadline=None)
@given(message=st.text(), user_id=st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text())))
def test_whatever_hooks_and_callers_write_fits_into_a_log(message: str, user_id: Any) -> None:
    """No NUL, which PostgreSQL refuses; no more text than a log holds; fields are text."""
    invocation = asked(user={"id": user_id}, context={"connection": {}})
    event = kept_of(invocation, ended(run(status="raised", message=message), error=b"{}"), Timings()).log_event
    assert event is not None

    for text in (event["description"], event["user_id"]):
        assert isinstance(text, str)
        assert "\0" not in text
        assert len(text) <= 2_000
        text.encode()
