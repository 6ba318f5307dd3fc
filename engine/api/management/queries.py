"""What the queries of /api/v2 have in common: numbers and flags as they stand in a URL, pages, parts of an object."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Path
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from engine.api.bodies import Query

_MOST_PAGES = 2**31 - 1  # more hooks than a tenant can have: the page is empty
_DIGITS = re.compile(r"-?[0-9]{1,18}")

Id = Annotated[
    str, Path(pattern="^[A-Za-z0-9-]*$", description="The hook's id.", examples=["01GEPVQEH9SX3RSTYY561TR92N"])
]


def _number(text: Any) -> Any:
    """Digits, and no other way to write a number that Python knows."""
    if isinstance(text, str) and not _DIGITS.fullmatch(text):
        raise PydanticCustomError("int_parsing", "not an integer")
    return text


def _flag(text: Any) -> Any:
    if isinstance(text, str) and text not in ("true", "false"):
        raise PydanticCustomError("bool_parsing", "neither true nor false")
    return text


Number = Annotated[int, BeforeValidator(_number)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class Paged(Query):
    """A page of a list, and which part of each object."""

    page: Annotated[Number, Field(ge=0, le=_MOST_PAGES, description="Which page; the first is 0.")] = 0
    per_page: Annotated[Number, Field(ge=0, le=100, description="How many on a page.")] = 50
    include_totals: Annotated[Flag, Field(description="Whether to answer with an object that has the total.")] = False
    include_fields: Annotated[Flag, Field(description="Whether `fields` names what to show, or what to leave out.")] = (
        True
    )

    @property
    def start(self) -> int:
        """How many are before the page."""
        return self.page * self.per_page

    def totals(self, total: int) -> dict[str, int]:
        """What stands beside the list when totals are asked for."""
        return {"total": total, "start": self.start, "limit": self.per_page}


def fields_pattern(names: Iterable[str]) -> str:
    """Of a comma list of these names; the empty one is all of them."""
    each = f"({'|'.join(names)})"
    return f"^({each}(,{each})*)?$"


def part_of(shape: Mapping[str, Any], fields: str | None, *, included: bool) -> Mapping[str, Any]:
    """The properties that `fields` names, or all others."""
    if not fields:
        return shape
    named = set(fields.split(","))
    return {name: value for name, value in shape.items() if (name in named) == included}
