"""The loopback server of the egress benchmarks, a process of its own: the least that answers HTTP.

On standard input: a number → that number, when so many requests of /slow wait; `go` → they are answered. It ends with
its input.
"""

from __future__ import annotations

import asyncio
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
_slow: list[asyncio.BaseTransport] = []
_one_more = asyncio.Event()


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        *requests, self._read = (self._read + data).split(b"\r\n\r\n")
        for request in requests:
            if request.startswith(b"GET /slow "):
                _slow.append(self._transport)
                _one_more.set()
            else:
                _answer(self._transport)


def _answer(transport: asyncio.BaseTransport) -> None:
    assert isinstance(transport, asyncio.WriteTransport)
    transport.write(_ANSWER)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0)
    _say(server.sockets[0].getsockname()[1])
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "go":
            while _slow:
                _answer(_slow.pop())
        else:
            await _are_waiting(int(line))
        _say(line)


async def _are_waiting(number: int) -> None:
    while len(_slow) < number:
        _one_more.clear()
        await _one_more.wait()


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve())
