from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from engine.scopes import TENANT_SCOPES
from engine.tokens import NewToken, Tokens, mint, new_token
from tenants import keyring, register, token_rows
from tenants.errors import Missing
from tenants.records import Settings
from tenants.store import Store
from tenants.vault import Vault

URL = "/oauth/token"
AUDIENCE = "http://127.0.0.1:8787/api/v2/"
UNAUTHORIZED = {"error": "access_denied", "error_description": "Unauthorized"}


@pytest.fixture
def client(server: Any, acme: Any) -> dict[str, str]:
    """What a client of the tenant acme sends."""
    return client_of(server, acme.name)


def client_of(server: Any, tenant: str, scopes: tuple[str, ...] = TENANT_SCOPES, **fields: Any) -> dict[str, str]:
    body = {"name": "ci", "scopes": list(scopes)} | fields
    made = server.ask("POST", f"/v1/tenants/{tenant}/tokens", json=body).json()
    return {
        "grant_type": "client_credentials",
        "client_id": made["id"],
        "client_secret": made["token"],
        "audience": AUDIENCE,
    }


def posted(server: Any, fields: Any, **sent: Any) -> Any:
    return server.ask("POST", URL, token="", json=fields, **sent)


def until_refused(ask: Callable[[], Any]) -> tuple[list[int], Any]:
    """The statuses before the first 429, and that answer."""
    before: list[int] = []
    while (answer := ask()).status_code != 429:
        before.append(answer.status_code)
        assert len(before) < 1_000
    return before, answer


@pytest.mark.parametrize("sending", ["data", "json"])
def test_both_encodings_get_a_token_that_may_do_the_same(
    server: Any, acme: Any, client: dict[str, str], sending: str
) -> None:
    """Auth0's newer SDKs send a form, the older ones JSON."""
    answer = server.ask("POST", URL, token="", **{sending: client})
    got = answer.json()

    assert 200 == answer.status_code, answer.text
    assert {"access_token", "token_type", "expires_in", "scope"} == set(got)
    assert "Bearer" == got["token_type"]
    assert 86_390 <= got["expires_in"] <= 86_400
    assert sorted(TENANT_SCOPES) == got["scope"].split(" ")
    assert "no-store" == answer.headers["cache-control"]
    assert got["access_token"] != client["client_secret"]
    assert 200 == server.ask("GET", "/api/v2/hooks", token=got["access_token"]).status_code
    assert 200 == server.ask("GET", f"/v1/tenants/{acme.name}/hooks", token=got["access_token"]).status_code


def test_it_has_the_scopes_of_its_parent_and_no_more(server: Any, acme: Any) -> None:
    got = posted(server, client_of(server, acme.name, ("read:hooks",)) | {"scope": "delete:hooks read:hooks"}).json()

    assert "read:hooks" == got["scope"]
    assert 200 == server.ask("GET", "/api/v2/hooks", token=got["access_token"]).status_code
    assert 403 == server.ask("GET", "/api/v2/logs", token=got["access_token"]).status_code


def test_it_ends_with_its_parent(server: Any, acme: Any, client: dict[str, str]) -> None:
    got = [posted(server, client).json()["access_token"] for _ in range(3)]
    server.ask("DELETE", f"/v1/tenants/{acme.name}/tokens/{client['client_id']}")

    assert [401] * 3 == [server.ask("GET", "/api/v2/hooks", token=token).status_code for token in got]
    assert (401, UNAUTHORIZED) == (posted(server, client).status_code, posted(server, client).json())


def test_it_lasts_no_longer_than_its_parent(server: Any, acme: Any) -> None:
    got = posted(server, client_of(server, acme.name, expires_in=100)).json()

    assert 90 <= got["expires_in"] <= 100


def test_it_does_not_stand_among_the_tokens_of_the_tenant(server: Any, acme: Any, client: dict[str, str]) -> None:
    before = server.ask("GET", f"/v1/tenants/{acme.name}/tokens").json()
    posted(server, client)

    assert before == server.ask("GET", f"/v1/tenants/{acme.name}/tokens").json()


