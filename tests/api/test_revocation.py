"""A token that has ended changes nothing, also by what it began before; and what it made ends with it or earlier."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.api import audit
from engine.api.route import Caller
from engine.errors import Refusal
from engine.scopes import OPERATOR
from engine.tokens import Tokens, end_operator, new_token
from tenants import token_rows
from tenants.records import Token
from tenants.store import Store

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"
ALL = ["create:hooks", "update:hooks", "delete:hooks", "read:hooks", "create:tokens", "delete:tokens"]


class Begun:
    """A request of which a part is on its way."""

    def __init__(self, server: Any, token: str, method: str, path: str, body: Any) -> None:
        self._client = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self._client.putrequest(method, path)
        self._client.putheader("Authorization", f"Bearer {token}")
        self._client.putheader("Content-Type", "application/json")
        self._client.putheader("Content-Length", str(len(raw)))
        self._client.putheader("Expect", "100-continue")  # said when the body is asked for: the token was looked at
        self._client.endheaders(None)
        said = self._client.sock.recv(100)
        assert b"100 Continue" in said
        self._rest = raw

    def end(self) -> int:
        """Its status."""
        self._client.send(self._rest)
        status = self._client.getresponse().status
        self._client.close()
        return status


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/tenants/{tenant}/tokens", {"name": "after", "scopes": ["read:hooks"]}),
        ("POST", "/api/v2/hooks", {"name": "after", "script": HOOK, "triggerId": POINT}),
        ("PATCH", "/api/v2/hooks/{hook}", {"enabled": True}),
        ("DELETE", "/api/v2/hooks/{hook}/secrets", ["KEY"]),
        ("POST", "/api/v2/hooks/{hook}/secrets", {"MORE": "x"}),
        ("PATCH", "/v1/tenants/{tenant}/hooks/{hook}", {"order": 5}),
        ("PUT", "/v1/tenants/{tenant}/hooks/{hook}/source", HOOK + "# after\n"),
        ("PUT", "/v1/tenants/{tenant}/hooks/{hook}/secrets/KEY", {"value": "after"}),
        ("PUT", "/v1/tenants/{tenant}/deployment", {"hooks": [], "delete_others": True}),
    ],
)
def test_a_request_that_was_begun_with_a_token_that_ended_changes_nothing(
    server: Any, acme: Any, method: str, path: str, body: Any
) -> None:
    hook = acme.ask("PUT", f"hooks/a/source?trigger_id={POINT}&enabled=false", content=HOOK).json()["id"]
    acme.ask("PUT", "hooks/a/secrets/KEY", json={"value": "before"})
    tokens = f"/v1/tenants/{acme.name}/tokens"
    made = server.ask("POST", tokens, json={"name": "stolen", "scopes": ALL}).json()
    begun = Begun(server, made["token"], method, path.format(tenant=acme.name, hook=hook), body)
    revoked = acme.ask("DELETE", f"tokens/{made['id']}")
    before = (acme.ask("GET", "export").json(), acme.ask("GET", "tokens").json(), acme.ask("GET", "logs").json())
    status = begun.end()

    assert (204, 401) == (revoked.status_code, status)
    assert before == (
        acme.ask("GET", "export").json(),
        acme.ask("GET", "tokens").json(),
        acme.ask("GET", "logs").json(),
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/tokens", {"name": "after"}),
        ("POST", "/v1/tenants", {"name": "after"}),
        ("PATCH", "/v1/tenants/{tenant}", {"settings": {"most_hooks": 7}}),
        ("POST", "/v1/tenants/{tenant}/tokens", {"name": "after", "scopes": ["read:hooks"]}),
    ],
)
def test_nor_does_one_of_an_operator(server: Any, acme: Any, method: str, path: str, body: Any) -> None:
    made = server.ask("POST", "/v1/tokens", json={"name": "stolen"}).json()
    begun = Begun(server, made["token"], method, path.format(tenant=acme.name), body)

    assert 204 == server.ask("DELETE", f"/v1/tokens/{made['id']}").status_code
    assert 401 == begun.end()
    assert "after" not in [each["name"] for each in server.ask("GET", "/v1/tokens").json()["tokens"]]
    assert 404 == server.ask("GET", "/v1/tenants/after").status_code


@pytest.mark.parametrize("expires_ms", [1, None])
def test_a_change_of_a_token_that_has_expired_or_is_gone_is_none(store: Store, expires_ms: int | None) -> None:
    """Without a body to wait for, too: deleting a tenant, rotating the key."""
    gone = new_token(None, "x", [OPERATOR])
    token = Token(id=gone.token.id, tenant_id=None, name="x", scopes=frozenset(), created_ms=1, expires_ms=expires_ms)
    if expires_ms:
        store.write_all(token_rows.create_operator, token, gone.digest).result()
    caller = Caller(token=token, tenant=None, address="", user_agent="", method="POST", path="/")

    with pytest.raises(Refusal, match="Invalid token"):
        store.write_all(audit.check_operator, caller).result()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(f"sqlite:///{tmp_path}/hookcell.db")
    opened.open()
    yield opened
    opened.close()


def test_a_token_may_end_itself(acme: Any, server: Any) -> None:
    made = server.ask("POST", f"/v1/tenants/{acme.name}/tokens", json={"name": "x", "scopes": ALL}).json()

    assert 204 == server.ask("DELETE", f"/v1/tenants/{acme.name}/tokens/{made['id']}", made["token"]).status_code
    assert 401 == server.ask("GET", "/api/v2/hooks", made["token"]).status_code


def test_no_token_outlives_the_one_that_made_it(server: Any, acme: Any) -> None:
    path = f"/v1/tenants/{acme.name}/tokens"
    maker = server.ask("POST", path, json={"name": "x", "scopes": ALL, "expires_in": 60}).json()
    made = [
        server.ask("POST", path, maker["token"], json={"name": "y", "scopes": ["read:hooks"]} | more).json()[
            "expires_at"
        ]
        for more in ({}, {"expires_in": 3_600}, {"expires_in": 1})
    ]

    assert [maker["expires_at"]] * 2 == made[:2]
    assert made[2] < maker["expires_at"]


def test_no_operators_token_outlives_the_one_that_made_it(server: Any) -> None:
    maker = server.ask("POST", "/v1/tokens", json={"name": "x", "expires_in": 60}).json()
    made = server.ask("POST", "/v1/tokens", maker["token"], json={"name": "y"}).json()

    assert maker["expires_at"] == made["expires_at"]


def test_a_token_that_was_got_for_a_day_makes_none(server: Any, acme: Any) -> None:
    """It would not end with the one it was got for."""
    path = f"/v1/tenants/{acme.name}/tokens"
    parent = server.ask("POST", path, json={"name": "x", "scopes": ALL}).json()
    asked = {"grant_type": "client_credentials", "client_id": parent["id"], "client_secret": parent["token"]}
    got = server.client.post("/oauth/token", json=asked | {"audience": "http://x/api/v2/"}).json()["access_token"]
    answer = server.ask("POST", path, got, json={"name": "y", "scopes": ["read:hooks"]})

    assert (403, "derived_token") == (answer.status_code, answer.json()["errorCode"])
    assert 200 == server.ask("GET", "/api/v2/hooks", got).status_code


def test_what_no_tenants_log_tells_of_is_told_in_the_servers(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hookcell.audit"):
        made = server.ask("POST", "/v1/tokens", json={"name": "Ada"}).json()
        server.ask("POST", "/v1/tenants", json={"name": "told-of"})
        server.ask("DELETE", "/v1/tenants/told-of")
        server.ask("DELETE", f"/v1/tokens/{made['id']}")
    told = [json.loads(record.getMessage()) for record in caplog.records if record.name == "hookcell.audit"]

    expected = ["Create an operator's token", "Create a tenant", "Delete a tenant", "Revoke an operator's token"]
    assert expected == [each["what"] for each in told]
    assert [201, 201, 204, 204] == [each["status"] for each in told]
    assert all(each["token"] and each["address"] == "127.0.0.1" for each in told)
    assert made["token"] not in caplog.text
    assert server.operator not in caplog.text


def test_a_text_that_was_revoked_is_good_for_nothing_at_any_later_start(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Though it stands in the file that the first start left."""
    path, tokens = tmp_path / "operator.token", Tokens(store)
    tokens.first_start(path)
    revoked = path.read_text()
    (first,) = store.read_all(token_rows.operators).result()
    store.write_all(token_rows.remove_operator, first.id).result()

    assert tokens.first_start(path)
    assert revoked != path.read_text()
    assert 0o600 == path.stat().st_mode & 0o777
    assert first.id not in [token.id for token in store.read_all(token_rows.operators).result()]
    assert [str(path)] == [record.args[0].as_posix() for record in caplog.records if record.name == "hookcell.tokens"]
    assert path.read_text().strip() not in caplog.text


def test_two_operators_who_end_each_others_tokens_leave_one(store: Store) -> None:
    made = [new_token(None, "x", [OPERATOR]) for _ in range(2)]
    for each in made:
        store.write_all(token_rows.create_operator, each.token, each.digest).result()
    ended = [store.write_all(end_operator, each.token.id).exception() for each in made]

    assert [None, "last_operator_token"] == [error and error.code for error in ended]
