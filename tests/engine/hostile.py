"""The hostile loopback world: servers that follow a script for each connection, names that lie, certificates that fail.

A script is `async def script(peer)`: it reads what the engine sends and writes whatever it likes. Servers see the
connections from their own side, which is where a test looks whether one was closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from engine.egress import urls
from engine.egress.network import Network
from engine.egress.policy import EgressPolicy
from engine.egress.refusals import Refused, Unanswered
from engine.egress.transport import Request, Response, Timings
from engine.egress.urls import Address
from sandbox.wire import Headers

BRIEF_S = 0.05  # for what has to run out of time
_SOON_S = 15.0  # less than anything here is kept, and far more than any machine takes
LOOPBACK = EgressPolicy(exceptions=("127.0.0.0/8", "[::1]"))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Asked:
    """One request as a server saw it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int  # which of the server's, from 1

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Peer:
    """The server's end of one connection."""

    def __init__(self, server: Server, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._server = server
        self._reader = reader
        self._writer = writer

    async def request(self) -> Asked:
        """The next request, with a body of its Content-Length."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = [(line.split(":", 1)[0], line.split(":", 1)[1].strip()) for line in head[1:] if line]
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        asked = Asked(head[0], headers, await self._reader.readexactly(length), self.number)
        self._server.asked.append(asked)
        return asked

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def flood(self, data: bytes) -> int:
        """Send the same again and again until the other end has had enough. The bytes it let us send."""
        sent, data = 0, data * (4096 // len(data) + 1)
        with contextlib.suppress(OSError):
            while True:
                await self.send(data)
                sent += len(data)
        return sent

    async def gone(self) -> None:
        """Wait until the other end has closed the connection."""
        with contextlib.suppress(OSError):
            while await self._reader.read(65536):
                pass

    async def gone_without_reading(self) -> None:
        """Wait until the other end has closed the connection, without making room for what it sends."""
        loop = asyncio.get_running_loop()
        end = self._writer.transport.get_extra_info("socket").fileno()
        closed = loop.create_future()
        with select.epoll() as watch:
            watch.register(end, select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR)
            loop.add_reader(watch.fileno(), lambda: closed.done() or closed.set_result(None))
            try:
                await closed
            finally:
                loop.remove_reader(watch.fileno())

    def reset(self) -> None:
        """Close it the hard way."""
        self._writer.transport.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER, 0 s
        self._writer.transport.abort()

    @property
    def writer(self) -> asyncio.StreamWriter:
        return self._writer


Script = Callable[[Peer], Awaitable[Any]]


class Server:
    """What a running server has seen."""

    def __init__(self, script: Script) -> None:
        self.port = 0
        self.asked: list[Asked] = []
        self.connections = 0
        self.open = 0  # whose script has not ended, or that the engine has not closed
        self.idle = asyncio.Event()  # none is open
        self.faults: list[BaseException] = []
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.idle.clear()
        task = asyncio.create_task(self._serve(Peer(self, self.connections, reader, writer)), name="server")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, peer: Peer) -> None:
        try:
            await self._script(peer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as fault:  # noqa: BLE001 - shown by the fixture
            self.faults.append(fault)
        finally:
            peer.writer.transport.abort() if peer.writer.transport.is_closing() else peer.writer.close()
            self.open -= 1
            if not self.open:
                self.idle.set()

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def left(self) -> None:
        """Wait until the engine has closed every connection: soon, and not only when it is done with the tenant."""
        async with asyncio.timeout(_SOON_S):
            await self.idle.wait()

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextlib.asynccontextmanager
async def serving(
    script: Script, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """A server on a port of its own."""
    server = Server(script)
    listener = await asyncio.start_server(server.accept, host, 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.stop()
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # what was aborted is closed a round later
    assert [] == server.faults


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue is full: the kernel answers no further connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            end = stack.enter_context(socket.socket())
            end.setblocking(False)
            end.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def replying(*answers: bytes) -> Script:
    """Answers each request of a connection with the next of `answers`, the last one for ever; never closes first."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.send(answer)
        while True:
            await peer.request()
            await peer.send(answers[-1])

    return script


def once(answer: bytes) -> Script:
    """Answers one request and closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    return script


def ok(body: bytes = b"ok", *headers: str) -> bytes:
    """A whole response."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*chunks: bytes, trailers: Iterable[str] = ()) -> bytes:
    """A whole response in chunks."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    lines = "".join(f"{line}\r\n" for line in trailers).encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + lines + b"\r\n"


class Resolver:
    """Names that lead where a test says: each lookup of a name takes the next of its answers, the last one for ever."""

    def __init__(self, **names: list[list[str]]) -> None:
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[Address]:  # noqa: ARG002 - as the real one
        answers = self.names[host]
        answer = answers[min(self.asked.count(host), len(answers) - 1)]
        self.asked.append(host)
        return [ipaddress.ip_address(address) for address in answer]


class SlowResolver:
    """Names that are not answered before the test lets them be. Counts the threads that wait."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.waiting = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, host: str, port: int) -> list[Address]:  # noqa: ARG002 - as the real one
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        self.release.wait(60)
        with self._lock:
            self.waiting -= 1
        return [ipaddress.ip_address("127.0.0.1")]


class Authority:
    """A certificate authority that a test's engine trusts, and what it has signed."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def trusting(self) -> ssl.SSLContext:
        """What the engine's own context is, with this authority instead of certifi's."""
        from engine.egress.connection import secure_context  # noqa: PLC0415

        context = secure_context()
        self._authority.configure_trust(context)
        return context

    def write(self, path: Path) -> None:
        """Its own certificate, as an operator would have it."""
        self._authority.cert_pem.write_to_path(str(path))

    def server(self, *names: str, days: int = 1) -> ssl.SSLContext:
        """A server's context with a certificate for those names; with negative days it has expired."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        begins = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=30)
        self._authority.issue_cert(*names, not_after=expires, not_before=begins).configure_cert(context)
        return context


def call(method: str, url: str, headers: Headers = (), body: bytes = b"", **fields: Any) -> Request:
    """A request as the broker would make it."""
    now = asyncio.get_running_loop().time()
    times = {"connect_s": 20.0, "read_s": 20.0, "end": now + 30, "response_bytes": 64 << 10}
    return Request(method=method, url=url, target=urls.parse(url), headers=headers, body=body, **(times | fields))


@contextlib.asynccontextmanager
async def networks_of_a_test() -> AsyncIterator[Callable[..., Network]]:
    """`make(**fields)`: a network that is closed in the end. No task is left, and no lookup."""
    made: list[Network] = []

    def make(**fields: Any) -> Network:
        made.append(Network(**fields))
        return made[-1]

    yield make
    for network in made:
        await network.close()
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def failure_of(calling: Awaitable[Any]) -> Refused | Unanswered:
    """Why a call has no response."""
    with pytest.raises((Refused, Unanswered)) as caught:
        await calling
    return caught.value


class Client:
    """One tenant's transport, as a test asks it."""

    def __init__(self, network: Network, tenant: str = "acme", policy: EgressPolicy = LOOPBACK) -> None:
        self.transport = network.of(tenant, policy)
        self.timings = Timings()  # of the last call

    async def get(self, url: str, **fields: Any) -> Response:
        return await self.fetch("GET", url, **fields)

    async def fetch(self, method: str, url: str, **fields: Any) -> Response:
        self.timings = Timings()
        return await self.transport.fetch(call(method, url, **fields), self.timings)
