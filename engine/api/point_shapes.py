"""What the engine offers to those who write hooks, as it stands in answers of /v1: points and modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """An extensibility point: where hooks run."""

    id: Annotated[str, Field(description="`trigger_id` everywhere else.", examples=["post-change-password"])]
    title: str
    about: Annotated[str, Field(description="When it runs and what it may change.")]
    blocking: Annotated[bool, Field(description="Whether the caller waits for the outcome.")]
    fail: Annotated[
        Literal["open", "closed"],
        Field(description="What the caller does without an answer: goes on (open), or refuses (closed)."),
    ]
    secret: Annotated[Sequence[str], Field(description="Dotted paths of arguments that are never stored.")]
    parameters: Annotated[Sequence[str], Field(description="Of the hook, in order.")]
    arguments: Annotated[Any, Field(description="JSON Schema of what it is called with.")]
    response: Annotated[Any, Field(description="JSON Schema of what it may answer.")]
    default_response: Annotated[Any, Field(description="What counts as answered when nothing was.")]
    without_hooks: Annotated[
        Mapping[str, str],
        Field(description="Name in the answer → dotted path of the argument that stands there at first."),
    ]
    kept: Annotated[Sequence[str], Field(description="Dotted paths of a response that count; none and no claims: all.")]
    renewed: Annotated[Sequence[str], Field(description="Those of them that a response without them takes away.")]
    claims: Annotated[
        Sequence[str] | None,
        Field(description="Names that are http(s) URLs count too, but of these hosts; null: none do."),
    ]
    plain_keys: Annotated[Sequence[str], Field(description="Objects whose names have no dot in them and no $ before.")]
    errors: Annotated[
        Mapping[str, Mapping[str, Any]],
        Field(description="Name of an error, or `default` → what the answer says beside its name and message."),
    ]
    error_fields: Annotated[
        Mapping[str, str], Field(description="Field of the answer → field of the error that stands there too.")
    ]
    failure_log_type: Annotated[str, Field(description="The type of the log event of a failure.")]
    starter: Annotated[str, Field(description="The source of a first hook.")]
    sample: Annotated[Mapping[str, Any], Field(description="Arguments to try a hook with.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """The extensibility points."""

    points: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module that hooks may import."""

    name: Annotated[str, Field(examples=["urllib.parse"])]
    names: Annotated[Sequence[str], Field(description="What it offers.")]
    without: Annotated[Mapping[str, str], Field(description="What authors look for in it, and why it is not there.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutModule:
    """A module that authors look for, and that hooks may not import."""

    name: str
    why: str
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """The module map."""

    modules: Annotated[Sequence[Module], Field(description="Those of the token's tenant; an operator sees all.")]
    left_out: Sequence[LeftOutModule]
