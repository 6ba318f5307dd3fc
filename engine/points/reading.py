"""From YAML files to points: the built-in ones as they are, an operator's after every check, all faults told at once.

The shape of a file is point.schema.json; what a schema cannot say stands in faults.py. Nothing is fetched, and no
pattern of a schema can take long: they run on what strangers send.
"""

from __future__ import annotations

import importlib.resources
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import yaml

from engine.errors import BadConfig
from engine.points.point import Point

_DEFAULTS: dict[str, Any] = {
    "response": {},
    "default_response": None,
    "without_hooks": {},
    "errors": {"default": {"statusCode": 500}},
    "error_fields": {},
    "success_log_type": None,
    "log_types": {},
}
_FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ENDINGS = (".yaml", ".yml")


def read_built_in() -> dict[str, Point]:
    """The points that come with the engine, by id, in order of their files."""
    folder = importlib.resources.files(__package__)
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(_ENDINGS)), key=lambda entry: entry.name)
    points = [make_point(yaml.load(file.read_text(encoding="utf-8"), _FastLoader)) for file in files]  # noqa: S506 - a safe loader
    return {point.id: point for point in points}


def read_folder(folder: Path, known: Mapping[str, Point]) -> dict[str, Point]:
    """The points of an operator's folder, by id, in order of their files; `known` ids are taken. Raises BadConfig."""
    from engine.points.faults import faults_of  # noqa: PLC0415 - most processes never read a folder

    points: dict[str, Point] = {}
    faults, taken = [], set(known)
    for path in _files(folder):
        data, said = _read(path)
        said = said or faults_of(data, taken)
        faults += [f"{path.name}: {each}" for each in said]
        if isinstance(data, dict) and isinstance(data.get("id"), str):
            taken.add(data["id"])
        if not said:
            points[data["id"]] = make_point(data)
    if faults:
        raise BadConfig(f"points of {folder}: " + "; ".join(faults))
    return points


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(_ENDINGS) and path.name[0] != ".")
    except OSError as error:
        raise BadConfig(f"points: the folder {folder} cannot be read: {error.strerror}") from None


def _read(path: Path) -> tuple[Any, list[str]]:
    """What a file holds, or why it cannot be used."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
        return data, list(_no_json(data, ""))
    except OSError as error:
        return None, [f"it cannot be read: {error.strerror}"]
    except RecursionError:
        said = "it is nested too deeply"
    except (ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
    return None, [f"it cannot be read as YAML: {said}"]


def _no_json(value: Any, where: str) -> Iterator[str]:
    """What YAML has and JSON has not. Raises RecursionError for what holds itself."""
    if isinstance(value, dict):
        for name, below in value.items():
            if isinstance(name, str):
                yield from _no_json(below, f"{where}.{name}" if where else name)
            else:
                yield f"{where or 'the file'}: the name {name!r:.50} is no text; put it in quotes"
    elif isinstance(value, list):
        for place, below in enumerate(value):
            yield from _no_json(below, f"{where}[{place}]")
    elif not isinstance(value, str | bool | int | float | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        yield f"{where}: {value!r:.50} is nothing that JSON has"


class _Loader(yaml.SafeLoader):
    """Also of what is nested too deeply, which ends libyaml's; and a time stays the text that it is."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def make_point(data: dict[str, Any]) -> Point:
    """The point of a file without faults."""
    told = _DEFAULTS | {"fail": "closed" if data["blocking"] else "open"} | data
    for name in ("parameters", "secret", "kept", "renewed", "plain_keys"):
        told[name] = tuple(told.get(name, ()))
    told["claims"] = None if told.get("claims") is None else tuple(map(str.lower, told["claims"]))
    checked = told["blocking"] and told["response"]
    return Point(
        **told,
        fields=tuple(fields_of(told["arguments"], "")),
        validator=validator_of(told["arguments"], shown_as="it"),
        response_validator=validator_of(told["response"], shown_as="it") if checked else None,
        default_json=msgspec.json.encode(told["default_response"]),
    )


def validator_of(schema: Any, *, shown_as: str | None = None) -> jsonschema_rs.Validator:
    """Raises ValueError or jsonschema_rs' own errors for what is no schema, and for one that refers elsewhere.

    `shown_as`: what its errors say instead of a value that may be secret.
    """
    linear = jsonschema_rs.RegexOptions()  # no pattern goes back and forth
    return jsonschema_rs.validator_for(schema, mask=shown_as, retriever=_refuse_reference, pattern_options=linear)


def fields_of(schema: Mapping[str, Any], above: str) -> Iterator[str]:
    """The dotted paths of what an object's schema names; an object without properties may hold anything.

    What has a description alone is no object, and is not checked. Source: AUTH0.md section 2.3
    """
    for name, below in schema.get("properties", {}).items():
        if not isinstance(below, Mapping):
            yield f"{above}{name}"
        elif "properties" in below:
            yield from fields_of(below, f"{above}{name}.")
        elif below.get("type") == "object" or below.get("additionalProperties") or not below:
            yield f"{above}{name}.*"
        else:
            yield f"{above}{name}"


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"a schema may not refer to {uri}: nothing is fetched")
