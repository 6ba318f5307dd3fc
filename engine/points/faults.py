"""What is wrong with a file of an operator's point. Every fault names its field, and all of them are told.

First the shape, by point.schema.json; then what holds between fields, as far as these have their shape.
"""

from __future__ import annotations

import difflib
import functools
import keyword
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from engine.points.reading import fields_of, validator_of

_SHAPE = Path(__file__).with_name("point.schema.json")
_SCHEMA_ERRORS = (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError)
_TAKEN = frozenset({"console", "module", "require"})  # names that every hook has already
_OF_ANSWERS = ("without_hooks", "kept", "renewed", "claims", "plain_keys")


def faults_of(data: Any, known: Collection[str]) -> list[str]:
    """`field: what is wrong` for each fault of a file's data; `known` ids are taken."""
    if not isinstance(data, dict):
        return ["it is no mapping of fields"]
    broken = list(_validator().iter_errors(data))
    faults = [_told(error) for error in broken]
    sound = data.keys() - {error.instance_path[0] for error in broken if error.instance_path}
    if data.get("id") in known and "id" in sound:
        faults.append(f"id: there is a point {data['id']} already")
    for needed, check in _CHECKS:
        if sound >= needed:
            faults += check(data)
    return faults


@functools.cache
def _shape() -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(_SHAPE.read_bytes())
    return read


@functools.cache
def _validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(_shape())


def _told(error: jsonschema_rs.ValidationError) -> str:
    where, kind = ".".join(map(str, error.instance_path)), error.kind
    if not where and isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        return "; ".join(f"{name:.50}: there is no such field{_nearest(name)}" for name in kind.unexpected)
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        return f"{f'{where}.' if where else ''}{kind.property}: it must be set"
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
        return f"{where}: it may not be set"
    return f"{where}: {error.message[:500]}" if where else error.message[:500]


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, _shape()["properties"], 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _parameters(data: dict[str, Any]) -> Iterator[str]:
    given = data["parameters"]
    if given[-2:] != ["context", "cb"]:
        yield f"parameters: found {', '.join(given)}; the last two must be context and cb"
    if unusable := [name for name in given if keyword.iskeyword(name) or name in _TAKEN]:
        yield f"parameters: {', '.join(unusable)} cannot be the name of a hook's parameter"


def _arguments(data: dict[str, Any]) -> Iterator[str]:
    try:
        validator = validator_of(data["arguments"])
    except _SCHEMA_ERRORS as unusable:
        yield _unusable("arguments", unusable)
        return
    if "sample" in data and isinstance(data["sample"], dict):
        for error in validator.iter_errors(data["sample"]):
            where = ".".join(["sample", *map(str, error.instance_path)])
            yield f"{where}: it does not fit the schema in arguments: {error.message[:500]}"


def _named(data: dict[str, Any]) -> Iterator[str]:
    properties, wanted = data["arguments"]["properties"], [name for name in data["parameters"] if name != "cb"]
    if missing := [name for name in wanted if name not in properties]:
        yield f"arguments.properties: {', '.join(missing)} of parameters is not there"
    if strangers := [name for name in properties if name not in wanted]:
        yield f"arguments.properties: {', '.join(strangers)} is no parameter, so no hook would get it"
    if properties.get("context", {"type": "object"}).get("type") != "object":
        yield "arguments.properties.context: its type must be object: context.webtask is added to it"


def _response(data: dict[str, Any]) -> Iterator[str]:
    try:
        validator = validator_of(data["response"])
    except _SCHEMA_ERRORS as unusable:
        yield _unusable("response", unusable)
        return
    for error in validator.iter_errors(data.get("default_response")):
        yield f"default_response: it does not fit the schema in response: {error.message[:500]}"


def _not_blocking(data: dict[str, Any]) -> Iterator[str]:
    if data["blocking"]:
        return
    if data.get("secret"):
        yield "secret: the arguments of a point that does not block are stored until its hooks have run"
    for name in _OF_ANSWERS:
        if name in data:
            yield f"{name}: a point that does not block answers nobody"


def _secret(data: dict[str, Any]) -> Iterator[str]:
    yield from _unknown("secret", data["secret"], data["arguments"])


def _without_hooks(data: dict[str, Any]) -> Iterator[str]:
    yield from _unknown("without_hooks", data["without_hooks"].values(), data["arguments"])
    if not isinstance(data.get("default_response"), dict | None):
        yield "without_hooks: default_response is no object, so nothing can be put into it"


def _log_types(data: dict[str, Any]) -> Iterator[str]:
    yield from _unknown("log_types", data["log_types"], data["arguments"])


def _unknown(what: str, paths: Iterable[str], schema: dict[str, Any]) -> Iterator[str]:
    """A path that no schema names would never be found: of a secret, that would be told too late."""
    known = tuple(fields_of(schema, ""))
    for path in paths:
        if not any(_leads_to(path, field) for field in known):
            yield f"{what}: {path} is no field of the schema in arguments"


def _leads_to(path: str, field: str) -> bool:
    """To the field, to an object that it is in, or below one that may hold anything."""
    opened = field.removesuffix("*")
    return path == field or field.startswith(f"{path}.") or (opened != field and path.startswith(opened))


def _kept(data: dict[str, Any]) -> Iterator[str]:
    for name in ("renewed", "plain_keys"):
        if strangers := [path for path in data.get(name, ()) if path not in data["kept"]]:
            yield f"{name}: {', '.join(strangers)} is not in kept"


def _alone(data: dict[str, Any]) -> Iterator[str]:
    if "kept" not in data:
        yield from (f"{name}: it says nothing without kept" for name in ("renewed", "plain_keys") if name in data)


def _unusable(field: str, error: Exception) -> str:
    where = ".".join(map(str, [field, *getattr(error, "instance_path", ())]))
    said = " ".join(str(getattr(error, "message", error)).split())
    return f"{where}: it is no JSON Schema that can be used: {said[:500]}"


_CHECKS: tuple[tuple[frozenset[str], Callable[[dict[str, Any]], Iterator[str]]], ...] = (
    (frozenset({"parameters"}), _parameters),
    (frozenset({"arguments"}), _arguments),
    (frozenset({"arguments", "parameters"}), _named),
    (frozenset({"response"}), _response),
    (frozenset({"blocking"}), _not_blocking),
    (frozenset({"arguments", "secret"}), _secret),
    (frozenset({"arguments", "without_hooks"}), _without_hooks),
    (frozenset({"arguments", "log_types"}), _log_types),
    (frozenset({"kept"}), _kept),
    (frozenset(), _alone),
)
