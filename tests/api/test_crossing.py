"""Two tenants that are alike in everything, and a third one's token on every route: nothing crosses, nothing shows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"
MADE_UP = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
MADE_UP_LOG = "900" + "1" * 53
IDS = ("hook", "token_id", "id", "log_id")  # path parameters that stand for what a tenant has


@dataclass
class Party:
    """A tenant with one of each."""

    api: Any
    hook_id: str
    token_id: str
    log_id: str

    def values(self, path: str) -> dict[str, str]:
        """What its things are called in a path."""
        a_log = "/logs/" in path
        return {
            "tenant": self.api.name,
            "hook": self.hook_id,
            "token_id": self.token_id,
            "id": self.log_id if a_log else self.hook_id,
            "log_id": self.log_id,
            "number": "1",
            "name": "KEY",
        }


NOBODY = {
    "tenant": "never-was",
    "hook": MADE_UP,
    "token_id": MADE_UP,
    "number": "1",
    "name": "KEY",
    "log_id": MADE_UP_LOG,
}


def made(server: Any) -> Party:
    api = server.tenant()
    hook = api.ask("PUT", f"hooks/alike/source?trigger_id={POINT}", content=HOOK).json()
    api.ask("PUT", "hooks/alike/secrets/KEY", json={"value": "of " + api.name})
    token = server.ask(
        "POST", f"/v1/tenants/{api.name}/tokens", json={"name": "alike", "scopes": ["read:hooks"]}
    ).json()
    log = api.ask("GET", "/api/v2/logs").json()[0]
    return Party(api, hook["id"], token["id"], log["log_id"])


@pytest.fixture(scope="module")
def acme(server: Any) -> Party:
    return made(server)


@pytest.fixture(scope="module")
def globex(server: Any) -> Party:
    return made(server)


@pytest.fixture(scope="module")
def operations(server: Any) -> list[tuple[str, str, Any]]:
    """Every method of every path, with what the document says of it."""
    document = server.ask("GET", "/openapi.json", "").json()
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def everything_of(server: Any, party: Party) -> list[str]:
    """All that can be seen of a tenant."""
    name, hook = party.api.name, party.hook_id
    paths = [
        "",
        "/export",
        "/tokens",
        "/hooks",
        f"/hooks/{hook}/versions",
        f"/hooks/{hook}/secrets",
        "/logs?per_page=100",
    ]
    return [server.ask("GET", f"/v1/tenants/{name}{path}").text for path in paths]


def filled(path: str, values: dict[str, str]) -> str:
    values = {"id": MADE_UP_LOG if "/logs/" in path else MADE_UP} | values
    return path.format_map(values | {"trigger_id": POINT})


def body_of(operation: Any) -> dict[str, Any]:
    """A body that the route would take."""
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        return {"json": media["example"]} if kind == "application/json" else {"content": HOOK}
    return {}


def ask(server: Any, method: str, path: str, token: str, operation: Any) -> Any:
    sent = body_of(operation)
    return server.ask(method, path, token, **sent)


def seen(answer: Any, *hidden: str) -> tuple[int, str, dict[str, str]]:
    """What the caller can tell: status, body, headers; but for the time, and for what they have sent themselves."""
    text = answer.text
    for each in hidden:
        text = text.replace(each, "HIDDEN")
    ignored = {"date", "content-length", "x-ratelimit-remaining", "x-ratelimit-reset"}
    headers = {name: value for name, value in answer.headers.items() if name not in ignored}
    return answer.status_code, text, headers


def of_tenants(operations: list[tuple[str, str, Any]]) -> Iterator[tuple[str, str, Any]]:
    return ((method, path, operation) for method, path, operation in operations if "{tenant}" in path)


def test_another_tenant_is_as_one_that_there_is_not_on_every_route(
    server: Any, acme: Party, globex: Party, operations: list[tuple[str, str, Any]]
) -> None:
    third = server.tenant()
    before = [everything_of(server, party) for party in (acme, globex)]
    count = 0
    for method, path, operation in of_tenants(operations):
        missing = ask(server, method, filled(path, NOBODY), third.token, operation)
        for party in (acme, globex):
            theirs = ask(server, method, filled(path, party.values(path)), third.token, operation)
            assert seen(missing) == seen(theirs), (method, path)
            assert 404 == theirs.status_code, (method, path, theirs.text)
            count += 1

    assert count >= 40
    assert before == [everything_of(server, party) for party in (acme, globex)]


def test_two_tenants_that_are_alike_do_not_see_each_other(
    server: Any, acme: Party, globex: Party, operations: list[tuple[str, str, Any]]
) -> None:
    before = everything_of(server, globex)
    for method, path, operation in of_tenants(operations):
        theirs = ask(server, method, filled(path, globex.values(path)), acme.api.token, operation)
        missing = ask(server, method, filled(path, NOBODY), acme.api.token, operation)

        assert seen(missing) == seen(theirs), (method, path)
    assert before == everything_of(server, globex)


def test_anothers_ids_in_ones_own_tenant_are_as_ids_that_there_are_not(
    server: Any, acme: Party, globex: Party, operations: list[tuple[str, str, Any]]
) -> None:
    third = server.tenant()
    before = [everything_of(server, party) for party in (acme, globex)]
    count = 0
    for method, path, operation in operations:
        if not any(f"{{{name}}}" in path for name in IDS) or path.startswith("/v1/tokens"):
            continue
        own = {"tenant": third.name}
        theirs = ask(server, method, filled(path, acme.values(path) | own), third.token, operation)
        missing = ask(server, method, filled(path, NOBODY | own), third.token, operation)
        hidden = (acme.hook_id, acme.token_id, acme.log_id, MADE_UP, MADE_UP_LOG)

        assert seen(missing, *hidden) == seen(theirs, *hidden), (method, path)
        assert theirs.status_code == (400 if path.endswith("/source") and method == "PUT" else 404), (method, path)
        count += 1
    assert count >= 20
    assert before == [everything_of(server, party) for party in (acme, globex)]


def test_the_names_of_anothers_things_find_ones_own(acme: Party, globex: Party) -> None:
    acme.api.ask("PUT", "hooks/alike/source", content=HOOK + "# acme's\n")

    assert acme.hook_id == acme.api.ask("GET", "hooks/alike").json()["id"]
    assert globex.hook_id == globex.api.ask("GET", "hooks/alike").json()["id"]
    assert HOOK == globex.api.ask("GET", "hooks/alike/source").text
    assert 404 == globex.api.ask("GET", "hooks/alike/versions/2").status_code


def test_a_hook_of_the_same_name_is_deleted_in_one_tenant_alone(server: Any, globex: Party) -> None:
    other = made(server)

    assert 204 == other.api.ask("DELETE", "hooks/alike").status_code
    assert globex.hook_id == globex.api.ask("GET", "hooks/alike").json()["id"]
    assert ["KEY"] == globex.api.ask("GET", "hooks/alike").json()["secrets"]


def test_a_list_shows_ones_own(acme: Party, globex: Party) -> None:
    for path in ("hooks", "tokens", "export", "logs?per_page=100", "/api/v2/hooks", "/api/v2/logs?per_page=100"):
        text = acme.api.ask("GET", path).text

        assert globex.hook_id not in text, path
        assert globex.token_id not in text, path
        assert globex.api.name + '"' not in text, path


def test_a_checkpoint_of_anothers_log_leads_nowhere_else(acme: Party, globex: Party) -> None:
    text = acme.api.ask("GET", f"/api/v2/logs?from={globex.log_id}&take=100").text

    assert globex.hook_id not in text
    assert globex.token_id not in text


@pytest.mark.parametrize("token", ["", "hc_" + "A" * 43, "Bearer"])
def test_without_a_valid_token_all_tenants_look_alike(
    server: Any, acme: Party, operations: list[tuple[str, str, Any]], token: str
) -> None:
    for method, path, operation in of_tenants(operations):
        theirs = ask(server, method, filled(path, acme.values(path)), token, operation)
        missing = ask(server, method, filled(path, NOBODY), token, operation)

        assert seen(missing) == seen(theirs), (method, path)
        assert 401 == theirs.status_code


def test_an_operators_token_is_none_for_the_management_api(
    server: Any, acme: Party, operations: list[tuple[str, str, Any]]
) -> None:
    for method, path, operation in operations:
        if path.startswith("/api/v2"):
            answer = ask(server, method, filled(path, acme.values(path)), server.operator, operation)

            assert (403, "operator_token") == (answer.status_code, answer.json()["errorCode"]), (method, path)


def test_operators_routes_are_closed_to_tenants(
    server: Any, acme: Party, operations: list[tuple[str, str, Any]]
) -> None:
    before = server.ask("GET", "/v1/tokens").text
    closed = 0
    for method, path, operation in operations:
        scopes = [scope for each in operation.get("security", []) for scope in each["token"]]
        if scopes == ["operator"]:
            answer = ask(server, method, filled(path, acme.values(path)), acme.api.token, operation)
            closed += 1

            assert (403, "insufficient_scope") == (answer.status_code, answer.json()["errorCode"]), (method, path)
    assert closed >= 6
    assert before == server.ask("GET", "/v1/tokens").text


@pytest.mark.parametrize(
    "path", ["/v1/tenants/{tenant}/hooks/{hook}", "/v1/tenants/{own}/hooks/{hook}", "/api/v2/hooks/{hook}"]
)
def test_both_kinds_of_404_take_about_the_same_time(server: Any, acme: Party, path: str) -> None:
    """The ratio of medians, asked in turn; an index that is looked at once more would not show, a decryption would."""
    third = server.tenant()
    paths = [
        path.format(tenant=tenant, own=third.name, hook=hook)
        for tenant, hook in ((acme.api.name, acme.hook_id), ("never-was", MADE_UP))
    ]
    times: list[list[float]] = [[], []]
    for _ in range(150):
        for kind in (0, 1):
            started = time.perf_counter()
            assert 404 == server.ask("GET", paths[kind], third.token).status_code
            times[kind].append(time.perf_counter() - started)

    assert 0.5 < statistics.median(times[0]) / statistics.median(times[1]) < 2
