"""Server-sent events, read: whole events, however the bytes are cut."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import follow
from engine.client import Unreachable
from engine.follow import Event, Reader


def read(stream: bytes, *cuts: int) -> tuple[list[Event], str]:
    """The events, and the last id."""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    reader = Reader()
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]
    return list(reader.read(chunks)), reader.last_id


@pytest.mark.parametrize(
    ("stream", "events", "last_id"),
    [
        (b"event: log\ndata: {}\nid: 1\n\n", [Event("log", "{}")], "1"),
        (b"data: a\ndata: b\n\n", [Event("message", "a\nb")], ""),
        (b"data:a\r\n\r\nevent:x\rdata: b\r\r:", [Event("message", "a"), Event("x", "b")], ""),
        (b": a comment\n\nretry: 1000\nid: 7\n\n", [], "7"),
        (b"event: log\n\ndata: a\n\n", [Event("message", "a")], ""),
        (b"data: half of one", [], ""),
        (b"id: a\0b\ndata\n\n", [Event("message", "")], ""),
        ("data: ✓ \u2028 \x0c\n\n".encode(), [Event("message", "✓ \u2028 \x0c")], ""),
        (b"data: \xff\n\n", [Event("message", "\ufffd")], ""),
    ],
)
def test_what_a_stream_says(stream: bytes, events: list[Event], last_id: str) -> None:
    assert (events, last_id) == read(stream)


LINES = st.sampled_from(["event: log", "data: é", "data: ", "id: 1", "id:2", ": beat", "", "retry: 5", "nonsense"])
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@settings(deadline=None)
@given(st.lists(st.tuples(LINES, ENDS)), st.lists(st.integers(0, 1_000), max_size=6))
@example([("data: é", "\r\n"), ("", "\r\n")], [8, 9])
def test_it_says_the_same_however_it_is_cut(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    """In the middle of a character, of a line end."""
    stream = "".join(line + end for line, end in lines).encode()

    assert read(stream) == read(stream, *cuts)


@pytest.mark.parametrize("endless", [b"data: aaaaaaaa", b"data: aaaaaaa\n"], ids=["line", "event"])
def test_an_event_without_an_end_is_given_up(endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_MOST_CHARS", 1_000)
    taken = 0

    def chunks() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield endless

    with pytest.raises(Unreachable, match="of the server is l"):
        list(Reader().read(chunks()))
    assert taken < 1_000
