"""`str.format` and `str.format_map` whose fields read attributes through a guard: the C versions would not."""

from __future__ import annotations

import _string  # type: ignore[import-not-found]  # string.Formatter splits field names with it
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sandbox.naming import stands_for

Read = Callable[[Any, str], Any]


class _GuardedFormatter(string.Formatter):
    """One for each call: it counts the fields without a number."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._numbered = 0
        self._numbers = ""  # automatic or manual, once that is known

    def parse(self, format_string: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
        """The fields, those without a number numbered: `{}` and `{.name}` alike."""
        for literal, field, spec, conversion in super().parse(format_string):
            yield literal, field if field is None else self._number(field), spec, conversion

    def _number(self, field: str) -> str:
        if field and field[0] not in ".[":
            if field[0].isdigit():
                self._agree("manual field specification")
            return field
        self._agree("automatic field numbering")
        self._numbered += 1
        return f"{self._numbered - 1}{field}"

    def _agree(self, numbers: str) -> None:
        if self._numbers not in ("", numbers):
            raise ValueError(f"cannot switch from {self._numbers} to {numbers}")
        self._numbers = numbers

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The argument that a field names."""
        if isinstance(key, int) and key >= len(args):
            raise IndexError(f"Replacement index {key} out of range for positional args tuple")
        return super().get_value(key, args, kwargs)

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str | int]:
        """The object of a field, every attribute on the way through the guard."""
        first, rest = _string.formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, name in rest:
            value = self._read(value, name) if is_attribute else value[name]
        return value, first


def formatting(name: str, read: Read) -> Callable[..., str]:
    """`str.format` or `str.format_map` as a function of the text and its arguments."""

    def format(text: str, /, *args: Any, **kwargs: Any) -> str:  # noqa: A001 - what it stands for
        return _GuardedFormatter(read).vformat(_exact(text), args, kwargs)

    def format_map(text: str, mapping: Mapping[str, Any], /) -> str:
        return _GuardedFormatter(read).vformat(_exact(text), (), mapping)

    return stands_for(f"str.{name}")(format if name == "format" else format_map)


def _exact(text: str) -> str:
    if not issubclass(type(text), str):
        raise TypeError(f"a format is a text, not a {type(text).__name__}")
    return str.__str__(text)
