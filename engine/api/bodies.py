"""Bodies and queries of requests: decoded strictly, then checked against a model; never a 5xx for what a client sent.

A body is one JSON value in UTF-8 (RFC 8259) without what two readers could understand differently: a name twice in an
object, NaN, half of a surrogate pair; and without NUL, which no database takes.
"""

from __future__ import annotations

import asyncio
import collections
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict

from engine.errors import Refusal
from engine.excess import DEPTH, VALUES, excess_of

BODY_BYTES = 1 << 20  # unless a route says otherwise
BODY_VALUES = VALUES  # as above
_NAMES = 1_000  # of one object: each may be one fault more
_SMALL_BYTES = 64 << 10  # of a body that takes no time worth a thread
_PASSED_BYTES = 8 << 20  # of a body that is too large: read and dropped, so that its sender gets to read the answer
_DIGITS = 100  # of an integer
DECODERS = ThreadPoolExecutor(2, thread_name_prefix="hookcell-body")  # of large bodies, so many at a time


class Body(BaseModel):
    """A JSON object of a request: types as they stand, no unknown name."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class Query(BaseModel):
    """The query of a request: no unknown name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class StrictRequest(Request):
    """A request whose body has a bound and whose JSON is read strictly."""

    body_bytes = BODY_BYTES
    body_values = BODY_VALUES

    async def body(self) -> bytes:
        """The whole body. Raises Refusal 413."""
        if not hasattr(self, "_body"):
            chunks, length = [], 0
            async for chunk in self.stream():
                length += len(chunk)
                if length <= self.body_bytes:
                    chunks.append(chunk)
                elif length > self.body_bytes + _PASSED_BYTES:
                    break
            if length > self.body_bytes:
                raise self._too_large()
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """The body as JSON. Raises Refusal 400, 413."""
        if not hasattr(self, "_json"):
            raw, most = await self.body(), self.body_values
            if len(raw) <= _SMALL_BYTES:
                self._json = decode(raw, most)
            else:
                self._json = await asyncio.get_running_loop().run_in_executor(DECODERS, decode, raw, most)
        return self._json

    def _too_large(self) -> Refusal:
        message = f"the body is larger than {self.body_bytes} bytes, the most that is allowed here"
        return Refusal(413, "payload_too_large", message, {"Connection": "close"})


def decode(raw: bytes, most: int = BODY_VALUES) -> Any:
    """The one JSON value in `raw`, which holds up to `most` values. Raises Refusal 400 `invalid_body`."""
    if said := excess_of(raw, most):
        raise bad_body(f"it holds {said}")
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise bad_body("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise bad_body(f"it is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise bad_body(f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:  # ours
        raise bad_body(str(error)[:200]) from None
    _check_texts(value)
    return value


def bad_body(said: str) -> Refusal:
    """The body cannot be used, and why."""
    return Refusal(400, "invalid_body", f"Payload validation error: {said}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _NAMES:
        raise ValueError(f"an object has more than {_NAMES} names")
    made = dict(pairs)
    if len(made) != len(pairs):
        ((twice, _),) = collections.Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {twice!r:.100} stands twice in one object")
    return made


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:  # what they cost grows with the square
        raise ValueError(f"a number has more than {_DIGITS} digits")
    return int(digits)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_texts(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(DEPTH):
        for text in level:
            if type(text) is str:
                _check_text(text)
        level = [below for above in level for below in _below(above)]
        if not level:
            return
    raise bad_body("it is nested too deeply")


def _below(value: Any) -> Iterable[Any]:
    if type(value) is dict:
        return [*value, *value.values()]
    return value if type(value) is list else ()


def _check_text(text: str) -> None:
    if "\0" in text:
        raise bad_body("a text holds a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise bad_body("a text holds half of a surrogate pair") from None
