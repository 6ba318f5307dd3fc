"""Where a connection leads: names, the addresses that were checked, and servers that cannot be reached."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest
from hostile import (
    BRIEF_S,
    LOOPBACK,
    OK,
    Authority,
    Client,
    Peer,
    Resolver,
    SlowResolver,
    failure_of,
    full_backlog,
    ok,
    once,
    replying,
    serving,
)

from engine.egress import connection as connection_module
from engine.egress import names as names_module
from engine.egress import network as network_module
from engine.egress.names import look_up
from engine.egress.network import Network
from engine.egress.policy import EgressPolicy
from engine.egress.refusals import Refused, Unanswered

PUBLIC = "93.184.215.14"
NAMED = EgressPolicy(exceptions=("127.0.0.1",))


# Names


async def test_a_name_is_asked_for_once_and_its_checked_address_connected_to(networks: Callable[..., Network]) -> None:
    """Host and name stay what was asked for; the address comes from the one answer that was checked."""
    resolver = Resolver(api_test=[["127.0.0.1"]])
    client = Client(networks(resolve=resolver), policy=NAMED)
    async with serving(replying(OK)) as server:
        await client.get(server.url(host="api.test"))

    assert ["api.test"] == resolver.asked
    assert [f"api.test:{server.port}"] == server.asked[0].values("Host")
    assert client.timings.dns_ms is not None


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["10.0.0.1"],
    ],
)
async def test_one_private_address_among_the_answers_refuses_the_name(
    networks: Callable[..., Network], answer: list[str]
) -> None:
    """No connection is made, also not to the public ones; no address is told."""
    client = Client(networks(resolve=Resolver(api_test=[answer])), policy=EgressPolicy())
    async with serving(replying(OK)) as server:
        refusal = await failure_of(client.get(server.url(host="api.test")))

    assert isinstance(refusal, Refused)
    assert "private-address" == refusal.rule
    assert not any(address in refusal.said for address in answer)
    assert 0 == server.connections


async def test_a_metadata_address_is_refused_whatever_the_operator_allows(networks: Callable[..., Network]) -> None:
    policy = EgressPolicy(exceptions=("api.test", "169.254.0.0/16"))
    client = Client(networks(resolve=Resolver(api_test=[["169.254.169.254"]])), policy=policy)
    refusal = await failure_of(client.get("http://api.test/"))

    assert isinstance(refusal, Refused)
    assert "metadata-address" == refusal.rule


async def test_a_name_that_rebinds_is_checked_anew_for_each_connection(networks: Callable[..., Network]) -> None:
    """First where it may lead, then to loopback: the second answer is refused, the first is not remembered."""
    resolver = Resolver(api_test=[["127.0.0.2"], ["127.0.0.1"]])
    client = Client(networks(resolve=resolver), policy=EgressPolicy(exceptions=("127.0.0.2",)))
    async with serving(once(OK), host="127.0.0.2") as server:
        await client.get(server.url(host="api.test"))
        await server.left()
        refusal = await failure_of(client.get(server.url(host="api.test")))

    assert isinstance(refusal, Refused)
    assert "private-address" == refusal.rule
    assert 2 == len(resolver.asked)


async def test_a_name_that_rebinds_after_the_check_leads_nowhere_else(networks: Callable[..., Network]) -> None:
    """The checked address is connected to. A second lookup, if there were one, would lead to the other server.

    On addresses where nobody else has the port.
    """
    resolver = Resolver(api_test=[["127.0.7.2"], ["127.0.7.1"]])
    client = Client(networks(resolve=resolver), policy=LOOPBACK)
    async with serving(replying(ok(b"right")), host="127.0.7.2") as server:
        with socket.socket() as other:
            other.bind(("127.0.7.1", server.port))
            other.listen()
            other.setblocking(False)
            came = await client.get(server.url(host="api.test"))
            with pytest.raises(BlockingIOError):
                other.accept()

    assert b"right" == came.body
    assert ["api.test"] == resolver.asked


async def test_the_next_address_is_tried_when_one_does_not_answer(networks: Callable[..., Network]) -> None:
    client = Client(networks(resolve=Resolver(api_test=[["127.0.0.9", "::1", "127.0.0.1"]])))
    async with serving(replying(OK)) as server:
        came = await client.get(server.url(host="api.test"))

    assert b"ok" == came.body


async def test_a_literal_address_is_checked_by_the_transport_too(network: Network) -> None:
    """The broker has done so before; the transport alone is safe."""
    async with serving(replying(OK)) as server:
        refusal = await failure_of(Client(network, policy=EgressPolicy()).get(server.url()))

    assert isinstance(refusal, Refused)
    assert "private-address" == refusal.rule
    assert 0 == server.connections


async def test_the_loopback_of_ipv6_is_called_by_its_literal(network: Network) -> None:
    async with serving(replying(OK), host="::1") as server:
        came = await Client(network).get(server.url(host="[::1]"))

    assert b"ok" == came.body
    assert [f"[::1]:{server.port}"] == server.asked[0].values("Host")


@pytest.mark.parametrize("fault", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
async def test_a_name_that_is_not_found_has_no_answer(networks: Callable[..., Network], fault: Exception) -> None:
    def resolve(*_: object) -> Any:
        raise fault

    failure = await failure_of(Client(networks(resolve=resolve)).get("http://nowhere.test/"))

    assert isinstance(failure, Unanswered)
    assert "connection" == failure.kind
    assert failure.said.startswith("nowhere.test has no address")


def test_the_systems_resolver_is_asked_and_a_scoped_address_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fe80::1%eth0` means something on one machine only."""
    assert [ipaddress.ip_address("127.0.0.1")] == look_up("127.0.0.1", 80)
    for endpoint in [("fe80::1%eth0", 80, 0, 0), ("fe80::1", 80, 0, 2)]:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, endpoint=endpoint, **__: [(10, 1, 6, "", endpoint)])
        with pytest.raises(Refused, match=r"api\.test"):
            look_up("api.test", 80)


