"""One request and its response on the wire: what is written, and what of the answer is believed.

No I/O: bytes in, bytes out. h11 is strict about where a message ends, which is what a second message would hide behind.
What comes is read in small pieces and stops at the first thing that is too much, so that a hostile server costs little
time: its headers are counted before they are parsed, its chunks while they come.
"""

from __future__ import annotations

from typing import Any

import h11

from engine.egress import headers
from engine.egress.decoding import Body
from engine.egress.refusals import Refused, Unanswered
from engine.egress.transport import Request, Response
from sandbox.wire import Headers

_HEAD_PIECE_BYTES = 4 << 10  # parsed at a time: so much more than the bounds allow may come to be parsed
_BODY_PIECE_BYTES = 16 << 10
_MOST_INFORMATIONAL = 10
_FREE_CHUNKS = 1024  # of one body: each costs the event loop's time, however small
_CHUNK_BYTES = 128  # of more chunks than that, on average at least
_LENGTH_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # told "0" without a body, as requests does


def new_parser() -> h11.Connection:
    """The state of HTTP/1.1 on one connection, for one exchange after the other."""
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=headers.RESPONSE_HEADER_BYTES)


def serialise(request: Request, parser: h11.Connection) -> bytes:
    """What goes out: the headers as the hook named them, and those that are ours. Raises Refused."""
    try:
        lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in _sent(request)]
        head = parser.send(h11.Request(method=request.method, target=request.target.path, headers=lines)) or b""
        body = (parser.send(h11.Data(data=request.body)) if request.body else None) or b""
        return head + body + (parser.send(h11.EndOfMessage()) or b"")
    except (h11.LocalProtocolError, UnicodeError):
        raise Refused("header", "the request cannot be written as HTTP/1.1; look at its headers") from None


def _sent(request: Request) -> Headers:
    lines = (("Host", request.target.authority), *request.headers)
    if not any(name.lower() == "accept-encoding" for name, _ in request.headers):
        lines = (*lines, ("Accept-Encoding", "identity"))
    if request.body or request.method in _LENGTH_METHODS:
        lines = (*lines, ("Content-Length", str(len(request.body))))
    return (*lines, ("Connection", "keep-alive"))


class Answer:
    """The response to one request, as it comes. Whoever feeds it closes the connection when it raises."""

    def __init__(self, request: Request, parser: h11.Connection) -> None:
        self.begun = False  # a byte has come
        self.head: h11.Response | None = None
        self.whole = False
        self.clean = False  # whole, and nothing came after it: the connection may serve another exchange
        self._host = request.target.host
        self._most = request.response_bytes
        self._bodiless = request.method == "HEAD"
        self._parser = parser
        self._headers: Headers = ()
        self._body: Body | None = None
        self._informational = 0
        self._chunks = 0
        self._lines = 0  # that have come of something that is not whole yet: headers or trailers

    def feed(self, data: bytes) -> None:
        """What came. Raises Refused, Unanswered."""
        self.begun = True
        while data and not self.whole:
            length = _BODY_PIECE_BYTES if self.head else _HEAD_PIECE_BYTES
            self._feed_piece(data[:length])
            data = data[length:]
        self.clean = self.clean and not data

    def end(self) -> None:
        """Nothing more comes. Raises Unanswered, unless that is how this body ends."""
        self._parse(b"")
        if not self.whole:
            raise self.cut_off()

    def cut_off(self) -> Unanswered:
        """Why the response is not whole when no more comes: before its headers it is none at all, then a broken one."""
        return self._fault("closed the connection before " + ("its response was whole" if self.head else "it answered"))

    def response(self) -> Response:
        """The whole response."""
        assert self.whole
        assert self.head is not None
        assert self._body is not None
        return Response(
            status=self.head.status_code,
            reason=self.head.reason.decode("latin-1"),
            headers=self._headers,
            body=self._body.whole(),
            received_bytes=self._body.received_bytes,
        )

    def _feed_piece(self, piece: bytes) -> None:
        if self._parse(piece):
            self._lines = 0
            return
        self._lines += piece.count(b"\n")
        if self._lines > headers.RESPONSE_HEADERS + 2:  # with the first line and the empty one
            raise _too_many_headers(self._host)

    def _parse(self, data: bytes) -> bool:
        """Whether something came to its end."""
        came = False
        try:
            self._parser.receive_data(data)
            while not self.whole and (event := self._parser.next_event()) is not h11.NEED_DATA:
                came = True
                self._accept(event)
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431 and data:
                raise _too_many_headers(self._host) from None
            raise (self._fault("sent something that is not HTTP/1.1") if data else self.cut_off()) from None
        return came

    def _accept(self, event: object) -> None:
        if isinstance(event, h11.Data):
            self._accept_data(event)
        elif isinstance(event, h11.EndOfMessage):
            self._accept_end(event)
        elif isinstance(event, h11.Response):
            self._accept_head(event)
        elif isinstance(event, h11.InformationalResponse):
            self._accept_informational(event)
        else:
            raise self.cut_off()

    def _accept_informational(self, event: h11.InformationalResponse) -> None:
        self._informational += 1
        headers.check_response_headers(_in_latin(event.headers))
        if event.status_code == 101:
            raise self._fault("changed to another protocol")
        if self._informational > _MOST_INFORMATIONAL:
            raise _too_many_headers(self._host)

    def _accept_head(self, event: h11.Response) -> None:
        self.head = event
        self._headers = _in_latin(event.headers)
        headers.check_response_headers(self._headers)
        bodiless = self._bodiless or event.status_code in {204, 304}
        found = dict(event.headers)  # lower-case; h11 lets no second length through
        encoding = b",".join(value for name, value in event.headers if name == b"content-encoding")
        self._body = Body(self._host, "" if bodiless else encoding.decode("latin-1"), self._most)
        if not bodiless and b"transfer-encoding" not in found:
            self._body.expect(int(found.get(b"content-length", b"0")))

    def _accept_data(self, event: h11.Data) -> None:
        assert self._body is not None
        self._body.feed(event.data)
        self._chunks += event.chunk_start
        if self._chunks > _FREE_CHUNKS + self._body.received_bytes // _CHUNK_BYTES:
            came = f"{self._chunks} chunks for {self._body.received_bytes} bytes"
            raise Refused("response-size", f"{self._host} sent its response in too small pieces: {came}")

    def _accept_end(self, event: h11.EndOfMessage) -> None:
        headers.check_response_headers(_in_latin(event.headers))  # trailers
        self.whole = True
        parser = self._parser
        self.clean = parser.our_state is h11.DONE and parser.their_state is h11.DONE and not any(parser.trailing_data)

    def _fault(self, deed: str) -> Unanswered:
        return Unanswered("broken" if self.head else "connection", f"{self._host} {deed}")


def _in_latin(lines: Any) -> Headers:  # h11's type has no public name
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in lines.raw_items())


def _too_many_headers(host: str) -> Refused:
    said = f"the most allowed is {headers.RESPONSE_HEADERS}, in {headers.RESPONSE_HEADER_BYTES} bytes"
    return Refused("response-headers", f"{host} sent more headers than a response may have; {said}")
