"""What is kept of an invocation that has ended, and what its tenant's log is told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import answers, executions
from engine.executions import Kept, Timings, fault_of, kept_of, recorded_of, timings_of
from engine.invocation import Ended, HookRun, Invocation
from engine.mask import Mask
from engine.outcome import Exchange, LogEvent, Outcome, Usage
from engine.points import point_named
from tenants.records import Execution, Settings, Tenant

ACME = Tenant(id="t", name="acme", settings=Settings(), revision=1, created_ms=0)


def asked(point: str = "post-change-password", **arguments: Any) -> Invocation:
    """An invocation with the point's sample, or other arguments."""
    given_ = json.dumps(arguments or point_named(point).sample).encode()
    return Invocation(id="01X", tenant=ACME, point=point_named(point), arguments=given_, deadline=0.0, attempt=2)


def run(*secrets: str, **outcome: Any) -> HookRun:
    """One hook's part, that ended so. `secrets`: which it had."""
    told = {"status": "ok", "message": "", "usage": Usage(wall_ms=30.0, cpu_ms=1.0, peak_bytes=9)} | outcome
    return HookRun(hook_id="h1", name="welcome", version=3, lease_ms=2.0, outcome=Outcome(**told), mask=Mask(secrets))


def failed(**error: Any) -> HookRun:
    """One that was denied with this error."""
    raw = msgspec.Raw(json.dumps(error).encode())
    return run(status="denied", message=f"Error: {error.get('message')}", error=raw, line=7)


def told(kept: Kept, record_ms: float = 0.0) -> Any:
    """The outcome as it can be read again."""
    return plain(kept.told.json(record_ms))


NOBODY = dict.fromkeys(["user_id", "user_name", "connection", "connection_id", "client_id", "client_name", "ip"], "")


def event_of(kept: Kept) -> Any:
    """Its log event, likewise."""
    assert kept.log_event is not None
    return NOBODY | plain(kept.log_event)


def plain(written: Any) -> Any:
    """As a reader of the store has it."""
    return json.loads(msgspec.json.encode(written))


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        ({"user": {"id": "a"}, "context": {"user": {"user_id": "b"}}}, {"user_id": "a"}),
        ({"user": {"id": 7}, "context": {"user": {"user_id": "b"}}}, {"user_id": "b"}),
        ({"user": {"id": ""}, "context": {"user": {"user_id": "b"}}}, {}),
        ({"user": {"username": "a", "email": "b"}, "context": {"user": {"name": "c"}}}, {"user_name": "a"}),
        ({"user": {"email": "b"}, "context": {"user": {"name": "c"}}}, {"user_name": "b"}),
        ({"context": {"user": {"name": "c"}}}, {"user_name": "c"}),
        ({"context": {"ip": "1", "request": {"ip": "2"}}}, {"ip": "2"}),
        ({"context": {"ip": "1", "request": []}}, {"ip": "1"}),
        ({"client": {"id": "a", "name": "b"}}, {"client_id": "a", "client_name": "b"}),
        (
            {"client": {}, "context": {"client": {"client_id": "c", "name": "d"}}},
            {"client_id": "c", "client_name": "d"},
        ),
        ({"context": {"connection": {"id": "c", "name": "d"}}}, {"connection_id": "c", "connection": "d"}),
        ({"user": "a", "client": 1, "context": [{"ip": "1"}]}, {}),
        ([1], {}),
        (None, {}),
    ],
)
def test_a_log_event_tells_the_first_text_that_stands_where_points_have_it(arguments: Any, about: Any) -> None:
    assert NOBODY | about == NOBODY | executions._about(json.dumps(arguments).encode())


def ended(*runs: HookRun, error: bytes | None = None) -> Ended:
    return Ended(id="01X", runs=runs, position=0, response=b"{}", error=error)


def test_the_outcome_tells_every_hook_whole() -> None:
    logged = LogEvent(level="info", text="hello", line=4, at="2026-01-01T00:00:00.000Z")
    answered = ended(run(logs=(logged,), result=msgspec.Raw(b'{"a": [1]}')))
    kept = kept_of(asked("credentials-exchange"), answered, Timings(queue_ms=5.0))
    outcome = told(kept)
    (hook,) = outcome["hooks"]

    assert ("success", "", None) == tuple(outcome[name] for name in ("status", "message", "error"))
    assert ("h1", "welcome", 3) == (hook["hook_id"], hook["name"], hook["version"])
    assert ("ok", {"a": [1]}) == (hook["outcome"]["status"], hook["outcome"]["result"])
    assert {"level": "info", "text": "hello", "line": 4, "at": logged.at} == hook["outcome"]["logs"][0]
    times = {"queue_ms": 5.0, "lease_ms": 0.0, "run_ms": 0.0, "egress_ms": 0.0, "record_ms": 0.0}
    assert times == outcome["timings"]
    assert {"status", "message", "error", "hooks", "timings"} == set(outcome)
    assert {"hook_id", "name", "version", "lease_ms", "outcome"} == set(hook)


