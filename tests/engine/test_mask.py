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

from engine.app import Engine
from engine.config import Config
from engine.hook import Hook
from engine.mask import MASK, Mask, _written, masked, storable_error, storable_result
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


@settings(deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(["h\u00fc/sh", "hu", "sh", "\u00fc", '"', "\\", "/", "12"])).map("".join)),
    ascii_=st.booleans(),
    slashes=st.sampled_from(["/", "\\/"]),
)
def test_a_secret_in_json_is_masked_however_the_json_is_written(
    *, texts: list[str], ascii_: bool, slashes: str
) -> None:
    mask = Mask(["h\u00fc/sh"])
    raw = json.dumps([*texts, 12], ensure_ascii=ascii_).replace("/", slashes).encode()

    assert [*map(mask.text, texts), 12] == json.loads(mask.json(raw))


@settings(deadline=None)
@given(value=st.text("abXY019_.~-", min_size=1))
def test_what_is_written_alike_everywhere_has_no_other_form(value: str) -> None:
    assert {value} == set(_written(value, value.encode()))


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


def test_a_result_that_is_too_long_is_masked_whole() -> None:
    assert b'"***"' == bytes(storable_result(msgspec.Raw(b'"' + b"x" * 20_000 + b'"'), Mask(["hush"])))


def test_a_long_error_is_masked_as_one_text() -> None:
    error = {"name": "Hushed", "message": "no hush", "hush": ["x" * 99] * 300}
    found = json.loads(bytes(storable_error(msgspec.Raw(msgspec.json.encode(error)), Mask(["hush"]))))

    assert {"name": "Hushed", "message": "no ***", "***": ["x" * 99] * 300} == found


@pytest.mark.parametrize(("filler", "secret"), [(70_000, "hush"), (17_000, '"},{"')])
def test_of_an_error_that_cannot_be_masked_name_and_message_are_left(filler: int, secret: str) -> None:
    error = {"name": "QuotaError", "message": f"no {secret}", "all": [{"a": "b"}, {"c": "d"}], "long": "x" * filler}
    raw = json.dumps(error, separators=(",", ":")).encode()
    found = json.loads(bytes(storable_error(msgspec.Raw(raw), Mask([secret]))))

    assert {"name": "QuotaError", "message": "no ***"} == found


def test_of_a_long_error_that_is_no_object_nothing_is_left() -> None:
    assert b'"***"' == bytes(storable_error(msgspec.Raw(b'"' + b"x" * 70_000 + b'"'), Mask(["hush"])))


def test_a_message_that_is_cut_ends_in_no_beginning_of_a_secret() -> None:
    error = {"name": 7, "message": "x" * 16_382 + "hush-hush" + "y" * 70_000}
    found = json.loads(bytes(storable_error(msgspec.Raw(msgspec.json.encode(error)), Mask(["hush-hush"]))))

    assert {"message"} == set(found)
    assert "h" not in found["message"]
    assert 16_000 < len(found["message"]) <= 16_384


@settings(deadline=None)
@given(
    name=st.none() | st.text() | st.integers(),
    message=st.text() | st.lists(st.text()),
    more=st.dictionaries(st.text(), st.text()),
    filler=st.sampled_from([0, 5_000, 17_000, 70_000]),
)
def test_whatever_an_error_is_it_is_stored_as_json_without_the_secret(
    name: Any, message: Any, more: dict[str, str], filler: int
) -> None:
    secret = "hush-hush"
    error = more | {"name": name, "message": message, secret: f"a {secret} b", "long": "x" * filler}
    stored = bytes(storable_error(msgspec.Raw(msgspec.json.encode(error)), Mask([secret])))

    assert isinstance(json.loads(stored), dict)
    assert secret.encode() not in stored


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
