"""The HTTP server of ours with an app that is none, to be sent what no client of ours would send."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from serving import PATIENCE_S

from engine import connections
from engine.config import Config
from engine.server import Server

ASKED = b"GET / HTTP/1.1\r\nhost: x\r\n"
BODY = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body or, by the path: so many bytes, how many headers, at once, half of it, never."""
    wanted, length, more = scope["path"][1:], 0, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length, more = length + len(message.get("body", b"")), message.get("more_body", False) or wanted == "never"
    told = b"%d" % len(scope["headers"]) if wanted == "headers" else b"%d" % length
    body = b"x" * int(wanted) if wanted.isdigit() else told
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    while wanted == "head" and (await receive())["type"] != "http.disconnect":
        pass
    await send({"type": "http.response.body", "body": body})


class Running:
    """A server of that app in a thread; `connect(host)` from that address of this machine."""

    def __init__(self, config: Config, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._config, self._opened, self._new_loop = config, threading.Event(), loop
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._opened.wait(PATIENCE_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.server = Server(self._config, _app, self._listening)
        await self.server.run(self._opened.set)

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        """A plain connection, with this machine's patience."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S, source_address=(host, 0))

    def ask(self, sent: bytes, host: str = "127.0.0.1") -> bytes:
        """All that comes until the server closes."""
        with self.connect(host) as client:
            client.sendall(sent)
            return rest(client)

    def later(self, seconds: float) -> None:
        """Every connection has waited for so much longer, and that is looked at."""
        done = threading.Event()

        def pass_by() -> None:
            for each in list(self.server._uvicorn.server_state.connections):
                each._since -= seconds
                each.end_if_overdue(self._loop.time())
            done.set()

        self._loop.call_soon_threadsafe(pass_by)
        assert done.wait(PATIENCE_S)

    def end(self) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self.server.stop)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def rest(client: socket.socket) -> bytes:
    """What comes until the end, however that comes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(1 << 16):
            received += chunk
    return received


@contextlib.contextmanager
def servers(patched: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Any]:
    """`start(tls_cert=None, HEADERS_S=…, …)`: a server with these bounds instead of those that a test cannot wait for."""
    started: list[Running] = []

    def begin(tls_cert: str | None = None, **bounds: float) -> Running:
        for name, value in ({"_TICK_S": 0.02} | bounds).items():
            patched.setattr(connections, name, value)
        started.append(Running(Config(tls_cert=tls_cert), loop))
        return started[-1]

    yield begin
    for each in started:
        each.end()


def is_alive(running: Running, host: str = "127.0.0.1") -> bool:
    """Whether it answers somebody else."""
    return running.ask(ASKED + b"connection: close\r\n\r\n", host).startswith(b"HTTP/1.1 200 ")