def test_it_gets_no_further_token(server: Any, client: dict[str, str]) -> None:
    """Else one that has leaked for a day could be renewed for ever."""
    got = posted(server, client).json()["access_token"]

    for client_id in (client["client_id"], got):
        answer = posted(server, client | {"client_id": client_id, "client_secret": got})
        assert (401, UNAUTHORIZED) == (answer.status_code, answer.json())


def test_nobody_is_told_what_is_wrong_with_their_credentials(server: Any, acme: Any, client: dict[str, str]) -> None:
    """An unknown secret, another one's secret, an operator's token: the same answer, to the byte."""
    other = client_of(server, server.tenant().name)
    operator = server.ask("POST", "/v1/tokens", json={"name": "operator"}).json()
    wrong = [
        client | {"client_secret": mint()},
        client | {"client_id": other["client_id"]},
        client | {"client_id": acme.name},
        client | {"client_id": client["client_id"].lower()},
        client | {"client_secret": other["client_secret"]},
        client | {"client_id": operator["id"], "client_secret": operator["token"]},
        client | {"client_id": "é", "client_secret": "é"},
    ]
    answers = [posted(server, fields) for fields in wrong]

    assert [401] * len(wrong) == [answer.status_code for answer in answers]
    assert [UNAUTHORIZED] * len(wrong) == [answer.json() for answer in answers]


@pytest.mark.parametrize(
    ("changed", "status", "error", "description"),
    [
        ({"grant_type": None}, 400, "invalid_request", "Missing required parameter: grant_type"),
        ({"grant_type": ""}, 400, "invalid_request", "Missing required parameter: grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", "Unsupported grant type: password"),
        ({"grant_type": 7}, 400, "invalid_request", "Parameter grant_type must be a string"),
        ({"client_id": None}, 400, "invalid_request", "Missing required parameter: client_id"),
        ({"client_id": ["x"]}, 400, "invalid_request", "Parameter client_id must be a string"),
        ({"client_secret": None}, 400, "invalid_request", "Missing required parameter: client_secret"),
        ({"client_secret": {"a": 1}}, 400, "invalid_request", "Parameter client_secret must be a string"),
        ({"audience": "https://x/"}, 403, "access_denied", "Service not found: https://x/"),
        ({"audience": "https://x/api/v2"}, 403, "access_denied", "Service not found: https://x/api/v2"),
        (
            {"audience": None},
            403,
            "access_denied",
            "No audience parameter was provided, and no default audience has been configured",
        ),
    ],
)
def test_what_is_asked_wrongly_is_told_as_oauth_says(
    server: Any, client: dict[str, str], changed: Any, status: int, error: str, description: str
) -> None:
    answer = posted(server, client | changed)

    assert {"error": error, "error_description": description} == answer.json()
    assert status == answer.status_code
    assert "no-store" == answer.headers["cache-control"]


@pytest.mark.parametrize("audience", ["https://localhost:8787/api/v2/", "http://[::1]:1/api/v2/", "urn:x/api/v2/"])
def test_the_audience_is_the_server_however_its_client_spells_it(
    server: Any, client: dict[str, str], audience: str
) -> None:
    assert 200 == posted(server, client | {"audience": audience}).status_code


