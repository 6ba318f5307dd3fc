"""Who gets which connection, to which address, and for how long: tenants, names, TLS, turns."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hostile import (
    LOOPBACK,
    OK,
    Authority,
    Client,
    Peer,
    Resolver,
    Script,
    SlowResolver,
    call,
    ok,
    once,
    replying,
    serving,
)

from engine.egress import network as network_module
from engine.egress import uplink as uplink_module
from engine.egress.names import look_up
from engine.egress.network import Network
from engine.egress.policy import EgressPolicy
from engine.egress.refusals import Refused, Unanswered
from engine.egress.transport import Timings

BRIEF_S = 0.05  # for what has to run out of time
PUBLIC = "93.184.215.14"
NAMED = EgressPolicy(exceptions=("127.0.0.1",))


@pytest.fixture
async def networks() -> AsyncIterator[Callable[..., Network]]:
    """`networks(**fields)`: a network that is closed in the end. No task is left, and no lookup."""
    made: list[Network] = []

    def make(**fields: Any) -> Network:
        made.append(Network(**fields))
        return made[-1]

    yield make
    for network in made:
        await network.close()
    assert {asyncio.current_task()} == asyncio.all_tasks()


@pytest.fixture
def network(networks: Callable[..., Network]) -> Network:
    return networks()


async def failure_of(calling: Any) -> Refused | Unanswered:
    with pytest.raises((Refused, Unanswered)) as caught:
        await calling
    return caught.value


async def closed_port() -> int:
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        return int(end.getsockname()[1])


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
        await server.idle.wait()
        refusal = await failure_of(client.get(server.url(host="api.test")))

    assert isinstance(refusal, Refused)
    assert "private-address" == refusal.rule
    assert 2 == len(resolver.asked)


async def test_a_name_that_rebinds_after_the_check_leads_nowhere_else(networks: Callable[..., Network]) -> None:
    """The checked address is connected to. A second lookup, if there were one, would lead to the other server."""
    resolver = Resolver(api_test=[["127.0.0.2"], ["127.0.0.1"]])
    client = Client(networks(resolve=resolver), policy=LOOPBACK)
    async with serving(replying(ok(b"right")), host="127.0.0.2") as server:
        with socket.socket() as other:
            other.bind(("127.0.0.1", server.port))
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
    threads = threading.active_count()
    try:
        for _ in range(2):
            asked = [Client(network).get("http://slow.test/", connect_s=BRIEF_S) for _ in range(6)]
            failures = await asyncio.gather(*asked, return_exceptions=True)
            assert ["connect_timeout"] * 6 == [failure.kind for failure in failures]
        assert threading.active_count() - threads == slow.most == 4
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


# Connections that are kept


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
            await server.idle.wait()

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
        await server.idle.wait()
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


async def test_eight_idle_connections_are_kept(network: Network) -> None:
    """Of twelve calls at once, to twelve servers; the oldest go first."""
    client = Client(network)
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(replying(OK))) for _ in range(12)]
        for server in servers:
            await client.get(server.url())
        for server in servers[:4]:
            await server.idle.wait()
        assert [0] * 4 + [1] * 8 == [server.open for server in servers]


async def test_an_idle_connection_is_closed_after_a_while(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_module, "IDLE_S", BRIEF_S)
    async with serving(replying(OK)) as server:
        await Client(network).get(server.url())
        await server.idle.wait()

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


async def test_servers_share_no_connection_though_they_have_one_address(networks: Callable[..., Network]) -> None:
    """The name is part of what a connection is for."""
    client = Client(networks(resolve=Resolver(one_test=[["127.0.0.1"]], two_test=[["127.0.0.1"]])))
    async with serving(replying(OK)) as server:
        for host in ("one.test", "two.test", "127.0.0.1", "one.test"):
            await client.get(server.url(host=host))

    assert [1, 2, 3, 1] == [asked.connection for asked in server.asked]


# Turns


async def test_a_tenant_has_so_many_calls_under_way_and_another_tenant_its_own(network: Network) -> None:
    """Further ones wait, and are made in turn."""
    policy = EgressPolicy(exceptions=("127.0.0.1",), at_once=3)
    full, go = asyncio.Event(), asyncio.Event()
    under_way: list[int] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            under_way.append(1)
            if len(under_way) == 3:
                full.set()
            await go.wait()
            await peer.send(OK)

    async with serving(script) as server, serving(replying(OK)) as quick:
        calling = [asyncio.create_task(Client(network, policy=policy).get(server.url())) for _ in range(7)]
        await full.wait()
        assert b"ok" == (await Client(network, "globex", policy).get(quick.url())).body
        failure = await failure_of(Client(network, policy=policy).get(quick.url(), connect_s=BRIEF_S))
        assert 3 == len(server.asked)
        go.set()
        assert [b"ok"] * 7 == [came.body for came in await asyncio.gather(*calling)]

    assert isinstance(failure, Unanswered)
    assert "connect_timeout" == failure.kind
    assert 1 == len(quick.asked)
    assert 3 >= server.connections


async def test_a_turn_is_given_back_however_a_call_ends(network: Network) -> None:
    """Refused, failed, out of time, cancelled while waiting and while under way."""
    policy = EgressPolicy(exceptions=("127.0.0.1",), at_once=1)
    client = Client(network, policy=policy)
    asked = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()

    async with serving(silent) as server, serving(replying(OK)) as good, serving(once(b"")) as bad:
        await failure_of(client.get(server.url(), read_s=BRIEF_S))
        await failure_of(client.get("http://10.0.0.1/"))
        await failure_of(client.get(bad.url()))
        asked.clear()
        first = asyncio.create_task(client.get(server.url()))
        await asked.wait()
        second = asyncio.create_task(client.get(server.url()))
        await asyncio.sleep(0)
        for calling in (second, first):
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
        assert b"ok" == (await client.get(good.url())).body


# Reaching a server


async def test_a_port_where_nobody_listens_cannot_be_reached(network: Network) -> None:
    failure = await failure_of(Client(network).get(f"http://127.0.0.1:{await closed_port()}/"))

    assert isinstance(failure, Unanswered)
    assert ("connection", "127.0.0.1 cannot be reached") == (failure.kind, failure.said)


@contextlib.contextmanager
def full_backlog() -> Any:
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
        came = await client.get(f"http://api.test:{port}/", connect_s=0.4)
        listener.close()

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
            await server.idle.wait()
    finally:
        slow.release.set()


# TLS


async def test_tls_is_checked_against_the_name_that_was_asked_for(networks: Callable[..., Network]) -> None:
    """SNI, certificate and Host are the name; the connection goes to the checked address, and is used again."""
    authority = Authority()
    context, named = authority.server("api.test"), []
    context.sni_callback = lambda _, name, __: named.append(name)
    client = Client(networks(resolve=Resolver(api_test=[["127.0.0.1"]]), context=authority.trusting()))
    async with serving(replying(OK), context) as server:
        came = await client.get(server.url(host="api.test", scheme="https"))
        first = client.timings
        await client.get(server.url(host="api.test", scheme="https"))

    assert b"ok" == came.body
    assert ["api.test"] == named
    assert [f"api.test:{server.port}"] == server.asked[0].values("Host")
    assert first.tls_ms is not None
    assert client.timings.tls_ms is None
    assert 1 == server.connections


@pytest.mark.parametrize(
    ("names", "days", "said"),
    [(["other.test"], 1, "not valid for 'api.test'"), (["api.test"], -1, "certificate has expired")],
)
async def test_a_certificate_of_another_name_or_time_is_refused(
    networks: Callable[..., Network], names: list[str], days: int, said: str
) -> None:
    authority = Authority()
    client = Client(networks(resolve=Resolver(api_test=[["127.0.0.1"]]), context=authority.trusting()))
    async with serving(replying(OK), authority.server(*names, days=days)) as server:
        failure = await failure_of(client.get(server.url(host="api.test", scheme="https")))
        await asyncio.sleep(0)

    assert isinstance(failure, Unanswered)
    assert "tls" == failure.kind
    assert said in failure.said
    assert [] == server.asked


@pytest.mark.parametrize("default", [True, False])
async def test_an_authority_that_is_not_trusted_is_refused(networks: Callable[..., Network], default: bool) -> None:  # noqa: FBT001
    """Certifi's own list knows it as little as another one."""
    fields = {} if default else {"context": Authority().trusting()}
    client = Client(networks(resolve=Resolver(api_test=[["127.0.0.1"]]), **fields))
    async with serving(replying(OK), Authority().server("api.test")) as server:
        failure = await failure_of(client.get(server.url(host="api.test", scheme="https")))

    assert isinstance(failure, Unanswered)
    assert "tls" == failure.kind
    assert "unable to get local issuer certificate" in failure.said


