"""JSON as a hook sees it: objects that read as attributes and as dicts. And back: plain JSON from what a hook made."""

from __future__ import annotations

import json
import math
from itertools import islice
from typing import Any

import msgspec

from sandbox import wire
from sandbox.naming import stands_for


@stands_for("dict")
class Document(dict[str, Any]):
    """A JSON object: `user["email"]`, `user.email` and `user.get("email")` are the same field.

    A field named like a dict method is reached by item. A missing attribute says which fields there are.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name in self and not name.startswith(
            "__"
        ):  # SECURITY: or it could pass for anything, a dataclass among them
            return self[name]
        raise self._absent(name)

    def __missing__(self, name: Any) -> Any:
        raise KeyError(self._absence(name))

    def _absent(self, name: str) -> AttributeError:
        return AttributeError(self._absence(name), name=name, obj=self)

    def _absence(self, name: Any) -> str:
        fields = ", ".join(map(str, islice(self, 20))) or "none"
        more = ", …" if len(self) > 20 else ""
        return f"there is no field {name!r:.100} here; the fields are: {fields}{more}"

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise self._absent(name)
        del self[name]

    def copy(self) -> Document:
        """A shallow copy that reads the same."""
        return Document(self)

    __copy__ = copy

    def __or__(self, other: Any) -> Any:
        return _as_document(super().__or__(other))

    def __ror__(self, other: Any) -> Any:
        return _as_document(super().__ror__(other))


def _as_document(merged: Any) -> Any:
    return merged if merged is NotImplemented else Document(merged)


_decoder = json.JSONDecoder(object_hook=Document)
_SPACE = " \t\n\r"  # JSON's. Source: RFC 8259, section 2
_encode_any = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode


def _encode(value: Any) -> bytes:
    """JSON of exact types: by the quick encoder, which has no integers over 64 bits, or by the one that has."""
    try:
        return msgspec.json.encode(value)
    except OverflowError:
        return _encode_any(value).encode()


class NotPlain(ValueError):
    """The value is no JSON; the message says where and why."""


def parse(raw: bytes) -> Any:
    """The JSON value in `raw`, each of its objects a Document."""
    text = raw.decode()
    try:
        value, end = _decoder.raw_decode(text)
    except json.JSONDecodeError:
        return _decoder.decode(text)  # white space before it, or a fault to be told
    return value if not text[end:].strip(_SPACE) else _decoder.decode(text)


_EXACT = frozenset({str, int, bool, type(None)})  # JSON already


def encode(value: Any) -> bytes:
    """Compact JSON of `value`. Raises NotPlain: only what JSON has, exactly, counts; subclasses are rebuilt."""
    if value is None:
        return b"null"
    try:
        return _encode(plain(value, "result", 0))
    except UnicodeEncodeError:
        raise NotPlain("a text in the result holds half of a surrogate pair, which UTF-8 cannot carry") from None
    except NotPlain:
        raise
    except ValueError as error:
        raise NotPlain(str(error)) from None


def plain(value: Any, path: str, depth: int) -> Any:
    """`value` rebuilt from exact JSON types. Raises NotPlain naming the path of what does not fit."""
    if depth > wire.DEPTH:  # a cycle or an attack
        raise NotPlain(f"{path[:200]} is nested more than {wire.DEPTH} deep, or contains itself")
    if type(value) in _EXACT:
        return value
    if type(value) is float:
        if math.isfinite(value):
            return value
        raise NotPlain(f"{path} is {value}, which JSON does not have")
    kept = _EXACT if depth < wire.DEPTH else ()  # deeper, each is refused
    if isinstance(value, dict):
        fields = [(key if type(key) is str else _key(key, path), item) for key, item in dict.items(value)]
        return {
            key: item if type(item) in kept else plain(item, f"{path}[{key!r:.40}]", depth + 1) for key, item in fields
        }
    if isinstance(value, (list, tuple)):
        base: Any = list if isinstance(value, list) else tuple  # past what a subclass makes of it
        return [
            item if type(item) in kept else plain(item, f"{path}[{place}]", depth + 1)
            for place, item in enumerate(base.__iter__(value))
        ]
    return _base_of(value, path)


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    shown = repr(key) if type(key) in (int, float, bool, bytes, type(None)) else f"a {type(key).__name__}"
    raise NotPlain(f"{path} has the key {shown:.40}; JSON keys are text")


def _base_of(value: Any, path: str) -> Any:
    """A subclass of text or number, as that; anything else is refused with the usual way out."""
    for base in (str, int, float):
        if isinstance(value, base):
            return plain(base.__add__(value, base()), path, 0)  # type: ignore[operator]  # exact, no tenant code run
    hints = {
        "datetime": "; convert it with .isoformat()",
        "date": "; convert it with .isoformat()",
        "set": "; convert it with list(…) or sorted(…)",
        "frozenset": "; convert it with list(…) or sorted(…)",
        "bytes": "; convert it with .decode() or base64",
        "Decimal": "; convert it with str(…) or float(…)",
        "UUID": "; convert it with str(…)",
        "generator": "; convert it with list(…)",
        "CaseInsensitiveDict": "; convert it with dict(…)",
        "RequestsCookieJar": "; convert it with .get_dict()",
        "Response": "; hand over its .json() or .text",
    }
    name = type(value).__name__
    raise NotPlain(f"{path} is a {name[:60]}, which JSON does not have{hints.get(name, '')}")
