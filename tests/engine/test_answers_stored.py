"""What is kept of a call: never the values of the arguments that its point calls secret."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import mask
from engine.answers import log_type, redacted, storable
from engine.outcome import Exchange, Kept, Outcome
from engine.points import all_points, point_named

SIGN_UP, PHONE = point_named("pre-user-registration"), point_named("send-phone-message")
PASSWORD = "correct horse/battery é"
ARGUMENTS = msgspec.json.encode(SIGN_UP.sample | {"user": SIGN_UP.sample["user"] | {"password": PASSWORD}})


def without(value: Any, *path: str) -> Any:
    """`value` without the field at that path."""
    first, *below = path
    if not below:
        return {key: value[key] for key in value if key != first}
    return value | {first: without(value[first], *below)}


def test_arguments_are_kept_without_their_secret_fields() -> None:
    kept = msgspec.json.decode(redacted(SIGN_UP, ARGUMENTS))
    sms = msgspec.json.decode(redacted(PHONE, msgspec.json.encode(PHONE.sample)))

    assert without(msgspec.json.decode(ARGUMENTS), "user", "password") == kept
    assert without(without(PHONE.sample, "text"), "context", "code") == sms


@pytest.mark.parametrize("trigger_id", [name for name in all_points() if not point_named(name).secret])
def test_arguments_without_secret_fields_are_kept_to_the_byte(trigger_id: str) -> None:
    raw = b' {"user": 1.10, "text": "a"}'
    outcome = Outcome(status="ok", message="")

    assert raw == redacted(point_named(trigger_id), raw)
    assert outcome is storable(point_named(trigger_id), raw, outcome)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"user":{"password":"a","n":1.10}}', b'{"user":{"n":1.10}}'),
        (b'{"user":{"password":{"is":["a"]}}}', b'{"user":{}}'),
        (b'{"user":{"password":null},"x":2}', b'{"user":{},"x":2}'),
        (b'{"user":{"pass\\u0077ord":"a"}}', b'{"user":{}}'),
        (b'{"user":{"password":"a","password":"b"}}', b'{"user":{}}'),
        (b'{"user":{"password":"a"},"user":{"x":1}}', b'{"user":{"x":1}}'),
        (b'{"user":[{"password":"a"},{"x":1},2]}', b'{"user":[{"x":1},2]}'.replace(b"[", b"[{},")),
        (b'{ "user" : { "password" : "a" } }', b'{"user":{}}'),
        (b'{"user":{"Password":"a"}}', b'{"user":{"Password":"a"}}'),
        (b'{"user":"a"}', b'{"user":"a"}'),
        (b"{}", b"{}"),
    ],
)
def test_a_secret_field_is_found_however_it_is_written(raw: bytes, kept: bytes) -> None:
    assert kept == redacted(SIGN_UP, raw)


def test_what_cannot_be_looked_into_is_not_kept() -> None:
    deep = b'{"user":{"password":"s3cret","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    outcome = storable(
        SIGN_UP, deep, Outcome(status="denied", message="s3cret", line=3, result=msgspec.Raw(b'"s3cret"'))
    )

    assert b"{}" == redacted(SIGN_UP, deep)
    assert ("denied", 3) == (outcome.status, outcome.line)
    assert b"s3cret" not in outcome.json()


def test_a_secret_too_long_to_be_looked_for_leaves_the_end_alone() -> None:
    arguments = msgspec.json.encode({"user": {"password": "s3cret/" * 1_000}, "context": {"connection": {}}})
    outcome = storable(SIGN_UP, arguments, Outcome(status="denied", message="s3cret/", line=3))

    assert ("denied", "", 3) == (outcome.status, outcome.message, outcome.line)


def test_a_secret_number_is_masked_as_its_digits() -> None:
    arguments = msgspec.json.encode({"user": {"password": {"pin": [734911, True]}}})
    outcome = Outcome(status="denied", message="pin 734911, True", result=msgspec.Raw(b"[734911,true]"))
    kept = storable(SIGN_UP, arguments, outcome)

    assert ("pin ***, True", ["***", True]) == (kept.message, kept.value())


def test_no_password_stays_in_memory_among_the_forms_of_hooks_secrets() -> None:
    """They are many, and come once each."""
    storable(SIGN_UP, ARGUMENTS, Outcome(status="denied", message=PASSWORD))

    assert PASSWORD not in str(list(mask._all_forms.cache))


@pytest.mark.parametrize("written", ['"{}"', '["{}"]', '{{"a":"x{}y"}}', '"x\\n{}"', '"{}", "{}"'])
def test_a_password_in_a_long_response_is_not_kept_either(written: str) -> None:
    """A long one is not looked at value by value: what is no JSON without the password is not kept at all."""
    filler = ",".join(["1"] * 5_000)
    raw = f"[{filler},{written.format('n1,1', 'n1,1')}]".encode()
    for password, gone in (("n1,1", b"n1,1"), ("1,1,1", b"1,1,1")):
        arguments = msgspec.json.encode({"user": {"password": password}, "context": {"connection": {}}})
        kept = storable(SIGN_UP, arguments, Outcome(status="ok", message="", result=msgspec.Raw(raw)))
        assert gone not in bytes(kept.result)
        msgspec.json.decode(kept.result)


HOOKS = (
    "cb(None, {'user': user})",
    "cb(None, [user.password])",
    "cb(Error('bad: ' + user.password))",
    "console.log(f'{user}')\n    cb()",
    "console.error(user.password)\n    raise KeyError(user.password)",
    "cb({'message': 'no', 'given': user})",
    "import base64\n    cb(None, base64.b64encode(user.password.encode()).decode())",
    "import json\n    print(json.dumps(user))\n    cb(None, json.dumps(user.password))",
    "import urllib.parse\n    cb(urllib.parse.quote(user.password))",
)


@pytest.mark.parametrize("body", HOOKS)
def test_a_password_that_a_hook_hands_back_or_logs_is_not_kept(run_hook: Callable[..., Outcome], body: str) -> None:
    """The starter itself answers with the whole user."""
    source = f"def hook(user, context, cb):\n    {body}\n"
    outcome = run_hook(source, ARGUMENTS, trigger_id=SIGN_UP.id)
    kept = storable(SIGN_UP, ARGUMENTS, outcome)
    told = kept.json().decode()

    assert outcome.status == kept.status
    assert outcome.usage == kept.usage
    for form in (PASSWORD, "correct horse", base64.b64encode(PASSWORD.encode()).decode(), "correct%20horse"):
        assert form not in told


def test_the_rest_of_a_response_is_kept(run_hook: Callable[..., Outcome]) -> None:
    outcome = run_hook(SIGN_UP.starter, ARGUMENTS, trigger_id=SIGN_UP.id)

    assert without(outcome.value(), "user", "password") == storable(SIGN_UP, ARGUMENTS, outcome).value()


@pytest.mark.parametrize("password", ["", "a", "ab", 12345, ["a", {"b": "cde"}], {"a": 1}])
def test_a_password_that_is_short_or_no_text_goes_from_the_response_too(password: Any) -> None:
    arguments = msgspec.json.encode({"user": {"password": password}, "context": {"connection": {}}})
    outcome = Outcome(
        status="ok", message="", result=msgspec.Raw(msgspec.json.encode({"user": {"password": password}}))
    )

    assert {"user": {}} == storable(SIGN_UP, arguments, outcome).value()


def test_what_a_response_has_in_the_place_of_a_secret_is_kept_when_it_is_another_value() -> None:
    """A provider's answer may well have a field `text`."""
    outcome = Outcome(status="ok", message="", result=msgspec.Raw(b'{"text":"sent","context":{"code":"0"}}'))

    assert outcome.value() == storable(PHONE, msgspec.json.encode(PHONE.sample), outcome).value()


