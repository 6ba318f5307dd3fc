"""A client of a running server's /v1 API, over `requests`; what the commands that talk to a server are made of.

What the server refuses is Refused, with its own words; a server that cannot be reached is Unreachable, with what to
look at. Redirects are not followed, and .netrc takes no part. Who asks too often for a moment is made to wait: nothing
of a request that was refused for that has been done, so it is asked again.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import requests
import requests.auth
import urllib3

from engine.errors import EngineError
from engine.outcome import Finding
from engine.unreachable import one_line, why
from tenants.records import Mode, Retry

_CONNECT_S = 10
_READ_S = 120  # a deployment checks every hook of it
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_CHUNK_BYTES = 64 << 10
_MOST_BYTES = 256 << 20  # of an answer: the export of a hundred large hooks is 100 MB
_MOST_WAITS = 5  # of one request
_SHORT_S = {"1": 1, "2": 2}  # a Retry-After that is waited out
_TOO_OFTEN = (429, "too_many_requests", "Global limit has been reached")  # too many bad tokens have another text


class Unreachable(EngineError):
    """The server cannot be reached."""

    code = "unreachable"


class Refused(EngineError):
    """The server has refused it."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        said = body.get("message") or body.get("error_description") or "it did not say why"
        super().__init__(f"{one_line(said)} ({status})")
        self.status = status
        self.code = str(body.get("errorCode", ""))
        self.body = body


class HookRow(msgspec.Struct, frozen=True, kw_only=True):
    """A hook, as /v1 lists it."""

    id: str
    name: str
    trigger_id: str
    enabled: bool
    order: int
    mode: Mode | None
    retry: Retry = msgspec.field(default_factory=Retry)
    version: int
    source_sha256: str
    dependencies: dict[str, str]
    secrets: list[str]
    created_at: str
    updated_at: str
    source: str | None = None  # where it was asked for


class TenantRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant and what the operator has set for it."""

    id: str
    name: str
    settings: dict[str, Any]
    revision: int
    created_at: str


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A token without itself, but for the answer that makes it."""

    id: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    token: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment does to one hook."""

    action: Literal["create", "update", "delete", "unchanged"]
    name: str
    trigger_id: str
    fields: list[str] = []
    diff: str = ""
    version: int | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment would do, or has done."""

    applied: bool
    revision: int
    changes: list[Change]
    live: list[str]


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a hook."""

    number: int
    live: bool
    source_sha256: str
    dependencies: dict[str, str]
    created_at: str
    created_by: str
    source: str | None = None  # where it was asked for


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A hook of a deployment that the server does not take."""

    name: str
    message: str
    diagnostics: list[Finding]  # none: it is not the policy that refuses it


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation of the master key has done."""

    master_key_id: str
    data_keys: int
    unreadable: list[str]
    complete: bool


_Kind = TypeVar("_Kind")
_Query = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Client:
    """Asks one server with one token."""

    server: str  # https://host:port
    token: str = field(repr=False)
    ca_file: str | None = None  # PEM: the authorities that are trusted, instead of the public ones
    wait: Callable[[int], None] = time.sleep  # lets so many seconds pass, when the server is asked too often

    def get(self, kind: type[_Kind], *path: str, **query: _Query) -> _Kind:
        """What is there. Raises Refused, Unreachable; so do the others."""
        return _read(kind, self._ask("GET", path, query))

    def text(self, *path: str, **query: _Query) -> str:
        """What is there, as text, line ends as they are."""
        return self._ask("GET", path, query).decode(errors="replace")

    def post(self, kind: type[_Kind], body: Any, *path: str) -> _Kind:
        """Make what `body` describes."""
        return _read(kind, self._ask("POST", path, {}, body))

    def patch(self, kind: type[_Kind], body: Any, *path: str) -> _Kind:
        """Change what is there."""
        return _read(kind, self._ask("PATCH", path, {}, body))

    def put(self, kind: type[_Kind], body: Any, *path: str, **query: _Query) -> _Kind:
        """Make it what `body` describes."""
        return _read(kind, self._ask("PUT", path, query, body))

    def set_value(self, value: str, *path: str) -> None:
        """Make it that value."""
        self._ask("PUT", path, {}, {"value": value})

    def delete(self, *path: str) -> None:
        """Take it away."""
        self._ask("DELETE", path, {})

    def call(self, kind: type[_Kind], content: bytes, *path: str, headers: Mapping[str, str], read_s: float) -> _Kind:
        """POST JSON as it is; the answer may take so long."""
        return _read(kind, self._answer(_Asked("POST", path, content=content, headers=headers, read_s=read_s)))

    @contextlib.contextmanager
    def streaming(self, *path: str, headers: Mapping[str, str], read_s: float) -> Iterator[Iterator[bytes]]:
        """What the server goes on to say, as it comes; silence of `read_s` seconds is Unreachable."""
        with requests.Session() as session:
            answer = self._taken(session, _Asked("GET", path, headers=headers, read_s=read_s, good=(200,)))
            yield self._chunks(answer, _CHUNK_BYTES if answer.raw.chunked else 1)  # else it would wait until it is full

    def _ask(self, method: str, path: tuple[str, ...], query: Mapping[str, _Query], body: Any = None) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        return self._answer(_Asked(method, path, query=query, content=content))

    def _answer(self, asked: _Asked) -> bytes:
        with requests.Session() as session:
            return self._read_from(self._taken(session, asked))

    def _taken(self, session: requests.Session, asked: _Asked) -> requests.Response:
        """The answer, nothing of it read yet; after a while, where the server wants to be asked again in a moment."""
        waits = 0
        while (answer := self._opened(session, asked)).status_code not in asked.good:
            refused = Refused(answer.status_code, _error_body(self._read_from(answer), self.server))
            again_s = _SHORT_S.get(answer.headers.get("Retry-After", "")) if _is_too_often(refused) else None
            if again_s is None or waits == _MOST_WAITS:
                raise refused
            waits += 1
            self.wait(again_s)
        return answer

    def _opened(self, session: requests.Session, asked: _Asked) -> requests.Response:
        url = "/".join([self.server.rstrip("/"), "v1", *(quote(step, safe="") for step in asked.path)])
        kind = {} if asked.content is None else {"Content-Type": "application/json"}
        try:
            return session.request(
                asked.method,
                url,
                params={name: _as_query(value) for name, value in asked.query.items() if value is not None},
                data=asked.content,
                headers={"Accept": "application/json"} | kind | dict(asked.headers),
                auth=_Bearer(self.token),
                verify=self.ca_file or True,
                timeout=(_CONNECT_S, asked.read_s),
                allow_redirects=False,
                stream=True,
            )
        except _FAULTS as error:
            raise Unreachable(why(self.server, self.ca_file, error)) from None

    def _read_from(self, answer: requests.Response) -> bytes:
        chunks, length = [], 0
        for chunk in self._chunks(answer):
            length += len(chunk)
            if length > _MOST_BYTES:
                raise Unreachable(f"the answer of {self.server} is larger than {_MOST_BYTES} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _chunks(self, answer: requests.Response, most: int = _CHUNK_BYTES) -> Iterator[bytes]:
        try:
            yield from answer.iter_content(most)
        except _FAULTS as error:
            raise Unreachable(why(self.server, self.ca_file, error)) from None


@dataclass(frozen=True, slots=True)
class _Asked:
    method: str
    path: tuple[str, ...]  # below /v1
    query: Mapping[str, _Query] = field(default_factory=dict)
    content: bytes | None = None  # JSON
    headers: Mapping[str, str] = field(default_factory=dict)  # beside, or instead of, those of every request
    read_s: float = _READ_S  # of silence
    good: Container[int] = range(200, 300)  # any other status is a refusal


class _Bearer(requests.auth.AuthBase):
    """Our token and no other: `requests` would take one for the host from .netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def is_plain(server: str) -> bool:
    """Whether a token would cross a network unencrypted."""
    parts = urlsplit(server)
    if parts.scheme != "http" or parts.hostname in (None, "localhost"):
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def _as_query(value: _Query) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(kind: type[_Kind], content: bytes) -> _Kind:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        said = one_line(str(error))
        raise Unreachable(f"the answer is not one of a Hookcell server of this version: {said}") from None


def _is_too_often(refused: Refused) -> bool:
    return (refused.status, refused.code, refused.body.get("message")) == _TOO_OFTEN


def _error_body(content: bytes, server: str) -> Mapping[str, Any]:
    try:
        body = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        body = {}
    if "message" in body or "error_description" in body:
        return body
    https = ", or write https:// if it speaks that" if server.startswith("http://") else ""
    return {"message": f"{server} answers, but not as a Hookcell server does; check the address{https}"}
