"""The values of a hook's secrets, taken out of whatever is told or kept of its runs and calls.

Not out of the result that the caller gets: that is what it asked for; but out of the one that is stored. A secret is
looked for as it is and as it is written
elsewhere: in URLs and forms, in JSON, in HTML, within base64 (also of a longer text, such as a name and password). What
a hook writes in a way of its own is not found.
"""

from __future__ import annotations

import base64
import html
import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

import cachetools
import msgspec

from engine.egress import urls
from engine.egress.refusals import Refused
from engine.outcome import Outcome
from sandbox.wire import Headers, is_json

MASK = "***"
_ALL_MASKED = msgspec.json.encode(MASK)
_LONG_BYTES = 4 << 10  # of JSON: more is not looked at value by value, which would hold others up
_STORED_BYTES = 16 << 10  # of a result that is looked through on the event loop, or of a longer error's message
_ERROR_BYTES = 64 << 10  # of an error that is
_KEPT_BYTES = 16 << 20  # of forms, of the hooks that ran last
_LEAST_CHARS = 3  # a shorter text is no secret, and stands everywhere
_LEAST_BASE64 = 6  # characters: as many bits as a hundred million guesses
_SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "api-key", "x-auth-token"}
)
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/*")
_JSON_VALUE = re.compile(  # of valid JSON
    rb'(?P<text>"(?:[^"\\]|\\.)*")(?P<field>\s*:)?|(?P<number>-?[0-9][0-9.eE+-]*)'
)
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_ADDRESS = re.compile(  # a secret that is one, or one without its scheme
    r"\s*(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*|[^/?#\s]+\.[^/?#\s]+)(?P<rest>[/?][^#]*?)(?:#.*)?\s*", re.DOTALL
)
_UNRESERVED = re.compile(
    r"%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])"
)  # requests writes them plainly
_ALIKE = re.compile(r"[A-Za-z0-9_.~-]+")  # what JSON, HTML, URLs and forms write as it is
_FOR_URLS = str.maketrans("+/", "-_")
_LEAST_REST = 6  # characters: a shorter path is no secret
_AS_SENT = "!#$%&'()*+,/:;=?@[]~"  # what requests leaves as it is in a URL


class Mask:
    """Takes the values of one hook's secrets out of texts. False when there are none.

    `brief`: they come with one call, and are forgotten with it.
    """

    def __init__(self, secrets: Iterable[str], *, brief: bool = False) -> None:
        self._values = tuple(value for value in secrets if len(value) >= _LEAST_CHARS)
        self._own = _made_forms(self._values) if brief else None

    @classmethod
    def of(cls, *groups: Collection[str]) -> Mask:
        """The mask of several groups of secrets; most hooks have none."""
        if not any(groups):
            return NOTHING
        return cls([value for group in groups for value in group])

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, text: str) -> str:
        """`text` without them."""
        forms = self._forms()
        for form in forms.texts[bisect_left(forms.lengths, -len(text)) :]:  # of those that have room in it
            text = text.replace(form, MASK)
        return text

    def body(self, body: bytes, most: int) -> bytes:
        """At most `most` bytes of a body, without them, nor the beginning of one that goes on where it is cut."""
        forms = self._forms()
        masked = window = body[: most + forms.longest]
        for raw in forms.raws:
            masked = masked.replace(raw, MASK.encode())
        left_over = forms.longest if len(window) < len(body) else 0
        return masked[: min(most, max(len(masked) - left_over, 0))]

    def url(self, url: str) -> str:
        """A URL without them and without userinfo. Of a secret that is a URL itself, the host stays."""
        if "@" in url and _is_refused(url):  # a password may hold whatever else ends an authority
            before, _, after = url.rpartition("@")
            scheme = _SCHEME.match(before)
            url = f"{scheme[0] if scheme else ''}{MASK}@{after}"
        found = _ORIGIN.match(url)
        origin = found[0] if found else ""
        return self.text(origin) + self.text(url[len(origin) :])

    def headers(self, headers: Headers) -> Headers:
        """Headers without them, and without what headers of that name are for keeping secret."""
        return tuple(
            (self.text(name), MASK if name.lower() in _SECRET_HEADERS else self.text(value)) for name, value in headers
        )

    def json(self, raw: bytes, *, names: bool = False) -> bytes:
        """JSON without them in its texts and numbers, at any depth; the names of fields stay, unless `names`."""
        if b"\\" not in raw and not any(form in raw for form in self._forms().raws):
            return raw  # each text in it is written as it reads: nearly always

        def mask(found: re.Match[bytes]) -> bytes:
            if found["field"] and not names:
                return found[0]
            text = found[0].decode() if found["number"] else msgspec.json.decode(found["text"])
            masked = self.text(text)
            return found[0] if masked == text else msgspec.json.encode(masked) + (found["field"] or b"")

        return _JSON_VALUE.sub(mask, raw)

    def stored(self, raw: bytes) -> bytes:
        """JSON as it may be stored: without them, also in the names of fields. What is long is masked as one text."""
        if len(raw) <= _LONG_BYTES:
            return self.json(raw, names=True)
        masked = self.body(raw, len(raw))
        return masked if is_json(masked) else _ALL_MASKED  # it went beyond a text

    def _forms(self) -> _Forms:
        return self._own or _all_forms(self._values)


NOTHING = Mask(())


def masked(outcome: Outcome, mask: Mask) -> Outcome:
    """The outcome with no secret in its message, error, causes and log. Its exchanges have been masked one by one."""
    if not mask or (outcome.status == "ok" and not outcome.logs):
        return outcome
    replace = msgspec.structs.replace
    return replace(
        outcome,
        message=mask.text(outcome.message),
        error=msgspec.Raw(mask.json(bytes(outcome.error))),
        logs=tuple(replace(event, text=mask.text(event.text)) for event in outcome.logs),
        causes=tuple(replace(cause, message=mask.text(cause.message)) for cause in outcome.causes),
    )


def storable_result(raw: msgspec.Raw, mask: Mask) -> msgspec.Raw:
    """JSON of a result as it is stored: the names of its fields are masked, too.

    What is too long to be looked through beside other work is masked whole.
    """
    json_ = bytes(raw)
    if not mask or json_ == b"null":
        return raw
    return msgspec.Raw(mask.stored(json_) if len(json_) <= _STORED_BYTES else _ALL_MASKED)


def storable_error(raw: msgspec.Raw, mask: Mask) -> msgspec.Raw:
    """The same of an error. Of one that is too long, or cannot be masked field by field, name and message are left."""
    json_ = bytes(raw)
    if not mask or json_ == b"null":
        return raw
    masked = mask.stored(json_) if len(json_) <= _ERROR_BYTES else _ALL_MASKED
    return msgspec.Raw(_bare_error(json_, mask) if masked == _ALL_MASKED else masked)


class _Error(msgspec.Struct):
    name: Any = None
    message: Any = None


_error: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Error | list[Any] | str | int | float | bool | None)


def _bare_error(raw: bytes, mask: Mask) -> bytes:
    """What tells one error from another, if it has it."""
    error = _error.decode(raw)
    if not isinstance(error, _Error):
        return _ALL_MASKED
    told = {"name": error.name, "message": error.message}
    texts = {field: text.encode() for field, text in told.items() if isinstance(text, str)}
    return msgspec.json.encode(
        {field: mask.body(text, _STORED_BYTES).decode(errors="replace") for field, text in texts.items()}
    )


@dataclass(frozen=True, slots=True)
class _Forms:
    """Each value in each form; longest first, so that none masks a part of another."""

    texts: list[str]
    raws: list[bytes]
    lengths: list[int]  # of the texts, negative: they ascend
    longest: int  # in bytes


@cachetools.cached(cachetools.LRUCache(_KEPT_BYTES, lambda forms: sum(map(len, forms.raws)) * 3 + 1024), lock=Lock())
def _all_forms(values: tuple[str, ...]) -> _Forms:
    return _made_forms(values)


def _made_forms(values: tuple[str, ...]) -> _Forms:
    texts = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
    raws = [text.encode("utf-8", "surrogatepass") for text in texts]
    return _Forms(texts, raws, [-len(text) for text in texts], max(map(len, raws), default=0))


def _is_refused(url: str) -> bool:
    try:
        urls.parse(url)
    except Refused:
        return True
    return False


def _forms(value: str) -> Iterator[str]:
    yield from _plain_forms(value)
    address = _ADDRESS.fullmatch(value)  # requests writes the host anew, and sends no fragment
    if address and len(address["rest"]) >= _LEAST_REST:
        yield from _plain_forms(address["rest"])


def _plain_forms(value: str) -> Iterator[str]:
    yield value
    raw = value.encode("utf-8", "surrogatepass")
    if not _ALIKE.fullmatch(value):
        yield from _written(value, raw)
    yield from _within_base64(raw)


def _written(value: str, raw: bytes) -> Iterator[str]:
    """As JSON, HTML, URLs and forms have it."""
    for text in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield text
        yield text.replace("/", "\\/")
    yield html.escape(value)
    yield html.escape(value).replace("&#x27;", "&#39;")
    plainer = _UNRESERVED.sub(lambda found: chr(int(found[1], 16)), value).encode("utf-8", "surrogatepass")
    for written in (quote(raw, safe=""), quote(raw), quote(plainer, safe=_AS_SENT), quote_plus(raw)):
        yield written
        yield _ESCAPE.sub(lambda found: found[0].lower(), written)


def _within_base64(raw: bytes) -> Iterator[str]:
    """What stands in any base64 of a text that holds it: it begins at one of three places in a group of three bytes."""
    for before in range(3):
        after = (before + len(raw)) % 3
        written = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        inner = written[(0, 2, 3)[before] : len(written) - (after > 0)]
        if len(inner) >= _LEAST_BASE64:
            yield inner
            yield inner.translate(_FOR_URLS)