async def test_a_literal_address_is_checked_against_the_certificate_too(networks: Callable[..., Network]) -> None:
    authority = Authority()
    client = Client(networks(context=authority.trusting()))
    async with serving(replying(OK), authority.server("127.0.0.1")) as good:
        came = await client.get(good.url(scheme="https"))
    async with serving(replying(OK), authority.server("api.test")) as bad:
        failure = await failure_of(client.get(bad.url(scheme="https")))

    assert b"ok" == came.body
    assert isinstance(failure, Unanswered)
    assert "tls" == failure.kind


async def test_a_tls_that_is_too_old_is_none(networks: Callable[..., Network]) -> None:
    authority = Authority()
    context = authority.server("127.0.0.1")
    with pytest.warns(DeprecationWarning, match=r"TLSVersion\.TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with serving(replying(OK), context) as server:
        failure = await failure_of(Client(networks(context=authority.trusting())).get(server.url(scheme="https")))

    assert isinstance(failure, Unanswered)
    assert "tls" == failure.kind


@pytest.mark.parametrize("answer", [b"", OK, b"\x15\x03\x01\x00\x02\x02\x28"])
async def test_a_server_that_speaks_no_tls_is_told_so(networks: Callable[..., Network], answer: bytes) -> None:
    """It closes, answers in plain HTTP, sends an alert."""

    async def script(peer: Peer) -> None:
        await peer.send(answer)

    client = Client(networks(context=Authority().trusting()))
    async with serving(script) as server:
        failure = await failure_of(client.get(server.url(scheme="https")))

    assert isinstance(failure, Unanswered)
    assert failure.kind in {"tls", "connection"}
    assert failure.said.startswith(("no TLS with 127.0.0.1", "127.0.0.1 closed"))


async def test_a_handshake_that_never_ends_is_not_reached_in_time(networks: Callable[..., Network]) -> None:
    async def mute(peer: Peer) -> None:
        await peer.gone()

    client = Client(networks(context=Authority().trusting()))
    async with serving(mute) as server:
        failure = await failure_of(client.get(server.url(scheme="https"), connect_s=BRIEF_S))
        await server.idle.wait()

    assert isinstance(failure, Unanswered)
    assert "connect_timeout" == failure.kind


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_tls_session_is_ever_resumed(networks: Callable[..., Network], version: ssl.TLSVersion) -> None:
    """One context serves all tenants: it must not tell a server that two of them come from one engine."""
    authority = Authority()
    context = authority.server("127.0.0.1")
    context.minimum_version = context.maximum_version = version
    resumed: list[bool] = []

    async def script(peer: Peer) -> None:
        resumed.append(peer.writer.get_extra_info("ssl_object").session_reused)
        await peer.request()
        await peer.send(OK)

    network = networks(context=authority.trusting())
    async with serving(script, context) as server:
        for tenant in ("acme", "acme", "globex"):
            await Client(network, tenant).get(server.url(scheme="https"))

    assert [False] * 3 == resumed


# Closing


async def test_close_ends_idle_connections_and_calls_under_way(network: Network) -> None:
    """And every later call."""
    asked = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()

    client = Client(network)
    async with serving(silent) as server, serving(replying(OK)) as quick:
        await client.get(quick.url())
        calling = asyncio.create_task(client.get(server.url()))
        await asked.wait()
        await network.close()
        assert isinstance(await failure_of(calling), Unanswered)
        assert isinstance(await failure_of(client.get(quick.url())), Unanswered)
        await server.idle.wait()
        await quick.idle.wait()


async def test_what_is_not_used_for_a_while_is_dropped(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its connections. A transport that somebody still holds works as before."""
    client = Client(network)
    monkeypatch.setattr(network_module, "UNUSED_S", BRIEF_S)
    async with serving(replying(OK)) as server:
        await client.get(server.url())
        await server.idle.wait()
        assert {} == network._uplinks
        assert b"ok" == (await client.get(server.url())).body

    assert 2 == server.connections


async def test_a_tenant_keeps_four_policies(network: Network) -> None:
    """The one used longest ago goes: what is under way under it ends in peace and keeps no connection."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def patient(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await go.wait()
        await peer.send(OK)
        await peer.gone()

    policies = [EgressPolicy(exceptions=("127.0.0.1",), calls=number) for number in range(5)]
    async with serving(patient) as server, serving(replying(OK)) as quick:
        calling = asyncio.create_task(Client(network, policy=policies[0]).get(server.url()))
        await asked.wait()
        for policy in policies[1:]:
            await Client(network, policy=policy).get(quick.url())
        go.set()
        assert b"ok" == (await calling).body
        await server.idle.wait()

    assert 4 == len(network._uplinks["acme"])


async def test_many_calls_at_once_each_get_their_own_answer(network: Network) -> None:
    """Over kept connections, from several tenants, in no order."""

    async def echo(peer: Peer) -> None:
        while True:
            asked = await peer.request()
            await peer.send(ok(asked.line.split()[1].encode()))

    async def ask(tenant: str, number: int) -> tuple[str, bytes]:
        path = f"/{tenant}/{number}"
        return path, (await network.of(tenant, LOOPBACK).fetch(call("GET", server.url(path)), Timings())).body

    async with serving(echo) as server:
        came = await asyncio.gather(*(ask(tenant, number) for number in range(100) for tenant in ("acme", "globex")))

    assert [path.encode() for path, _ in came] == [body for _, body in came]
    assert server.connections < len(came)
