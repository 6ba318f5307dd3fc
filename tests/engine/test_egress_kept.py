"""Connections that are kept for the next call: for whom, how many, how long, and when one is not used again."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

import pytest
from hostile import (
    BRIEF_S,
    LOOPBACK,
    OK,
    Authority,
    Client,
    Peer,
    Resolver,
    Script,
    Server,
    failure_of,
    ok,
    once,
    replying,
    serving,
)

from engine.egress import network as network_module
from engine.egress import uplink as uplink_module
from engine.egress.network import Network
from engine.egress.policy import EgressPolicy
from engine.egress.refusals import Unanswered

# Used again


async def test_a_connection_is_used_again(network: Network) -> None:
    """And the second call has no time to connect."""
    client = Client(network)
    async with serving(replying(OK)) as server:
        for _ in range(5):
            assert b"ok" == (await client.get(server.url())).body
        assert client.timings.connect_ms is None
        assert client.timings.first_byte_ms is not None

    assert 1 == server.connections
    assert 5 == len(server.asked)


@pytest.mark.parametrize("body", [b"first", b"x" * 40_000])
async def test_a_connection_is_used_again_after_every_method_and_framing(network: Network, body: bytes) -> None:
    client = Client(network)
    answers = [
        ok(body),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]
    async with serving(replying(*answers)) as server:
        for method in ("POST", "DELETE", "GET"):
            await client.fetch(method, server.url(), body=body if method == "POST" else b"")

    assert 1 == server.connections


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"ok", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        OK + b"more",
        OK + ok(b"evil"),
    ],
)
async def test_a_connection_is_not_kept_when_the_response_does_not_allow_it(network: Network, answer: bytes) -> None:
    """It is closed at once, and no byte after the response is ever part of another one."""
    client = Client(network)
    async with serving(replying(answer)) as server:
        for _ in range(2):
            assert b"ok" == (await client.get(server.url())).body
            await server.left()

    assert 2 == server.connections


def sized(size: int) -> bytes:
    """A whole response of so many bytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %05d\r\n\r\n"
    length = size - len(head % 0)
    return head % length + bytes(length)


@pytest.mark.parametrize("more", [b"x", ok(b"evil")])
@pytest.mark.parametrize("size", [100, 4095, 4096, 4097, 4096 + 16_384, 30_000])
async def test_a_response_with_something_after_it_is_the_last_of_its_connection(
    network: Network, size: int, more: bytes
) -> None:
    """Also where what is parsed at a time ends with the response."""
    client = Client(network)
    async with serving(replying(sized(size) + more)) as server:
        for _ in range(2):
            came = await client.get(server.url())
            assert size == len(sized(size)) == len(came.body) + len(sized(size).split(b"\0")[0])

    assert 2 == server.connections


@pytest.mark.parametrize("unasked", [b"x", ok(b"evil")])
async def test_what_waits_on_an_idle_connection_is_never_an_answer(network: Network, unasked: bytes) -> None:
    """A second response, there in the kernel when the next call begins, and not yet seen by the event loop."""
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await replying(OK)(peer)

    client = Client(network)
    async with serving(script) as server:
        await client.get(server.url())
        os.write(peers[0].writer.get_extra_info("socket").fileno(), unasked)
        assert b"ok" == (await client.get(server.url())).body

    assert 2 == server.connections


async def test_an_idle_connection_is_closed_when_something_comes(network: Network) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await push.wait()
        await peer.send(ok(b"evil"))
        await peer.gone()

    push = asyncio.Event()
    client = Client(network)
    async with serving(script) as server:
        await client.get(server.url())
        push.set()
        await server.left()
        assert b"ok" == (await client.get(server.url())).body