async def test_a_slow_name_holds_neither_the_loop_nor_more_than_four_threads(networks: Callable[..., Network]) -> None:
    """A lookup that was given up on keeps its thread until it ends, and another tenant has its own."""
    slow = SlowResolver()
    network = networks(resolve=slow)
    before = set(threading.enumerate())
    try:
        for _ in range(2):
            asked = [Client(network).get("http://slow.test/", connect_s=BRIEF_S) for _ in range(6)]
            failures = await asyncio.gather(*asked, return_exceptions=True)
            assert ["connect_timeout"] * 6 == [failure.kind for failure in failures]
        assert len(set(threading.enumerate()) - before) == slow.most == 4
        await failure_of(Client(network, "globex").get("http://slow.test/", connect_s=BRIEF_S))
        assert 5 == slow.most
    finally:
        slow.release.set()


async def test_threads_come_back_when_their_lookups_end(networks: Callable[..., Network]) -> None:
    slow = SlowResolver()
    client = Client(networks(resolve=slow))
    await asyncio.gather(
        *(client.get("http://slow.test/", connect_s=BRIEF_S) for _ in range(4)), return_exceptions=True
    )
    async with serving(replying(OK)) as server:
        calling = asyncio.create_task(client.get(server.url(host="slow.test")))
        await asyncio.sleep(0)
        slow.release.set()
        came = await calling

    assert b"ok" == came.body


# Reaching a server


async def closed_port() -> int:
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        return int(end.getsockname()[1])


async def test_a_port_where_nobody_listens_cannot_be_reached(network: Network) -> None:
    failure = await failure_of(Client(network).get(f"http://127.0.0.1:{await closed_port()}/"))

    assert isinstance(failure, Unanswered)
    assert ("connection", "127.0.0.1 cannot be reached") == (failure.kind, failure.said)


