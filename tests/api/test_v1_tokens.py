from __future__ import annotations

import datetime
from typing import Any

import pytest


def test_a_tokens_text_is_shown_once_and_by_nobody_kept(server: Any, acme: Any) -> None:
    made = server.ask("POST", f"/v1/tenants/{acme.name}/tokens", json={"name": "ci", "scopes": ["read:tokens"]})
    text = made.json()["token"]
    listed = server.ask("GET", f"/v1/tenants/{acme.name}/tokens", text)

    assert (201, "no-store", "hc_") == (made.status_code, made.headers["cache-control"], text[:3])
    assert "ci" in [token["name"] for token in listed.json()["tokens"]]
    assert text not in listed.text
    assert {"id", "name", "scopes", "created_at", "expires_at"} == set(listed.json()["tokens"][0])


def test_a_token_gives_the_scopes_it_has_and_no_others(server: Any, acme: Any) -> None:
    text = server.token(acme.name, ["create:tokens", "read:hooks"])
    path = f"/v1/tenants/{acme.name}/tokens"
    same = server.ask("POST", path, text, json={"name": "x", "scopes": ["read:hooks"]})
    more = server.ask("POST", path, text, json={"name": "x", "scopes": ["read:hooks", "delete:hooks"]})
    operator = server.ask("POST", path, json={"name": "x", "scopes": ["operator"]})

    assert (201, 403, 400) == (same.status_code, more.status_code, operator.status_code)
    assert "delete:hooks" in more.json()["message"]
    assert "insufficient_scope" == more.json()["errorCode"]


def test_a_revoked_token_ends_at_once(server: Any, acme: Any) -> None:
    path = f"/v1/tenants/{acme.name}/tokens"
    made = server.ask("POST", path, json={"name": "x", "scopes": ["read:hooks"]}).json()
    hooks = f"/v1/tenants/{acme.name}/hooks"
    before = server.ask("GET", hooks, made["token"]).status_code
    gone = [server.ask("DELETE", f"{path}/{made['id']}").status_code for _ in range(2)]

    assert (200, [204, 404], 401) == (before, gone, server.ask("GET", hooks, made["token"]).status_code)


def test_a_token_may_have_an_end(server: Any, acme: Any) -> None:
    path = f"/v1/tenants/{acme.name}/tokens"
    made = server.ask("POST", path, json={"name": "x", "scopes": ["read:hooks"], "expires_in": 3_600}).json()
    created, expires = (datetime.datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))

    assert datetime.timedelta(hours=1) == expires - created


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": []},
        {"scopes": ["read:everything"]},
        {"scopes": "read:hooks"},
        {"name": ""},
        {"name": "x" * 257},
        {"name": "a\0"},
        {"name": None},
        {"expires_in": 0},
        {"expires_in": 10 * 366 * 86_400 + 1},
        {"expires_in": 1.5},
        {"expires_in": True},
        {"tenant": "other"},
    ],
)
def test_a_token_that_cannot_be_is_refused(server: Any, acme: Any, fields: dict[str, Any]) -> None:
    body = {"name": "x", "scopes": ["read:hooks"]} | fields
    refused = server.ask("POST", f"/v1/tenants/{acme.name}/tokens", json=body)

    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])


@pytest.mark.parametrize(
    ("scope", "method", "status"),
    [
        ("read:hooks", "GET", 403),
        ("read:tokens", "GET", 200),
        ("read:tokens", "POST", 403),
        ("create:tokens", "GET", 403),
        ("create:tokens", "POST", 201),
    ],
)
def test_tokens_need_their_own_scopes(server: Any, acme: Any, scope: str, method: str, status: int) -> None:
    text = server.token(acme.name, [scope])
    body = {"json": {"name": "x", "scopes": [scope]}} if method == "POST" else {}

    assert status == server.ask(method, f"/v1/tenants/{acme.name}/tokens", text, **body).status_code


def test_the_log_tells_who_made_a_token_and_not_its_text(server: Any, acme: Any) -> None:
    made = server.ask(
        "POST", f"/v1/tenants/{acme.name}/tokens", json={"name": "logged", "scopes": ["read:logs"]}
    ).json()
    logged = server.ask("GET", f"/v1/tenants/{acme.name}/logs", made["token"])

    assert "Create a token" in logged.text
    assert made["token"] not in logged.text