def test_a_code_is_not_kept_in_the_record_of_a_call_to_the_provider() -> None:
    code = PHONE.sample["context"]["code"]
    kept = Kept(headers=(("X-Code", code),), body=f'{{"code": "{code}"}}', reason=code)
    call = Exchange(method="POST", url=f"https://sms.example.com/?c={code}", message=code, request=kept, response=kept)
    stored = storable(PHONE, msgspec.json.encode(PHONE.sample), Outcome(status="ok", message="", egress=(call,)))

    assert code.encode() not in stored.json()
    assert "https://sms.example.com/?c=***" == stored.egress[0].url


@settings(deadline=None)
@given(st.text(min_size=3, alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="*")), st.text())
def test_whatever_a_password_is_no_record_has_it(password: str, around: str) -> None:
    arguments = msgspec.json.encode({"user": {"password": password}, "context": {"connection": {}}})
    said = f"{around}{password}{around}"
    error = msgspec.Raw(msgspec.json.encode({"name": "Error", "own": [said]}))
    outcome = Outcome(
        status="denied", message=said, error=error, result=msgspec.Raw(msgspec.json.encode([said, {"a": said}]))
    )
    kept = storable(SIGN_UP, arguments, outcome)
    first, second = kept.value()
    told = (first, second["a"], kept.message, *msgspec.json.decode(kept.error)["own"])

    assert [] == [text for text in told if password in text]
    assert "***" in first


@pytest.mark.parametrize(
    ("trigger_id", "failed", "succeeded"),
    [
        ("credentials-exchange", "feccft", "seccft"),
        ("pre-user-registration", "fs", "ss"),
        ("post-user-registration", "fpurh", None),
        ("post-change-password", "fcph", None),
        ("send-phone-message", "gd_send_sms_failure", "gd_send_sms"),
    ],
)
def test_an_end_is_logged_by_the_types_of_the_model(trigger_id: str, failed: str, succeeded: str | None) -> None:
    """AUTH0.md section 5.3."""
    point = point_named(trigger_id)
    raw = msgspec.json.encode(point.sample)

    assert (failed, succeeded) == (log_type(point, raw, failed=True), log_type(point, raw, failed=False))


def test_a_spoken_code_is_logged_as_one() -> None:
    raw = msgspec.json.encode(PHONE.sample | {"context": PHONE.sample["context"] | {"message_type": "voice"}})

    assert "gd_send_voice_failure" == log_type(PHONE, raw, failed=True)
    assert "gd_send_voice" == log_type(PHONE, raw, failed=False)
