"""What may stand in a request's first line and headers, and how much in a response's.

The broker sets whatever frames a message or belongs to a connection: two ideas of where a request ends are how one is
smuggled in another. A message names a header, never its value, which may be a secret.
Source: RFC 9110, sections 5.5, 5.6.2, 7.6; RFC 9112, section 6.
"""

from __future__ import annotations

import re
from collections import Counter

from engine.egress.refusals import Refused
from sandbox.wire import Headers

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
REQUEST_HEADERS = 100
REQUEST_HEADER_BYTES = 32 << 10  # names, values and what stands between them, together
RESPONSE_HEADERS = 128  # http.client takes 100
RESPONSE_HEADER_BYTES = 64 << 10
_FIELD_BYTES = 4  # colon, space, CR, LF of each header

FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_OURS = frozenset({
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_OUR_PREFIX = "proxy-"
_ONCE = frozenset({"authorization", "content-type", "cookie"})  # two readers would each take another one


def check_method(method: str) -> None:
    """Raises Refused: method."""
    if method not in METHODS:
        raise Refused("method", f"{method[:20]!a} is none of the methods {', '.join(METHODS)}")


def check_headers(headers: Headers) -> None:
    """What a request may say of itself. Raises Refused: header."""
    if len(headers) > REQUEST_HEADERS:
        raise Refused("header", f"the request has {len(headers)} headers; the most allowed is {REQUEST_HEADERS}")
    if (size := _size(headers)) > REQUEST_HEADER_BYTES:
        raise Refused("header", f"the request's headers have {size} bytes; the most allowed is {REQUEST_HEADER_BYTES}")
    for name, value in headers:
        _check_name(name)
        if not _VALUE.fullmatch(value):
            raise Refused(
                "header",
                f"the value of {name} has a line break, another control character, a character outside latin-1, "
                "or a space at its beginning or end",
            )
    counts = Counter(name.lower() for name, _ in headers)
    if twice := next((name for name in _ONCE if counts[name] > 1), None):
        raise Refused("header", f"{twice} stands {counts[twice]} times; write it once")


def check_response_headers(headers: Headers) -> None:
    """Raises Refused: response-headers."""
    if len(headers) > RESPONSE_HEADERS:
        raise Refused(
            "response-headers", f"the response has {len(headers)} headers; the most allowed is {RESPONSE_HEADERS}"
        )
    if (size := _size(headers)) > RESPONSE_HEADER_BYTES:
        raise Refused(
            "response-headers", f"the response's headers have {size} bytes; the most allowed is {RESPONSE_HEADER_BYTES}"
        )


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) + _FIELD_BYTES for name, value in headers)


def _check_name(name: str) -> None:
    if not FIELD_NAME.fullmatch(name):
        raise Refused("header", f"{name[:80]!a} is no header name: letters, digits and hyphens")
    plain = name.lower().replace("_", "-")  # CGI and WSGI read both as one
    if plain in _OURS or plain.startswith(_OUR_PREFIX):
        raise Refused("header", f"the engine sets {name[:80]}; leave it out")
