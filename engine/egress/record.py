"""What is kept of an exchange: enough to see where a hook's time and calls went, and, by policy, to replay it.

The values of the hook's secrets are masked in all that is kept, also as URLs, forms and JSON write them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from engine.egress import urls
from engine.egress.policy import EgressPolicy
from engine.egress.refusals import Refused
from engine.egress.transport import Headers, Response, Timings
from engine.outcome import Exchange, Kept, Spans
from sandbox import wire

MASK = "***"
_LEAST_CHARS = 3  # a shorter text is no secret, and stands everywhere
_URL_CHARS = 2048  # of a URL in the record
_METHOD_CHARS = 32
_SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "api-key", "x-auth-token"}
)
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_USERINFO = re.compile(r"//.*@")  # of a URL that is refused: a password may hold what ends an authority
_AS_SENT = "!#$%&'()*+,/:;=?@[]~"  # what requests leaves as it is in a URL


class Mask:
    """Takes the values of one hook's secrets out of texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._values = [value for value in secrets if len(value) >= _LEAST_CHARS]
        self._forms: list[str] | None = None

    def text(self, text: str) -> str:
        """`text` without them."""
        for form in self._all_forms():
            text = text.replace(form, MASK)
        return text

    def url(self, url: str) -> str:
        """A URL without them and without userinfo. Where a secret is a whole URL, its host may stay."""
        url = url[: _URL_CHARS * 2]
        if "@" in url and _is_refused(url):
            url = _USERINFO.sub(f"//{MASK}@", url)
        found = _ORIGIN.match(url)
        origin = found[0] if found else ""
        rest = url[len(origin) :]
        for form in self._all_forms():
            within = form[len(origin) :] if origin and form.startswith(origin) else form
            rest = rest.replace(within, MASK) if len(within) >= _LEAST_CHARS else rest
        return (self.text(origin) + rest)[:_URL_CHARS]

    def headers(self, headers: Headers) -> Headers:
        """Headers without them, and without what headers of that name are for keeping secret."""
        return tuple((name, MASK if name.lower() in _SECRET_HEADERS else self.text(value)) for name, value in headers)

    def _all_forms(self) -> list[str]:
        """Each value as it is and as it is written elsewhere; longest first, so that none masks a part of another."""
        if self._forms is None:
            forms = {form for value in self._values for form in _forms(value)}
            self._forms = sorted(forms, key=len, reverse=True)
        return self._forms


def _is_refused(url: str) -> bool:
    try:
        urls.parse(url)
    except Refused:
        return True
    return False


def _forms(value: str) -> set[str]:
    try:
        return {value, quote(value, safe=""), quote(value), quote(value, safe=_AS_SENT), quote_plus(value)} | {
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            base64.b64encode(value.encode()).decode(),
        }
    except UnicodeEncodeError:  # half of a surrogate pair
        return {value}


_ABANDONED = wire.Failed("connection", "", "the job ended before the answer came")


def exchange(
    call: wire.Http, came: Response | wire.Failed | None, timings: Timings, policy: EgressPolicy, mask: Mask
) -> Exchange:
    """The record of one call and what came of it. None: its job ended first."""
    response = came if isinstance(came, Response) else None
    failed = None if isinstance(came, Response) else came or _ABANDONED
    kept = policy.keep_bodies == "all" or (policy.keep_bodies == "errors" and _is_error(response))
    return Exchange(
        method=call.method[:_METHOD_CHARS],
        url=mask.url(call.url),
        status=response.status if response else None,
        refused=failed.rule or None if failed else None,
        error=_error(came),
        message=mask.text(failed.message) if failed else "",
        sent_bytes=0 if failed and failed.rule else len(call.body),
        received_bytes=response.received_bytes if response else 0,
        ms=timings.total_ms,
        timings=Spans(
            dns_ms=timings.dns_ms,
            connect_ms=timings.connect_ms,
            tls_ms=timings.tls_ms,
            first_byte_ms=timings.first_byte_ms,
        ),
        request=_keep(call.headers, call.body, policy, mask) if kept else None,
        response=_keep(response.headers, response.body, policy, mask, response.reason) if kept and response else None,
    )


def _error(came: Response | wire.Failed | None) -> str | None:
    if came is None:
        return "abandoned"
    return came.kind if isinstance(came, wire.Failed) and not came.rule else None


def _is_error(response: Response | None) -> bool:
    return response is None or response.status >= 400


def _keep(headers: Headers, body: bytes, policy: EgressPolicy, mask: Mask, reason: str = "") -> Kept:
    cut = body[: policy.kept_bytes]
    try:
        text, encoded = mask.text(cut.decode()), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(cut).decode(), True
    return Kept(
        headers=mask.headers(headers[:100]), body=text, base64=encoded, truncated=len(cut) < len(body), reason=reason
    )
