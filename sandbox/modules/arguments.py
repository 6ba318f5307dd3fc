"""What a hook hands to a call, as exact texts, bytes, numbers, lists and dicts: the library gets nothing else.

SECURITY: whatever methods the hook's objects have run here, before the library begins, and never within it or in what
it keeps. Bodies are read whole: a call is one frame. A leaf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sandbox import wire
from sandbox.modules.caches import exact
from sandbox.modules.cookies import Cookies, jar_of
from sandbox.modules.faults import EgressRefused, refusal
from sandbox.modules.published import Held, published, put

ROOM = 1 << 20  # of a frame, for all but the body
_MOST_BODY = wire.REPLY_BYTES - ROOM
_CHUNK = 64 << 10
_LONGEST_MS = 1 << 53  # that a frame holds

_TEXTS = (str, bytes)


@published("requests.auth", "HTTPBasicAuth")
class BasicAuth(Held):
    """A name and a password for the Authorization header."""

    __slots__ = ("password", "username")
    username: Any
    password: Any

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        put(self, BasicAuth, username=_text(username), password=_text(password))

    def __eq__(self, other: object) -> bool:
        return type(other) is BasicAuth and (self.username, self.password) == (other.username, other.password)

    __hash__ = None  # type: ignore[assignment]  # as the library's


def _text(value: Any) -> str | bytes:
    """A text or bytes as they are; of anything else what str() gives."""
    made: str | bytes = exact(value if isinstance(value, _TEXTS) else str(value))
    return made


def url_of(given: Any) -> str:
    """The URL, as the library takes it: bytes, or anything with a text."""
    url = _text(given)
    return url.decode() if isinstance(url, bytes) else url


def method_of(given: Any) -> str:
    """The method, as a text."""
    method = exact(given)
    if type(method) is bytes:
        return method.decode("ascii")
    if type(method) is not str:
        raise TypeError(f"the method is a text, as 'GET', not a {type(given).__name__}")
    return method


def _pairs(given: Any, argument: str) -> list[tuple[Any, Any]]:
    """Of a mapping, or of an iterable of pairs."""
    items = given.items() if hasattr(given, "items") else given
    if not hasattr(items, "__iter__"):
        raise TypeError(f"{argument} is a dict or a list of pairs, not a {type(given).__name__}")
    return [_pair(each, argument) for each in items]


def _pair(given: Any, argument: str) -> tuple[Any, Any]:
    if not hasattr(given, "__iter__"):
        raise TypeError(f"{argument} is a dict or a list of pairs, but holds a {type(given).__name__}")
    pair = [*given]
    if len(pair) != 2:
        raise ValueError(f"{argument} is a dict or a list of pairs, but holds {len(pair)} things together")
    return pair[0], pair[1]


def headers_of(given: Any) -> dict[Any, Any]:
    """By name. None takes a header of the session's away; a number is left for the library to refuse."""
    if given is None:
        return {}
    if not hasattr(given, "items"):
        raise TypeError(f"headers are a dict, not a {type(given).__name__}")
    return {_header_name(name): _header_value(value) for name, value in _pairs(given, "headers")}


def _header_name(name: Any) -> Any:
    if isinstance(name, _TEXTS):
        return exact(name)
    raise TypeError(f"the name of a header is a text, not a {type(name).__name__}")


def _header_value(value: Any) -> Any:
    if value is None or isinstance(value, (*_TEXTS, int, float)):
        return value if type(value) is bool else exact(value)
    raise TypeError(f"the value of a header is a text, not a {type(value).__name__}")


def _fields(given: Any, argument: str) -> Any:
    """Names and values of a query or a form: a dict of a mapping, a list of pairs."""
    made = [(_text(name), _values(value)) for name, value in _pairs(given, argument)]
    return dict(made) if hasattr(given, "items") else made


def _values(value: Any) -> Any:
    if value is None or isinstance(value, _TEXTS):
        return exact(value)
    if hasattr(value, "__iter__"):
        return [each if each is None else _values(each) for each in value]
    return _text(value)


def params_of(given: Any) -> Any:
    """A query: text, bytes, a mapping or pairs."""
    return exact(given) if given is None or isinstance(given, _TEXTS) else _fields(given, "params")


def data_of(given: Any) -> Any:
    """A body: text or bytes, a form as a mapping or a list of pairs; what can be read is read whole."""
    if given is None or isinstance(given, _TEXTS):
        return exact(given)
    if isinstance(given, Mapping | list | tuple):
        return _fields(given, "data")
    return read_whole(given)


