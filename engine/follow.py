"""A stream of server-sent events, followed from where it was: what a server goes on to say, read on this side.

The format is that of the HTML standard, "Server-sent events": lines `event:`, `data:` and `id:`, an empty line at the
end of each event, comments that begin with a colon.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from engine.client import Client, Refused, Unreachable

SILENCE_S = 45  # three heartbeats; then the connection is taken for broken
_MOST_CHARS = 4 << 20  # of an event
_FIRST_S, _MOST_S = 0.5, 30.0  # between two connections
_ASKED = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    kind: str  # of its `event:` line; "message" where there is none
    data: str


class Reader:
    """Reads events, over one connection after the other."""

    def __init__(self) -> None:
        self.last_id = ""  # the last one that was said, with an event or without; empty: none yet

    def read(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        """The events of one connection, each as soon as it is whole. Raises Unreachable for one that is too large."""
        kind, data = "", list[str]()
        for line in _lines(chunks):
            if not line:
                if data:
                    yield Event(kind or "message", "\n".join(data))
                kind, data = "", []
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "id" and "\0" not in value:
                self.last_id = value
            if sum(map(len, data)) > _MOST_CHARS:
                raise Unreachable(f"an event of the server is larger than {_MOST_CHARS} characters")


def follow(client: Client, path: tuple[str, ...], lost: Callable[[str], None]) -> Iterator[Event]:
    """What happens from now on, without end.

    A connection that breaks is made again, from where it was: nothing that the server still has is missed. `lost` is
    told why it broke. Raises Refused, also later, when the token is no longer valid; Unreachable when the server never
    was there.
    """
    reader, pause_s, there = Reader(), _FIRST_S, False
    while True:
        headers = _ASKED | ({"Last-Event-ID": reader.last_id} if reader.last_id else {})
        try:
            with client.streaming(*path, headers=headers, read_s=SILENCE_S) as chunks:
                there = True
                for event in reader.read(chunks):
                    pause_s = _FIRST_S
                    yield event
            lost("the server has ended the connection")
        except (Unreachable, Refused) as error:
            if not there or (isinstance(error, Refused) and not _is_passing(error.status)):
                raise
            lost(str(error))
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _MOST_S)


def _is_passing(status: int) -> bool:
    """Whether it may be otherwise the next time."""
    return status >= 500 or status == 429


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The whole lines; a carriage return at the end of a chunk may be half of a line end."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        end = max(rest.rfind(b"\n"), rest.rfind(b"\r", 0, len(rest) - 1))
        if end >= 0:
            whole, rest = rest[: end + 1], rest[end + 1 :]
            yield from _LINE_END.split(whole.decode(errors="replace"))[:-1]
        if len(rest) > _MOST_CHARS:
            raise Unreachable(f"a line of the server is longer than {_MOST_CHARS} characters")
