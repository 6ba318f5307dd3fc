"""Extensibility points are data: the YAML files of this folder, one a point, read once.

Shape of a file: `id`, `title`, `about`, `blocking`, `parameters` (in order, `cb` last), `arguments` and `response`
(JSON Schema), `default_response`, `failure_log_type`, `starter` (source of a first hook), `sample` (arguments for it).
"""

from __future__ import annotations

import difflib
import functools
import importlib.resources
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import msgspec
import yaml

from engine.errors import BadArguments, UnknownPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One extensibility point."""

    id: str  # `trigger_id` on the wire
    title: str  # for people
    about: str  # one sentence: when it runs and what it may change
    blocking: bool  # whether the caller waits for the outcome
    parameters: tuple[str, ...]  # of the hook, in order; `cb` last
    arguments: Any  # JSON Schema of an invocation's arguments
    fields: tuple[str, ...]  # what it names: "user.email"; "user.app_metadata.*" may hold anything
    response: Any  # JSON Schema of what cb() may be given
    default_response: Any  # the result when cb() was given none. Source: AUTH0.md section 2.1
    failure_log_type: str  # log event type of a failure, as in AUTH0.md section 5.3
    starter: str  # source of a first hook
    sample: dict[str, Any]  # arguments to try a hook with
    validator: jsonschema_rs.Validator  # of `arguments`

    def encode_arguments(self, arguments: Mapping[str, Any] | bytes, most_bytes: int) -> bytes:
        """JSON of an invocation's arguments. Raises BadArguments: no JSON, too large, or not this point's shape."""
        raw = arguments if isinstance(arguments, bytes) else _encode(arguments)
        if len(raw) > most_bytes:
            raise BadArguments(f"the arguments are {len(raw)} bytes of JSON; the most allowed is {most_bytes}")
        self._check_shape(_decode(raw))
        return raw

    def _check_shape(self, given: Any) -> None:
        for error in self.validator.iter_errors(given):
            where = "".join(f"[{step!r}]" for step in error.instance_path)
            wanted = ", ".join(self.parameters[:-1])
            raise BadArguments(
                f"the arguments do not fit the point {self.id} (an object with {wanted}): "
                f"arguments{where}: {error.message[:500]}"
            )


def all_points() -> dict[str, Point]:
    """Every point, by id."""
    return dict(_points())


def point_named(trigger_id: str) -> Point:
    """The point of that id. Raises UnknownPoint, naming the nearest."""
    points = _points()
    if trigger_id in points:
        return points[trigger_id]
    near = difflib.get_close_matches(trigger_id, points, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UnknownPoint(
        f"there is no extensibility point {trigger_id!r:.200}; {hint}the points are: {', '.join(points)}"
    )


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise BadArguments("the arguments are nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BadArguments(f"the arguments are not JSON: {error}") from None


def _encode(arguments: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(arguments)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise BadArguments(f"the arguments are not JSON: {error}") from None


@functools.cache
def _points() -> dict[str, Point]:
    folder = importlib.resources.files(__name__)
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda entry: entry.name)
    points = [_parse(yaml.load(file.read_text(encoding="utf-8"), _FastLoader)) for file in files]  # noqa: S506 - a safe loader
    return {point.id: point for point in points}


_FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _parse(data: dict[str, Any]) -> Point:
    validator = jsonschema_rs.validator_for(data["arguments"], retriever=_refuse_reference)
    fields = tuple(_fields(data["arguments"], ""))
    return Point(**data | {"parameters": tuple(data["parameters"])}, fields=fields, validator=validator)


def _fields(schema: dict[str, Any], above: str) -> Iterator[str]:
    """The dotted paths of what an object's schema names; an object without properties may hold anything.

    What has a description alone is no object, and is not checked. Source: AUTH0.md section 2.3
    """
    for name, below in schema.get("properties", {}).items():
        if "properties" in below:
            yield from _fields(below, f"{above}{name}.")
        elif below.get("type") == "object" or below.get("additionalProperties") or not below:
            yield f"{above}{name}.*"
        else:
            yield f"{above}{name}"


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"a schema may not refer to {uri}: nothing is fetched")
