"""npm `auth0`, the newest and its 4.x line, unmodified: every hook and secret call, and every error they map."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from auth0_clients import CallFailed, Clients, Node, install, serving_tls
from serving import Serving

SOURCE = 'def hook(user, context, cb):\n    """Grüße ✓"""\r\n    cb()'
NOT_SHOWN = "_VALUE_NOT_SHOWN_"
UNKNOWN = "01GEPVQEH9SX3RSTYY561TR92N"


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return install(tmp_path_factory)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving_tls(tmp_path_factory.mktemp("tls")) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Spoken:
    """One line of the client: what its methods are called, and how they take what they are given."""

    node: Callable[..., Any]
    newest: bool

    def list(self, **query: Any) -> Any:
        return self.node("hooks.list" if self.newest else "hooks.getAll", query)

    def create(self, **body: Any) -> Any:
        return self.node("hooks.create", body)

    def get(self, hook_id: str, **query: Any) -> Any:
        return (
            self.node("hooks.get", hook_id, query) if self.newest else self.node("hooks.get", {"id": hook_id, **query})
        )

    def update(self, hook_id: str, **body: Any) -> Any:
        return self.node("hooks.update", *self._one(hook_id), body)

    def delete(self, hook_id: str) -> Any:
        return self.node("hooks.delete", *self._one(hook_id))

    def secrets(self, hook_id: str) -> Any:
        return self.node("hooks.secrets.get" if self.newest else "hooks.getSecrets", *self._one(hook_id))

    def add_secrets(self, hook_id: str, values: dict[str, str]) -> Any:
        return self.node("hooks.secrets.create" if self.newest else "hooks.addSecrets", *self._one(hook_id), values)

    def update_secrets(self, hook_id: str, values: dict[str, str]) -> Any:
        return self.node("hooks.secrets.update" if self.newest else "hooks.updateSecrets", *self._one(hook_id), values)

    def delete_secrets(self, hook_id: str, names: list[str]) -> Any:
        return self.node("hooks.secrets.delete" if self.newest else "hooks.deleteSecrets", *self._one(hook_id), names)

    def _one(self, hook_id: str) -> tuple[Any]:
        return (hook_id,) if self.newest else ({"id": hook_id},)

    def refused(self, call: str, *arguments: Any, **named: Any) -> CallFailed:
        with pytest.raises(CallFailed) as caught:
            getattr(self, call)(*arguments, **named)
        return caught.value


@pytest.fixture(scope="module", params=["auth0", "auth0v4"])
def speak(request: pytest.FixtureRequest, clients: Clients, server: Serving) -> Iterator[Any]:
    """`speak(token=…)` or `speak(clientId=…, clientSecret=…)`: a client of that line."""
    node = Node(clients, server, request.param)

    def start(**options: str) -> Spoken:
        return Spoken(functools.partial(node, options), request.param == "auth0")

    yield start
    node.close()


@pytest.fixture
def tenant(server: Serving) -> str:
    name = f"n-{secrets.token_hex(6)}"
    server.tenant(name, api_per_second=1_000)
    return name


@pytest.fixture
def client(speak: Any, server: Serving, tenant: str) -> Spoken:
    spoken: Spoken = speak(token=server.token(tenant))
    return spoken


def make(client: Spoken, name: str = "a hook", **more: Any) -> Any:
    return client.create(**{"name": name, "script": SOURCE, "triggerId": "post-change-password"} | more)


def test_a_hook_lives_as_the_client_expects(client: Spoken) -> None:
    """Made, read, listed, changed, deleted; the script byte for byte."""
    made = make(client, dependencies={"json": ""})
    expected = {
        "id": made["id"],
        "name": "a hook",
        "script": SOURCE,
        "dependencies": {"json": ""},
        "triggerId": "post-change-password",
        "enabled": False,
    }

    assert expected == made
    assert expected == client.get(made["id"])
    assert {"name": "a hook", "id": made["id"]} == client.get(made["id"], fields="name,id")
    changed = client.update(made["id"], name="another", enabled=True, script="cb()", dependencies={})
    assert expected | {"name": "another", "enabled": True, "script": "cb()", "dependencies": {}} == changed
    assert [changed] == client.list()
    assert not client.delete(made["id"])
    assert [] == client.list()


def test_lists_are_paged_and_filtered(client: Spoken) -> None:
    """The client goes on until a page is empty; no hook is told twice."""
    for index in range(5):
        make(client, f"hook {index}", enabled=index == 3)
    make(client, "other", triggerId="credentials-exchange", script="cb()", enabled=True)

    def names(**query: Any) -> list[str]:
        return [hook["name"] for hook in client.list(**query)]

    paged = names(page=0, per_page=2)
    assert (
        ["hook 0", "hook 1", *(f"hook {n}" for n in (2, 3, 4)), "other"] if client.newest else ["hook 0", "hook 1"]
    ) == paged
    assert ["hook 3", "other"] == names(enabled=True)
    assert ["hook 3"] == names(enabled=True, triggerId="post-change-password")
    assert ["other"] == names(triggerId="credentials-exchange")
    assert [{"name": "other"}] == client.list(triggerId="credentials-exchange", fields="name")


def test_the_last_hook_enabled_of_a_point_wins(client: Spoken) -> None:
    """Decision D3: in one step."""
    first, second = make(client, "first", enabled=True), make(client, "second", enabled=True)

    assert [False, True] == [client.get(hook["id"])["enabled"] for hook in (first, second)]
    client.update(first["id"], enabled=True)
    assert [True, False] == [client.get(hook["id"])["enabled"] for hook in (first, second)]


def test_secrets_are_written_and_never_read(client: Spoken) -> None:
    """Every call of theirs."""
    hook = make(client)["id"]

    assert {} == client.secrets(hook)
    assert not client.add_secrets(hook, {"A": "1", "B": "2"})
    assert not client.update_secrets(hook, {"B": "3"})
    assert {"A": NOT_SHOWN, "B": NOT_SHOWN} == client.secrets(hook)
    assert not client.delete_secrets(hook, ["A", "never there"])
    assert {"B": NOT_SHOWN} == client.secrets(hook)


@pytest.mark.parametrize(
    ("call", "arguments", "status", "code"),
    [
        ("get", [UNKNOWN], 404, "HookDoesNotExist"),
        ("update", [UNKNOWN], 404, "HookDoesNotExist"),
        ("delete", [UNKNOWN], 404, "HookDoesNotExist"),
        ("secrets", [UNKNOWN], 404, "HookDoesNotExist"),
        ("delete_secrets", [UNKNOWN, ["A"]], 404, "HookDoesNotExist"),
        ("add_secrets", [UNKNOWN, {"A": "1"}], 404, "HookDoesNotExist"),
        ("update_secrets", [UNKNOWN, {"A": "1"}], 404, "HookDoesNotExist"),
        ("get", ["not_an_id"], 400, "invalid_uri"),
    ],
)
def test_a_hook_that_is_not_there_is_told_as_the_client_expects(
    client: Spoken, call: str, arguments: list[Any], status: int, code: str
) -> None:
    named = {"enabled": True} if call == "update" else {}
    failed = client.refused(call, *arguments, **named)

    assert (status, code) == (failed.status, failed.code)


def test_what_a_body_may_not_say_is_told_as_the_client_expects(client: Spoken) -> None:
    """400 with a message that names the property; 409 for a name that is taken; nothing of it is stored."""
    hook = make(client)["id"]
    client.add_secrets(hook, {"A": "1"})
    refused = [
        client.refused("create", name="b", script="cb()"),
        client.refused("create", name="-", script="cb()", triggerId="post-change-password"),
        client.refused("create", name="b", script="cb()", triggerId="no-such-point"),
        client.refused("create", name="b", script="import os", triggerId="post-change-password"),
        client.refused("update", hook, dependencies={"lodash": "4"}),
        client.refused("add_secrets", hook, {}),
    ]

    assert [(400, "invalid_body")] * 6 == [(failed.status, failed.code) for failed in refused]
    assert "line 1, column 1" in refused[3].message
    assert "script" in refused[3].message
    assert (404, "SecretDoesNotExist") == told(client.refused("update_secrets", hook, {"B": "1"}))
    assert (409, "SecretAlreadyExists") == told(client.refused("add_secrets", hook, {"A": "2"}))
    assert (409, "HookNameAlreadyExists") == told(
        client.refused("create", name="a hook", script="cb()", triggerId="post-change-password")
    )
    assert ["a hook"] == [each["name"] for each in client.list()]


def test_who_may_not_is_told_as_the_client_expects(speak: Any, server: Serving, tenant: str) -> None:
    """401 without a token that counts, 403 without the scope, which the message names."""
    reader = speak(token=server.token(tenant, "read:hooks"))
    failed = reader.refused("create", name="b", script="cb()", triggerId="post-change-password")

    assert (403, "insufficient_scope") == told(failed)
    assert "create:hooks" in failed.message
    assert [] == reader.list()
    assert 401 == speak(token="hc_unknown").refused("list").status


def test_a_query_that_cannot_be_is_told_as_the_client_expects(client: Spoken) -> None:
    """More than a hundred on a page; a field that hooks do not have."""
    assert (400, "invalid_query_string") == told(client.refused("list", per_page=101))
    assert (400, "invalid_query_string") == told(client.refused("list", fields="colour"))


def test_a_client_gets_its_token_by_its_credentials(speak: Any, server: Serving, tenant: str) -> None:
    """POST /oauth/token, asked by the client itself."""
    body = {"name": "node", "scopes": ["read:hooks", "create:hooks"]}
    made = server.ask("POST", f"/v1/tenants/{tenant}/tokens", json=body).json()
    client = speak(clientId=made["id"], clientSecret=made["token"])
    stranger = speak(clientId=made["id"], clientSecret="hc_unknown")

    assert "a hook" == make(client)["name"]
    assert 401 == stranger.refused("list").status


def test_too_many_requests_are_retried_by_the_client_until_they_pass(speak: Any, server: Serving) -> None:
    """The reset that it is told is near, so that every call comes through in the end."""
    name = f"n-{secrets.token_hex(6)}"
    server.tenant(name, api_per_second=5)
    client = speak(token=server.token(name))

    assert [[]] * 12 == [client.list(page=0, per_page=5) for _ in range(12)]


def told(failed: CallFailed) -> tuple[Any, Any]:
    return failed.status, failed.code
