"""JSON that costs more than it is long: refused by its bytes, before any of its values is made."""

from __future__ import annotations

from sandbox import wire

VALUES = wire.VALUES  # unless a route says otherwise
DEPTH = 64  # of nesting in what a client sends; the validator of arguments that do not fit reads 250


def excess_of(raw: bytes, values: int = VALUES) -> str | None:
    """What is wrong with the size of a client's JSON document, as the end of a sentence about it; None: nothing.

    "more than 20000 values, the most that are allowed here" or "objects and lists nested too deeply, …".
    """
    match wire.excess(raw, values, DEPTH):
        case "values":
            return f"more than {values} values, the most that are allowed here"
        case "depth":
            return f"objects and lists nested too deeply, more than {DEPTH} within each other"
        case None:
            return None
