"""The values of a hook's secrets, taken out of whatever is told or kept of its runs and calls.

Not out of the result: that is what the caller asked for. A secret is looked for as it is and as it is written
elsewhere: in URLs and forms, in JSON, in HTML, within base64 (also of a longer text, such as a name and password). What
a hook writes in a way of its own is not found.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

import msgspec

from engine.egress import urls
from engine.egress.refusals import Refused
from engine.outcome import Outcome
from sandbox.wire import Headers

MASK = "***"
_MOST_HOOKS = 128  # whose forms are kept
_LEAST_CHARS = 3  # a shorter text is no secret, and stands everywhere
_LEAST_BASE64 = 6  # characters: as many bits as a hundred million guesses
_SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "api-key", "x-auth-token"}
)
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/*")
_JSON_TEXT = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:)?')  # of valid JSON; with a colon, the name of a field
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_AS_SENT = "!#$%&'()*+,/:;=?@[]~"  # what requests leaves as it is in a URL


class Mask:
    """Takes the values of one hook's secrets out of texts. False when there are none."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._values = tuple(value for value in secrets if len(value) >= _LEAST_CHARS)

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, text: str) -> str:
        """`text` without them."""
        for form, _ in self._all_forms():
            text = text.replace(form, MASK)
        return text

    def body(self, body: bytes, most: int) -> bytes:
        """At most the first `most` bytes of a body, without them, nor a beginning of one that the end cuts through."""
        masked = body[: self._end(body, most)]
        for _, raw in self._all_forms():
            masked = masked.replace(raw, MASK.encode())
        return masked

    def _end(self, body: bytes, end: int) -> int:
        moved = end < len(body)
        while moved:
            starts = [body.find(raw, max(end - len(raw) + 1, 0), end + len(raw) - 1) for _, raw in self._all_forms()]
            cut_through = [start for start in starts if 0 <= start < end]
            end, moved = min(cut_through, default=end), bool(cut_through)
        return end

    def url(self, url: str) -> str:
        """A URL without them and without userinfo. Where a secret is a whole URL, its host may stay."""
        if "@" in url and _is_refused(url):  # a password may hold whatever else ends an authority
            before, _, after = url.rpartition("@")
            scheme = _SCHEME.match(before)
            url = f"{scheme[0] if scheme else ''}{MASK}@{after}"
        found = _ORIGIN.match(url)
        origin = found[0] if found else ""
        rest = url[len(origin) :]
        for form, _ in self._all_forms():
            within = form[len(origin) :] if origin and form.startswith(origin) else form
            rest = rest.replace(within, MASK) if len(within) >= _LEAST_CHARS else rest
        return self.text(origin) + rest

    def headers(self, headers: Headers) -> Headers:
        """Headers without them, and without what headers of that name are for keeping secret."""
        return tuple(
            (self.text(name), MASK if name.lower() in _SECRET_HEADERS else self.text(value)) for name, value in headers
        )

    def json(self, raw: bytes) -> bytes:
        """JSON without them in its texts, at any depth; the names of fields stay."""

        def mask(found: re.Match[bytes]) -> bytes:
            return found[0] if found[2] else msgspec.json.encode(self.text(msgspec.json.decode(found[1])))

        return _JSON_TEXT.sub(mask, raw)

    def _all_forms(self) -> list[tuple[str, bytes]]:
        return _all_forms(self._values)


def masked(outcome: Outcome, mask: Mask) -> Outcome:
    """The outcome with no secret in its message, error, causes and log. Its exchanges have been masked one by one."""
    if not mask or not (outcome.message or outcome.logs):
        return outcome
    replace = msgspec.structs.replace
    return replace(
        outcome,
        message=mask.text(outcome.message),
        error=msgspec.Raw(mask.json(bytes(outcome.error))),
        logs=tuple(replace(event, text=mask.text(event.text)) for event in outcome.logs),
        causes=tuple(replace(cause, message=mask.text(cause.message)) for cause in outcome.causes),
    )


@lru_cache(_MOST_HOOKS)
def _all_forms(values: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Each value in each form, as text and bytes; longest first, so that none masks a part of another."""
    forms = {form for value in values for form in _forms(value)}
    return [(form, form.encode("utf-8", "surrogatepass")) for form in sorted(forms, key=len, reverse=True)]


def _is_refused(url: str) -> bool:
    try:
        urls.parse(url)
    except Refused:
        return True
    return False


def _forms(value: str) -> Iterator[str]:
    yield value
    for text in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield text
        yield text.replace("/", "\\/")
    yield html.escape(value)
    yield html.escape(value).replace("&#x27;", "&#39;")
    raw = value.encode("utf-8", "surrogatepass")
    for written in (quote(raw, safe=""), quote(raw), quote(raw, safe=_AS_SENT), quote_plus(raw)):
        yield written
        yield _ESCAPE.sub(lambda found: found[0].lower(), written)
    yield from _within_base64(raw)


def _within_base64(raw: bytes) -> Iterator[str]:
    """What stands in any base64 of a text that holds it: it begins at one of three places in a group of three bytes."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            after = (before + len(raw)) % 3
            written = encode(bytes(before) + raw).decode().rstrip("=")
            inner = written[(0, 2, 3)[before] : len(written) - (after > 0)]
            if len(inner) >= _LEAST_BASE64:
                yield inner