def read_whole(given: Any) -> bytes:
    """The bytes of an open file, a generator, or whatever else gives pieces. Raises EgressRefused."""
    if isinstance(given, bytearray):
        return bytes(given)
    if hasattr(given, "read"):
        return _joined(_readings(given.read))
    if hasattr(given, "__iter__"):
        return _joined(given)
    raise TypeError(f"a body is a text, bytes, a dict, a list of pairs or a file, not a {type(given).__name__}")


def _readings(read: Callable[[int], Any]) -> Iterator[Any]:
    while chunk := read(_CHUNK):
        yield chunk


def _joined(chunks: Iterable[Any]) -> bytes:
    joined = bytearray()
    for chunk in chunks:
        joined += _as_bytes(chunk)
        if len(joined) > _MOST_BODY:
            raise too_large()
    return bytes(joined)


def too_large() -> EgressRefused:
    """The refusal of a body that no frame holds."""
    return refusal("request-size", f"the body is over {_MOST_BODY} bytes; send less")


def check_size(body: bytes) -> bytes:
    """`body`, if a frame holds it. Raises EgressRefused."""
    if len(body) > _MOST_BODY:
        raise too_large()
    return body


def _as_bytes(chunk: Any) -> bytes:
    piece = exact(bytes(chunk) if isinstance(chunk, bytearray) else chunk)
    if type(piece) is str:
        return piece.encode()
    if type(piece) is bytes:
        return piece
    raise TypeError(f"a piece of a body is bytes or a text, not a {type(chunk).__name__}")


def files_of(given: Any) -> list[tuple[Any, tuple[Any, ...]]] | None:
    """The parts of an upload: name → content, or (file name, content[, type[, headers]])."""
    return [(_text(name), _part(name, value)) for name, value in _pairs(given, "files")] if given else None


def _part(name: Any, given: Any) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list):
        return _name_of_file(given) or _text(name), _content(given)
    if not 2 <= len(given) <= 4:
        raise ValueError("a file is its content, or (file name, content), with a type and headers after them")
    file_name, content, *rest = given
    named = None if file_name is None else _text(file_name)
    kind = [each if each is None else _text(each) for each in rest[:1]]
    return named, _content(content), *kind, *[headers_of(each) for each in rest[1:]]


def _name_of_file(given: Any) -> Any:
    """The last part of its path, as the library guesses it."""
    name = exact(getattr(given, "name", None))
    return name.rpartition("/")[2] if type(name) is str and name and name[0] != "<" and name[-1] != ">" else None


def _content(given: Any) -> Any:
    return exact(given) if given is None or isinstance(given, (*_TEXTS, int)) else read_whole(given)


def auth_of(given: Any) -> tuple[Any, Any] | None:
    """A name and a password."""
    if given is None:
        return None
    if type(given) is BasicAuth:
        return given.username, given.password
    if isinstance(given, tuple) and len(given) == 2:
        return _text(given[0]), _text(given[1])
    raise ValueError(
        "auth is a pair (name, password) or an HTTPBasicAuth; send other credentials in headers, as "
        'headers={"Authorization": "Bearer …"}'
    )


def cookies_of(given: Any) -> Any:
    """Cookies by name, or a jar of them, for the library."""
    if given is None:
        return None
    if type(given) is Cookies:
        return jar_of(given)
    if isinstance(given, Mapping):
        pairs = _pairs(given, "cookies")
        return {str(_text(name)): value if value is None else str(_text(value)) for name, value in pairs}
    raise TypeError("cookies are a dict of texts, or the cookies of a session or a response")


def timeout_of(given: Any) -> tuple[int | None, int | None]:
    """Milliseconds to connect and to read; None for as long as the engine allows. Raises ValueError as urllib3 does."""
    if isinstance(given, tuple):
        if len(given) != 2:
            raise ValueError(
                f"Invalid timeout {given!r:.100}. Pass a (connect, read) timeout tuple, or a single float to set both "
                "timeouts to the same value."
            )
        return _milliseconds(given[0], "connect"), _milliseconds(given[1], "read")
    return _milliseconds(given, "connect"), _milliseconds(given, "read")


def _milliseconds(given: Any, name: str) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool):
        raise ValueError("Timeout cannot be a boolean value. It must be an int, float or None.")  # noqa: TRY004 - urllib3's
    try:
        seconds = float(given if not isinstance(given, (*_TEXTS, bytearray)) else "")  # urllib3 compares it
    except OverflowError:
        return None
    except (TypeError, ValueError):
        raise ValueError(f"Timeout value {name} was {given!r:.100}, but it must be an int, float or None.") from None
    if not seconds > 0:  # nor is NaN
        raise ValueError(
            f"Attempted to set {name} timeout to {given!r:.100}, but the timeout cannot be set to a value less than or "
            "equal to 0."
        )
    return None if seconds == math.inf else min(math.ceil(seconds * 1000), _LONGEST_MS)
