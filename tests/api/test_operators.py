from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="module")
def alone(new_server: Callable[..., Any]) -> Any:
    """A server of which nobody else makes operators' tokens."""
    return new_server()


def made(server: Any, **fields: Any) -> dict[str, Any]:
    answer = server.ask("POST", "/v1/tokens", json={"name": "Ada"} | fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_an_operators_token_may_do_everything_but_auths_own_api(server: Any, acme: Any) -> None:
    token = made(server)

    assert 200 == server.ask("GET", "/v1/tenants", token=token["token"]).status_code
    assert 200 == server.ask("GET", f"/v1/tenants/{acme.name}/hooks", token=token["token"]).status_code
    assert 403 == server.ask("GET", "/api/v2/hooks", token=token["token"]).status_code


def test_a_token_is_shown_once(server: Any) -> None:
    answer = server.ask("POST", "/v1/tokens", json={"name": "Ada"})
    token = answer.json()
    listed = server.ask("GET", "/v1/tokens")

    assert {"id", "name", "scopes", "token", "created_at", "expires_at"} == set(token)
    assert ("Ada", ["operator"], None) == (token["name"], token["scopes"], token["expires_at"])
    assert "no-store" == answer.headers["cache-control"]
    assert token["token"] not in listed.text
    assert [{name: token[name] for name in token if name != "token"}] == [
        each for each in listed.json()["tokens"] if each["id"] == token["id"]
    ]


def test_a_revoked_token_ends_at_once(server: Any) -> None:
    token = made(server)

    assert 204 == server.ask("DELETE", f"/v1/tokens/{token['id']}").status_code
    assert 401 == server.ask("GET", "/v1/tenants", token=token["token"]).status_code
    assert 404 == server.ask("DELETE", f"/v1/tokens/{token['id']}").status_code


def test_a_token_may_end_by_itself(server: Any) -> None:
    token = made(server, expires_in=3_600)

    assert token["created_at"] < token["expires_at"]
    assert 200 == server.ask("GET", "/v1/tenants", token=token["token"]).status_code


def test_the_last_token_cannot_be_revoked_however_it_is_tried(alone: Any) -> None:
    """One that expires does not count: after it nobody could come in."""
    last = alone.ask("GET", "/v1/tokens").json()["tokens"][0]["id"]
    made(alone, expires_in=60)
    refused = alone.ask("DELETE", f"/v1/tokens/{last}")
    other = made(alone)

    assert (409, "last_operator_token") == (refused.status_code, refused.json()["errorCode"])
    assert 204 == alone.ask("DELETE", f"/v1/tokens/{last}").status_code
    assert 409 == alone.ask("DELETE", f"/v1/tokens/{other['id']}", token=other["token"]).status_code
    assert 200 == alone.ask("GET", "/v1/tokens", token=other["token"]).status_code


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/tokens"), ("POST", "/v1/tokens"), ("DELETE", "/v1/tokens/X"), ("POST", "/v1/master-key/rotation")],
)
def test_a_tenants_token_with_every_scope_is_none_of_an_operator(acme: Any, method: str, path: str) -> None:
    answer = acme.ask(method, path, json={"name": "x"})

    assert (403, "insufficient_scope") == (answer.status_code, answer.json()["errorCode"])
    assert "Insufficient scope, expected any of: operator" == answer.json()["message"]


def test_a_tenants_token_cannot_be_revoked_as_an_operators(server: Any, acme: Any) -> None:
    token = server.ask("GET", f"/v1/tenants/{acme.name}/tokens").json()["tokens"][0]["id"]

    assert 404 == server.ask("DELETE", f"/v1/tokens/{token}").status_code
    assert 200 == acme.ask("GET", "hooks").status_code


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 257},
        {"name": 7},
        {"name": None},
        {"name": "a\0b"},
        {"name": "x", "scopes": ["read:hooks"]},
        {"name": "x", "expires_in": 0},
        {"name": "x", "expires_in": "60"},
        {"name": "x", "expires_in": 1.5},
        {"name": "x", "expires_in": True},
        {"name": "x", "expires_in": 10**30},
        [],
        "x",
    ],
)
def test_what_is_no_token_is_told(server: Any, body: Any) -> None:
    answer = server.ask("POST", "/v1/tokens", json=body)

    assert (400, "invalid_body") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize("token_id", ["no", "hc_no", "%00", "..%2f", "x" * 65, "é"])
def test_an_id_that_is_none_is_told(server: Any, token_id: str) -> None:
    assert server.ask("DELETE", f"/v1/tokens/{token_id}").status_code in (400, 404)
