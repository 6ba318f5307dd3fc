"""One connection to a checked address, and how it is made. It carries one exchange at a time.

What a server sends when nobody has asked is never an answer: an idle connection on which anything comes is closed, and
before one is used again the kernel is asked whether something waits.

A protocol of asyncio's and not its streams: no task and no second buffer, one future for an exchange.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from typing import cast

from engine.egress.exchange import Answer, new_parser, serialise
from engine.egress.refusals import Refused, Unanswered
from engine.egress.transport import Request, Response, Timings
from engine.egress.urls import Address, Target
from engine.outcome import to_microseconds
from sandbox.wire import FailureKind

_RESET = struct.pack("ii", 1, 0)  # what the server has not read, the kernel need not keep for it either


class Stale(Unanswered):
    """A connection that was kept turned out to be closed, before a byte of the response came."""


class Connection(asyncio.BufferedProtocol):
    """One open connection. After an exchange it is either `reusable` or to be aborted."""

    def __init__(self, end: socket.socket, target: Target, view: memoryview) -> None:
        loop = asyncio.get_running_loop()
        self.key = (target.scheme, target.host, target.port)
        self.reusable = False  # its last response came whole, and nothing after it
        self.gone: asyncio.Future[None] = loop.create_future()  # done when the socket is closed
        self._loop = loop
        self._socket = end
        self._view = view  # what is read is copied out at once
        self._parser = new_parser()
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None  # of the exchange under way, or the last one
        self._fault: Refused | Unanswered | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._headed: float | None = None  # when the response's headers were there
        self._closed = False
        self._early = b""  # what came before the first request

    async def exchange(self, request: Request, timings: Timings) -> Response:
        """The response to one request. Raises Refused, Unanswered. If it is cancelled, abort the connection."""
        assert self._transport is not None
        kept = self._answer is not None
        if kept:
            self._parser.start_next_cycle()
        self.reusable, self._headed = False, None
        self._answer = answer = Answer(request, self._parser)
        sending = serialise(request, self._parser)
        if not self._closed:
            self._transport.write(sending)
            await self._settled(timings)
        if answer.whole:
            self.reusable = answer.clean and not self._closed and not self._transport.get_write_buffer_size()
            return answer.response()
        fault = self._fault or answer.cut_off()
        raise Stale(fault.kind, fault.said) if kept and isinstance(fault, Unanswered) and not answer.begun else fault

    async def _settled(self, timings: Timings) -> None:
        sent = time.perf_counter()
        self._waiter = self._loop.create_future()
        if self._early:
            self._hear_early()
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._headed is not None:
                timings.first_byte_ms = milliseconds(self._headed - sent)

    def still_quiet(self) -> bool:
        """Whether it is open and nothing waits to be read that nobody asked for."""
        if self._closed:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def abort(self) -> None:
        """Close it now. There is nothing left to be said."""
        assert self._transport is not None
        self._closed = True
        unread = self._transport.get_write_buffer_size() or (self._answer and not self._answer.whole)
        if unread and self._socket.fileno() != -1:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def never_handed_over(self) -> None:
        """The event loop gave up on making it, or was told to. It closes the socket, and may tell nobody.

        asyncio is silent when TLS was not agreed on; uvloop also when it was told in the very turn in which it had
        called `connection_made`.
        """
        self._closed = True
        self._is_gone()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: connected, and TLS agreed on."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's parameter
        """Asyncio's: where to read to."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Asyncio's: so much was read."""
        data = bytes(self._view[:nbytes])
        if self._answer is None:
            self._keep_early(data)
        elif self._waits():
            self._hear(data)
        else:
            self.abort()

    def _keep_early(self, data: bytes) -> None:
        """A server that is too busy may answer before it is asked, and close. The answer waits for the request.

        Whether it is read before or after that depends on the event loop, and on nothing that means anything.
        """
        assert self._transport is not None
        self._early += data
        self._transport.pause_reading()

    def _hear_early(self) -> None:
        assert self._transport is not None
        early, self._early = self._early, b""
        self._transport.resume_reading()
        self._hear(early)

    def _hear(self, data: bytes) -> None:
        assert self._answer is not None
        try:
            self._answer.feed(data)
        except (Refused, Unanswered) as fault:
            self._settle(fault)
        else:
            if self._headed is None and self._answer.head:
                self._headed = time.perf_counter()
            if self._answer.whole:
                self._settle()

    def eof_received(self) -> None:
        """Asyncio's: the server sends no more. Asyncio closes the connection."""
        if self._waits():
            assert self._answer is not None
            try:
                self._answer.end()
            except Unanswered as fault:
                self._settle(fault)
            else:
                self._settle()
        self._closed = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's parameter
        """Asyncio's: the socket is closed, by us, by the server or by a failure."""
        self._closed = True
        if self._waits():
            assert self._answer is not None
            self._settle(self._answer.cut_off())
        self._is_gone()

    def _is_gone(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def _waits(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _settle(self, fault: Refused | Unanswered | None = None) -> None:
        """End the exchange. The fault is kept, not set on the future: nobody may be left to take it."""
        assert self._waiter is not None
        self._fault = fault
        self._waiter.set_result(None)
        if fault is not None:
            self.abort()


async def reach(target: Target, addresses: Sequence[Address], until: float) -> socket.socket:
    """A socket connected to the first address that lets us. Each gets its share of the time. Raises Unanswered.

    One text for a port that refuses and a host that is not there: which of them it was is not a hook's to learn.
    """
    kind: FailureKind = "connection"
    loop = asyncio.get_running_loop()
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        share = loop.time() + (until - loop.time()) / left
        try:
            async with asyncio.timeout_at(share if left > 1 else None):
                return await _connect(address, target.port)
        except TimeoutError:
            kind = "connect_timeout"
        except OSError:
            kind = "connection"
    raise Unanswered(kind, f"{target.host} cannot be reached")


async def _connect(address: Address, port: int) -> socket.socket:
    end = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, (str(address), port))
        _check_peer(end, address)
    except BaseException:
        end.close()
        raise
    return end


def _check_peer(end: socket.socket, address: Address) -> None:
    """Nothing between us and the kernel may have led elsewhere."""
    if ipaddress.ip_address(end.getpeername()[0]) != address:
        raise OSError("connected to another address than the checked one")


async def converse(connection: Connection, end: socket.socket, host: str, context: ssl.SSLContext | None) -> None:
    """Begin to read from a connected socket; with a context, once TLS is agreed on for that host. Raises Unanswered."""
    loop = asyncio.get_running_loop()
    try:
        name = host if context else None
        await loop.create_connection(lambda: connection, sock=end, ssl=context, server_hostname=name)
    except BaseException as error:
        connection.never_handed_over()
        if isinstance(error, OSError):
            raise _no_tls(host, error) from None
        raise


def _no_tls(host: str, error: OSError) -> Unanswered:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unanswered("tls", f"the certificate of {host} is not valid: {error.verify_message}")
    if isinstance(error, ssl.SSLError) or error.errno is None:  # asyncio's own error for an end within the handshake
        return Unanswered("tls", f"no TLS with {host}: it speaks none at this port, or none that is new enough")
    return Unanswered("connection", f"{host} closed the connection before it answered")


def secure_context() -> ssl.SSLContext:
    """What TLS has to be: 1.2 or newer, the certificate checked against the name. Trusts nobody yet.

    One context serves all tenants: as a client's it holds no session. Python never turns on OpenSSL's cache of them,
    and resumes one only where it is handed over, which asyncio cannot do. Tickets are declined all the same.
    Not `ssl.create_default_context`, which writes keys to where SSLKEYLOGFILE says.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def trusting_context(ca_file: str | None = None) -> ssl.SSLContext:
    """The same, trusting certifi's authorities as requests does, and those of `ca_file`: tens of milliseconds.

    Raises OSError for a file that cannot be read or holds no certificates in PEM.
    """
    import certifi  # noqa: PLC0415 - with its resources, only where there is https

    context = secure_context()
    context.load_verify_locations(certifi.where())
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def milliseconds(seconds: float) -> float:
    """As timings are given: to the microsecond."""
    return to_microseconds(seconds * 1000)
