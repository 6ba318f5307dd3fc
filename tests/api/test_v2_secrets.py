"""/api/v2/hooks/{id}/secrets, as AUTH0.md section 3 has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

MASK = "_VALUE_NOT_SHOWN_"
VALUE = "correct-horse-battery-staple-4711"
SCRIPT = "def hook(user, context, cb):\n    cb()\n"


def with_hook(tenant: Any) -> str:
    """Path of the secrets of a new hook."""
    body = {"name": "keeps secrets", "script": SCRIPT, "triggerId": "post-change-password"}
    return f"/api/v2/hooks/{tenant.ask('POST', '/api/v2/hooks', json=body).json()['id']}/secrets"


@pytest.fixture
def secrets(acme: Any) -> str:
    return with_hook(acme)


def opened(server: Any, tenant: Any, path: str) -> dict[str, str]:
    """What a job would see, from the store and the vault."""
    from tenants import register, secret_values  # noqa: PLC0415

    store, vault, hook_id = server.services.store, server.services.vault, path.split("/")[4]
    tenant_id = store.read_all(register.named, tenant.name).result().id
    key = store.read(tenant_id, secret_values.data_key).result()
    sealed = store.read(tenant_id, secret_values.sealed, hook_id).result()
    return {name: vault.open(tenant_id, key, hook_id, name, value) for name, value in sealed.items()}


def test_secrets_are_added_changed_and_taken_away(server: Any, acme: Any, secrets: str) -> None:
    """Answers never hold a value."""
    assert (200, {}) == told(acme.ask("GET", secrets))
    assert (201, {}) == told(acme.ask("POST", secrets, json={"B": VALUE, "A": "1"}))
    assert (200, {"A": MASK, "B": MASK}) == told(acme.ask("GET", secrets))
    assert {"A": "1", "B": VALUE} == opened(server, acme, secrets)
    assert (201, {}) == told(acme.ask("PATCH", secrets, json={"A": "2"}))
    assert {"A": "2", "B": VALUE} == opened(server, acme, secrets)
    deleted = acme.ask("DELETE", secrets, json=["A", "UNKNOWN"])
    assert (204, b"") == (deleted.status_code, deleted.content)
    assert (200, {"B": MASK}) == told(acme.ask("GET", secrets))
    assert 204 == acme.ask("DELETE", secrets, json=["UNKNOWN"]).status_code


def told(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def test_a_mask_that_is_sent_back_is_a_value(server: Any, acme: Any, secrets: str) -> None:
    acme.ask("POST", secrets, json={"A": VALUE})

    assert 201 == acme.ask("PATCH", secrets, json={"A": MASK}).status_code
    assert {"A": MASK} == opened(server, acme, secrets)


def test_adding_a_name_that_is_there_is_409_and_adds_nothing(server: Any, acme: Any, secrets: str) -> None:
    acme.ask("POST", secrets, json={"A": "1"})

    refused = acme.ask("POST", secrets, json={"B": "2", "A": VALUE})
    assert (409, "SecretAlreadyExists") == (refused.status_code, refused.json()["errorCode"])
    assert {"A": "1"} == opened(server, acme, secrets)
    assert VALUE not in refused.text


def test_changing_a_name_that_is_not_there_is_404_and_changes_nothing(server: Any, acme: Any, secrets: str) -> None:
    acme.ask("POST", secrets, json={"A": "1"})

    refused = acme.ask("PATCH", secrets, json={"A": VALUE, "B": VALUE})
    assert (404, "SecretDoesNotExist") == (refused.status_code, refused.json()["errorCode"])
    assert {"A": "1"} == opened(server, acme, secrets)
    assert VALUE not in refused.text


def test_a_hook_has_twenty_secrets_at_most(acme: Any, secrets: str) -> None:
    names = [f"NAME_{number}" for number in range(21)]

    too_many = acme.ask("POST", secrets, json=dict.fromkeys(names, "x"))
    assert (400, "invalid_body") == (too_many.status_code, too_many.json()["errorCode"])
    assert 201 == acme.ask("POST", secrets, json=dict.fromkeys(names[:20], "x")).status_code
    one_more = acme.ask("POST", secrets, json={names[20]: "x"})
    assert (403, "too_many_entities") == (one_more.status_code, one_more.json()["errorCode"])
    assert 20 == len(acme.ask("GET", secrets).json())


def test_the_longest_name_and_the_longest_value_are_kept(server: Any, acme: Any, secrets: str) -> None:
    """128 and 4,096 characters, not bytes; and any character but NUL."""
    pairs = {"N" * 128: "v" * 4096, "Zoë ☃": "🐍" * 4096, "empty": ""}

    assert 201 == acme.ask("POST", secrets, json=pairs).status_code
    assert pairs == opened(server, acme, secrets)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "minimum 1"),
        ([], "Expected type object but found type array"),
        (["A"], "Expected type object but found type array"),
        ("A", "Expected type object but found type string"),
        (None, "object"),
        ({"A": 1}, "Expected type string but found type integer' on property A"),
        ({"A": None}, "Expected type string but found type null' on property A"),
        ({"A": True}, "Expected type string but found type boolean' on property A"),
        ({"A": {"B": VALUE}}, "Expected type string but found type object' on property A"),
        ({"A": [VALUE]}, "Expected type string but found type array' on property A"),
        ({"A": VALUE * 200}, "String is too long (6600 chars), maximum 4096' on property A"),
        ({"": "x"}, "A name has 1 to 128 characters, found 0"),
        ({VALUE * 20: 3}, "A name has 1 to 128 characters, found 660"),
        ({"auth0-extension-secret": VALUE}, "auth0-extension-secret is reserved"),
        ({"A": VALUE + "\0"}, "NUL"),
        ({"A\0": VALUE}, "NUL"),
    ],
)
def test_what_is_no_secret_is_400_and_tells_no_value(
    acme: Any, secrets: str, method: str, body: Any, said: str
) -> None:
    refused = acme.ask(method, secrets, json=body)

    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])
    assert said in refused.json()["message"]
    assert VALUE not in refused.text
    assert {} == acme.ask("GET", secrets).json()


@pytest.mark.parametrize("body", [{}, {"A": "x"}, [], [1], [None], [["A"]], "A", None])
def test_what_is_no_list_of_names_is_400(acme: Any, secrets: str, body: Any) -> None:
    acme.ask("POST", secrets, json={"A": "x"})

    refused = acme.ask("DELETE", secrets, json=body)
    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])
    assert {"A": MASK} == acme.ask("GET", secrets).json()


def test_a_very_long_list_of_names_is_taken(acme: Any, secrets: str) -> None:
    acme.ask("POST", secrets, json={"A": "x"})

    assert 204 == acme.ask("DELETE", secrets, json=[f"NAME_{number}" for number in range(50_000)] + ["A"]).status_code
    assert {} == acme.ask("GET", secrets).json()


@pytest.mark.parametrize(
    ("method", "sent"), [("GET", None), ("POST", {"A": "x"}), ("PATCH", {"A": "x"}), ("DELETE", ["A"])]
)
def test_secrets_of_an_unknown_hook_are_404(acme: Any, server: Any, method: str, sent: Any) -> None:
    theirs = with_hook(server.tenant())

    for path in ("/api/v2/hooks/01ARZ3NDEKTSV4RRFFQ69G5FAV/secrets", theirs):
        refused = acme.ask(method, path, json=sent)
        assert (404, "HookDoesNotExist") == (refused.status_code, refused.json()["errorCode"])


def test_writes_and_reads_of_secrets_are_logged_and_no_value_is(server: Any, acme: Any, secrets: str) -> None:
    """Nor does any file of the server hold one."""
    acme.ask("POST", secrets, json={"A": VALUE})
    acme.ask("PATCH", secrets, json={"A": VALUE + "-2"})
    acme.ask("GET", secrets)
    acme.ask("DELETE", secrets, json=["A", VALUE])

    answer = acme.ask("GET", "/api/v2/logs", params={"q": "description:secrets", "sort": "date:1"})
    events = answer.json()
    expected = ["Add Hook Secrets", "Update Hook Secrets", "Get Hook Secrets", "Delete Hook Secrets"]
    assert expected == [event["description"] for event in events]
    assert ["sapi", "sapi", "mgmt_api_read", "sapi"] == [event["type"] for event in events]
    assert {"A": "_REDACTED_"} == events[0]["details"]["request"]["body"]
    assert {"A": MASK} == events[2]["details"]["response"]["body"]
    assert ["A"] == events[3]["details"]["request"]["body"]
    assert VALUE not in answer.text
    kept = [path for path in Path(server.config.data).iterdir() if path.is_file()]
    assert [] == [path.name for path in kept if VALUE.encode() in path.read_bytes()]


def test_secrets_end_with_their_hook(acme: Any, secrets: str) -> None:
    acme.ask("POST", secrets, json={"A": VALUE})

    assert 204 == acme.ask("DELETE", secrets.removesuffix("/secrets")).status_code
    assert 404 == acme.ask("GET", secrets).status_code
    assert {} == acme.ask("GET", with_hook(acme)).json()
