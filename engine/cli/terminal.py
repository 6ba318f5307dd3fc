"""The one place where a command prints what it did not make up itself: a server's words, a tenant's, a file's.

Control characters in them would be their author's commands to the terminal of whoever looks; they are shown escaped.
"""

from __future__ import annotations

import sys
from typing import Any

import click


def plain(text: str) -> str:
    """`text` on a terminal: control characters would be the tenant's commands to it."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}" for character in text
    )


def plain_line(text: str) -> str:
    """The same as one line: a line end in it would begin a line that nobody of ours has written."""
    return plain(text).replace("\n", "\\x0a")


def say(text: str, *, err: bool = False, **style: Any) -> None:
    """Print one line."""
    click.secho(plain_line(text), err=err, **style)


def say_lines(text: str, *, err: bool = False) -> None:
    """Print what may have several lines, each of our own making."""
    click.echo(plain(text), err=err)


def give(content: str) -> None:
    """Print a text as it is, byte for byte; at a terminal, where nothing reads it back, escaped."""
    if sys.stdout is not None and sys.stdout.isatty():
        shown = (plain(part) for part in content.replace("\r\n", "\n").split("\t"))
        click.echo("\t".join(shown), nl=not content.endswith("\n"))
    else:
        click.echo(content.encode(errors="replace"), nl=False)


def give_json(value: Any) -> None:
    """Print `value` as one line of JSON; characters that are not printed have their number there."""
    import msgspec

    text = msgspec.json.encode(value).decode()
    click.echo("".join(each if each.isprintable() else _number(each) for each in text))


def _number(character: str) -> str:
    """How JSON writes a character by its number: four hex digits, and beyond U+FFFF twice four."""
    pairs = character.encode("utf-16-be").hex()
    return "".join(f"\\u{pairs[start : start + 4]}" for start in range(0, len(pairs), 4))
