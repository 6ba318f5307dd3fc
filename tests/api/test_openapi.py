from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from schemathesis.specs.openapi.definitions import OPENAPI_31

from engine.api.app import make_routes
from engine.api.route import ANY, guard_of
from engine.scopes import OPERATOR, TENANT_SCOPES

BUILD = "from engine.api import app; from fastapi.testclient import TestClient; import hashlib, json; from engine.api.document import document_of; print(hashlib.sha256(json.dumps(document_of(app.make_routes(None))).encode()).hexdigest())"
ERRORS = {"400", "401", "403", "404", "409", "413", "414", "415", "429", "503"}


@pytest.fixture(scope="module")
def document(server: Any) -> Any:
    answer = server.ask("GET", "/openapi.json", "")
    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    return answer.json()


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def routes(server: Any) -> Iterator[APIRoute]:
    for context in iter_route_contexts(make_routes(server.services).routes):
        if isinstance(context.original_route, APIRoute):
            yield context.original_route


def answers(document: Any, operation: Any) -> Iterator[tuple[str, Any]]:
    for status, answer in operation["responses"].items():
        name = answer.get("$ref", "").rpartition("/")[2]
        yield status, document["components"]["responses"][name] if name else answer


def test_the_document_is_one_of_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert [] == [str(error) for error in jsonschema_rs.validator_for(OPENAPI_31).iter_errors(document)]


def test_every_route_stands_in_it(server: Any, document: Any) -> None:
    served = {f"{method} {route.path_format}" for route in routes(server) for method in route.methods or ()}

    assert served == {name for name, _ in operations(document)}


def test_it_is_the_same_on_every_start() -> None:
    """Whatever the order of sets is."""
    made = [
        subprocess.run(
            [sys.executable, "-c", BUILD.replace("from fastapi.testclient import TestClient; ", "")],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert made[0] == made[1]
    assert 65 == len(made[0])


def test_every_operation_has_its_words(document: Any) -> None:
    told = {tag["name"] for tag in document["tags"] if tag["description"]}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= told, name
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])


def test_every_operation_has_an_id_of_its_own(document: Any) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]

    assert len(ids) == len(set(ids))
    assert [] == [each for each in ids if "__" in each]


def test_objects_have_short_names(document: Any) -> None:
    assert [] == [name for name in document["components"]["schemas"] if "__" in name]


def test_every_path_parameter_stands_in_its_operation(document: Any) -> None:
    for name, operation in operations(document):
        named = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}

        assert {part[1:-1] for part in name.split("/") if part.startswith("{")} == named, name


def test_every_guarded_operation_names_its_scopes_and_its_errors(server: Any, document: Any) -> None:
    for route in routes(server):
        guard = guard_of(route)
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            scopes = [scope for each in operation.get("security", []) for scope in each["token"]]
            assert {scope for scope in guard.scopes if scope not in (ANY, OPERATOR)} == set(scopes) - {OPERATOR}
            assert bool(guard.scopes) == ("security" in operation)
            if guard.scopes:
                assert {"400", "401", "429", "503"} <= operation["responses"].keys(), route.path
            if "{tenant}" in route.path:
                assert {"403", "404"} <= operation["responses"].keys(), route.path


def test_a_search_of_logs_can_be_too_long(server: Any, document: Any) -> None:
    """As the server says it, and no other operation does."""
    told = {name for name, operation in operations(document) if "414" in operation["responses"]}
    answer = server.ask("GET", f"/v1/tenants/{server.tenant('long-search').name}/logs?q={'a' * 9_000}")
    media = document["components"]["responses"]["UriTooLong"]["content"]["application/json"]

    assert {"GET /api/v2/logs", "GET /v1/tenants/{tenant}/logs"} == told
    assert media["example"] == answer.json()


def test_every_error_has_the_body_of_errors(document: Any) -> None:
    for name, operation in operations(document):
        if "security" not in operation:
            continue
        for status, answer in answers(document, operation):
            if int(status) >= 400:
                media = answer["content"]["application/json"]
                assert {"$ref": "#/components/schemas/Error"} == media["schema"], (name, status)
                assert int(status) == media["example"]["statusCode"], (name, status)


def test_no_operation_tells_of_fastapis_own_errors(document: Any) -> None:
    assert "422" not in {status for _, operation in operations(document) for status in operation["responses"]}
    assert {"HTTPValidationError", "ValidationError"}.isdisjoint(document["components"]["schemas"])


def examples(document: Any) -> Iterator[tuple[str, Any, Any]]:
    for name, operation in operations(document):
        bodies = [("body", operation.get("requestBody", {})), *answers(document, operation)]
        for where, body in bodies:
            for kind, media in body.get("content", {}).items():
                assert "example" in media or "examples" in media, (name, where)
                if kind == "application/json" and "example" in media:
                    yield f"{name} {where}", media["schema"], media["example"]


def test_every_example_is_one_of_its_schema(document: Any) -> None:
    for where, schema, example in examples(document):
        whole = schema | {"components": document["components"]}
        found = [str(error) for error in jsonschema_rs.validator_for(whole).iter_errors(example)]

        assert [] == found, where


def test_the_scopes_that_a_token_can_be_given_are_listed(document: Any) -> None:
    given = document["components"]["schemas"]["TokenBody"]["properties"]["scopes"]

    assert list(TENANT_SCOPES) == given["items"]["enum"]


def test_its_text_has_no_line_that_fastapi_has_left(document: Any) -> None:
    """No default description of an answer, as "Successful Response" is."""
    assert "Successful Response" not in json.dumps(document)


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect", "/openapi.yaml"])
def test_fastapis_own_pages_are_not_there(server: Any, path: str) -> None:
    assert 404 == server.ask("GET", path, "").status_code