def test_a_result_that_nobody_waits_for_is_not_kept() -> None:
    kept = kept_of(asked(), ended(run(result=msgspec.Raw(b'{"a": [1]}'))), Timings())

    assert None is told(kept)["hooks"][0]["outcome"]["result"]


def test_time_in_calls_is_not_counted_as_the_hooks_own() -> None:
    calls = (Exchange(method="GET", url="http://x/", ms=10.0), Exchange(method="GET", url="http://x/", ms=5.0))
    timings = timings_of(ended(run(egress=calls), run()), queue_ms=1.23456)

    assert Timings(queue_ms=1.235, lease_ms=4.0, run_ms=45.0, egress_ms=15.0) == timings


def test_time_never_runs_backwards() -> None:
    calls = (Exchange(method="GET", url="http://x/", ms=100.0),)

    assert 0.0 == timings_of(ended(run(egress=calls))).run_ms


def test_how_long_the_record_waited_is_written_into_it() -> None:
    kept = kept_of(asked(), ended(run()), Timings(run_ms=3.0))

    assert (3.0, 12.346) == tuple(told(kept, 12.34567)["timings"][name] for name in ("run_ms", "record_ms"))


def test_a_call_is_recorded_as_it_was_with_its_times_and_without_the_points_secrets() -> None:
    sample = point_named("pre-user-registration").sample
    invocation = asked("pre-user-registration", **sample | {"user": sample["user"] | {"password": "correct horse"}})
    recorded = recorded_of(invocation, ended(run()), Timings(), 1_000, 2_000, 3.5)
    execution = recorded.execution

    assert ("t", "01X", "pre-user-registration", True, ("h1",), "success", 1) == (
        recorded.tenant_id,
        execution.id,
        execution.trigger_id,
        execution.blocking,
        execution.hook_ids,
        execution.status,
        execution.attempt,
    )
    assert (1_000, 1_000, 1_000, 2_000) == (
        execution.run_at_ms,
        execution.created_ms,
        execution.started_ms,
        execution.ended_ms,
    )
    assert 3.5 == plain(execution.outcome)["timings"]["record_ms"]
    assert sample["user"]["email"] in execution.arguments
    assert "correct horse" not in str(recorded)


def test_a_failure_tells_the_log_whose_it_is_and_why() -> None:
    event = event_of(kept_of(asked(), ended(failed(message="no quota"), error=b'{"message":"no quota"}'), Timings()))

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
    event = event_of(kept_of(asked(), ended(run(status="timeout", message="too slow"), error=b"{}"), Timings()))

    assert ("too slow", "hook_timeout") == (event["description"], event["details"]["error_class"])


def test_a_refused_sign_up_is_told_with_the_message_for_the_log_and_no_password() -> None:
    """AUTH0.md section 5.3: the error's message, never the friendly one."""
    secret, sample = "correct horse", point_named("pre-user-registration").sample
    error = {"name": "PreUserRegistrationError", "message": f"refused {secret}", "friendlyMessage": "Sorry."}
    invocation = asked("pre-user-registration", **sample | {"user": sample["user"] | {"password": secret}})
    kept = kept_of(invocation, ended(failed(**error), error=json.dumps(error).encode()), Timings())
    outcome, event = told(kept), event_of(kept)

    assert "fs" == event["type"]
    assert event["description"].startswith("refused ")
    assert secret not in str((outcome, event))
    assert "refused" in str(outcome["error"])


@pytest.mark.parametrize("filler", ["", "x" * 5_000, "x" * 20_000])
def test_a_secret_that_names_a_field_of_an_error_is_not_kept(filler: str) -> None:
    """However long the error is; and its message is kept all the same."""
    secret = "hunter-2-hunter"
    error = {"name": "QuotaError", "message": "no quota", secret: {secret: 1}, "filler": filler}
    raw = msgspec.Raw(json.dumps(error).encode())
    denied = run(secret, status="denied", message="QuotaError: no quota", error=raw)
    kept = kept_of(asked("credentials-exchange"), ended(denied, error=bytes(raw)), Timings())
    outcome, event = told(kept), event_of(kept)

    assert "hunter" not in str((outcome, event))
    assert "no quota" in outcome["message"]
    assert "no quota" in outcome["error"]["message"]


LOGGED = LogEvent(level="info", text="it is correct horse", line=4, at="")
CALLED = Exchange(method="GET", url="http://x/?p=correct%20horse", ms=1.0)


@pytest.mark.parametrize("printed", [{"logs": (LOGGED,)}, {"egress": (CALLED,)}, {"message": "correct horse"}])
def test_a_password_that_a_hook_prints_or_sends_is_not_kept(printed: dict[str, Any]) -> None:
    """Although the hook has ended well and answered nothing."""
    sample = point_named("pre-user-registration").sample
    invocation = asked("pre-user-registration", **sample | {"user": sample["user"] | {"password": "correct horse"}})
    kept = kept_of(invocation, ended(run(**printed)), Timings())

    assert "horse" not in str(told(kept))
    assert "***" in str(told(kept)["hooks"])