async def test_a_server_that_does_not_accept_is_not_reached_in_time(network: Network) -> None:
    with full_backlog() as port:
        failure = await failure_of(Client(network).get(f"http://127.0.0.1:{port}/", connect_s=BRIEF_S))

    assert isinstance(failure, Unanswered)
    assert "connect_timeout" == failure.kind


async def test_an_address_that_does_not_answer_takes_its_share_of_the_time_only(
    networks: Callable[..., Network],
) -> None:
    """The second is tried while there is time."""
    client = Client(networks(resolve=Resolver(api_test=[["127.0.0.1", "127.0.0.2"]])))
    with full_backlog() as port:
        listener = await asyncio.start_server(lambda _, writer: (writer.write(OK), writer.close()), "127.0.0.2", port)
        with contextlib.closing(listener):
            came = await client.get(f"http://api.test:{port}/", connect_s=0.4)

    assert b"ok" == came.body


async def test_a_call_that_is_cancelled_while_it_connects_leaves_no_socket(networks: Callable[..., Network]) -> None:
    """While it waits for a name, a connection, a handshake. A socket that were left would warn, which fails the test."""
    slow = SlowResolver()
    network = networks(resolve=slow, context=Authority().trusting())
    accepted = asyncio.Event()

    async def mute(peer: Peer) -> None:
        accepted.set()
        await peer.gone()

    try:
        with full_backlog() as port:
            for url in ("http://slow.test/", f"http://127.0.0.1:{port}/"):
                calling = asyncio.create_task(Client(network).get(url))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                calling.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await calling
        async with serving(mute) as server:
            calling = asyncio.create_task(Client(network).get(server.url(scheme="https")))
            await accepted.wait()
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            await server.left()
    finally:
        slow.release.set()


async def test_a_socket_that_leads_to_another_address_is_closed(
    networks: Callable[..., Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stood between us and the kernel: nothing is sent to an address that was not checked."""
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda end, to: connect(end, ("127.0.0.2", to[1])))
    async with serving(replying(OK), host="127.0.0.2") as server:
        failure = await failure_of(Client(networks()).get(server.url()))
        await server.left()

    assert isinstance(failure, Unanswered)
    assert ("connection", "127.0.0.1 cannot be reached") == (failure.kind, failure.said)
    assert [] == server.asked


async def exhausted(*_: object) -> Any:
    raise OSError(errno.EMFILE, "Too many open files")


def no_socket(*_: object) -> Any:
    raise OSError(errno.EMFILE, "Too many open files")


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


SOCKETLESS = types.SimpleNamespace(**vars(socket) | {"socket": no_socket})


@pytest.mark.parametrize(
    ("scheme", "host", "place", "name", "fault"),
    [
        ("http", "127.0.0.1", connection_module, "socket", SOCKETLESS),
        ("http", "api.test", connection_module, "socket", SOCKETLESS),
        ("http", "api.test", names_module, "in_thread", exhausted),
        ("http", "api.test", threading.Thread, "start", no_thread),
        ("https", "127.0.0.1", network_module, "in_thread", exhausted),
        ("https", "127.0.0.1", threading.Thread, "start", no_thread),
    ],
)
async def test_an_engine_at_its_limits_cannot_reach_a_server(  # noqa: PLR0917
    networks: Callable[..., Network],
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    host: str,
    place: Any,
    name: str,
    fault: Any,
) -> None:
    """No descriptor or no thread left, also at the first https, which makes the context: a call failed, no crash.

    The turn is given back, and a later call is made.
    """
    policy = EgressPolicy(exceptions=("127.0.0.1",), at_once=1)
    client = Client(networks(resolve=Resolver(api_test=[["127.0.0.1"]])), policy=policy)
    async with serving(replying(OK)) as server:
        with monkeypatch.context() as limits:
            limits.setattr(place, name, fault)
            failure = await failure_of(client.get(server.url(host=host, scheme=scheme)))
        came = await client.get(server.url(host=host))

    assert isinstance(failure, Unanswered)
    assert "connection" == failure.kind
    assert failure.said.startswith(f"{host} ")
    assert "descriptor" not in failure.said
    assert b"ok" == came.body