def closing_when_asked_again(peer_answers: bytes = b"") -> Script:
    """The first connection answers once, reads a second request and closes without a word. Later ones answer."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(peer_answers if peer.number == 1 else OK)

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_a_call_that_a_kept_connection_lost_is_made_once_more(network: Network, method: str) -> None:
    """The server may have closed it for being idle while the request was on its way."""
    client = Client(network)
    async with serving(closing_when_asked_again()) as server:
        await client.get(server.url())
        came = await client.fetch(method, server.url())

    assert 200 == came.status
    assert 2 == server.connections
    assert 3 == len(server.asked)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_call_that_may_not_be_repeated_is_not(network: Network, method: str) -> None:
    """Nobody knows whether the server has done what it was asked."""
    client = Client(network)
    async with serving(closing_when_asked_again()) as server:
        await client.get(server.url())
        failure = await failure_of(client.fetch(method, server.url(), body=b"order"))

    assert isinstance(failure, Unanswered)
    assert "connection" == failure.kind
    assert 2 == len(server.asked)


async def test_a_call_is_not_repeated_when_a_byte_of_the_response_came(network: Network) -> None:
    client = Client(network)
    async with serving(closing_when_asked_again(b"H")) as server:
        await client.get(server.url())
        await failure_of(client.get(server.url()))

    assert 2 == len(server.asked)


async def test_a_call_is_not_repeated_on_a_fresh_connection(network: Network) -> None:
    """A server that always closes is asked once for each call."""
    client = Client(network)
    async with serving(once(b"")) as server:
        await failure_of(client.get(server.url()))

    assert 1 == len(server.asked)


@contextlib.asynccontextmanager
async def five_servers() -> AsyncIterator[list[Server]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving(replying(OK))) for _ in range(5)]


async def test_as_many_idle_connections_are_kept_as_a_tenant_may_have_calls_under_way(network: Network) -> None:
    """The oldest go first."""
    client = Client(network, policy=EgressPolicy(exceptions=("127.0.0.1",), at_once=3))
    async with five_servers() as servers:
        for server in servers:
            await client.get(server.url())
        for server in servers[:2]:
            await server.left()
        assert [0, 0, 1, 1, 1] == [server.open for server in servers]


async def test_idle_connections_of_all_tenants_together_are_bounded(
    networks: Callable[..., Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one unused for longest is closed, whoever it belongs to, and its tenant's next call makes another."""
    monkeypatch.setattr(network_module, "_MOST_IDLE", 3)
    network = networks()
    clients = [Client(network, f"tenant-{number}") for number in range(5)]
    async with five_servers() as servers:
        for number in (0, 1, 2, 0, 3, 4):
            await clients[number].get(servers[number].url())
        for server in servers[1:3]:
            await server.left()
        assert [1, 0, 0, 1, 1] == [server.open for server in servers]
        for client, server in zip(clients, servers, strict=True):
            assert b"ok" == (await client.get(server.url())).body


async def test_a_connection_in_use_is_none_of_the_idle(
    networks: Callable[..., Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those under way are bounded by turns: here three use connections that were kept, while another is kept."""
    monkeypatch.setattr(network_module, "_MOST_IDLE", 3)
    network = networks()
    under_way, all_there, go = [], asyncio.Event(), asyncio.Event()

    async def patient_the_second_time(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        under_way.append(await peer.request())
        if len(under_way) == 3:
            all_there.set()
        await go.wait()
        await peer.send(OK)
        await peer.gone()

    async with serving(patient_the_second_time) as server, serving(replying(OK)) as quick:
        clients = [Client(network, f"tenant-{number}") for number in range(3)]
        for client in clients:
            await client.get(server.url())
        calling = [asyncio.create_task(client.get(server.url())) for client in clients]
        await all_there.wait()
        await Client(network).get(quick.url())
        go.set()
        assert [b"ok"] * 3 == [came.body for came in await asyncio.gather(*calling)]
        await quick.left()

    assert 3 == server.connections


async def test_an_idle_connection_is_closed_after_a_while(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_module, "IDLE_S", BRIEF_S)
    async with serving(replying(OK)) as server:
        await Client(network).get(server.url())
        await server.left()

    assert 1 == server.connections


@pytest.mark.parametrize(
    ("tenant", "policy"), [("globex", LOOPBACK), ("acme", EgressPolicy(exceptions=("127.0.0.1",), calls=7))]
)
async def test_tenants_and_policies_share_no_connection(network: Network, tenant: str, policy: EgressPolicy) -> None:
    one, other = Client(network), Client(network, tenant, policy)
    async with serving(replying(OK)) as server:
        for client in (one, other, one, other):
            await client.get(server.url())

    assert 2 == server.connections
    assert [1, 2, 1, 2] == [asked.connection for asked in server.asked]


async def test_a_plain_connection_never_serves_an_https_call(networks: Callable[..., Network]) -> None:
    """The same server and port: the call would go out in clear."""
    client = Client(networks(context=Authority().trusting()))
    async with serving(replying(OK)) as server:
        await client.get(server.url())
        failure = await failure_of(client.get(server.url(scheme="https"), connect_s=BRIEF_S))

    assert isinstance(failure, Unanswered)
    assert "connect_timeout" == failure.kind  # the server waits for a request and gets TLS's first words
    assert (2, 1) == (server.connections, len(server.asked))


async def test_a_tls_connection_never_serves_a_plain_call(networks: Callable[..., Network]) -> None:
    authority = Authority()
    client = Client(networks(context=authority.trusting()))
    async with serving(replying(OK), authority.server("127.0.0.1")) as server:
        await client.get(server.url(scheme="https"))
        failure = await failure_of(client.get(server.url()))

    assert isinstance(failure, Unanswered)
    assert 1 == len(server.asked)


async def test_servers_share_no_connection_though_they_have_one_address(networks: Callable[..., Network]) -> None:
    """The name is part of what a connection is for."""
    client = Client(networks(resolve=Resolver(one_test=[["127.0.0.1"]], two_test=[["127.0.0.1"]])))
    async with serving(replying(OK)) as server:
        for host in ("one.test", "two.test", "127.0.0.1", "one.test"):
            await client.get(server.url(host=host))

    assert [1, 2, 3, 1] == [asked.connection for asked in server.asked]
