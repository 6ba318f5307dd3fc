"""One connection to a server that does what it should not: TLS, what is no answer, what takes too long."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest
from hostile import (
    BRIEF_S,
    OK,
    Authority,
    Client,
    Peer,
    Resolver,
    Script,
    failure_of,
    ok,
    once,
    replying,
    serving,
)

from engine.egress.network import Network
from engine.egress.refusals import Unanswered


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("closes", [True, False], ids=["and closes", "and stays"])
async def test_an_answer_that_comes_before_the_request_is_its_answer(
    networks: Callable[..., Network], scheme: str, *, closes: bool
) -> None:
    """As a server gives it that is too busy. It is read before the request is sent on one event loop, after on others."""
    authority = Authority()

    async def hasty(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
        if not closes:
            await peer.gone()

    client = Client(networks(resolve=Resolver(api_test=[["127.0.0.1"]]), context=authority.trusting()))
    async with serving(hasty, authority.server("api.test") if scheme == "https" else None) as server:
        came = await client.get(server.url(host="api.test", scheme=scheme))

    assert (503, b"busy") == (came.status, came.body)


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
        await server.left()

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


# What is no answer


async def until_read() -> None:
    """Give the engine, in the same event loop, the rounds it takes to read what was sent."""
    for _ in range(20):
        await asyncio.sleep(0)


async def unanswered(client: Client, script: Script, kind: str, **fields: object) -> Unanswered:
    """The failure of a call, after which the server finds its connection closed."""
    async with serving(script) as server:
        with pytest.raises(Unanswered) as caught:
            await client.get(server.url(), **fields)
        await server.left()
    assert kind == caught.value.kind
    assert caught.value.said.startswith("127.0.0.1 ")
    assert str(server.port) not in caught.value.said
    return caught.value


@pytest.mark.parametrize(
    "beginning",
    [b"", b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 103 Hints\r\n\r\n"],
)
async def test_who_closes_before_the_headers_were_there_has_not_answered(client: Client, beginning: bytes) -> None:
    """What `requests` calls a ConnectionError."""
    failure = await unanswered(client, once(beginning), "connection")

    assert "127.0.0.1 closed the connection before it answered" == failure.said


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123456789",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n0\r\nX: y\r\n",
    ],
)
async def test_who_closes_within_the_body_has_broken_off(client: Client, beginning: bytes) -> None:
    """What `requests` calls a ChunkedEncodingError, whatever the framing."""
    failure = await unanswered(client, once(beginning), "broken")

    assert "127.0.0.1 closed the connection before its response was whole" == failure.said


@pytest.mark.parametrize(
    ("beginning", "kind"), [(b"", "connection"), (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12", "broken")]
)
async def test_a_reset_is_like_a_close(client: Client, beginning: bytes, kind: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(beginning)
        if beginning:
            await until_read()
        peer.reset()

    await unanswered(client, script, kind)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"<html>no headers</html>\n\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 99 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName : value\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n first: folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_no_answer(client: Client, answer: bytes) -> None:
    """Refused by h11 where two readers could differ about it, rather than guessed at."""
    await unanswered(client, replying(answer), "connection")


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n", b"-1\r\n", b"2\r\nokXX", b"0x2\r\nok\r\n", b"2\nok\r\n", b"f" * 21 + b"\r\n"]
)
async def test_a_chunk_that_is_none_breaks_the_response(client: Client, chunk: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    await unanswered(client, once(answer), "broken")


async def test_a_body_that_is_not_gzip_is_undecodable(client: Client) -> None:
    await unanswered(client, replying(ok(b"plain", "Content-Encoding: gzip")), "undecodable")


# What takes too long


def dripping(beginning: bytes, drop: bytes) -> Script:
    """Sends a drop each time the event loop comes round, for ever."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(beginning)
        while not peer.writer.transport.is_closing():
            await peer.send(drop)
            await asyncio.sleep(0.001)

    return script


async def never(peer: Peer) -> None:
    """Reads everything and says nothing."""
    await peer.gone()


@pytest.mark.parametrize(
    "script",
    [
        never,
        dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
async def test_a_drip_does_not_extend_the_time(client: Client, script: Script) -> None:
    """One bound for the whole response, not one from byte to byte."""
    failure = await unanswered(client, script, "read_timeout", read_s=BRIEF_S)

    assert "127.0.0.1 did not answer in full in time" == failure.said


async def test_a_length_that_is_never_reached_runs_out_of_time(client: Client) -> None:
    await unanswered(
        client, replying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "read_timeout", read_s=BRIEF_S
    )


async def test_the_end_comes_before_the_time_to_read_is_over(client: Client) -> None:
    end = asyncio.get_running_loop().time() + BRIEF_S
    await unanswered(client, never, "read_timeout", end=end)


async def test_a_server_that_does_not_read_does_not_hold_a_call(client: Client) -> None:
    """Sending counts into the time to read."""

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()
        await peer.gone_without_reading()

    async with serving(script) as server:
        with pytest.raises(Unanswered) as caught:
            await client.fetch("POST", server.url(), body=bytes(16 << 20), read_s=BRIEF_S)
        await server.left()

    assert "read_timeout" == caught.value.kind


@pytest.mark.parametrize("stage", ["asked", "headed", "body"])
async def test_a_call_that_is_cancelled_closes_its_connection(client: Client, stage: str) -> None:
    """At every stage: the server sees the end of the connection, and no task is left."""
    beginning = {
        "asked": b"",
        "headed": b"HTTP/1.1 200 OK\r\n",
        "body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1",
    }
    there = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(beginning[stage])
        await until_read()
        there.set()
        await peer.gone()

    async with serving(script) as server:
        calling = asyncio.create_task(client.get(server.url()))
        await there.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await server.left()
