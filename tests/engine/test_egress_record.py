"""What is kept of an exchange, and that no secret is in it."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.egress import record
from engine.egress.policy import EgressPolicy
from engine.egress.transport import Response, Timings
from engine.outcome import Exchange
from sandbox import wire

SECRET = "s3cr/t key+ü"
CALL = wire.Http("POST", "https://api.example.com/a", (("Authorization", "Bearer x"), ("X-Trace", "1")), b'{"a": 1}')
ANSWER = Response(status=201, reason="Created", headers=(("Set-Cookie", "a=b"),), body=b"made", received_bytes=4)


def made(
    call: wire.Http = CALL, came: Response | wire.Failed | None = ANSWER, secrets: tuple[str, ...] = (), **policy: Any
) -> Exchange:
    return record.exchange(call, came, Timings(total_ms=3.5), EgressPolicy(**policy), record.Mask(secrets))


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


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        urlencode({"key": SECRET}),
        json.dumps({"key": SECRET}),
        json.dumps({"key": SECRET}, ensure_ascii=False),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_however_it_is_written(written: str) -> None:
    mask = record.Mask([SECRET])
    masked = mask.text(f"before {written} after")

    assert record.MASK in masked
    assert "cr" not in masked
    assert "before " in masked
    assert " after" in masked


@pytest.mark.parametrize(
    ("secret", "url", "shown"),
    [
        ("hush", "https://api.example.com/v1/hush?x=hush", "https://api.example.com/v1/***?x=***"),
        ("https://hooks.example.com/T1/B2", "https://hooks.example.com/T1/B2", "https://hooks.example.com***"),
        ("https://hooks.example.com/T1/B2", "https://hooks.example.com/T1/B2?a=1", "https://hooks.example.com***?a=1"),
        ("tenant", "https://tenant.example.com/", "https://***.example.com/"),
        ("ab", "https://ab.example.com/ab", "https://ab.example.com/ab"),
        ("x" * 5, "https://ann:pass@example.com/", "https://***@example.com/"),
        ("x" * 5, "https://ann:p#s/s?@example.com/", "https://***@example.com/"),
        ("x" * 5, "https://example.com/@ann", "https://example.com/@ann"),
        ("hush", "no url hush", "no url ***"),
    ],
)
def test_a_url_is_masked_and_still_says_where_it_leads(secret: str, url: str, shown: str) -> None:
    assert shown == record.Mask([secret]).url(url)


def test_a_secret_within_another_does_not_leave_its_rest() -> None:
    assert "***" == record.Mask(["abc", "abcdef"]).text("abcdef")


@given(st.text(min_size=3), st.text(), st.text())
@example("\ud800ab", "", "")
@example("***", "", "")
def test_no_secret_is_left_in_a_text_or_makes_masking_fail(secret: str, before: str, after: str) -> None:
    masked = record.Mask([secret]).text(before + secret + after)

    assert record.MASK in masked
    assert len(masked) <= len(before + after) + 3 * (1 + len(before + after))


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
