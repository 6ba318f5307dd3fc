"""One tenant's way out under one policy: its turns, its lookups, its idle connections. Nothing of it is shared.

An exchange waits for its turn, takes an idle connection or makes one, and has its response, all within the request's
times. `requests` never repeats a call; here one is repeated, once, in the one case that is ours and not the hook's: an
idle connection that the server closed while the request was on its way, and a method that may be repeated (RFC 9110,
section 9.2.2). A POST is not, since nobody knows whether it was read.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable

from engine.egress.connection import Connection, Stale, converse, milliseconds, reach
from engine.egress.names import Names, Resolve
from engine.egress.policy import EgressPolicy, check_addresses
from engine.egress.refusals import Unanswered
from engine.egress.transport import Request, Response, Timings
from engine.egress.urls import Address, Target

IDLE_S = 30.0  # a connection is kept unused; many servers close after 60
_READ_BYTES = 32 << 10  # at a time, before others have their turn
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class Kept:
    """The idle connections of all uplinks together, so that many tenants with one each do not use up descriptors."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._connections: dict[Connection, None] = {}  # the one used last at the end

    def add(self, connection: Connection) -> None:
        """Count one more. Over the bound, the one unused for longest is closed."""
        self._connections[connection] = None
        if len(self._connections) > self._most:
            oldest = next(iter(self._connections))
            self.remove(oldest)
            oldest.abort()

    def remove(self, connection: Connection) -> None:
        """It is in use again, or closed."""
        self._connections.pop(connection, None)


class Uplink:
    """Made by the Network, for one tenant and one policy."""

    def __init__(
        self,
        policy: EgressPolicy,
        resolve: Resolve,
        find_context: Callable[[], Awaitable[ssl.SSLContext]],
        kept: Kept,
    ) -> None:
        self.used = asyncio.get_running_loop().time()
        self._policy = policy
        self._find_context = find_context
        self._names = Names(resolve)
        self._turns = asyncio.Semaphore(policy.at_once)
        self._view = memoryview(bytearray(_READ_BYTES))
        self._open: set[Connection] = set()
        self._idle: dict[Connection, asyncio.TimerHandle] = {}  # the one used last at the end
        self._kept = kept
        self._callers: set[asyncio.Task[object]] = set()  # of exchanges under way, or waiting for their turn
        self._retired = False

    @property
    def under_way(self) -> bool:
        """Whether there is an exchange, or one that waits for its turn."""
        return bool(self._callers)

    async def fetch(self, request: Request, timings: Timings) -> Response:
        """The response. Raises Refused, Unanswered; leaves nothing behind if cancelled."""
        connect_end = _end(request, request.connect_s)
        caller = asyncio.current_task()
        assert caller is not None
        self._callers.add(caller)
        try:
            await self._turn(request, connect_end)
            try:
                return await self._exchange(request, timings, connect_end)
            finally:
                self._turns.release()
        finally:
            self._callers.discard(caller)
            self.used = asyncio.get_running_loop().time()

    def retire(self) -> None:
        """Close what is idle and keep no connection from now on. What is under way goes on."""
        self._retired = True
        for connection, timer in self._idle.items():
            timer.cancel()
            connection.abort()
        self._idle.clear()

    async def close(self) -> None:
        """End everything, exchanges under way by cancelling them, and wait until it has ended."""
        self.retire()
        callers = list(self._callers)
        for caller in callers:
            caller.cancel()
        if callers:
            await asyncio.wait(callers)
        closing = list(self._open)
        for connection in closing:
            connection.abort()
        for connection in closing:
            await connection.gone

    async def _turn(self, request: Request, end: float) -> None:
        if not self._turns.locked():
            await self._turns.acquire()  # at once
            return
        try:
            async with asyncio.timeout_at(end):
                await self._turns.acquire()
        except TimeoutError:
            most = self._policy.at_once
            said = f"{request.target.host} was not called: {most} calls were under way, the most at a time"
            raise Unanswered("connect_timeout", said) from None

    async def _exchange(self, request: Request, timings: Timings, connect_end: float) -> Response:
        kept = self._take(request.target)
        if kept is not None:
            try:
                return await self._carry(kept, request, timings)
            except Stale:
                if request.method not in _REPEATABLE:
                    raise
                connect_end = _end(request, request.connect_s)
        fresh = await self._dial(request.target, timings, connect_end)
        return await self._carry(fresh, request, timings)

    async def _carry(self, connection: Connection, request: Request, timings: Timings) -> Response:
        """One bound for the whole response, from the first byte sent: a drip does not extend it."""
        try:
            async with asyncio.timeout_at(_end(request, request.read_s)):
                return await connection.exchange(request, timings)
        except TimeoutError:
            raise Unanswered("read_timeout", f"{request.target.host} did not answer in full in time") from None
        finally:
            if connection.reusable and not self._retired:
                self._keep(connection)
            else:
                connection.abort()

    async def _dial(self, target: Target, timings: Timings, end: float) -> Connection:
        try:
            async with asyncio.timeout_at(end):
                return await self._connect(target, timings, end)
        except TimeoutError:
            raise Unanswered("connect_timeout", f"{target.host} was not reached in time") from None
        except OSError:  # no descriptor or no thread left: the engine's own trouble, for which a call is no crash
            raise Unanswered("connection", f"{target.host} cannot be reached") from None

    async def _connect(self, target: Target, timings: Timings, end: float) -> Connection:
        context = await self._find_context() if target.scheme == "https" else None
        addresses = await self._checked(target, timings)
        begun = time.perf_counter()
        socket = await reach(target, addresses, end)
        timings.connect_ms = milliseconds(time.perf_counter() - begun)
        connection = Connection(socket, target, self._view)
        self._open.add(connection)
        connection.gone.add_done_callback(lambda _: self._forget(connection))
        begun = time.perf_counter()
        await converse(connection, socket, target.host, context)
        timings.tls_ms = milliseconds(time.perf_counter() - begun) if context else None
        return connection

    async def _checked(self, target: Target, timings: Timings) -> list[Address]:
        """Where to connect to: every address of the name has been checked, and no name is asked for again."""
        if target.address is not None:
            addresses = [target.address]
        else:
            begun = time.perf_counter()
            addresses = await self._names.addresses(target.host, target.port)
            timings.dns_ms = milliseconds(time.perf_counter() - begun)
        check_addresses(self._policy, target, addresses)
        return addresses

    def _take(self, target: Target) -> Connection | None:
        """The idle connection to that server that was used last."""
        key = (target.scheme, target.host, target.port)
        for connection in [known for known in reversed(self._idle) if known.key == key]:
            self._idle.pop(connection).cancel()
            self._kept.remove(connection)
            if connection.still_quiet():
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection) -> None:
        self._idle[connection] = asyncio.get_running_loop().call_later(IDLE_S, connection.abort)
        if len(self._idle) > self._policy.at_once:
            oldest = next(iter(self._idle))
            self._idle.pop(oldest).cancel()
            self._kept.remove(oldest)
            oldest.abort()
        self._kept.add(connection)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._kept.remove(connection)
        if timer := self._idle.pop(connection, None):
            timer.cancel()


def _end(request: Request, seconds: float) -> float:
    return min(asyncio.get_running_loop().time() + seconds, request.end)
