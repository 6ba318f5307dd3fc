"""No secret is left in what is told or kept, however it was written there."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.app import Engine, Hook
from engine.config import Config
from engine.mask import MASK, Mask, masked
from engine.outcome import Cause, LogEvent, Outcome

SECRET = "s3cr/t key+ü&<é'>"
WRITTEN = {
    "as it is": SECRET,
    "in a query": quote(SECRET, safe=""),
    "in a path": quote(SECRET),
    "in lower-case escapes": quote(SECRET, safe="").replace("%2F", "%2f").replace("%C3%BC", "%c3%bc"),
    "with plus": quote_plus(SECRET),
    "in a form": urlencode({"key": SECRET}),
    "in JSON": json.dumps({"key": SECRET}),
    "in JSON of UTF-8": json.dumps({"key": SECRET}, ensure_ascii=False),
    "in JSON with escaped slashes": json.dumps({"key": SECRET}).replace("/", "\\/"),
    "in HTML": html.escape(SECRET),
    "in base64": base64.b64encode(SECRET.encode()).decode(),
    "in base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
}


def lower(text: str) -> str:
    """All its percent escapes in lower case."""
    return "".join(f"%{part[:2].lower()}{part[2:]}" if number else part for number, part in enumerate(text.split("%")))


@pytest.mark.parametrize("written", [*WRITTEN.values(), lower(quote(SECRET, safe=""))], ids=[*WRITTEN, "all lower"])
def test_a_secret_is_masked_however_it_is_written(written: str) -> None:
    if written == WRITTEN["in lower-case escapes"]:
        written = lower(written)
    found = Mask([SECRET]).text(f"before {written} after")

    assert MASK in found
    assert ("before ", " after") == (found[:7], found[-6:])
    assert not any(part in found for part in ("s3cr", "key+", "key%", "czNjc"))


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
def test_a_password_in_base64_is_masked_whatever_stands_before_it(before: str) -> None:
    secret = "correct horse battery"
    written = base64.b64encode(f"{before}{secret}".encode()).decode()
    found = Mask([secret]).text(written)

    assert MASK in found
    assert len(found) < len(before) + 3 + len(MASK) + 5


@pytest.mark.parametrize(
    ("secret", "url", "shown"),
    [
        ("hush", "https://api.example.com/v1/hush?x=hush", "https://api.example.com/v1/***?x=***"),
        ("https://hooks.example.com/T1/B2", "https://hooks.example.com/T1/B2", "https://hooks.example.com***"),
        ("https://hooks.example.com/T1/B2", "https://hooks.example.com/T1/B2?a=1", "https://hooks.example.com***?a=1"),
        ("tenant", "https://tenant.example.com/", "https://***.example.com/"),
        ("ab", "https://ab.example.com/ab", "https://ab.example.com/ab"),
        ("none", "https://ann:pass@example.com/", "https://***@example.com/"),
        ("none", "https://ann:p#s/s?@example.com/", "https://***@example.com/"),
        ("none", "http:/admin:hunter2@host/", "http:/***@host/"),
        ("none", "http:admin:hunter2@host/x", "http:***@host/x"),
        ("none", "https://ann:" + "p" * 5000 + "@host/", "https://***@host/"),
        ("none", "https://example.com/@ann", "https://example.com/@ann"),
        ("hush", "no url hush", "no url ***"),
    ],
)
def test_a_url_is_masked_and_still_says_where_it_leads(secret: str, url: str, shown: str) -> None:
    assert shown == Mask([secret]).url(url)


def test_a_secret_within_another_does_not_leave_its_rest() -> None:
    assert "***" == Mask(["abc", "abcdef"]).text("abcdef")


@settings(deadline=None)
@given(st.text(min_size=3), st.text(), st.text())
@example("\ud800ab", "", "")
@example("***", "", "")
def test_no_secret_is_left_in_a_text_or_makes_masking_fail(secret: str, before: str, after: str) -> None:
    found = Mask([secret]).text(before + secret + after)

    assert MASK in found
    assert secret == MASK or secret not in found.replace(MASK, "")


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 80))
def test_no_beginning_of_a_secret_is_left_where_a_body_is_cut(before: bytes, most: int) -> None:
    """Wherever the end falls: of the secret there is the mask, or nothing."""
    secret = "\u0001secret\u0002value\u0003"
    found = Mask([secret]).body(before.replace(b"\1", b"") + secret.encode() + b"after", most)

    assert b"\1" not in found
    assert len(found) <= most


def test_a_body_of_nothing_but_a_secret_keeps_its_masks() -> None:
    """And takes no longer than another."""
    assert b"***" * 33 == Mask(["a" * 2048]).body(b"a" * 2048 * 33, 65_536)
    assert b"***" * 21_845 + b"*" == Mask(["aaa"]).body(b"a" * 70_000, 65_536)


@pytest.mark.parametrize(
    ("secret", "url", "shown"),
    [
        ("hooks.example.com/T0/B0/xyzXYZ", "https://hooks.example.com/T0/B0/xyzXYZ", "https://hooks.example.com***"),
        ("//hooks.example.com/T0/xyz", "https://hooks.example.com/T0/xyz", "https://hooks.example.com***"),
        ("HTTPS://Hooks.Example.com/T0/xyz", "https://hooks.example.com/T0/xyz", "https://hooks.example.com***"),
        ("https://hooks.example.com/T0/xyz#f", "https://hooks.example.com/T0/xyz", "https://hooks.example.com***"),
        (" https://hooks.example.com/T0/xyz ", "https://hooks.example.com/T0/xyz", "https://hooks.example.com***"),
        ("https://bücher.example/T0/xyz", "https://xn--bcher-kva.example/T0/xyz", "https://xn--bcher-kva.example***"),
        (
            "https://u:pw@api.example.com/v1/xyz",
            "https://u:pw@api.example.com/v1/xyz",
            "https://***@api.example.com***",
        ),
        ("https://a.example/?key=xyz", "https://a.example/?key=xyz", "https://a.example***"),
        ("pass word%7Exyz", "https://a.example/?k=pass%20word~xyz", "https://a.example/?k=***"),
        ("https://a.example/v1", "https://a.example/v1/users", "https://a.example/v1/users"),
    ],
)
def test_a_secret_address_is_masked_as_requests_writes_it(secret: str, url: str, shown: str) -> None:
    assert shown == Mask([secret]).url(url)


def test_numbers_are_masked_in_json() -> None:
    assert b'{"pin":"***","other":12}' == Mask(["1234567890"]).json(b'{"pin":1234567890,"other":12}')


def test_an_error_without_a_message_is_masked_too() -> None:
    told = Outcome(status="denied", message="", error=msgspec.Raw(b'{"message":"","detail":"hush"}'))

    assert b'{"message":"","detail":"***"}' == bytes(masked(told, Mask(["hush"])).error)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_stays_json_with_its_fields(value: Any) -> None:
    raw = msgspec.json.encode({"hush": value, "b": "a hush b"})
    found = json.loads(Mask(["hush", '":"', "null", "{}[", "123"]).json(raw))

    assert ({"hush", "b"}, "a *** b") == (set(found), found["b"])


def test_deep_json_is_masked_too() -> None:
    deep = b"[" * 900 + b'"hush"' + b"]" * 900

    assert b"[" * 900 + b'"***"' + b"]" * 900 == Mask(["hush"]).json(deep)


def test_an_outcome_without_secrets_or_texts_is_left_as_it_is() -> None:
    silent, told = Outcome(status="ok", message=""), Outcome(status="raised", message="hush")

    assert silent is masked(silent, Mask(["hush"]))
    assert told is masked(told, Mask([]))


def test_all_that_an_outcome_tells_is_masked_but_for_the_result() -> None:
    event = LogEvent(level="info", text="hush!", line=1, at="")
    told = Outcome(
        status="ok",
        message="hush",
        result=msgspec.Raw(b'"hush"'),
        error=msgspec.Raw(b'{"message":"hush"}'),
        logs=(event,),
        causes=(Cause(message="Error: hush"),),
    )
    found = masked(told, Mask(["hush"]))

    assert ("***", b'{"message":"***"}', "***!", "Error: ***", b'"hush"') == (
        found.message,
        bytes(found.error),
        found.logs[0].text,
        found.causes[0].message,
        bytes(found.result),
    )


async def test_a_hook_that_tells_its_secret_tells_a_mask(sample: dict[str, Any]) -> None:
    source = "def hook(user, context, cb):\n    key = context.webtask.secrets.KEY\n    print(key)\n    raise ValueError(key)\n"
    async with Engine(Config()) as engine:
        outcome = await engine.run(Hook(source, "post-change-password", secrets={"KEY": "hush-hush"}), sample)

    assert ("ValueError: ***", "***", "***") == (
        outcome.message,
        outcome.logs[0].text,
        msgspec.json.decode(outcome.error)["message"],
    )
    assert b"hush" not in outcome.json()
