"""What comes of a call, as a hook holds it: the library's response behind an allow-list of what it tells. A leaf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

from sandbox.modules import library
from sandbox.modules.caches import exact
from sandbox.modules.cookies import cookies_around
from sandbox.modules.faults import cleanly
from sandbox.modules.published import Held, published, put


@published("requests", "PreparedRequest")
class Sent(Held):
    """The request that was sent, or would have been."""

    __slots__ = ("body", "headers", "method", "url")
    body: str | bytes | None
    headers: Any
    method: str
    url: str

    def __init__(self) -> None:
        raise TypeError("a PreparedRequest comes of a call")

    def __repr__(self) -> str:
        return f"<PreparedRequest [{self.method}]>"


@published("requests", "Response")
class Response(Held):
    """A response, read whole."""

    __slots__ = ("__live__", "cookies", "elapsed", "headers", "history", "reason", "request", "status_code", "url")
    __live__: Any
    cookies: Any
    elapsed: Any
    headers: Any
    history: list[Response]
    reason: str
    request: Sent
    status_code: int
    url: str

    def __init__(self) -> None:
        raise TypeError("a Response comes of a call")

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"

    def __bool__(self) -> bool:
        return self.ok

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_content(128)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""

    @property
    def ok(self) -> bool:
        """Whether the status is less than 400."""
        return bool(self.__live__.ok)

    @property
    def content(self) -> bytes:
        """The body."""
        body: bytes = self.__live__.content
        return body

    @property
    def text(self) -> str:
        """The body, decoded."""
        body: str = self.__live__.text
        return body

    @property
    def encoding(self) -> str | None:
        """What `text` decodes the body by; as the headers say, or as it is set."""
        name: str | None = self.__live__.encoding
        return name

    @encoding.setter
    def encoding(self, name: str | None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"an encoding is a text, not a {type(name).__name__}")
        self.__live__.encoding = exact(name)

    @property
    def apparent_encoding(self) -> str:
        """What the body seems to be encoded by."""
        name: str = self.__live__.apparent_encoding
        return name

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The Link header, by rel."""
        return dict(self.__live__.links)

    @property
    def is_redirect(self) -> bool:
        """Whether it sends the caller on."""
        return bool(self.__live__.is_redirect)

    @property
    def is_permanent_redirect(self) -> bool:
        """Whether it does so for good."""
        return bool(self.__live__.is_permanent_redirect)

    def json(self, **named: Any) -> Any:
        """The body as JSON. Raises JSONDecodeError."""
        live = self.__live__
        return cleanly(lambda: live.json(**named), shown)

    def raise_for_status(self) -> None:
        """Raises HTTPError if the status is 400 or more."""
        live = self.__live__
        cleanly(live.raise_for_status, lambda carried: self if carried is live else shown(carried))

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002 - the library's
        """The body in pieces."""
        return _each(self.__live__.iter_content(exact(chunk_size), bool(decode_unicode)))

    def iter_lines(self, chunk_size: int = 512, decode_unicode: bool = False, delimiter: Any = None) -> Iterator[Any]:  # noqa: FBT001, FBT002 - the library's
        """The body by lines."""
        return _each(self.__live__.iter_lines(exact(chunk_size), bool(decode_unicode), exact(delimiter)))


def _each(chunks: Iterable[Any]) -> Iterator[Any]:
    for chunk in chunks:  # noqa: UP028 - a generator tells what it yields from
        yield chunk


_each.__module__, _each.__qualname__ = "requests.models", "Response.iter_content"


def shown(carried: Any) -> Any:
    """What a hook may hold of what an error carries."""
    if isinstance(carried, library.models.Response):
        return response_shown(carried)
    if isinstance(carried, library.models.PreparedRequest):
        return _request_shown(carried)
    return None if isinstance(carried, library.models.Request) else carried


def _request_shown(live: Any) -> Sent:
    headers = live.headers if live.headers is None else live.headers.copy()
    return put(object.__new__(Sent), Sent, method=live.method, url=live.url, headers=headers, body=live.body)


def response_shown(live: Any) -> Response:
    """The response that stands for the library's, with those that led to it."""
    history = [response_shown(each) for each in live.history]
    made = put(object.__new__(Response), Response, __live__=live, history=history, request=_request_shown(live.request))
    put(made, Response, cookies=cookies_around(live.cookies), elapsed=live.elapsed, headers=live.headers)
    return put(made, Response, reason=live.reason, status_code=live.status_code, url=live.url)
