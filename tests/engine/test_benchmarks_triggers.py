"""The benchmark of triggers asks a real server, and its client is fit to: whole answers, each request once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from engine.app import Engine
from engine.benchmarks import load, store, triggers
from engine.benchmarks.load import Client, request
from engine.config import Config

Answer = Callable[[bytes], tuple[int, bytes]]


@contextlib.asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """The port of a server; at the end each of its connections is closed."""
    under_way: list[asyncio.Future[None]] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.append(asyncio.ensure_future(serve_one(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*under_way)


def answering(answer: Answer) -> contextlib.AbstractAsyncContextManager[int]:
    """The port of a server that answers each body with (status, body), in two pieces."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            status, body = answer(await reader.readexactly(length))
            told = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\nRetry-After: 0\r\n\r\n%b" % (status, len(body), body)
            for piece in (told[:30], told[30:]):
                writer.write(piece)
                await writer.drain()

    return listening(serve)


async def test_each_request_is_sent_once_and_each_answer_taken_whole() -> None:
    seen: Counter[bytes] = Counter()

    def answer(body: bytes) -> tuple[int, bytes]:
        seen[body] += 1
        return 200, body * 1_000

    async with answering(answer) as port:
        calls = [request("/", "t", b"%d" % number) for number in range(50)]
        tally = (await Client(port, 7).send(calls)).only(200)

    assert dict.fromkeys((b"%d" % number for number in range(50)), 1) == seen
    assert (50, True) == (len(tally.took_ms), tally.last[0] == tally.last[0][:2] * 1_000)


async def test_a_refused_call_is_made_again_when_it_says_and_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_AGAIN_S", 1_000_000)  # of one that does not say
    turns = itertools.count()
    async with answering(lambda _: (200 if next(turns) % 3 == 2 else 429, b"{}")) as port:
        tally = await Client(port, 1, patient=True).send([request("/", "t", b"{}")] * 4)

    assert (4, {429: 8, 200: 4}) == (len(tally.took_ms), dict(tally.statuses))


async def test_an_answer_that_is_another_one_is_no_measure() -> None:
    async with answering(lambda _: (500, b"why")) as port:
        tally = await Client(port).send([request("/", "t", b"{}")])

    with pytest.raises(RuntimeError, match="why"):
        tally.only(200)


async def test_a_server_that_hangs_up_is_an_error() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with listening(hang_up) as port:
        with pytest.raises(ConnectionError):
            await Client(port).send([request("/", "t", b"{}")])


async def test_each_question_has_its_figure_and_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small round of each, with a real server."""
    small = {"_ROUNDS": 1, "_CALLS": 40, "_ENQUEUED": 50, "_STRANGERS": 4, "_FLOOD": 30, "_FLOODING": 12, "_CALM": 20}
    for name, value in small.items():
        monkeypatch.setattr(triggers, name, value)
    monkeypatch.setattr(triggers.tempfile, "tempdir", str(tmp_path))
    async with Engine(Config()) as engine:
        made = await store.compiled(engine)
    advanced: list[None] = []
    figures = await asyncio.to_thread(triggers.measure, made, lambda: advanced.append(None))

    judged = [("x", 0.6), ("x", None), ("x", None), ("/s", 5_000), ("ms", 5), ("x", 2)]
    assert judged == [(each.unit, each.budget) for each in figures]
    assert all(each.measured > 0 for each in figures)
    assert triggers.steps() == len(advanced)
    assert "all had run" in figures[3].detail
