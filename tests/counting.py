"""A loopback server that counts what hooks ask it for, and answers when the test wants it to."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 60
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Counting:
    """`GET /anything` is counted as `anything`. Paths that are held are answered when they are let go."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._held: set[str] = set()
        self._connected: set[asyncio.WriteTransport] = set()
        self._waiting: list[tuple[str, asyncio.WriteTransport]] = []
        self._changed = threading.Condition()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        assert self._opened.wait(PATIENCE_S)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._opened.set()
        await self._stop.wait()
        server.close()
        for transport in self._connected:
            transport.abort()
        await asyncio.sleep(0)  # in which they are closed

    def hold(self, name: str) -> None:
        """Do not answer it, from now on."""
        self._held.add(name)

    def let_go(self, name: str) -> None:
        """Answer it, and what waits for that."""
        self._loop.call_soon_threadsafe(self._let_go, name)

    def wait_for(self, name: str, times: int = 1) -> None:
        """Until it has been asked for so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.seen[name] >= times, PATIENCE_S), f"nobody asked for {name}"

    def count(self, name: str, transport: asyncio.WriteTransport) -> None:
        """Called by a connection."""
        with self._changed:
            self.seen[name] += 1
            self._changed.notify_all()
        if name in self._held:
            self._waiting.append((name, transport))
        else:
            transport.write(_ANSWER)

    def begin(self, transport: asyncio.WriteTransport) -> None:
        """Called by a connection."""
        self._connected.add(transport)

    def end(self, transport: asyncio.WriteTransport) -> None:
        """Called by a connection."""
        self._connected.discard(transport)
        self._waiting = [each for each in self._waiting if each[1] is not transport]

    def _let_go(self, name: str) -> None:
        self._held.discard(name)
        for transport in [transport for held, transport in self._waiting if held == name]:
            transport.write(_ANSWER)
        self._waiting = [each for each in self._waiting if each[0] != name]

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


class _Connection(asyncio.Protocol):
    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._counting.begin(transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._counting.end(self._transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while b"\r\n\r\n" in self._read:
            head, _, self._read = self._read.partition(b"\r\n\r\n")
            self._counting.count(head.split(b" ")[1].decode().strip("/"), self._transport)


@contextmanager
def counting() -> Iterator[Counting]:
    """One, until the block ends."""
    server = Counting()
    try:
        yield server
    finally:
        server.close()
