"""Names to addresses, each lookup on a thread of its own: the system's resolver cannot be asked without waiting.

Not a ThreadPoolExecutor: a lookup that hangs would hold up the end of the process. Threads here are daemons, end with
their lookup, and are counted until they do, also when nobody waits any more. Nothing is kept from one lookup to the
next: what a name leads to is asked and checked for each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from engine.egress.refusals import Refused, Unanswered
from engine.egress.urls import Address

_MOST_AT_ONCE = 4

Resolve = Callable[[str, int], list[Address]]
Found = TypeVar("Found")


class Names:
    """The lookups of one tenant."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._threads = asyncio.Semaphore(_MOST_AT_ONCE)

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Every address that the name has now, in the order to try them. Raises Refused, Unanswered."""
        await self._threads.acquire()
        try:
            found = await in_thread(lambda: self._resolve(host, port), self._threads.release)
        except (OSError, ValueError):
            found = []
        if not found:
            raise Unanswered("connection", f"{host} has no address: there is no such name, or it cannot be found now")
        return list(dict.fromkeys(found))


def look_up(host: str, port: int) -> list[Address]:
    """What the system's resolver says. Bytes, since a text would be read as an international name first."""
    answers = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [_address(host, answer[4]) for answer in answers]


def _address(host: str, endpoint: tuple[Any, ...]) -> Address:
    address = ipaddress.ip_address(endpoint[0])
    scope = endpoint[3] if len(endpoint) == 4 else 0
    if scope or getattr(address, "scope_id", None) is not None:
        raise Refused("private-address", f"{host} leads to an address that only this machine's own network knows")
    return address


async def in_thread(work: Callable[[], Found], ended: Callable[[], None] = lambda: None) -> Found:
    """What `work` returns or raises. `ended` is called in the event loop when the thread has ended, awaited or not."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[Found | None, BaseException | None]] = loop.create_future()

    def settle(result: Found | None, error: BaseException | None) -> None:
        ended()
        if not outcome.done():
            outcome.set_result((result, error))

    def run() -> None:
        try:
            settled: tuple[Found | None, BaseException | None] = (work(), None)
        except BaseException as raised:  # noqa: BLE001 - handed to whoever waits
            settled = (None, raised)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, *settled)

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError:  # the system has no more threads
        settle(None, OSError("no thread"))
    result, error = await outcome
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error there is a result
