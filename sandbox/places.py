"""Where a finding stands: from a node of the parsed source to line and columns as people count them."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

from sandbox.wire import MESSAGE_CHARS, Diagnostic

_NAME_CHARS = 60  # of a hook's own name in a message
_COMPARED = 100  # names that a misspelt one is compared with, at most: those of its length
_LONGEST_COMPARED = 40  # characters: comparing takes the square


class Doubt(NamedTuple):
    """Something about a node that a person should look at."""

    node: ast.AST
    rule: str
    message: str
    hint: str = ""


class Places:
    """The lines of one source, to place nodes in."""

    def __init__(self, source: str) -> None:
        self._lines = source.encode().splitlines() or [b""]  # ast counts columns in bytes of UTF-8

    def diagnose(self, doubt: Doubt) -> Diagnostic:
        """The finding at the doubt's node; always within the source."""
        node: Any = doubt.node
        line = min(getattr(node, "lineno", 1), len(self._lines))
        begin = self._column(line, getattr(node, "col_offset", 0))
        one_line = getattr(node, "end_lineno", None) == line
        end = self._column(line, node.end_col_offset) if one_line else begin + 1
        message, hint = doubt.message[:MESSAGE_CHARS], doubt.hint[:MESSAGE_CHARS]
        return Diagnostic(doubt.rule, line, begin, max(end, begin + 1), message, hint)

    def _column(self, line: int, offset: int) -> int:
        return len(self._lines[line - 1][:offset].decode(errors="replace")) + 1


def nearest(name: str, known: Iterable[str], likeness: float = 0.7) -> str | None:
    """The known name that `name` was probably meant to be."""
    if len(name) > _LONGEST_COMPARED:
        return None
    candidates = sorted(known, key=lambda each: (abs(len(each) - len(name)), each))[:_COMPARED]
    return next(iter(difflib.get_close_matches(name[:_NAME_CHARS], candidates, 1, likeness)), None)


def shown(name: str) -> str:
    """A hook's own name or key, quoted, as far as it fits a message."""
    return repr(name if len(name) <= _NAME_CHARS else name[:_NAME_CHARS] + "…")
