"""One exchange: what the wire carries, what is believed of the answer, and what is too much."""

from __future__ import annotations

import asyncio
import gzip
import re
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hostile import (
    LOOPBACK,
    OK,
    Asked,
    Client,
    Peer,
    Script,
    chunked,
    ok,
    once,
    replying,
    serving,
)

from engine.egress import headers
from engine.egress.broker import Broker
from engine.egress.refusals import Refused, Unanswered
from sandbox import wire

# What is sent


async def asked_for(client: Client, method: str, path: str = "/", **fields: object) -> Asked:
    async with serving(once(OK)) as server:
        await client.fetch(method, server.url(path), **fields)
    return server.asked[0]


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
        await server.left()

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
        await server.left()

    assert (413, b"no") == (came.status, came.body)


async def test_another_protocol_is_no_answer_though_it_was_asked_for(client: Client) -> None:
    """The broker sends no Upgrade; the transport alone is safe too."""
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    async with serving(replying(answer + OK)) as server:
        with pytest.raises(Unanswered) as caught:
            await client.get(server.url(), headers=(("Upgrade", "websocket"),))
        await server.left()

    assert ("connection", "127.0.0.1 changed to another protocol") == (caught.value.kind, caught.value.said)


@pytest.mark.parametrize("status", [100, 102, 103, 104, 150, 199])
async def test_an_informational_status_is_never_a_response(client: Client, status: int) -> None:
    """Known or not: the response is what comes after it, or there is none."""
    said = b"HTTP/1.1 %d Soon\r\nX: y\r\n\r\n" % status
    async with serving(once(said + OK)) as server:
        came = await client.get(server.url())
    async with serving(once(said)) as server:
        with pytest.raises(Unanswered, match="before it answered"):
            await client.get(server.url())

    assert (200, b"ok") == (came.status, came.body)


@pytest.mark.parametrize("more", [0, 1])
async def test_a_request_of_exactly_the_bound_passes_the_broker_and_one_more_byte_does_not(
    client: Client, more: int
) -> None:
    broker = Broker(LOOPBACK, lambda: client.transport)
    body = bytes(LOOPBACK.request_bytes + more)
    async with serving(replying(OK)) as server:
        asked = wire.Http(method="POST", url=server.url(), headers=(), body=body)
        answer = await broker.answer(asked, asyncio.get_running_loop().time() + 30)

    assert [body][more:] == [asked.body for asked in server.asked]
    assert ("request-size" if more else 200) == (answer.rule if isinstance(answer, wire.Failed) else answer.status)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize(
    "frame",
    [
        ok,
        chunked,
        lambda body: b"HTTP/1.1 200 OK\r\n\r\n" + body,
        lambda body: ok(gzip.compress(body, mtime=0), "Content-Encoding: gzip"),
    ],
    ids=["length", "chunked", "close", "gzip"],
)
async def test_a_response_of_exactly_the_bound_comes_whole_and_one_more_byte_does_not(
    client: Client, frame: Callable[[bytes], bytes], more: int
) -> None:
    broker = Broker(LOOPBACK, lambda: client.transport)
    body = bytes(LOOPBACK.response_bytes + more)
    async with serving(once(frame(body))) as server:
        asked = wire.Http(method="GET", url=server.url(), headers=(), body=b"")
        answer = await broker.answer(asked, asyncio.get_running_loop().time() + 30)

    assert ("response-size" if more else body) == (answer.rule if isinstance(answer, wire.Failed) else answer.body)


# What is too much


async def refused(client: Client, script: Script, rule: str, **fields: object) -> Refused:
    """The refusal of a call, after which the server finds its connection closed."""
    async with serving(script) as server:
        with pytest.raises(Refused) as caught:
            await client.get(server.url(), **fields)
        await server.left()
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

    assert "in too small pieces: 1033 chunks for 1033 bytes" in refusal.said


async def test_one_small_chunk_too_many_is_refused_though_the_response_is_whole(client: Client) -> None:
    """1024 are free, and one more for each 128 bytes."""
    async with serving(replying(chunked(*[b"x"] * 1032))) as server:
        came = await client.get(server.url())
    assert b"x" * 1032 == came.body

    await refused(client, replying(chunked(*[b"x"] * 1033)), "response-size")


@pytest.mark.parametrize(("size", "many"), [(100, 3000), (128, 15_000), (1024, 2000)])
async def test_a_stream_of_lines_passes_chunk_by_chunk(client: Client, size: int, many: int) -> None:
    """JSON lines, each sent as it is there: of 100 bytes up to 300 KB, of 128 up to what a response may have."""
    line = b'{"at": "' + b"0" * (size - 11) + b'"}\n'
    async with serving(replying(chunked(*[line] * many))) as server:
        came = await client.get(server.url(), response_bytes=2 << 20)

    assert size == len(line)
    assert line * many == came.body


@pytest.mark.parametrize(
    ("beginning", "many"),
    [
        (b"HTTP/1.1 200 OK\r\n", headers.RESPONSE_HEADERS + 3),
        (b"HTTP/1.1 103 Hints\r\n", headers.RESPONSE_HEADERS + 3),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", 6000),
    ],
)
async def test_header_lines_are_counted_while_they_come(client: Client, beginning: bytes, many: int) -> None:
    """Headers and trailers of some bytes each, far from the bound of bytes, with no end in sight: refused at once.

    Trailers from the first piece on that holds nothing else: a body comes in pieces of 16 KiB.
    """
    lines = b"a:\n" * many
    refusal = await refused(client, replying(beginning + lines), "response-headers", read_s=5.0)

    assert len(lines) < headers.RESPONSE_HEADER_BYTES // 3
    assert "127.0.0.1 sent more headers than a response may have" in refusal.said


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


async def test_many_trailers_in_one_piece_are_too_many_headers(client: Client) -> None:
    """They come with the end of the body, before anybody has counted their lines."""
    async with serving(once(chunked(b"a", trailers=["a:"] * 3500))) as server:
        with pytest.raises(Refused) as caught:
            await client.get(server.url())

    assert "response-headers" == caught.value.rule


async def test_a_hint_with_many_headers_is_too_many_headers(client: Client) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n" + b"a:\r\n" * 1000 + b"\r\n"
    async with serving(once(hint + OK)) as server:
        with pytest.raises(Refused) as caught:
            await client.get(server.url())

    assert "response-headers" == caught.value.rule
