"""What a client without a token can make the server hold: bounded in number, in bytes and in time.

Connections are accepted here and not by the event loop, so that those beyond a bound are closed before anything is
made for them, and a TLS handshake counts as well. Every bound is a constant: none depends on what a tenant does.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import functools
import ipaddress
import json
import resource
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

PER_ADDRESS = 256  # connections; of IPv6 a /64 counts as one, since that is what one client is given
AT_ALL = 4_096  # connections; less where descriptors are fewer
HEADERS = 100  # fields of a request: small ones take far more memory than bytes
HEADERS_BYTES = 64 << 10  # a token is 46, a query 8 KiB at most; of trailers and between two pieces of a body likewise
HEADERS_S = 10  # to a request's first byte, and from there to its last header; a TLS handshake likewise
BODY_S = 60  # from the last header to the end of the body: 16 MiB at 2.2 Mbit/s
SENDING_S = 300  # that an answer may wait for a client to read it: an export of 100 MB at 2.7 Mbit/s
KEEP_ALIVE_S = 5  # between two requests
_GOODBYE_S = 5  # for a client's part in the end of TLS
_PIPELINED = 16  # requests sent ahead of their answers: each is kept in memory
_OPEN_FILES = 65_536  # descriptors are asked for, where the system gives them
_OWN_FILES = 256  # descriptors that the server needs besides: database, logs, sockets of calls under way
_FILES_PER_WORKER = 4
_PAUSE_S = 0.5  # when the system has no descriptor for a new connection
_ACCEPTED_AT_ONCE = 64  # then others have their turn
_TICK_S = 1.0

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SAID = {
    HTTPStatus.BAD_REQUEST: ("invalid_request", "This is no HTTP request."),
    HTTPStatus.REQUEST_TIMEOUT: ("request_timeout", "The request did not arrive in time."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        "headers_too_large",
        f"The headers are more than {HEADERS} or larger than {HEADERS_BYTES} bytes.",
    ),
}


def most_connections(workers: int) -> int:
    """How many connections there may be beside so many workers; as many descriptors are asked for first."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _OPEN_FILES)
    if files != resource.RLIM_INFINITY and files < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            files = wanted
    free = files - _OWN_FILES - _FILES_PER_WORKER * workers
    return AT_ALL if files == resource.RLIM_INFINITY else min(AT_ALL, max(files // 4, free))


class Connection(HttpToolsProtocol):
    """One connection: a request arrives whole and in time, or the connection ends."""

    def __init__(self, *given: Any, closed: Callable[[], None], **more: Any) -> None:
        super().__init__(*given, **more)
        self._closed = closed
        self._since = self.loop.time()  # that what is awaited is awaited
        self._unread_since: float | None = None  # that the client has not read what was sent
        self._begun = False  # that a request's first byte is here, and its last is not
        self._in_headers = True  # of the next request, or before them
        self._field_bytes = 0  # since anything but headers and trailers came
        self._fault = HTTPStatus.BAD_REQUEST  # what an error of the parser is
        self._head = b""  # of a request that asks for another protocol, without that
        self._answering: RequestResponseCycle | None = None  # the first that is not answered, or the last that was
        self._together: Together | None = None  # what the answer under way is written to
        self._deaf = False  # nothing more is read: the connection ends once all whole requests are answered
        self._told_last: HTTPStatus | None = None  # after those answers

    def connection_lost(self, exc: Exception | None) -> None:
        """Its place is free; whoever still makes an answer is told."""
        self._closed()
        self._give_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Headers in pieces no larger than they may be: what is over the bound is not read."""
        while data and not self._deaf and self.parser is not None and not self.transport.is_closing():
            room = HEADERS_BYTES - self._field_bytes
            if not room:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
            piece, data = data[:room], data[room:]
            self._field_bytes += len(piece)
            data = self._feed(piece) + data

    def _feed(self, piece: bytes) -> bytes:
        """What is left of it, after the head of a request that asks for another protocol.

        We speak none, so that request is read again without the wish. The parser would take its body for a request.
        """
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
            self._feed(self._head)
            return piece[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._refuse(self._fault)
        return b""

    def on_message_begin(self) -> None:
        """The parser's, as those below: a request's first byte."""
        super().on_message_begin()
        self._begun, self._since, self._head = True, self.loop.time(), b""
        if len(self.pipeline) >= _PIPELINED:  # the client asks again for what is not answered
            self._deaf = True
            self.pipeline[0][0].keep_alive = False
            raise ValueError("too many requests are sent ahead")  # the parser's error then

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of the headers. A trailer is none: it comes after all that is decided by headers."""
        if not self._in_headers:
            return
        if len(self.headers) >= HEADERS:
            self._fault = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its body comes now."""
        if self.parser.should_upgrade():
            self._head = self._without_upgrade()
            return
        super().on_headers_complete()
        self._in_headers, self._field_bytes, self._since = False, 0, self.loop.time()

    def _without_upgrade(self) -> bytes:
        """The head of this request again, as if it had not asked for another protocol."""
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy")
        first = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        kept = [b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        if any(byte in value for _, value in self.headers for byte in (b"\r", b"\n")):
            raise ValueError("a header of two lines")
        return first + b"".join(kept) + b"\r\n"

    def on_chunk_header(self) -> None:
        """A piece of the body begins, or its trailers do."""
        self._field_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Some of it."""
        self._field_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is here."""
        if self._head:
            return
        super().on_message_complete()
        self._begun, self._in_headers, self._field_bytes, self._since = False, True, 0, self.loop.time()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        self._together = Together(cycle.transport, self.loop)
        cycle.transport = cast("asyncio.Transport", self._together)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """It is answered. A body of which the rest still comes has no more time for that."""
        if self._together is not None:
            self._together.leave()  # the head of an answer without a body, before whatever is said next
        if self._in_headers or self.pipeline:
            self._since = self.loop.time()
        super().on_response_complete()
        if self._begun:
            self._unset_keepalive_if_required()
        if self._told_last is not None and self._answered():
            self._end(self._told_last)

    def end_if_overdue(self, now: float) -> None:
        """Close it when it has kept us waiting too long."""
        unread = self.transport.get_write_buffer_size() > 0
        self._unread_since = (self._unread_since or now) if unread else None
        if self._unread_since is not None and now - self._unread_since > SENDING_S:
            self.transport.abort()
        elif not self.transport.is_closing() and now - self._since > self._patience():
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _patience(self) -> float:
        """How long it may be since something has happened. An answer that is being made takes its own time."""
        if self.pipeline or self._deaf:  # it is not read while the answer before it is made
            return float("inf")
        if not self._in_headers:
            return BODY_S
        return HEADERS_S if self._answered() else float("inf")

    def _answered(self) -> bool:
        return self._answering is None or self._answering.response_complete

    def _refuse(self, status: HTTPStatus) -> None:
        """Read nothing more. The requests before it that came whole are answered first."""
        if self._deaf:
            return
        self._deaf = True
        if self.pipeline and not self._in_headers:
            self.pipeline.popleft()  # the newest, which never came whole
        if self._answered() or (self._answering is self.cycle and not self._in_headers):
            self._end(status)
        else:
            self._told_last = status

    def _end(self, status: HTTPStatus) -> None:
        """Say so, unless nothing was asked or an answer is on its way or there; then close."""
        silent = status == HTTPStatus.REQUEST_TIMEOUT and not self._begun
        if not silent and not self.transport.is_closing() and (self._in_headers or not self.cycle.response_started):
            self.transport.write(_refusal(status))
        self._give_up()
        self.transport.close()

    def _give_up(self) -> None:
        """No answer can be sent any more."""
        for cycle in (self._answering, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()


class Together:
    """A connection's transport for one answer: its head and the beginning of its body leave in one packet.

    uvicorn writes them one after the other, and each write is a system call that wakes the client. A head whose body
    does not follow at once, as of an answer that has no end, leaves on its own.
    """

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head: bytes | None = b""  # b"": it is still to come; None: it has left

    def write(self, data: bytes) -> None:
        """Keep the first piece, for as long as the task that writes it goes on."""
        if self._head == b"":
            self._head = data
            self._loop.call_soon(self.leave)
        elif self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head + data)
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """As the transport's."""
        return self._transport.is_closing()

    def close(self) -> None:
        """The transport's, after what was written."""
        self.leave()
        self._transport.close()

    def leave(self) -> None:
        """What was kept, if it is here yet."""
        if self._head:
            self._transport.write(self._head)
        self._head = None


def _refusal(status: HTTPStatus) -> bytes:
    code, message = _SAID[status]
    body = {"statusCode": status.value, "error": status.phrase, "message": message, "errorCode": code}
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json; charset=utf-8\r\n"
    return f"{head}content-length: {len(text)}\r\nconnection: close\r\n\r\n".encode() + text


class Door:
    """Lets connections in at a listening socket, so many in all and so many of one address."""

    def __init__(
        self, listening: socket.socket, most: int, make: Callable[..., Connection], tls: SSLContext | None
    ) -> None:
        self._listening, self._most, self._make, self._tls = listening, most, make, tls
        self._loop = asyncio.get_running_loop()
        self._places: dict[socket.socket, bytes] = {}  # whose address each connection is of
        self._of: collections.Counter[bytes] = collections.Counter()
        self._entering: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None

    def open(self, backlog: int) -> None:
        """Connections come in from now on."""
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        self._watch()

    def close(self) -> None:
        """None comes in any more; those whose TLS is not yet agreed on end."""
        self._loop.remove_reader(self._listening.fileno())
        if self._later is not None:
            self._later.cancel()
        for task in self._entering:
            task.cancel()

    def _watch(self) -> None:
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except OSError as error:  # nobody else waits, or it is gone already
                if error.errno in _NO_ROOM:
                    self._loop.remove_reader(self._listening.fileno())
                    self._later = self._loop.call_later(_PAUSE_S, self._watch)
                return
            self._admit(accepted, _client_of(address[0]))

    def _admit(self, accepted: socket.socket, client: bytes) -> None:
        if len(self._places) >= self._most or self._of[client] >= PER_ADDRESS:
            accepted.close()
            return
        self._places[accepted] = client
        self._of[client] += 1
        task = self._loop.create_task(self._enter(accepted))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, accepted: socket.socket) -> None:
        leave = functools.partial(self._leave, accepted)
        more: dict[str, Any] = {}
        if self._tls is not None:
            more = {"ssl": self._tls, "ssl_handshake_timeout": HEADERS_S, "ssl_shutdown_timeout": _GOODBYE_S}
        try:
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(functools.partial(self._make, closed=leave), accepted, **more)
        except OSError:  # what was spoken is no TLS, or not in time, or the client has gone
            leave()
        except asyncio.CancelledError:
            leave()
            raise

    def _leave(self, accepted: socket.socket) -> None:
        client = self._places.pop(accepted, None)
        if client is not None:
            self._of[client] -= 1
            if not self._of[client]:
                del self._of[client]


def _client_of(host: str) -> bytes:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address.packed
    return address.ipv4_mapped.packed if address.ipv4_mapped else address.packed[:8]


class Clock:
    """Ends what is overdue, once a second."""

    def __init__(self, connections: Iterable[Any]) -> None:
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_later(_TICK_S, self._tick)

    def stop(self) -> None:
        """No more."""
        self._next.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            connection.end_if_overdue(now)
        self._next = self._loop.call_later(_TICK_S, self._tick)
