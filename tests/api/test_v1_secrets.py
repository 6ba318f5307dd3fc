from __future__ import annotations

from typing import Any

import pytest

from tenants import secret_values
from tenants.rows import Rows

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"


@pytest.fixture
def hook(acme: Any) -> Any:
    """A tenant with a hook `one`."""
    acme.ask("PUT", f"hooks/one/source?trigger_id={POINT}", content=HOOK)
    return acme


def put(tenant: Any, name: str, value: Any = "v") -> Any:
    return tenant.ask("PUT", f"hooks/one/secrets/{name}", json={"value": value})


def test_secrets_are_set_listed_by_name_and_deleted(hook: Any) -> None:
    statuses = [put(hook, name).status_code for name in ("B", "A", "A")]
    listed = hook.ask("GET", "hooks/one/secrets").json()
    gone = [hook.ask("DELETE", "hooks/one/secrets/A").status_code for _ in range(2)]

    assert [204, 204, 204] == statuses
    assert {"secrets": ["A", "B"]} == listed
    assert [204, 404] == gone
    assert ["B"] == hook.ask("GET", "hooks/one").json()["secrets"]


def test_the_store_holds_a_secret_sealed_for_its_place(server: Any, hook: Any) -> None:
    put(hook, "KEY", "sesame-öffne")
    tenant_id = server.ask("GET", f"/v1/tenants/{hook.name}").json()["id"]
    hook_id = hook.ask("GET", "hooks/one").json()["id"]

    def question(rows: Rows) -> Any:
        return secret_values.data_key(rows), secret_values.sealed(rows, hook_id)["KEY"]

    data_key, sealed = server.services.store.read(tenant_id, question).result()

    assert b"sesame" not in sealed
    assert "sesame-öffne" == server.services.vault.open(tenant_id, data_key, hook_id, "KEY", sealed)


def test_no_answer_and_no_log_event_tells_a_value(hook: Any) -> None:
    put(hook, "KEY", "sesame-one")
    put(hook, "KEY", "sesame-two")
    told = [hook.ask("GET", path).text for path in ("hooks/one", "hooks/one/secrets", "export", "logs?per_page=100")]

    assert "Set a hook's secret" in told[-1]
    assert "sesame" not in "".join(told)


@pytest.mark.parametrize(
    "body", [{}, {"value": None}, {"value": 1}, {"value": "x" * 4_097}, {"value": "a\0"}, {"v": "x"}, []]
)
def test_a_value_that_cannot_be_is_refused_without_being_told(hook: Any, body: Any) -> None:
    refused = hook.ask("PUT", "hooks/one/secrets/KEY", json=body)

    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])
    assert "xxxx" not in refused.text
    assert {"secrets": []} == hook.ask("GET", "hooks/one/secrets").json()


@pytest.mark.parametrize("name", ["x" * 129, "auth0-extension-secret", "a%00"])
def test_a_name_that_cannot_be_is_refused(hook: Any, name: str) -> None:
    assert 400 == put(hook, name).status_code


def test_a_hook_has_twenty_secrets_at_most(hook: Any) -> None:
    statuses = [put(hook, f"S{number}").status_code for number in range(21)]

    assert [204] * 20 + [403] == statuses
    assert 204 == put(hook, "S0", "another").status_code


def test_a_hook_that_there_is_not_has_no_secrets(acme: Any) -> None:
    for method in ("GET", "PUT", "DELETE"):
        path = "hooks/none/secrets" + ("" if method == "GET" else "/A")
        missing = acme.ask(method, path, **({"json": {"value": "x"}} if method == "PUT" else {}))

        assert (404, "HookDoesNotExist") == (missing.status_code, missing.json()["errorCode"])
