"""What a caller is told of a hook that failed: the error by the rules of its point, AUTH0.md sections 1 and 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.answers import error_of
from engine.outcome import Outcome
from engine.points import all_points, point_named

EXCHANGE, SIGN_UP, PHONE = map(point_named, ("credentials-exchange", "pre-user-registration", "send-phone-message"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=8,
)


def told_of(point: Any, run_hook: Callable[..., Outcome], line: str) -> Any:
    """What a caller gets when a hook of the point does that."""
    source = f"def hook({', '.join(point.parameters)}):\n    {line}\n"
    return msgspec.json.decode(error_of(point, run_hook(source, trigger_id=point.id)))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("cb(InvalidScopeError('no'))", {"name": "InvalidScopeError", "statusCode": 400, "error": "invalid_scope"}),
        ("raise InvalidScopeError('no')", {"name": "InvalidScopeError", "statusCode": 400, "error": "invalid_scope"}),
        (
            "cb(InvalidRequestError('no'))",
            {"name": "InvalidRequestError", "statusCode": 400, "error": "invalid_request"},
        ),
        ("cb(ServerError('no'))", {"name": "ServerError", "statusCode": 500, "error": "server_error"}),
        ("cb(Error('no'))", {"statusCode": 500, "error": "server_error"}),
        ("cb('no')", {"statusCode": 500, "error": "server_error"}),
        ("cb({'message': 'no'})", {"statusCode": 500, "error": "server_error"}),
        ("raise ValueError('no')", {"name": "ValueError", "statusCode": 500, "error": "server_error"}),
    ],
)
def test_an_error_of_a_token_exchange_is_what_the_token_endpoint_answers(
    run_hook: Callable[..., Outcome], line: str, told: Any
) -> None:
    """AUTH0.md section 1.1; a plain error has no name: section 2.1."""
    assert {"message": "no", "error_description": "no"} | told == told_of(EXCHANGE, run_hook, line)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            "PreUserRegistrationError('why', 'for you')",
            {"name": "PreUserRegistrationError", "friendlyMessage": "for you", "friendly_message": "for you"},
        ),
        (
            "PreUserRegistrationError('why')",
            {"name": "PreUserRegistrationError", "friendlyMessage": "why", "friendly_message": "why"},
        ),
        ("Error('why')", {}),
        ("'why'", {}),
    ],
)
def test_a_refused_sign_up_has_a_text_for_the_log_and_one_for_the_person(
    run_hook: Callable[..., Outcome], error: str, told: Any
) -> None:
    """AUTH0.md section 1.2; a plain error has nothing for the person."""
    common = {"message": "why", "description": "why", "statusCode": 400, "code": "extensibility_error"}

    assert common | told == told_of(SIGN_UP, run_hook, f"cb({error})")


def test_a_message_that_was_not_sent_says_why(run_hook: Callable[..., Outcome]) -> None:
    assert {
        "name": "SendPhoneMessageError",
        "message": "no credit",
        "friendlyMessage": "try again",
        "friendly_message": "try again",
        "statusCode": 500,
    } == told_of(PHONE, run_hook, "cb(SendPhoneMessageError('no credit', 'try again'))")


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("timeout", "TimeoutError"),
        ("out_of_memory", "MemoryError"),
        ("crashed", "CrashError"),
        ("no_callback", "CallbackError"),
        ("bad_result", "ResponseError"),
        ("rejected", "SyntaxError"),
    ],
)
@pytest.mark.parametrize("trigger_id", all_points())
def test_an_end_that_is_no_error_of_the_hooks_own_has_a_name(trigger_id: str, status: Any, name: str) -> None:
    """AUTH0.md section 2.5."""
    point = point_named(trigger_id)
    told = msgspec.json.decode(error_of(point, Outcome(status=status, message="it ended")))

    assert (name, "it ended", 400 if point is SIGN_UP else 500) == (told["name"], told["message"], told["statusCode"])


def test_an_errors_own_fields_come_along_and_cannot_change_what_the_point_says(
    run_hook: Callable[..., Outcome],
) -> None:
    line = "cb({'message': 'no', 'retry': [1], 'statusCode': 200, 'error': 'x', 'error_description': 'y', 'name': 'Z'})"

    assert {
        "message": "no",
        "retry": [1],
        "statusCode": 500,
        "error": "server_error",
        "error_description": "no",
    } == told_of(EXCHANGE, run_hook, line)


@settings(deadline=None)
@given(st.dictionaries(st.text() | st.sampled_from(["name", "message", "statusCode"]), JSON))
def test_whatever_an_error_says_a_caller_gets_a_message_and_a_status(own: dict[str, Any]) -> None:
    """The error's JSON comes from a worker."""
    for point in (EXCHANGE, SIGN_UP, PHONE):
        outcome = Outcome(status="denied", message="it ended", error=msgspec.Raw(msgspec.json.encode(own)))
        told = msgspec.json.decode(error_of(point, outcome))
        assert told["message"] == own.get("message", "it ended")
        assert told["statusCode"] in (400, 500)
        assert told.get("name", "Error") == own.get("name", "Error")
