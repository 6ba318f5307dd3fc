"""The network of all tenants: turns, policies, what is dropped when it is not used, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hostile import (
    BRIEF_S,
    LOOPBACK,
    OK,
    Authority,
    Client,
    Peer,
    Script,
    SlowResolver,
    call,
    failure_of,
    full_backlog,
    ok,
    once,
    replying,
    serving,
)

from engine.egress import network as network_module
from engine.egress.connection import Connection
from engine.egress.network import Network
from engine.egress.policy import EgressPolicy
from engine.egress.refusals import Unanswered
from engine.egress.transport import Timings

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


# Closing


def telling(event: asyncio.Event) -> Script:
    """Tells that a connection is there and something came, and never answers."""

    async def script(peer: Peer) -> None:
        await peer.writer.drain()
        event.set()
        await peer.gone()

    return script


async def test_close_ends_idle_connections_and_every_later_call(network: Network) -> None:
    client = Client(network)
    async with serving(replying(OK)) as server:
        await client.get(server.url())
        await network.close()
        failure = await failure_of(client.get(server.url()))
        await server.left()

    assert isinstance(failure, Unanswered)
    assert ("connection", "the engine is stopping") == (failure.kind, failure.said)
    assert 1 == server.connections


async def test_close_cancels_calls_at_every_stage_and_waits_for_them(networks: Callable[..., Network]) -> None:
    """Under way, queued, retired, while a name is asked for, connecting, in a handshake. None connects after that."""
    slow = SlowResolver()
    network = networks(resolve=slow, context=Authority().trusting())
    one = EgressPolicy(exceptions=("127.0.0.1",), at_once=1)
    asked, greeted = asyncio.Event(), asyncio.Event()
    try:
        async with serving(telling(asked)) as server, serving(telling(greeted)) as secure:
            with full_backlog() as port:
                urls = ["http://slow.test/", f"http://127.0.0.1:{port}/", secure.url(scheme="https")]
                calls = [Client(network, policy=one).get(server.url()) for _ in range(3)]
                calls += [Client(network, "globex").get(url) for url in urls]
                calling = [asyncio.create_task(call) for call in calls]
                await asked.wait()
                await greeted.wait()
                network._retire(network._uplinks["acme"].pop(one))
                await network.close()
                assert all(each.cancelled() for each in calling)
                await server.left()
                await secure.left()
        assert (1, 1) == (server.connections, secure.connections)
    finally:
        slow.release.set()


async def test_a_call_cancelled_in_the_turn_that_makes_its_connection_does_not_hold_up_the_end(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop has said that the connection is there, and the call has not heard it yet."""
    made = asyncio.Event()
    tell = Connection.connection_made

    def made_and_cancelled(connection: Connection, transport: asyncio.BaseTransport) -> None:
        tell(connection, transport)
        calling.cancel()
        made.set()

    monkeypatch.setattr(Connection, "connection_made", made_and_cancelled)
    async with serving(telling(asyncio.Event())) as server:
        calling = asyncio.create_task(Client(network).get(server.url()))
        await made.wait()
        await network.close()
        assert calling.cancelled()
        await server.left()


async def test_a_call_that_begins_while_the_network_closes_is_not_made(network: Network) -> None:
    asked = asyncio.Event()
    async with serving(telling(asked)) as server, serving(replying(OK)) as other:
        calling = asyncio.create_task(Client(network).get(server.url()))
        await asked.wait()
        closing = asyncio.create_task(network.close())
        late = asyncio.create_task(Client(network, "globex").get(other.url()))
        await closing
        assert isinstance(await failure_of(late), Unanswered)
        assert calling.cancelled()

    assert 0 == other.connections


def sweep(network: Network) -> None:
    """As if nothing had been used for a minute."""
    for uplinks in network._uplinks.values():
        for uplink in uplinks.values():
            uplink.used -= 2 * network_module.UNUSED_S
    network._sweeper.cancel()
    network._sweep()


async def test_what_is_under_way_for_long_is_not_dropped(network: Network) -> None:
    """And its connection is kept for the next call."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def patient(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await go.wait()
        await peer.send(OK)
        await replying(OK)(peer)

    client = Client(network)
    async with serving(patient) as server:
        calling = asyncio.create_task(client.get(server.url()))
        await asked.wait()
        sweep(network)
        go.set()
        await calling
        await client.get(server.url())

    assert 1 == server.connections


async def test_what_is_not_used_for_a_while_is_dropped(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its connections. A transport that somebody still holds works as before."""
    client = Client(network)
    monkeypatch.setattr(network_module, "UNUSED_S", BRIEF_S)
    async with serving(replying(OK)) as server:
        await client.get(server.url())
        await server.left()
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
        await server.left()

    assert 4 == len(network._uplinks["acme"])


async def test_a_policy_for_each_call_leaves_four(network: Network) -> None:
    """Nothing is kept of the others, nor of their connections."""
    async with serving(replying(OK)) as server:
        for number in range(300):
            policy = EgressPolicy(exceptions=("127.0.0.1",), calls=number)
            await Client(network, policy=policy).get(server.url())
        assert [] == network._retired
        assert list(range(296, 300)) == [policy.calls for policy in network._uplinks["acme"]]


async def test_what_was_retired_under_way_is_forgotten_when_it_has_ended(network: Network) -> None:
    all_there, go = asyncio.Event(), asyncio.Event()

    async def patient(peer: Peer) -> None:
        await peer.request()
        if len(server.asked) == 7:
            all_there.set()
        await go.wait()
        await peer.send(OK)
        await peer.gone()

    policies = [EgressPolicy(exceptions=("127.0.0.1",), calls=number) for number in range(7)]
    async with serving(patient) as server:
        calling = [asyncio.create_task(Client(network, policy=policy).get(server.url())) for policy in policies]
        await all_there.wait()
        assert [1] * 3 == [uplink.under_way for uplink in network._retired]
        sweep(network)
        assert 3 == len(network._retired)
        go.set()
        await asyncio.gather(*calling)
        sweep(network)
        assert ([], {}) == (network._retired, network._uplinks)
        await server.left()


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
    assert server.connections <= 2 * LOOPBACK.at_once  # two tenants
