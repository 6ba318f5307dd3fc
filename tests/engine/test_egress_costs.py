"""What hostile bytes cost the event loop, measured against ordinary ones in the same run."""

from __future__ import annotations

import contextlib
import time
import zlib

import h11
import pytest
from hostile import call

from engine.egress import exchange
from engine.egress.refusals import Refused, Unanswered

READ_BYTES = 32 << 10  # at a time, as an uplink's buffer has it
MOST_TIMES = 16.0  # the time of an ordinary read
REPEATS = 10
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HINTS = b"HTTP/1.1 103 H\r\n" + b"a:\n" * 1350 + b"\n"
EMPTY_MEMBER = zlib.compressobj(wbits=31).flush()


def read_of(beginning: bytes, part: bytes) -> bytes:
    """One read full of it."""
    return (beginning + part * (READ_BYTES // len(part)))[:READ_BYTES]


ORDINARY = read_of(CHUNKED, b"64\r\n" + b"x" * 100 + b"\r\n")  # lines of 100 bytes, each in a chunk


async def times_of(data: bytes) -> float:
    """How often the time of an ordinary read it costs. The quickest of some each: other work only ever adds."""
    hostile, ordinary = [], []
    for _ in range(REPEATS):
        hostile.append(time_of(data))
        ordinary.append(time_of(ORDINARY))
    return min(hostile) / min(ordinary)


def time_of(data: bytes) -> float:
    answer = exchange.Answer(call("GET", "http://api.test/", response_bytes=2 << 20), begun_parser())
    begun = time.thread_time()
    with contextlib.suppress(Refused, Unanswered):
        answer.feed(data)
    return time.thread_time() - begun


def begun_parser() -> h11.Connection:
    """As it is when the request has gone out."""
    parser = exchange.new_parser()
    exchange.serialise(call("GET", "http://api.test/"), parser)
    return parser


@pytest.mark.parametrize(
    "data",
    [
        read_of(CHUNKED, b"1\r\nx\r\n"),
        read_of(CHUNKED, b"1;" + b"e" * 10 + b"\r\nx\r\n"),
        read_of(CHUNKED + b"0\r\n", b"a:\n"),
        read_of(b"HTTP/1.1 200 OK\r\n", b"a:\n"),
        read_of(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        read_of(b"HTTP/1.1 200 OK\r\na: b\r\n", b" c\r\n"),
        read_of(b"HTTP/1.1 200 OK\r\na: ", b"\t "),
        read_of(b"", b"HTTP/1.1 103 H\r\n\r\n"),
        read_of(b"", HINTS),
        read_of(CHUNKED + b"0\r\n", b"a:\n" * 5400 + b"\n"),
        read_of(b"", b"\r\n"),
        read_of(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", EMPTY_MEMBER),
        read_of(b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n", b"\0\0\0\xff\xff"),
        read_of(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", b"\x1f\x8b\x08\x04"),
    ],
)
async def test_one_read_of_hostile_bytes_costs_little_more_than_an_ordinary_one(data: bytes) -> None:
    """So that nobody else waits: many small things, each of which costs time, end at their number."""
    assert await times_of(data) < MOST_TIMES
