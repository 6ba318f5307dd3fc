"""Reading what a person names on the command line: bounded, UTF-8, with an error that says what was found."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import BadInput, BadSource


def read_bytes(name: str, most_bytes: int, what: str) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises BadInput."""
    if name == "-":
        if sys.stdin is None:
            raise BadInput(f"{what} '-': standard input is closed")
        raw = sys.stdin.buffer.read(most_bytes + 1)
    else:
        path = Path(name)
        try:
            with path.open("rb") as file:
                raw = file.read(most_bytes + 1)
        except FileNotFoundError:
            raise BadInput(f"{what} {name!r}: there is no such file") from None
        except IsADirectoryError:
            raise BadInput(f"{what} {name!r}: this is a directory; name a file in it") from None
        except (OSError, ValueError) as error:
            raise BadInput(f"{what} {name!r} cannot be read: {error}") from None
    if len(raw) > most_bytes:
        raise BadInput(f"{what} {name!r} is larger than the {most_bytes} bytes allowed")
    return raw


def read_source(name: str, most_bytes: int) -> str:
    """The text of a hook file. Raises BadInput."""
    raw = read_bytes(name, most_bytes, "hook file")
    try:
        return raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadSource(
            f"hook file {name!r} is not UTF-8: byte {raw[error.start]:#04x} at line {line}; save it as UTF-8"
        ) from None
