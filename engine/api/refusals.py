"""What a request's path, query or body lacks, in the words of Auth0's Management API.

Payload validation error: 'Expected type boolean but found type string' on property enabled (Whether …).

Source: AUTH0.md section 4.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from engine.errors import Refusal

_PARTS = {  # in the order in which they are told
    "path": ("invalid_uri", "Path validation error"),
    "query": ("invalid_query_string", "Query validation error"),
    "body": ("invalid_body", "Payload validation error"),
}
_TYPES = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "string": "string",
    "dict": "object",
    "list": "array",
    "tuple": "array",
    "model": "object",
    "none": "null",
}
_FOUND = (  # in this order: a bool is an int, a str a Sequence
    (type(None), "null"),
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str | bytes, "string"),
    (Mapping, "object"),
    (Sequence, "array"),
)
_SAID = {
    "missing": "Missing required property: {name}",
    "extra_forbidden": "Additional properties not allowed: {name}",
    "string_pattern_mismatch": "String does not match pattern {pattern}: {input}",
    "string_too_short": "String is too short ({length} chars), minimum {min_length}",
    "string_too_long": "String is too long ({length} chars), maximum {max_length}",
    "too_short": "Too few items ({length}), minimum {min_length}",
    "too_long": "Too many items ({length}), maximum {max_length}",
    "greater_than_equal": "Value {input} is less than minimum {ge}",
    "less_than_equal": "Value {input} is greater than maximum {le}",
    "literal_error": "No enum match for: {input}",
    "enum": "No enum match for: {input}",
}
_LARGE = re.compile("[0-9]{10,20}")  # of a query: a number that a client may have counted to
_SHOWN_CHARS = 100  # of what was found


def refusal_of(error: RequestValidationError, model: type[BaseModel] | None) -> Refusal:
    """The first fault that the request has: of its path, then its query, then its body."""
    fault = min(error.errors(), key=lambda fault: [*_PARTS, fault["loc"][0]].index(fault["loc"][0]))
    code, title = _PARTS.get(fault["loc"][0], ("invalid_headers", "Header validation error"))
    path = _path(fault, model)
    where = f" on property {'.'.join(path)}{_description(path, model)}" if path else ""
    return Refusal(400, code, f"{title}: '{_said(fault)}'{where}.")


def _path(fault: Mapping[str, Any], model: type[BaseModel] | None) -> list[str]:
    """Where the property stands; of what is missing or unknown, its name is in the message instead."""
    steps = [str(step) for step in fault["loc"][1:]]
    if fault["loc"][0] == "body" and model is None:
        return steps
    return steps[:-1] if fault["type"] in ("missing", "extra_forbidden") else steps


def _said(fault: Mapping[str, Any]) -> str:
    kind, found = fault["type"], fault.get("input")
    if kind == "missing" and len(fault["loc"]) == 1:
        return "Expected a JSON object or array but found no body"
    if kind in _SAID:
        length = len(found) if isinstance(found, str | Mapping | Sequence) else 0
        facts = dict(fault.get("ctx", {})) | {"name": fault["loc"][-1], "input": _shown(found), "length": length}
        return _SAID[kind].format_map(facts)
    if kind == "int_parsing" and isinstance(found, str) and _LARGE.fullmatch(found):
        return f"Value {found} is too large"
    expected = _expected(kind)
    return f"Expected type {expected} but found type {_type_of(found)}" if expected else str(fault["msg"])


def _expected(kind: str) -> str | None:
    """'bool_type', 'bool_parsing' → 'boolean'."""
    name, _, rest = kind.partition("_")
    return _TYPES.get(name) if rest in ("type", "parsing", "attributes_type", "from_float") else None


def _type_of(found: Any) -> str:
    return next((name for kind, name in _FOUND if isinstance(found, kind)), "value")


def _shown(found: Any) -> str:
    if isinstance(found, Mapping | list):  # its text may be longer than the body
        return _type_of(found)
    text = str(found)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def _description(path: list[str], model: type[BaseModel] | None) -> str:
    """' (what the property is for)', as the model tells it."""
    field = model.model_fields.get(path[0]) if model and len(path) == 1 else None
    if field is None and model:
        field = next((each for each in model.model_fields.values() if path == [each.alias]), None)
    return f" ({field.description})" if field and field.description else ""
