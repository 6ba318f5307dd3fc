"""A response's body as it comes: counted, decoded and bounded, so that no bomb ever unfolds.

Undone as urllib3 undoes it, since hooks know that: gzip of several members, what follows the last one ignored; deflate
with or without zlib's frame; a stream that stops early is what came of it. An encoding not known here (br, zstd) is
left to the hook. Bounded at every step: as it comes, between two encodings, and in the end.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from engine.egress.refusals import Refused, Unanswered

_PIECE_BYTES = 64 << 10  # unfolded at a time: the most that is ever held beyond the bound
_MOST_ENCODINGS = 3
_MOST_MEMBERS = 1024  # of one gzip: members that hold nothing cost time too
_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS

Take = Callable[[bytes], None]


class Body:
    """Takes the pieces of a body, gives it whole. Raises Refused, Unanswered at the first piece that is too much."""

    def __init__(self, host: str, encoding: str, most: int) -> None:
        self.received_bytes = 0  # as they came
        self._host = host
        self._most = most
        self._decoded = bytearray()
        self._take: Take = self._keep
        for name in self._known(encoding):  # in the order in which they were done; the last is undone first
            undo = _Deflated if name == "deflate" else _Gzipped
            self._take = undo(self._take, self._bound(), self._undecodable(name)).feed

    def feed(self, data: bytes) -> None:
        """The next piece, as it came."""
        self.received_bytes += len(data)
        if self.received_bytes > self._most:
            raise self._too_large()
        self._take(data)

    def expect(self, length: int) -> None:
        """So much is to come: refused before it does, if it is too much."""
        if length > self._most:
            raise self._too_large()

    def whole(self) -> bytes:
        """All of it, decoded."""
        return bytes(self._decoded)

    def _keep(self, data: bytes) -> None:
        if len(self._decoded) + len(data) > self._most:
            raise self._too_large()
        self._decoded += data

    def _known(self, encoding: str) -> list[str]:
        """The encodings to undo: all of them, or none if one is not known."""
        names = [name.strip().lower() for name in encoding.split(",")]
        names = [name for name in names if name not in {"", "identity"}]
        if len(names) > _MOST_ENCODINGS:
            raise Unanswered("undecodable", f"{self._host} sent a body in more than {_MOST_ENCODINGS} encodings")
        return names if all(name in {"gzip", "x-gzip", "deflate"} for name in names) else []

    def _bound(self) -> Take:
        """Counts what one encoding unfolds to."""
        unfolded = 0

        def count(piece: bytes) -> None:
            nonlocal unfolded
            unfolded += len(piece)
            if unfolded > self._most:
                raise self._too_large()

        return count

    def _too_large(self) -> Refused:
        return Refused("response-size", f"{self._host} sent more than the {self._most} bytes that a response may have")

    def _undecodable(self, name: str) -> Unanswered:
        return Unanswered("undecodable", f"{self._host} sent a body that is not {name}, though it says so")


class _Gzipped:
    """Undoes gzip, member by member."""

    def __init__(self, take: Take, count: Take, fault: Unanswered) -> None:
        self._take = take
        self._count = count
        self._fault = fault
        self._inflater = zlib.decompressobj(_GZIP)
        self._members = 0  # that ended
        self._over = False

    def feed(self, data: bytes) -> None:
        while data and not self._over:
            self._inflate(data)
            data = self._inflater.unused_data
            if self._inflater.eof:
                self._begin_member()

    def _inflate(self, data: bytes) -> None:
        try:
            for piece in _pieces(self._inflater, data):
                self._count(piece)
                self._take(piece)
        except zlib.error:
            if not self._members:
                raise self._fault from None
            self._over = True

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise self._fault
        self._inflater = zlib.decompressobj(_GZIP)


class _Deflated:
    """Undoes deflate. What it begins with is kept until something comes out: it may have to be read again, as raw."""

    def __init__(self, take: Take, count: Take, fault: Unanswered) -> None:
        self._take = take
        self._count = count
        self._fault = fault
        self._inflater = zlib.decompressobj()
        self._begun: bytearray | None = bytearray()  # None: it is known which of the two it is

    def feed(self, data: bytes) -> None:
        if self._inflater.eof:
            return
        if self._begun is not None:
            self._begun += data
        try:
            self._inflate(data)
        except zlib.error:
            if self._begun is None:
                raise self._fault from None
            self._feed_as_raw(bytes(self._begun))

    def _feed_as_raw(self, data: bytes) -> None:
        self._begun = None
        self._inflater = zlib.decompressobj(_RAW)
        self.feed(data)

    def _inflate(self, data: bytes) -> None:
        for piece in _pieces(self._inflater, data):
            if piece:
                self._begun = None
            self._count(piece)
            self._take(piece)


def _pieces(inflater: Any, data: bytes) -> Iterator[bytes]:  # zlib's type has no public name
    """What comes out, a piece at a time: whoever has had enough stops asking."""
    full = False
    while data or full:  # full: more may wait within zlib, though it has taken all its input
        piece = inflater.decompress(data, _PIECE_BYTES)
        data, full = inflater.unconsumed_tail, len(piece) == _PIECE_BYTES
        yield piece