@pytest.mark.parametrize("filler", [99, 200 * 99, 900 * 99])
def test_the_record_tells_the_error_that_the_caller_got_however_long_it_is(filler: int) -> None:
    error = {"name": "InvalidScopeError", "message": "no hush-hush", "detail": ["x" * 99] * (filler // 99)}
    raw = msgspec.Raw(msgspec.json.encode(error))
    denied = run("hush-hush", status="denied", message="InvalidScopeError: no ***", error=raw)
    got = answers.error_of(point_named("credentials-exchange"), denied.outcome)
    kept = kept_of(asked("credentials-exchange"), ended(denied, error=got), Timings())
    found = told(kept)["error"]

    assert {"name": "InvalidScopeError", "statusCode": 400, "error": "invalid_scope", "message": "no ***"} == {
        name: found[name] for name in ("name", "statusCode", "error", "message")
    }
    assert "InvalidScopeError" == event_of(kept)["details"]["hook_error"]["name"]


def test_an_error_whose_name_is_not_kept_has_the_status_that_the_caller_got() -> None:
    error = msgspec.Raw(b'{"name":"InvalidScopeError","message":"no"}')
    denied = run("Scope", status="denied", message="InvalidScopeError: no", error=error)
    got = answers.error_of(point_named("credentials-exchange"), denied.outcome)
    found = told(kept_of(asked("credentials-exchange"), ended(denied, error=got), Timings()))["error"]

    assert ("Invalid***Error", 400, "invalid_scope") == (found["name"], found["statusCode"], found["error"])


@pytest.mark.parametrize(
    ("message_type", "type_"), [("sms", "gd_send_sms_failure"), ("voice", "gd_send_voice_failure")]
)
def test_a_message_that_was_not_sent_is_told_by_its_kind(message_type: str, type_: str) -> None:
    sample = point_named("send-phone-message").sample
    arguments = sample | {"context": sample["context"] | {"message_type": message_type}}
    invocation = asked("send-phone-message", **arguments)
    kept = kept_of(invocation, ended(failed(message="no route"), error=b"{}"), Timings())
    event = event_of(kept)

    assert (type_, "no route") == (event["type"], event["description"])
    assert sample["text"] not in str((told(kept), event))


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
    outcome, event = told(kept), event_of(kept)

    assert ("error", "its engine was lost", []) == tuple(outcome[name] for name in ("status", "message", "hooks"))
    assert ("fcph", "u1", "platform_error", 5) == (
        event["type"],
        event["user_id"],
        event["details"]["error_class"],
        event["details"]["attempt"],
    )


def test_an_error_without_a_hook_is_told_too() -> None:
    kept = kept_of(asked(), ended(error=b'{"message":"no hook is left"}'), Timings())
    outcome, event = told(kept), event_of(kept)

    assert ("error", "no hook is left") == (outcome["status"], outcome["message"])
    assert ("fcph", "no hook is left") == (event["type"], event["description"])


@settings(deadline=None)
@given(message=st.text(), user_id=st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text())))
def test_whatever_hooks_and_callers_write_fits_into_a_log(message: str, user_id: Any) -> None:
    """No NUL, which PostgreSQL refuses; no more text than a log holds; fields are text."""
    invocation = asked(user={"id": user_id}, context={"connection": {}})
    event = event_of(kept_of(invocation, ended(run(status="raised", message=message), error=b"{}"), Timings()))

    for text in (event["description"], event["user_id"]):
        assert isinstance(text, str)
        assert "\0" not in text
        assert len(text) <= 2_000
        text.encode()


_NAMES = ["id", "user_id", "username", "email", "name", "client_id", "ip", "other"]
_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from("abc"),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(_NAMES), below, max_size=4),
    max_leaves=5,
)
_ARGUMENTS = st.dictionaries(
    st.sampled_from(["user", "client", "context", "other"]),
    _ANY | st.dictionaries(st.sampled_from(["user", "client", "connection", "request", "ip"]), _ANY),
)


def _text_at(given_: Any, *paths: str) -> str:
    """The first text at one of the dotted paths, of plain Python data."""
    for path in paths:
        found = given_
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
    return ""


@settings(deadline=None)
@given(arguments=_ARGUMENTS.filter(bool))
def test_a_log_event_tells_whose_it_is_whatever_shapes_stand_in_the_arguments(arguments: Any) -> None:
    event = event_of(kept_of(asked(**arguments), ended(failed(message="no"), error=b"{}"), Timings()))

    assert _text_at(arguments, "user.id", "context.user.user_id") == event["user_id"]
    assert _text_at(arguments, "user.username", "user.email", "context.user.name") == event["user_name"]
    assert _text_at(arguments, "context.connection.name") == event["connection"]
    assert _text_at(arguments, "context.connection.id") == event["connection_id"]
    assert _text_at(arguments, "client.id", "context.client.client_id") == event["client_id"]
    assert _text_at(arguments, "client.name", "context.client.name") == event["client_name"]
    assert _text_at(arguments, "context.request.ip", "context.ip") == event["ip"]
