"""One exchange with a server that does what it should not. What the wire carries, and what of it is believed."""

from __future__ import annotations

import asyncio
import gzip
import re
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from hostile import OK, Asked, Client, Peer, Script, chunked, ok, once, replying, serving

from engine.egress import headers
from engine.egress.network import Network
from engine.egress.refusals import Refused, Unanswered

BRIEF_S = 0.05  # for what has to run out of time


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A tenant whose network is closed in the end, with no task left behind."""
    network = Network()
    yield Client(network)
    await network.close()
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def asked_for(client: Client, method: str, path: str = "/", **fields: object) -> Asked:
    async with serving(once(OK)) as server:
        await client.fetch(method, server.url(path), **fields)
    return server.asked[0]


# What is sent


async def test_the_request_line_and_the_headers_go_out_as_given(client: Client) -> None:
    """The hook's headers in their order and spelling, between those that are the broker's."""
    mine = (("X-One", "1"), ("aCCept", "*/*"), ("X-One", "2"), ("X-Latin", "caf\xe9"), ("Accept-Encoding", "gzip"))
    asked = await asked_for(client, "GET", "/a/b?c=%20d&e", headers=mine)

    assert "GET /a/b?c=%20d&e HTTP/1.1" == asked.line
    assert [*mine, ("Connection", "keep-alive")] == asked.headers[1:]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", asked.values("Host")[0])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_method_that_may_have_a_body_says_its_length_also_without_one(client: Client, method: str) -> None:
    """As requests does."""
    asked = await asked_for(client, method)

    assert ["0"] == asked.values("Content-Length")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_method_that_has_no_body_says_no_length(client: Client, method: str) -> None:
    asked = await asked_for(client, method)

    assert [] == asked.values("Content-Length")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_body_goes_out_whole_and_with_its_length(client: Client, method: str) -> None:
    body = bytes(range(256)) * 4096
    asked = await asked_for(client, method, body=body)

    assert body == asked.body
    assert [str(len(body))] == asked.values("Content-Length")


async def test_who_does_not_ask_for_an_encoding_gets_none(client: Client) -> None:
    asked = await asked_for(client, "GET")

    assert ["identity"] == asked.values("Accept-Encoding")


async def test_a_header_that_cannot_be_written_is_refused_and_nothing_is_sent(client: Client) -> None:
    """The broker has checked them; the transport alone is safe too."""
    async with serving(once(OK)) as server:
        with pytest.raises(Refused) as caught:
            await client.get(server.url(), headers=(("X", "a\r\nY: b"),))
        await server.idle.wait()

    assert "header" == caught.value.rule
    assert [] == server.asked


# What comes


async def test_a_response_is_returned_as_it_came(client: Client) -> None:
    """Status, reason, every header in its order and spelling, body; and where the time went."""
    answer = (
        b"HTTP/1.1 299 Quite \xe9\r\nX-A: 1\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 3\r\n\r\n\0\xffa"
    )
    async with serving(once(answer)) as server:
        came = await client.get(server.url())

    assert (299, "Quite \xe9", b"\0\xffa", 3) == (came.status, came.reason, came.body, came.received_bytes)
    assert (("X-A", "1"), ("set-cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", "3")) == came.headers
    assert client.timings.dns_ms is None
    assert client.timings.tls_ms is None
    assert 0 < (client.timings.connect_ms or 0) < 20_000
    assert 0 < (client.timings.first_byte_ms or 0) < 20_000


async def test_a_redirect_is_a_response_like_any_other(client: Client) -> None:
    """Nobody follows it here: each hop is a call of its own, checked anew."""
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with serving(replying(answer)) as server:
        came = await client.get(server.url())

    assert (302, "http://169.254.169.254/") == (came.status, dict(came.headers)["Location"])
    assert 1 == len(server.asked)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (chunked(b"one", b"two", trailers=["X-Sum: 1", "Content-Length: 5"]), b"onetwo"),
        (chunked(), b""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 10 + OK, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (ok(gzip.compress(b"packed", mtime=0), "Content-Encoding: gzip"), b"packed"),
        (chunked(b"a") + b"more that nobody asked for", b"a"),
        (ok(b"short") + b" of what there is", b"short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\nok\r\n0;last\r\n\r\n", b"ok"),
    ],
)
async def test_a_body_ends_where_its_framing_says(client: Client, answer: bytes, body: bytes) -> None:
    """By length, by chunks (trailers are dropped), by the end of the connection; after at most ten 1xx."""
    async with serving(once(answer)) as server:
        came = await client.get(server.url())

    assert (200, body) == (came.status, came.body)


@pytest.mark.parametrize("answer", [OK, ok(b"x" * 100, "Content-Encoding: gzip"), ok(b"")])
async def test_the_answer_to_head_has_no_body_whatever_its_length_says(client: Client, answer: bytes) -> None:
    async with serving(once(answer.split(b"\r\n\r\n")[0] + b"\r\n\r\n")) as server:
        came = await client.fetch("HEAD", server.url(), response_bytes=50)

    assert (200, b"", 0) == (came.status, came.body, came.received_bytes)


@pytest.mark.parametrize("status", [204, 304])
async def test_what_has_no_body_by_its_status_has_none(client: Client, status: int) -> None:
    async with serving(
        replying(b"HTTP/1.1 %d X\r\nContent-Length: 9\r\nContent-Encoding: gzip\r\n\r\n" % status)
    ) as server:
        came = await client.get(server.url())

    assert (status, b"") == (came.status, came.body)


async def test_an_answer_before_the_request_was_read_is_the_answer(client: Client) -> None:
    """A server that refuses a large body says so without reading it."""

    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await peer.gone_without_reading()

    async with serving(script) as server:
        came = await client.fetch("POST", server.url(), body=bytes(8 << 20))
        await server.idle.wait()

    assert (413, b"no") == (came.status, came.body)


# What is too much


async def refused(client: Client, script: Script, rule: str, **fields: object) -> Refused:
    """The refusal of a call, after which the server finds its connection closed."""
    async with serving(script) as server:
        with pytest.raises(Refused) as caught:
            await client.get(server.url(), **fields)
        await server.idle.wait()
    assert rule == caught.value.rule
    assert caught.value.said.startswith("127.0.0.1 sent") or rule == "response-headers"
    return caught.value


def flooding(beginning: bytes, part: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(beginning)
        await peer.flood(part)

    return script


@pytest.mark.parametrize(
    "part",
    [b"X-A: b\r\n", b"a:\n", b"X-A: " + b"b" * 50_000 + b"\r\n", b"b" * 1000, b" folded\r\n"],
)
@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nX: y\r\n", b"HTTP/1.1 103 Hints\r\nX: y\r\n"])
async def test_endless_headers_are_refused(client: Client, beginning: bytes, part: bytes) -> None:
    """Many small ones, large ones, one that never ends, one folded for ever."""
    await refused(client, flooding(beginning, part), "response-headers")


async def test_endless_trailers_are_refused(client: Client) -> None:
    beginning = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
    await refused(client, flooding(beginning, b"X-A: b\r\n"), "response-headers")


@pytest.mark.parametrize("many", [headers.RESPONSE_HEADERS + 1, 5000])
async def test_one_header_too_many_is_refused_though_the_response_is_whole(client: Client, many: int) -> None:
    await refused(client, replying(ok(b"", *["X: y"] * many)), "response-headers")


async def test_as_many_headers_as_are_allowed_pass(client: Client) -> None:
    lines = ["X: y"] * (headers.RESPONSE_HEADERS - 1)
    async with serving(replying(ok(b"ok", *lines))) as server:
        came = await client.get(server.url())

    assert headers.RESPONSE_HEADERS == len(came.headers)


async def test_endless_informational_responses_are_refused(client: Client) -> None:
    await refused(client, flooding(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), "response-headers")


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_an_endless_body_is_refused_at_the_bound(client: Client, beginning: bytes) -> None:
    part = b"400\r\n" + b"x" * 1024 + b"\r\n" if b"chunked" in beginning else b"x" * 1024
    await refused(client, flooding(beginning, part), "response-size")


async def test_a_length_over_the_bound_is_refused_before_the_body(client: Client) -> None:
    """The server has sent nothing of it."""
    await refused(client, replying(b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n"), "response-size")


async def test_endless_chunks_of_one_byte_are_refused_by_their_number(client: Client) -> None:
    """Each costs the event loop more than it costs the server."""
    script = flooding(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000)
    refusal = await refused(client, script, "response-size", response_bytes=2 << 20)

    assert "in more than 32768 chunks" in refusal.said


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_bomb_is_refused_at_the_bound_and_the_rest_is_not_read(client: Client, pack: object) -> None:
    """256 MiB in 256 KiB."""
    packed = pack(bytes(256 << 20))
    name = "gzip" if pack is gzip.compress else "deflate"
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nContent-Length: {len(packed)}\r\n\r\n"
    tracemalloc.start()
    try:
        await refused(client, once(head.encode() + packed), "response-size", response_bytes=512 << 10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20


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
        await server.idle.wait()
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
        await server.idle.wait()

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
        await server.idle.wait()
