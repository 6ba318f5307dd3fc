"""/openapi.json: FastAPI's document of the routes, and what it cannot know: the guard of each and every error.

The errors of a route follow from what it is: guarded, with a path, a query or a body, a write. None is written by hand.
"""

from __future__ import annotations

import http
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from engine.api.docs_page import page_of, style
from engine.api.errors_told import ERROR_SCHEMA, RESPONSES
from engine.api.examples import example_of
from engine.api.route import ANY, MANAGEMENT, Guard, guard_of
from engine.scopes import OPERATOR

Json = Any

_DESCRIPTION = """\
Runs tenants' hooks, small Python files, at the named points of an application's flow.

`/api/v2` speaks as Auth0's Management API does, for Auth0's own clients; `/v1` is the engine's own API. Every request
carries `Authorization: Bearer hc_…`: a tenant's token for what is the tenant's, an operator's for all of `/v1`.
What is another tenant's answers as what is not there.
"""
_TAGS = {
    "tenants": "Owners of hooks, each apart from all others.",
    "tokens": "A tenant's API tokens.",
    "hooks": "Python files bound to extensibility points.",
    "secrets": "What hooks read as `context.webtask.secrets`; written, and never shown again.",
    "versions": "What a hook was, and the way back.",
    "deployments": "All hooks of a folder at once.",
    "checks": "What an upload would find, without one.",
    "triggers": "An application's events, for the hooks of a tenant.",
    "executions": "What came of triggers.",
    "runs": "A hook, run to try it.",
    "logs": "What has happened to a tenant.",
    "points": "What the engine offers to those who write hooks.",
    "operators": "The server itself.",
    "Management API v2: hooks": "Hooks and their secrets, as Auth0's own clients know them.",
    "Management API v2: logs": "What has happened to the tenant, by search or by checkpoint.",
    "Management API v2: for its clients": "What Auth0's deploy CLI asks for beside hooks.",
    "oauth": "Access tokens for clients that ask for one.",
    "health": "Whether the server answers, and can do its work.",
}
_PATH_PARAMETERS = {"tenant": "The tenant's name."}
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LEFT_BY_FASTAPI = "Successful Response"
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API token, `hc_…`. The scopes that stand with a route are those of which it needs one.",
}
_CSP = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def add_to(app: FastAPI) -> None:
    """Serve the document, and the page that shows it. Both are made once, when they are first asked for."""
    document = _once(lambda: document_of(app))
    text = _once(lambda: json.dumps(document(), ensure_ascii=False, separators=(",", ":")).encode())
    page = _once(lambda: page_of(document()).encode())

    def openapi_json(_: Request) -> Response:
        return Response(text(), media_type="application/json")

    def docs(_: Request) -> Response:
        return Response(page(), media_type="text/html", headers={"Content-Security-Policy": _CSP})

    def docs_css(_: Request) -> Response:
        return Response(style(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    for path, endpoint in (("/openapi.json", openapi_json), ("/docs", docs), ("/docs/style.css", docs_css)):
        app.add_route(path, endpoint, include_in_schema=False)


def document_of(app: FastAPI) -> dict[str, Json]:
    """The whole document; the same for every start of the same version."""
    document = _written(app)
    parts = document["components"]
    schemas = parts["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Error"] = ERROR_SCHEMA
    parts["securitySchemes"] = {"token": _SCHEME}
    used: set[str] = set()
    for route, method, operation in _operations(app, document):
        _complete(route, method, operation, document)
        used.update(operation.get("tags", ()))
    document["tags"] = [{"name": name, "description": told} for name, told in _TAGS.items() if name in used]
    document["tags"] += [{"name": name, "description": ""} for name in sorted(used - _TAGS.keys())]
    told = json.dumps(document)
    parts["responses"] = {name: answer for name, answer in RESPONSES.items() if f'responses/{name}"' in told}
    return document


def _written(app: FastAPI) -> dict[str, Json]:
    """FastAPI's document, with short names for objects that it calls after their modules."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="A self-hosted, multi-tenant engine that runs other people's Python hooks.",
        description=_DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    long = [name for name in document["components"]["schemas"] if "__" in name]
    text = json.dumps(document)
    for name in long:
        text = text.replace(f'/{name}"', f'/{_short(name)}"').replace(f'"{name}":', f'"{_short(name)}":')
    written: dict[str, Json] = json.loads(text)
    return written


def _short(name: str) -> str:
    """'engine__api__management__hooks__Hook' → 'ManagementHook', beside the Hook of /v1."""
    *folders, last = name.split("__")
    return f"Management{last}" if "management" in folders else last


def _once(make: Callable[[], Json]) -> Callable[[], Json]:
    lock, made = threading.Lock(), list[Json]()

    def get() -> Json:
        with lock:
            if not made:
                made.append(make())
        return made[0]

    return get


def _operations(app: FastAPI, document: dict[str, Json]) -> Iterator[tuple[APIRoute, str, dict[str, Json]]]:
    for route in _routes_of(app):
        for method in sorted(route.methods or ()):
            yield route, method, document["paths"][route.path_format][method.lower()]


def _routes_of(app: FastAPI) -> list[APIRoute]:
    routes = (context.original_route for context in iter_route_contexts(app.routes))
    return [route for route in routes if isinstance(route, APIRoute) and route.include_in_schema]


def _complete(route: APIRoute, method: str, operation: dict[str, Json], document: dict[str, Json]) -> None:
    guard = guard_of(route)
    operation["operationId"] = _operation_id(route)
    _add_path_parameters(route, operation)
    responses = operation["responses"]
    responses.pop("422", None)
    for name in _errors(route, method, guard, {each["name"] for each in operation.get("parameters", ())}):
        responses.setdefault(RESPONSES[name]["x-status"], {"$ref": f"#/components/responses/{name}"})
    operation["responses"] = dict(sorted(responses.items()))
    for status, answer in responses.items():
        if answer.get("description") == _LEFT_BY_FASTAPI:
            answer["description"] = http.HTTPStatus(int(status)).phrase
    if guard.scopes:
        operation["security"] = [{"token": [scope]} for scope in _scopes(route, guard)] or [{"token": []}]
    _add_examples(operation, document)


def _operation_id(route: APIRoute) -> str:
    return f"management_{route.name}" if route.path.startswith(MANAGEMENT) else route.name


def _scopes(route: APIRoute, guard: Guard) -> list[str]:
    """Any of them will do; none: any token."""
    if ANY in guard.scopes:
        return []
    everywhere = [] if route.path.startswith(MANAGEMENT) else [OPERATOR]
    return list(dict.fromkeys([*(scope for scope in guard.scopes if scope != OPERATOR), *everywhere]))


def _add_path_parameters(route: APIRoute, operation: dict[str, Json]) -> None:
    """Those that the way in reads, and the route's function does not."""
    told = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
    added = [_path_parameter(name) for name in route.param_convertors if name not in told]
    if added:
        operation["parameters"] = added + operation.get("parameters", [])


def _path_parameter(name: str) -> dict[str, Json]:
    description = _PATH_PARAMETERS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": description,
        "example": "acme",
    }


def _errors(route: APIRoute, method: str, guard: Guard, parameters: set[str]) -> Iterator[str]:
    """What can come instead, as names of RESPONSES."""
    has_body = route.body_field is not None
    if guard.scopes:
        yield from ("BadRequest", "Unauthorized", "TooManyRequests", "Unavailable")
        if ANY not in guard.scopes or route.path.startswith(MANAGEMENT):
            yield "Forbidden"
    if parameters or has_body:
        yield "BadRequest"
    if route.param_convertors:
        yield "NotFound"
    if "q" in parameters:  # a search; the other queries are short, or wrong
        yield "UriTooLong"
    if has_body:
        yield "UnsupportedMediaType"
    if has_body or "requestBody" in (route.openapi_extra or {}):
        yield "PayloadTooLarge"
    if guard.scopes and method in _WRITES:
        yield "Conflict"


def _add_examples(operation: dict[str, Json], document: dict[str, Json]) -> None:
    """One of each body, where the route has none of its own."""
    bodies = [operation.get("requestBody", {})]
    bodies += operation["responses"].values()
    for body in bodies:
        for media in body.get("content", {}).values():
            if "example" not in media and "examples" not in media:
                media["example"] = example_of(media.get("schema", {}), document)
