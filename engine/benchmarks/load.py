"""Many calls of one server at once: keep-alive connections that each ask, take the answer whole, and ask again.

Written on the transport, because what a client costs is taken from the server that shares its machine.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Self, cast

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_AFTER = re.compile(rb"\r\nretry-after: (\d+)\r\n", re.IGNORECASE)
_AGAIN_S = 0.1  # after a refusal that does not say when
REFUSED = (429, 503)


@dataclass(frozen=True, slots=True)
class Tally:
    """What has been answered."""

    took_ms: list[float] = field(default_factory=list)  # of each answer that was no refusal
    statuses: Counter[int] = field(default_factory=Counter)
    last: list[bytes] = field(default_factory=list)  # the body of one answer

    def only(self, status: int) -> Tally:
        """The same. Raises RuntimeError when anything was answered otherwise: it would be no measure."""
        if set(self.statuses) != {status}:
            raise RuntimeError(f"answers other than {status}: {dict(self.statuses)}, as {self.last[-1:]}")
        return self


def request(path: str, token: str, body: bytes) -> bytes:
    """A POST of JSON, as it crosses the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True, slots=True)
class Client:
    """Some connections from one address to a server on this machine."""

    port: int
    connections: int = 1
    source: str = "127.0.0.1"
    patient: bool = False  # a refused call is made again, when the refusal says

    async def send(self, requests: Iterable[bytes]) -> Tally:
        """Each request once, by whichever connection is free. Cancelling it hangs up."""
        tally = Tally()
        async with self.calling(iter(requests), tally) as calling:
            await calling.done()
        return tally

    def calling(self, requests: Iterator[bytes], tally: Tally) -> Calling:
        """The same while a block runs; at its end it hangs up."""
        return Calling(self, requests, tally)


class Calling:
    """Connections that are asking."""

    def __init__(self, client: Client, requests: Iterator[bytes], tally: Tally) -> None:
        self._client = client
        self._make = lambda: _Connection(requests, tally, patient=client.patient)
        self._open: list[_Connection] = []

    async def __aenter__(self) -> Self:
        loop, source = asyncio.get_running_loop(), (self._client.source, 0)
        for _ in range(self._client.connections):
            _, connection = await loop.create_connection(self._make, "127.0.0.1", self._client.port, local_addr=source)
            self._open.append(connection)
        for each in self._open:
            each.ask()
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._open:
            each.end()

    async def done(self) -> None:
        """Until every request is answered. Raises ConnectionError when the server hangs up."""
        await asyncio.gather(*(each.over for each in self._open))


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, requests: Iterator[bytes], tally: Tally, *, patient: bool) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._tally, self._patient = requests, tally, patient
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods alone

    def ask(self) -> None:
        self._asked = next(self._requests, b"")
        if self._asked:
            self._send()
        elif not self.over.done():
            self.over.set_result(None)

    def end(self) -> None:
        self._transport.abort()
        self.over.cancel()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head = self._read.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._read, 0, head + 2)
        assert length is not None, "every answer of ours has one"
        if len(self._read) >= head + 4 + int(length[1]):
            after = _AFTER.search(self._read, 0, head + 2)
            again_s = int(after[1]) if after else _AGAIN_S
            self._answered(int(self._read[9:12]), self._read[head + 4 :], again_s)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or ConnectionResetError("the server has hung up"))

    def _send(self) -> None:
        self._begun = time.perf_counter()
        if not self._transport.is_closing():
            self._transport.write(self._asked)

    def _answered(self, status: int, body: bytes, again_s: float) -> None:
        took_ms = (time.perf_counter() - self._begun) * 1000
        self._read = b""
        self._tally.statuses[status] += 1
        self._tally.last[:] = [body]
        if status in REFUSED and self._patient:
            asyncio.get_running_loop().call_later(again_s, self._send)
            return
        self._tally.took_ms.append(took_ms)
        self.ask()


def endless(one: bytes) -> Iterator[bytes]:
    """The same request for ever."""
    return chain.from_iterable(iter(lambda: (one,), None))
