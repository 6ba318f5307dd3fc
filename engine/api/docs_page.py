"""/docs: the OpenAPI document as one page, written here. It has no script, and nothing in it comes from elsewhere."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from engine.api.examples import resolved

Json = Any

_FOLDER = Path(__file__).with_name("pages")
_DEPTH = 2  # of properties within properties that are shown
_CODE = re.compile(r"`([^`]+)`")
_BOUNDS = {
    "minimum": "least {}",
    "maximum": "most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "minProperties": "at least {}",
    "maxProperties": "at most {}",
    "pattern": "pattern {}",
}


def style() -> bytes:
    """The page's style sheet."""
    return (_FOLDER / "style.css").read_bytes()


def page_of(document: Json) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["prose"] = _prose
    template = environment.get_template("docs.html")
    errors = document["components"]["responses"]
    return template.render(
        info=document["info"], groups=_groups(document), errors=[_answer(each) for each in errors.values()]
    )


def _prose(text: str) -> Markup:
    """Paragraphs, and `code` in them."""
    paragraphs = (escape(part) for part in re.split(r"\n\s*\n", text.strip()))
    return Markup("").join(Markup("<p>{}</p>").format(_with_code(part)) for part in paragraphs)


def _with_code(escaped: Markup) -> Markup:
    return Markup(_CODE.sub(r"<code>\1</code>", str(escaped)))  # noqa: S704 - of what is escaped


def _groups(document: Json) -> list[dict[str, Json]]:
    """Routes by their first tag, in the order of the tags."""
    groups: dict[str, list[Json]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append(_route(path, method, operation, document))
    about = {tag["name"]: tag["description"] for tag in document["tags"]}
    return [
        {"id": re.sub("[^a-z0-9]+", "-", name.lower()), "name": name, "about": about[name], "routes": routes}
        for name, routes in groups.items()
    ]


def _route(path: str, method: str, operation: Json, document: Json) -> dict[str, Json]:
    return {
        "id": operation["operationId"].replace("_", "-"),
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "scopes": _scopes(operation),
        "parameters": [_parameter(each, document) for each in operation.get("parameters", ())],
        "body": _body(operation.get("requestBody"), document),
        "answers": [_answer(_referred(each, document), status) for status, each in operation["responses"].items()],
        "curl": _curl(path, method, operation),
    }


def _scopes(operation: Json) -> list[str] | None:
    """Any of them will do; none of them: any token. None: nobody needs a token."""
    alternatives = operation.get("security")
    return None if alternatives is None else [scope for each in alternatives for scope in each["token"]]


def _referred(answer: Json, document: Json) -> Json:
    if "$ref" in answer:
        name = answer["$ref"].rpartition("/")[2]
        return document["components"]["responses"][name] | {"x-name": name}
    return answer


def _answer(answer: Json, status: str = "") -> dict[str, Json]:
    example = next((media["example"] for media in answer.get("content", {}).values() if "example" in media), None)
    status = status or answer["x-status"]
    return {
        "status": status,
        "description": answer["description"],
        "example": None if example is None else _shown(example),
        "shared": "x-status" in answer,
        "headers": sorted(answer.get("headers", ())),
    }


def _shown(example: Json) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)


def _parameter(parameter: Json, document: Json) -> dict[str, Json]:
    schema = parameter["schema"]
    return {
        "name": parameter["name"],
        "where": parameter["in"],
        "required": parameter.get("required", False),
        "type": _type(schema, document),
        "bounds": _bounds(schema),
        "description": parameter.get("description", schema.get("description", "")),
    }


def _body(body: Json, document: Json) -> dict[str, Json] | None:
    if body is None:
        return None
    kind, media = next(iter(body["content"].items()))
    example = media.get("example")
    return {
        "kind": kind,
        "description": body.get("description", ""),
        "properties": list(_properties(media["schema"], document)),
        "example": None if example is None else _shown(example),
    }


def _properties(schema: Json, document: Json, above: str = "", depth: int = 0) -> Iterator[dict[str, Json]]:
    """The properties of an object, those within it under dotted names."""
    schema = _object_in(schema, document)
    required = schema.get("required", ())
    for name, below in schema.get("properties", {}).items():
        yield {
            "name": above + name,
            "required": name in required,
            "type": _type(below, document),
            "bounds": _bounds(below),
            "description": below.get("description", ""),
        }
        if depth < _DEPTH:
            yield from _properties(below, document, f"{above}{name}.", depth + 1)


def _object_in(schema: Json, document: Json) -> Json:
    """The object that a schema is, may be, or lists."""
    schema = resolved(schema, document)
    if schema.get("type") == "array":
        return _object_in(schema.get("items", {}), document)
    for branch in schema.get("anyOf", ()):
        found = _object_in(branch, document)
        if "properties" in found:
            return found
    return schema


def _type(schema: Json, document: Json) -> str:
    """'text', 'number, or null', 'list of text', '"tenant" or "invocation"'."""
    schema = resolved(schema, document)
    if branches := schema.get("anyOf"):
        return ", or ".join(dict.fromkeys(_type(each, document) for each in branches))
    if "enum" in schema:
        return " or ".join(json.dumps(each) for each in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), document)}"
    return str(schema.get("type", "any"))


def _bounds(schema: Json) -> list[str]:
    found = [told.format(schema[name]) for name, told in _BOUNDS.items() if name in schema]
    found += [bound for branch in schema.get("anyOf", ()) for bound in _bounds(branch)]
    if schema.get("default") not in (None, "", [], {}):
        found.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    return found


def _curl(path: str, method: str, operation: Json) -> str:
    """A line for a shell; the values that stand for others are in capitals, as variables."""
    url = "$HOOKCELL_SERVER" + re.sub(r"{(\w+)}", lambda found: f"${found[1].upper()}", path)
    queries = [each for each in operation.get("parameters", ()) if each["in"] == "query" and each.get("required")]
    if queries:
        url += "?" + "&".join(f"{each['name']}=…" for each in queries)
    parts = ["curl"] + ([] if method == "get" else ["-X", method.upper()])
    if "security" in operation:
        parts.append('-H "Authorization: Bearer $HOOKCELL_TOKEN"')
    return " ".join([*parts, *_curl_body(operation.get("requestBody")), f'"{url}"'])


def _curl_body(body: Json) -> list[str]:
    if body is None:
        return []
    kind, media = next(iter(body["content"].items()))
    if kind == "application/json":
        sent = shlex.quote(json.dumps(media.get("example", {}), ensure_ascii=False))
        return ['-H "Content-Type: application/json"', "-d", sent]
    return ["--data-binary", "@FILE"]
