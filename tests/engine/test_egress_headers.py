"""What a request may say of itself, and how much a response may."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.egress.headers import (
    METHODS,
    REQUEST_HEADER_BYTES,
    REQUEST_HEADERS,
    RESPONSE_HEADER_BYTES,
    RESPONSE_HEADERS,
    check_headers,
    check_method,
    check_response_headers,
)
from engine.egress.refusals import RULES, Refused

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F) if chr(code) != "\t"]
TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"  # RFC 9110, section 5.6.2
EDGES = "a" + "".join(map(chr, range(0x21, 0x7F))) + "".join(map(chr, range(0x80, 0x100)))
OURS = [
    "Host", "HOST", "hOsT", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
    "proxy-x", "TE", "Trailer", "Upgrade", "Expect", "HTTP2-Settings", "Content_Length", "transfer_encoding", "Proxy_Authorization",
]  # fmt: skip
ORDINARY = (
    ("User-Agent", "python-requests/2.32.3"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Accept", "*/*"),
    ("Content-Type", "application/json; charset=utf-8"),
    ("Content-Encoding", "gzip"),
    ("Authorization", "Bearer a.b-c_d~e+f/g=="),
    ("Cookie", 'a=1; b="x y"'),
    ("X-Empty", ""),
    ("X-Tab", "a\tb"),
    ("X-Latin", "M\xfcnchen \x80"),
    ("X-Twice", "1"),
    ("x-twice", "2"),
    ("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("Hostname", "a"),
    ("X-Host", "a"),
    ("Proxy", "a"),
    ("If-None-Match", '"x"'),
    (TOKEN, "a"),
)


def refusal(headers: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        check_headers(headers)
    assert "header" == caught.value.rule
    return caught.value


@pytest.mark.parametrize("header", ORDINARY, ids=lambda header: header[0])
def test_an_ordinary_header_passes(header: tuple[str, str]) -> None:
    check_headers((header,))


def test_ordinary_headers_pass_together() -> None:
    check_headers(ORDINARY)
    check_headers(())


@pytest.mark.parametrize("name", OURS)
def test_what_frames_a_message_is_the_engines_to_set(name: str) -> None:
    """Also with underscores: CGI and WSGI read those as hyphens."""
    said = refusal((("Accept", "*/*"), (name, "1"))).said

    assert f"the engine sets {name}; leave it out" == said


@pytest.mark.parametrize("name", ["", " ", "a b", "Host ", " Host", "Host:", "a:b", "a\r\nb", "a\n", "\ta", "a\0", "é", "a(b)", '"a"', "a/b", "a@b", "[a]", "{a}", "a,b", "\uff41"])  # fmt: skip
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    """Source: RFC 9110, section 5.1. The message goes into logs."""
    said = refusal(((name, "1"),)).said

    assert said.isprintable()
    assert said.isascii()


@given(st.characters(exclude_characters=TOKEN))
def test_no_other_character_stands_in_a_name(char: str) -> None:
    refusal(((f"X-{char}", "1"),))


@given(st.text(EDGES + " \t"), st.sampled_from(CONTROLS), st.text(EDGES + " \t"))
@example("", "\n", "")
@example("a", "\n", "")
@example("a", "\r\n", "Host: evil")
def test_a_value_with_a_control_character_is_refused(before: str, control: str, after: str) -> None:
    """Wherever it stands: a line break would be a header of its own, or a request."""
    said = refusal((("X-A", before + control + after),)).said

    assert said.isprintable()


@given(st.characters(min_codepoint=0x100))
def test_a_value_outside_latin_1_is_refused(char: str) -> None:
    """Cut to eight bits it might be a line break: U+010A."""
    refusal((("X-A", f"a{char}b"),))


@pytest.mark.parametrize("value", [" ", "\t", " a", "a ", "\ta", "a\t", " a "])
def test_a_value_with_space_around_it_is_refused(value: str) -> None:
    """A reader strips it, so it would not be what was checked."""
    refusal((("X-A", value),))


@given(st.text(EDGES + " \t").map(lambda text: text.strip(" \t")))
def test_a_value_of_latin_1_passes(value: str) -> None:
    check_headers((("X-A", value),))


def test_a_message_does_not_repeat_a_value() -> None:
    """It may be a secret."""
    assert "s3cret" not in refusal((("Authorization", "Bearer s3cret\n"),)).said


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "Cookie"])
def test_what_may_stand_once_is_refused_twice(name: str) -> None:
    """In whatever case: two readers would each take another one."""
    said = refusal(((name, "a"), ("Accept", "b"), (name.upper(), "a"))).said

    assert f"{name.lower()} stands 2 times; write it once" == said


def test_a_request_may_have_100_headers() -> None:
    headers = tuple((f"X-{number}", "") for number in range(REQUEST_HEADERS))
    check_headers(headers)

    assert "the request has 101 headers; the most allowed is 100" == refusal((*headers, ("X", ""))).said


def test_a_requests_headers_may_have_32_kib() -> None:
    """Names, values and what stands between them, over all headers."""
    half = REQUEST_HEADER_BYTES // 2 - 5
    check_headers((("A", "a" * half), ("B", "a" * half)))

    assert "have 32769 bytes; the most allowed is 32768" in refusal((("A", "a" * half), ("BB", "a" * half))).said


@pytest.mark.parametrize("method", METHODS)
def test_a_method_passes(method: str) -> None:
    check_method(method)


@pytest.mark.parametrize("method", ["", "get", "Get", "GET ", " GET", "GET\n", "GET / HTTP/1.1\r\nHost: x", "TRACE", "CONNECT", "TRACK", "PRI", "PROPFIND", "GET\0", "\uff27\uff25\uff34", "X" * 9000])  # fmt: skip
def test_another_method_is_refused(method: str) -> None:
    """The methods are words, not shapes."""
    with pytest.raises(Refused) as caught:
        check_method(method)

    assert "method" == caught.value.rule
    assert caught.value.said.isprintable()
    assert len(caught.value.said) < 200


def test_the_methods_are_those_that_the_rule_names() -> None:
    assert [] == [method for method in METHODS if method not in RULES["method"]]


def test_an_ordinary_response_passes() -> None:
    """As many headers as http.client takes, and a long Content-Security-Policy."""
    check_response_headers((("Content-Security-Policy", "a" * 20_000), *[("Set-Cookie", "a" * 300)] * 99))


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([("A", "")] * (RESPONSE_HEADERS + 1), "129 headers"),
        ([("A", "a" * RESPONSE_HEADER_BYTES)], "65541 bytes"),
        ([("A", "a" * (RESPONSE_HEADER_BYTES // 2))] * 2, "65546 bytes"),
    ],
)
def test_a_response_with_too_many_or_too_large_headers_is_refused(headers: Any, found: str) -> None:
    with pytest.raises(Refused, match=found) as caught:
        check_response_headers(tuple(headers))

    assert "response-headers" == caught.value.rule