def test_what_oauth_does_not_know_is_passed_over(server: Any, client: dict[str, str]) -> None:
    """auth0-python sends `organization`: null."""
    assert 200 == posted(server, client | {"organization": None, "unknown": [1]}).status_code


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b""),
        (FORM, b"grant_type"),
        (FORM, b"grant_type=client_credentials&grant_type=client_credentials"),
        (FORM, b"grant_type=%ff%fe"),
        (FORM, b"grant_type=\xc3\xa9"),
        (FORM, b"&" * 1_000),
        (FORM, b"&".join(b"a%d=1" % number for number in range(1_000))),
        ("application/json", b""),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b"null"),
        ("application/json", b"7"),
        ("application/json", b'{"grant_type": "client_credentials", "grant_type": "client_credentials"}'),
        ("application/json", b'{"grant_type": "\\ud800"}'),
        ("application/json", b'{"grant_type": NaN}'),
        ("application/json", b"[" * 8_000),
        ("application/json", b"\xff"),
        ("text/plain", b"grant_type=client_credentials"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("", b"grant_type=client_credentials"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_as_oauth_says(server: Any, kind: str, body: bytes) -> None:
    answer = server.ask("POST", URL, token="", content=body, headers={"Content-Type": kind})

    assert (400, "invalid_request") == (answer.status_code, answer.json()["error"])
    assert {"error", "error_description"} == set(answer.json())


def test_a_body_that_is_too_large_is_told_as_oauth_says(server: Any, client: dict[str, str]) -> None:
    answer = posted(server, client | {"more": "x" * (16 << 10)})

    assert (413, "invalid_request") == (answer.status_code, answer.json()["error"])


def test_an_encoding_with_its_charset_is_that_encoding(server: Any, client: dict[str, str]) -> None:
    kind = "Application/X-WWW-Form-Urlencoded; charset=utf-8"
    answer = server.ask("POST", URL, token="", content=urlencode(client), headers={"Content-Type": kind})

    assert 200 == answer.status_code


def test_guesses_count_as_failed_authentications_of_their_address(new_server: Callable[..., Any]) -> None:
    strict = new_server(failed_logins_per_minute=5)
    client = client_of(strict, strict.tenant().name)
    failed, refused = until_refused(lambda: posted(strict, client | {"client_secret": mint()}))

    assert [401] * 5 == failed[:5]
    assert {401} == set(failed)
    assert "too_many_requests" == refused.json()["error"]
    assert int(refused.headers["retry-after"]) >= 1
    assert 429 == strict.ask("GET", "/api/v2/hooks", token=mint()).status_code
    assert 429 == posted(strict, client).status_code


def test_a_wrong_id_with_a_right_secret_counts_too(new_server: Callable[..., Any]) -> None:
    strict = new_server(failed_logins_per_minute=5)
    client = client_of(strict, strict.tenant().name)
    failed, _ = until_refused(lambda: posted(strict, client | {"client_id": "wrong"}))

    assert {401} == set(failed)


def test_a_tenant_cannot_have_tokens_made_without_end(server: Any) -> None:
    tenant = server.tenant(api_per_second=2)
    client = client_of(server, tenant.name)
    made, refused = until_refused(lambda: posted(server, client))

    assert {200} == set(made)
    assert {"error": "too_many_requests", "error_description": "Global limit has been reached"} == refused.json()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store(f"sqlite:///{tmp_path}/hookcell.db")
    store.open()
    yield store
    store.close()


def parent_in(store: Store, **fields: Any) -> NewToken:
    """A token of a new tenant."""
    vault = Vault(keyring.new_ring())
    tenant = store.write_all(register.create, "acme", Settings(), vault.new_data_key).result()
    made = new_token(tenant.id, "ci", ["read:hooks"], **fields)
    store.write(tenant.id, token_rows.create, made.token, made.digest).result()
    return made


async def test_beyond_a_thousand_the_oldest_one_ends(store: Store) -> None:
    tokens, parent = Tokens(store), parent_in(store)
    tenant = str(parent.token.tenant_id)
    first = new_token(tenant, "ci", ["read:hooks"], expires_in=60)
    earlier = parent.token.created_ms - 1
    first = replace(first, token=replace(first.token, parent_id=parent.token.id, created_ms=earlier))
    store.write(tenant, token_rows.create, first.token, first.digest).result()
    later = await asyncio.gather(*(tokens.derive(parent.token) for _ in range(999)))
    assert first.token == await tokens.valid(first.text)
    last = await tokens.derive(parent.token)

    with pytest.raises(Missing):
        await tokens.valid(first.text)
    assert last.token == await tokens.valid(last.text)
    assert parent.token == await tokens.valid(parent.text)
    assert [each.token for each in later] == [await tokens.valid(each.text) for each in later]


async def test_a_parent_that_has_ended_meanwhile_gives_nothing(store: Store) -> None:
    """It was looked at, and revoked before the new token was kept."""
    parent = parent_in(store)
    assert parent.token.tenant_id is not None
    store.write(parent.token.tenant_id, token_rows.remove, parent.token.id).result()

    with pytest.raises(Missing):
        await Tokens(store).derive(parent.token)


async def test_a_token_ends_when_its_time_is_over(store: Store) -> None:
    parent = parent_in(store, expires_in=0)

    with pytest.raises(Missing):
        await Tokens(store).valid(parent.text)
    assert parent.token.expires_ms == (await Tokens(store).derive(parent.token)).token.expires_ms
