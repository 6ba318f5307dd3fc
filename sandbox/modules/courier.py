"""The library's way out: an adapter that sends one frame and waits for its answer, and a session that goes through it.

Nothing of this is a hook's to hold.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import Any

from sandbox import wire
from sandbox.modules import library
from sandbox.modules.arguments import ROOM, check_size
from sandbox.modules.faults import of_failure, refusal

Exchange = Callable[[wire.Http], wire.Answer]

_OF_HEADER = 10  # bytes that a header costs beside its texts
MAX_REDIRECTS = 10  # the library's 30 are more than the calls of a job
_BOMS = {  # the longer first: one begins as the other
    codecs.BOM_UTF8: "UTF-8-SIG",
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class Reply(library.models.Response):  # type: ignore[misc]
    """The library's response, which guesses its encoding by rules and not by statistics."""

    @property
    def apparent_encoding(self) -> str:
        """By its first bytes; else ASCII or UTF-8 if it is that; else what browsers take it for."""
        content = self.content or b""
        for mark, name in _BOMS.items():
            if content.startswith(mark):
                return name
        for name in ("ascii", "utf-8", "windows-1252"):
            try:
                content.decode(name)
            except UnicodeDecodeError:
                continue
            return name
        return "ISO-8859-1"

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002 - the library's
        """The body in pieces. Of a charset that there is not, as `text` has it."""
        pieces: Iterator[Any] = super().iter_content(chunk_size, decode_unicode)
        if not decode_unicode or self.encoding is None or _is_charset(self.encoding):
            return pieces
        whole: Iterator[Any] = library.utils.iter_slices(self.text, chunk_size)
        return whole


class _Original:
    """What the library looks for cookies in."""

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._headers = headers

    @property
    def _original_response(self) -> _Original:  # the parts of http.client's that it asks through
        return self

    msg = _original_response

    def get_all(self, name: str, default: Any = None) -> Any:
        """All values of a header."""
        return [value for each, value in self._headers if each.lower() == name.lower()] or default


def _is_charset(name: str) -> bool:
    """Asked as `text` asks."""
    try:
        str(b" ", name, errors="replace")
    except (LookupError, TypeError):
        return False
    return True


class Courier:
    """An adapter for URLs of every scheme: which ones leave, the engine says."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def send(self, request: Any, timeout: tuple[int | None, int | None] = (None, None), **_: Any) -> Reply:
        """The answer. Raises the library's exceptions and EgressRefused."""
        body = _body(request)
        url = request.url.partition("#")[0]
        headers = tuple(_headers(request))
        _check_room(request.method, url, headers)
        answer = self._exchange(wire.Http(request.method, url, headers, body, *timeout))
        if isinstance(answer, wire.Failed):
            raise of_failure(answer.kind, answer.rule, answer.message, request)
        return _reply(request, answer)

    def close(self) -> None:
        """Nothing is open."""


class Live(library.sessions.Session):  # type: ignore[misc]
    """The library's session over a courier. What a hook holds of it is `sandbox.modules.sessions.Session`."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self.adapters.clear()
        self.mount("", Courier(exchange))
        self.trust_env = False
        self.max_redirects = MAX_REDIRECTS

    def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
        """Away from the host that was called first, cookies without a domain stay behind, as other credentials do.

        The library sends them on to whatever host a response names.
        """
        super().rebuild_auth(prepared_request, response)
        first = (response.history or [response])[0].request.url
        if self.should_strip_auth(first, prepared_request.url):
            prepared_request.headers.pop("Authorization", None)
            prepared_request.headers.pop("Cookie", None)
            jar = prepared_request._cookies  # noqa: SLF001 - as the library itself
            for cookie in [each for each in jar if not each.domain]:
                jar.clear(cookie.domain, cookie.path, cookie.name)
            prepared_request.prepare_cookies(jar)


def _body(request: Any) -> bytes:
    body = request.body
    return check_size(b"" if body is None else body.encode() if isinstance(body, str) else body)


def _headers(request: Any) -> Iterator[tuple[str, str]]:
    """Those of the request, in latin-1, but for what the library sets by itself and is the engine's to set."""
    for given, value in request.headers.items():
        name, text = _latin(given), _latin(value)
        if not _is_set_by_library(name.lower(), text, request.body):
            yield name, text


def _is_set_by_library(name: str, value: str, body: Any) -> bool:
    match name:
        case "content-length":
            return body is not None or value == "0"
        case "connection":
            return value == "keep-alive"
    return False


def _latin(given: str | bytes) -> str:
    """Raises UnicodeEncodeError, as http.client does."""
    return given.decode("latin-1") if isinstance(given, bytes) else given.encode("latin-1").decode("latin-1")


def _check_room(method: str, url: str, headers: wire.Headers) -> None:
    """Raises EgressRefused for what no frame holds. What is less than that the engine judges, and records."""
    if len(method) > wire.METHOD_CHARS:
        raise refusal("method", f"it has {len(method)} characters")
    if len(url) > wire.URL_CHARS:
        raise refusal("url", f"it has {len(url)} characters; send less")
    size = sum(len(name) + len(value) + _OF_HEADER for name, value in headers)
    if len(headers) > wire.MOST_HEADERS or size * 2 > ROOM // 2:
        raise refusal("header", f"there are {len(headers)}, of {size} bytes; send less")


def _reply(request: Any, answer: wire.Answered) -> Reply:
    """As the library's own adapter builds it of urllib3's response."""
    made = Reply()
    made.status_code, made.reason, made.url, made.request = answer.status, answer.reason, request.url, request
    joined: dict[str, str] = {}
    spelt: dict[str, str] = {}
    for name, value in answer.headers:
        key = spelt.setdefault(name.lower(), name)
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    made.headers = library.structures.CaseInsensitiveDict(joined)
    made.encoding = library.utils.get_encoding_from_headers(made.headers)
    made.raw = _Original(answer.headers)
    made._content, made._content_consumed = answer.body, True  # noqa: SLF001 - it has been read whole
    library.cookies.extract_cookies_to_jar(made.cookies, request, made.raw)
    return made
