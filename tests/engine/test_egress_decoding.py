from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib

import pytest

from engine.egress.decoding import Body
from engine.egress.refusals import Refused, Unanswered

HOST = "api.example.com"
MOST = 64 << 10
TEXT = b"".join(b"%d\n" % number for number in range(4000))


def zipped(data: bytes, level: int = 9) -> bytes:
    """Gzip, the same at any time of day: test processes name their tests alike."""
    return gzip.compress(data, level, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def fill(body: Body, data: bytes, step: int) -> None:
    for start in range(0, len(data), step):
        body.feed(data[start : start + step])


def decoded(encoding: str, data: bytes, step: int = 1 << 20) -> bytes:
    body = Body(HOST, encoding, MOST)
    fill(body, data, step)
    assert len(data) == body.received_bytes
    return body.whole()


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", zipped(TEXT)),
        ("GZip", zipped(TEXT)),
        ("x-gzip", zipped(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("gzip, deflate", zlib.compress(zipped(TEXT))),
        ("deflate , gzip,identity", zipped(raw_deflate(TEXT))),
        ("gzip,gzip,gzip", zipped(zipped(zipped(TEXT)))),
    ],
)
def test_a_body_is_decoded_whatever_pieces_it_comes_in(encoding: str, data: bytes, step: int) -> None:
    """The encodings of RFC 9110, section 8.4.1, alone and one over the other."""
    assert TEXT == decoded(encoding, data, step)


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_gzip_of_several_members_is_all_of_them(step: int) -> None:
    """RFC 1952, section 2.2."""
    assert b"onetwothree" == decoded("gzip", b"".join(map(zipped, [b"one", b"two", b"", b"three"])), step)


@pytest.mark.parametrize("rest", [b"\0" * 500, b"garbage", zipped(b"cut")[:-9]])
def test_what_follows_the_last_member_is_ignored(rest: bytes) -> None:
    """As urllib3 does it, so that a hook sees what it would see from `requests`."""
    assert decoded("gzip", zipped(b"whole") + rest).startswith(b"whole")


def test_what_follows_deflate_is_ignored() -> None:
    assert b"whole" == decoded("deflate", zlib.compress(b"whole") + b"rest", 4)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_empty_body_is_empty_in_every_encoding(encoding: str) -> None:
    assert b"" == decoded(encoding, b"")


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", "br, gzip", "nonsense"])
def test_an_encoding_that_is_not_known_is_left_to_the_hook(encoding: str) -> None:
    """All of it, also what could be undone: half undone, the header would be a lie."""
    data = zipped(TEXT)

    assert data == decoded(encoding, data)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", b"<html>not gzip</html>"),
        ("gzip", zlib.compress(TEXT)),
        ("deflate", b"<html>not deflate</html>"),
        ("deflate", zipped(TEXT)),
        ("gzip", zipped(TEXT)[:-8] + b"\0\0\0\0" + zipped(TEXT)[-4:]),
        ("gzip", zipped(TEXT)[:200] + b"\xff" * 50 + zipped(TEXT)[250:]),
        ("deflate", zlib.compress(TEXT)[:-4] + b"\0\0\0\0"),
        ("gzip, deflate", zlib.compress(b"not gzip")),
        ("deflate, gzip", zipped(b"not deflate")),
        ("gzip,gzip,gzip,gzip", zipped(TEXT)),
    ],
)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_a_body_that_is_not_what_it_says_is_undecodable(encoding: str, data: bytes, step: int) -> None:
    """Corrupt data, wrong checksums, another encoding, more than three of them."""
    with pytest.raises(Unanswered) as caught:
        decoded(encoding, data, step)

    assert "undecodable" == caught.value.kind
    assert caught.value.said.startswith(HOST)


def test_a_thousand_members_that_hold_nothing_are_not_looked_at_for_ever() -> None:
    """20 bytes each: a body of 2 MiB would begin 100,000 of them."""
    with pytest.raises(Unanswered, match="not gzip"):
        decoded("gzip", zipped(b"") * 2000)


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_a_body_of_exactly_the_bound_passes_and_one_more_byte_does_not(encoding: str) -> None:
    pack = {"": bytes, "gzip": zipped, "deflate": zlib.compress}[encoding]
    body = b"x" * MOST

    assert body == decoded(encoding, pack(body))
    with pytest.raises(Refused) as caught:
        decoded(encoding, pack(body + b"x"))
    assert "response-size" == caught.value.rule


def test_what_came_is_bounded_too() -> None:
    """Decoded it would be nothing: empty blocks of deflate."""
    with pytest.raises(Refused, match="sent more than the 65536 bytes"):
        decoded("deflate", b"\0\0\0\xff\xff" * MOST, 4096)


def test_what_comes_between_two_encodings_is_bounded_too() -> None:
    """A small body that unfolds to a large one of empty blocks, which hold nothing in the end."""
    blocks = MOST // 5
    passing, data = (zipped(b"\0\0\0\xff\xff" * many) for many in (blocks, blocks + 1))

    assert len(data) < 1000
    assert b"" == decoded("deflate,gzip", passing)
    with pytest.raises(Refused, match="sent more than"):
        decoded("deflate,gzip", data)


def test_three_encodings_are_undone_and_four_are_not() -> None:
    """Though all four would be what they say."""
    data = zipped(zipped(zipped(zipped(TEXT))))

    assert zipped(TEXT) == decoded("gzip,gzip,gzip", data)
    with pytest.raises(Unanswered, match="in more than 3 encodings") as caught:
        decoded("gzip,gzip,gzip,gzip", data)
    assert "undecodable" == caught.value.kind


def bomb(encoding: str, size: int) -> bytes:
    layers = encoding.split(",")
    data = bytes(size)
    for layer in layers:
        data = zipped(data, 9) if layer == "gzip" else zlib.compress(data, 9)
    return data


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip,gzip", "deflate,gzip,gzip"])
def test_a_bomb_does_not_unfold(encoding: str) -> None:
    """64 MiB of nothing: refused at the bound, having held little more than the bound."""
    data = bomb(encoding, 64 << 20)
    body = Body(HOST, encoding, MOST)
    tracemalloc.start()
    try:
        with pytest.raises(Refused) as caught:
            body.feed(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert "response-size" == caught.value.rule
    assert peak < 2 << 20


def test_a_bomb_stops_the_reading_early() -> None:
    """After some kilobytes of a body of a megabyte."""
    seed = random.Random(4)
    data = zlib.compress(b"".join(seed.randbytes(16) + bytes(50_000) for _ in range(2000)), 9)
    body = Body(HOST, "deflate", MOST)
    with pytest.raises(Refused):
        fill(body, data, 1024)

    assert len(data) > 100_000
    assert body.received_bytes < 2048


def test_a_length_over_the_bound_is_refused_before_the_body_comes() -> None:
    body = Body(HOST, "", MOST)
    body.expect(MOST)
    with pytest.raises(Refused) as caught:
        body.expect(MOST + 1)

    assert "response-size" == caught.value.rule
