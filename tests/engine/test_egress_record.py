"""What is kept of an exchange, and that no secret is in it."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from engine.egress import record
from engine.egress.policy import EgressPolicy
from engine.egress.transport import Response, Timings
from engine.mask import Mask
from engine.outcome import Exchange
from sandbox import wire

SECRET = "s3cr/t key+ü"
CALL = wire.Http("POST", "https://api.example.com/a", (("Authorization", "Bearer x"), ("X-Trace", "1")), b'{"a": 1}')
ANSWER = Response(status=201, reason="Created", headers=(("Set-Cookie", "a=b"),), body=b"made", received_bytes=4)


def made(
    call: wire.Http = CALL, came: Response | wire.Failed | None = ANSWER, secrets: tuple[str, ...] = (), **policy: Any
) -> Exchange:
    return record.exchange(call, came, Timings(total_ms=3.5), EgressPolicy(**policy), Mask(secrets))


def test_a_record_says_what_was_called_and_what_came() -> None:
    kept = made()

    assert ("POST", "https://api.example.com/a", 201, None, None) == (
        kept.method,
        kept.url,
        kept.status,
        kept.refused,
        kept.error,
    )
    assert (8, 4, 3.5, None, None) == (kept.sent_bytes, kept.received_bytes, kept.ms, kept.request, kept.response)


def test_a_refusal_is_recorded_with_its_rule_and_nothing_as_sent() -> None:
    kept = made(came=wire.Failed("refused", "port", "port 22 is not allowed"))

    assert ("port", None, "port 22 is not allowed", 0) == (kept.refused, kept.error, kept.message, kept.sent_bytes)


def test_a_failure_is_recorded_with_its_kind() -> None:
    kept = made(came=wire.Failed("read_timeout", "", "too slow"))

    assert (None, "read_timeout", None) == (kept.refused, kept.error, kept.status)


def test_a_call_whose_job_ended_first_is_recorded_as_abandoned() -> None:
    assert "abandoned" == made(came=None).error


def test_bodies_are_kept_by_policy_alone() -> None:
    refused = wire.Failed("connection", "", "closed")
    wrong = msgspec.structs.replace(CALL, body=b"x")
    bad = Response(status=503, reason="", headers=(), body=b"down", received_bytes=4)

    assert [None, None] == [made(keep_bodies="none").request, made(keep_bodies="none", came=bad).request]
    assert [True, False] == [
        made(keep_bodies="errors", came=bad).request is not None,
        bool(made(keep_bodies="errors").request),
    ]
    assert made(wrong, refused, keep_bodies="errors").request is not None
    assert "made" == made(keep_bodies="all").response.body  # type: ignore[union-attr]


def test_kept_headers_do_not_hold_credentials() -> None:
    kept = made(secrets=("hush",), keep_bodies="all", call=msgspec.structs.replace(CALL, body=b"a hush b"))
    assert kept.request is not None
    assert kept.response is not None

    assert (("Authorization", "***"), ("X-Trace", "1")) == kept.request.headers
    assert ((("Set-Cookie", "***"),), "a *** b") == (kept.response.headers, kept.request.body)


def test_a_kept_body_is_cut_at_its_bound_and_says_so() -> None:
    kept = made(keep_bodies="all", kept_bytes=2).response

    assert kept is not None
    assert ("ma", True, False) == (kept.body, kept.truncated, kept.base64)


def test_a_body_that_is_no_text_is_kept_as_base64() -> None:
    kept = made(keep_bodies="all", call=msgspec.structs.replace(CALL, body=b"\xff\x00")).request

    assert kept is not None
    assert (True, b"\xff\x00") == (kept.base64, base64.b64decode(kept.body))


def test_a_record_is_json_whatever_a_worker_wrote() -> None:
    wild = wire.Http("G\x00" * 1000, "\x1b[31m" * 9999, (("\x00", "\xff"),) * 500, b"\xff")
    kept = made(wild, keep_bodies="all")

    assert len(msgspec.json.encode(kept)) < 20_000


def test_a_kept_body_that_is_no_text_is_masked_before_it_is_base64() -> None:
    kept = made(
        keep_bodies="all", secrets=("hush",), call=msgspec.structs.replace(CALL, body=b"token=hush&file=\xff")
    ).request

    assert kept is not None
    assert (True, b"token=***&file=\xff") == (kept.base64, base64.b64decode(kept.body))


@pytest.mark.parametrize("most", range(20))
def test_a_cut_through_a_character_or_a_secret_leaves_a_text_without_it(most: int) -> None:
    body = "ä hush ö".encode()
    kept = made(
        keep_bodies="all", kept_bytes=most, secrets=("hush",), call=msgspec.structs.replace(CALL, body=body)
    ).request

    assert kept is not None
    assert (False, most < len(body)) == (kept.base64, kept.truncated)
    assert not {"h", "u"} & set(kept.body)


def test_names_of_headers_methods_and_refusals_are_masked_too() -> None:
    call = wire.Http("HUSH" + "x" * 50, "https://a.example/", (("X-HUSH", "1"),), b"")
    kept = made(call, wire.Failed("refused", "method", "HUSH is none"), secrets=("HUSH",), keep_bodies="all")
    assert kept.request is not None

    assert ("***" + "x" * 29, "*** is none", (("X-***", "1"),)) == (kept.method, kept.message, kept.request.headers)


def test_the_headers_of_a_refused_call_are_kept_up_to_a_bound() -> None:
    call = wire.Http("GET", "https://a.example/", (("A", "x" * 60_000),) * 3, b"")
    kept = made(call, wire.Failed("refused", "header", ""), keep_bodies="all").request

    assert kept is not None
    assert 1 == len(kept.headers)


@pytest.mark.parametrize(("status", "is_kept"), [(399, False), (400, True)])
def test_an_error_begins_at_400(status: int, is_kept: bool) -> None:  # noqa: FBT001 - a column
    answer = Response(status=status, reason="", headers=(), body=b"", received_bytes=0)

    assert is_kept == (made(came=answer, keep_bodies="errors").response is not None)
