"""One value of a JSON Schema: from its examples where it has some, else from its shape. The same each time."""

from __future__ import annotations

from typing import Any

Json = Any

_DEPTH = 8
_OF_TYPES: dict[str, Json] = {"string": "…", "number": 1.0, "boolean": True, "null": None}


def resolved(schema: Json, document: Json) -> Json:
    """The schema, or what its $ref leads to."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def example_of(schema: Json, document: Json, depth: int = 0) -> Json:
    """A value that the schema describes."""
    schema = resolved(schema, document)
    if "examples" in schema:
        return schema["examples"][0]
    for name in ("example", "const", "default"):
        if schema.get(name) is not None:
            return schema[name]
    if "enum" in schema:
        return schema["enum"][0]
    if branches := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return example_of(branches[0], document, depth + 1)
    return _of_type(schema, document, depth)


def _of_type(schema: Json, document: Json, depth: int) -> Json:
    kind = schema.get("type")
    if kind == "array":
        return [] if depth > _DEPTH or not schema.get("items") else [example_of(schema["items"], document, depth + 1)]
    if kind == "object" or "properties" in schema:
        shown = {} if depth > _DEPTH else _shown(schema, document)
        return {name: example_of(below, document, depth + 1) for name, below in shown.items()}
    return max(schema.get("minimum", 0), 1) if kind == "integer" else _OF_TYPES.get(kind)


def _shown(schema: Json, document: Json) -> dict[str, Json]:
    """What an object must have, and what has an example of its own; if that is nothing, the first of its properties."""
    required, properties = schema.get("required", ()), schema.get("properties", {})
    shown = {
        name: below for name, below in properties.items() if name in required or "examples" in resolved(below, document)
    }
    return shown or dict(list(properties.items())[: schema.get("minProperties", 0)])
