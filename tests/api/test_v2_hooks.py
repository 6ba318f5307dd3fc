"""/api/v2/hooks, as AUTH0.md sections 4.1 to 4.5 have it."""

from __future__ import annotations

import concurrent.futures
import hashlib
import re
from typing import Any

import pytest

POINT = "post-change-password"
SCRIPT = "def hook(user, context, cb):\n    cb()\n"
POINTS = ["credentials-exchange", "pre-user-registration", "post-user-registration", POINT, "send-phone-message"]
SCRIPTS = {
    "credentials-exchange": "def hook(client, scope, audience, context, cb):\n    cb()\n",
    "send-phone-message": "def hook(recipient, text, context, cb):\n    cb()\n",
}
HOOKS = "/api/v2/hooks"
ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def create(tenant: Any, name: str, trigger_id: str = POINT, **fields: Any) -> dict[str, Any]:
    body = {"name": name, "script": SCRIPTS.get(trigger_id, SCRIPT), "triggerId": trigger_id} | fields
    answer = tenant.ask("POST", HOOKS, json=body)
    assert 201 == answer.status_code, answer.text
    made: dict[str, Any] = answer.json()
    return made


def names_of(answer: Any) -> list[str]:
    return [hook["name"] for hook in answer.json()]


@pytest.mark.parametrize("trigger_id", POINTS)
def test_a_hook_is_created_on_each_point(acme: Any, trigger_id: str) -> None:
    made = create(acme, "Welcome mail-1", trigger_id)

    script = SCRIPTS.get(trigger_id, SCRIPT)
    expected = {
        "name": "Welcome mail-1",
        "script": script,
        "triggerId": trigger_id,
        "enabled": False,
        "dependencies": {},
    }
    assert expected == {name: value for name, value in made.items() if name != "id"}
    assert ULID.fullmatch(made["id"])
    got = acme.ask("GET", f"{HOOKS}/{made['id']}")
    assert (200, made) == (got.status_code, got.json())
    assert "application/json; charset=utf-8" == got.headers["content-type"]


@pytest.mark.parametrize(
    "script",
    [
        "def hook(user, context, cb):\r\n    cb()\r\n",
        "def hook(user, context, cb):\n\tcb()",
        "# Zoë ☃ 🐍 \u2028 \x7f\n\n\ndef hook(user, context, cb):\n    cb(None, 'é')\n\n\n   ",
    ],
)
def test_a_script_comes_back_byte_for_byte(acme: Any, script: str) -> None:
    made = create(acme, "bytes", script=script)

    assert script == acme.ask("GET", f"{HOOKS}/{made['id']}").json()["script"]
    assert script == acme.ask("GET", HOOKS).json()[0]["script"]


def test_hooks_are_listed_in_order_of_creation_page_by_page(acme: Any) -> None:
    made = [create(acme, f"hook {number}") for number in (3, 1, 2, 5, 4)]

    assert made == acme.ask("GET", HOOKS).json()
    assert ["hook 2", "hook 5"] == names_of(acme.ask("GET", HOOKS, params={"page": 1, "per_page": 2}))
    assert [] == acme.ask("GET", HOOKS, params={"page": 3, "per_page": 2}).json()
    assert [] == acme.ask("GET", HOOKS, params={"page": 2**31 - 1, "per_page": 100}).json()
    assert [] == acme.ask("GET", HOOKS, params={"per_page": 0}).json()


def test_a_list_with_totals_is_an_object(acme: Any) -> None:
    made = [create(acme, f"hook {number}") for number in range(3)]

    asked = {"include_totals": "true", "include_fields": "true", "per_page": 2}
    first = acme.ask("GET", HOOKS, params=asked).json()
    assert {"total": 3, "start": 0, "limit": 2, "hooks": made[:2]} == first
    last = acme.ask("GET", HOOKS, params=asked | {"page": 1}).json()
    assert {"total": 3, "start": 2, "limit": 2, "hooks": made[2:]} == last
    past = acme.ask("GET", HOOKS, params=asked | {"page": 7}).json()
    assert {"total": 3, "start": 14, "limit": 2, "hooks": []} == past


def test_a_list_is_filtered_by_point_and_by_enabled(acme: Any) -> None:
    create(acme, "on", enabled=True)
    create(acme, "off")
    create(acme, "other", "credentials-exchange", enabled=True)

    assert ["on", "other"] == names_of(acme.ask("GET", HOOKS, params={"enabled": "true"}))
    assert ["off"] == names_of(acme.ask("GET", HOOKS, params={"enabled": "false"}))
    assert ["on", "off"] == names_of(acme.ask("GET", HOOKS, params={"triggerId": POINT}))
    both = {"triggerId": POINT, "enabled": "true", "include_totals": "true"}
    assert 1 == acme.ask("GET", HOOKS, params=both).json()["total"]


def test_fields_choose_what_is_shown_or_left_out(acme: Any) -> None:
    made = create(acme, "part")
    one = f"{HOOKS}/{made['id']}"

    assert [{"id": made["id"]}] == acme.ask("GET", HOOKS, params={"fields": "id"}).json()
    assert {"name", "enabled"} == set(acme.ask("GET", one, params={"fields": "name,enabled"}).json())
    without = acme.ask("GET", one, params={"fields": "script", "include_fields": "false"}).json()
    assert {"id", "name", "dependencies", "enabled", "triggerId"} == set(without)
    assert made == acme.ask("GET", one, params={"fields": ""}).json()


def test_a_patch_changes_what_it_names_and_answers_200(acme: Any) -> None:
    made = create(acme, "old")
    one = f"{HOOKS}/{made['id']}"

    renamed = acme.ask("PATCH", one, json={"name": "new"})
    assert (200, made | {"name": "new"}) == (renamed.status_code, renamed.json())
    script = SCRIPT + "# changed\n"
    changed = acme.ask("PATCH", one, json={"script": script, "dependencies": {"json": "1"}, "enabled": True}).json()
    assert made | {"name": "new", "script": script, "dependencies": {"json": "1"}, "enabled": True} == changed
    assert changed == acme.ask("GET", one).json()
    kept = acme.ask("PATCH", one, json={"dependencies": {}}).json()
    assert changed | {"dependencies": {}} == kept


def test_a_patch_that_repeats_everything_is_fine(acme: Any) -> None:
    """auth0-deploy-cli always sends all four."""
    made = create(acme, "same", enabled=True)

    sent = {name: made[name] for name in ("name", "script", "enabled", "dependencies")}
    for _ in range(2):
        again = acme.ask("PATCH", f"{HOOKS}/{made['id']}", json=sent)
        assert (200, made) == (again.status_code, again.json())


def test_the_last_hook_enabled_on_a_point_is_the_only_one(acme: Any) -> None:
    first = create(acme, "first", enabled=True)
    create(acme, "elsewhere", "credentials-exchange", enabled=True)
    create(acme, "second", enabled=True)

    enabled = {"enabled": "true"}
    assert ["elsewhere", "second"] == names_of(acme.ask("GET", HOOKS, params=enabled))
    acme.ask("PATCH", f"{HOOKS}/{first['id']}", json={"enabled": True})
    assert ["first", "elsewhere"] == names_of(acme.ask("GET", HOOKS, params=enabled))


def test_several_hooks_of_a_point_stay_enabled_where_the_tenant_may_have_them(server: Any) -> None:
    tenant = server.tenant(multiple_hooks=True)
    create(tenant, "first", enabled=True)
    create(tenant, "second", enabled=True)

    assert ["first", "second"] == names_of(tenant.ask("GET", HOOKS, params={"enabled": "true"}))


def test_ten_hooks_enabled_at_once_leave_one(acme: Any) -> None:
    made = [create(acme, f"hook {number}") for number in range(10)]

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(acme.ask, "PATCH", f"{HOOKS}/{hook['id']}", json={"enabled": True}) for hook in made]
        statuses = [answer.result().status_code for answer in asked]
    assert [200] * 10 == statuses
    assert 1 == len(acme.ask("GET", HOOKS, params={"enabled": "true"}).json())


def test_a_hook_is_deleted_once(acme: Any) -> None:
    made = create(acme, "gone")
    one = f"{HOOKS}/{made['id']}"

    deleted = acme.ask("DELETE", one)
    assert (204, b"") == (deleted.status_code, deleted.content)
    for method, sent in (("GET", {}), ("DELETE", {}), ("PATCH", {"json": {"enabled": True}})):
        again = acme.ask(method, one, **sent)
        assert (404, "HookDoesNotExist") == (again.status_code, again.json()["errorCode"])
    assert create(acme, "gone")["id"] != made["id"]


def test_a_name_is_taken_once_in_a_tenant(acme: Any, server: Any) -> None:
    create(acme, "taken")
    other = create(acme, "other")

    body = {"name": "taken", "script": SCRIPT, "triggerId": POINT}
    for answer in (
        acme.ask("POST", HOOKS, json=body),
        acme.ask("PATCH", f"{HOOKS}/{other['id']}", json={"name": "taken"}),
    ):
        assert 409 == answer.status_code
        assert "HookNameAlreadyExists" == answer.json()["errorCode"]
        assert {"statusCode", "error", "message", "errorCode"} == set(answer.json())
        assert "Conflict" == answer.json()["error"]
    create(acme, "Taken")
    create(server.tenant(), "taken")


def test_a_hook_of_another_tenant_is_not_there(acme: Any, server: Any) -> None:
    """The same bytes as of one that never was."""
    made, stranger = create(acme, "mine"), server.tenant()
    unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

    for method, sent in (("GET", {}), ("PATCH", {"json": {"enabled": True}}), ("DELETE", {})):
        theirs = stranger.ask(method, f"{HOOKS}/{made['id']}", **sent)
        nobodys = stranger.ask(method, f"{HOOKS}/{unknown}", **sent)
        assert (404, nobodys.content) == (theirs.status_code, theirs.content)
    assert made == acme.ask("GET", f"{HOOKS}/{made['id']}").json()
    assert [] == stranger.ask("GET", HOOKS).json()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import os\n\ndef hook(user, context, cb):\n    cb()\n", "line 1, column 1: rule `import`: the module 'os'"),
        ("def hook(user, context, cb):\n    cb(\n", "line 2"),
        ("def hook(user, cb):\n    cb()\n", "line 1"),
        ("\nfrom os import path\n", "line 2, column 1: rule `import`"),
        ("#" * 100_001, "the source is 100001 bytes; the most allowed is 100000"),
    ],
)
def test_a_rejected_script_is_400_and_nothing_is_stored(acme: Any, script: str, said: str) -> None:
    kept = create(acme, "kept")

    created = acme.ask("POST", HOOKS, json={"name": "bad", "script": script, "triggerId": POINT})
    changed = acme.ask("PATCH", f"{HOOKS}/{kept['id']}", json={"script": script, "name": "other"})
    for answer in (created, changed):
        assert (400, "invalid_body") == (answer.status_code, answer.json()["errorCode"])
        assert answer.json()["message"].startswith("Payload validation error: '")
        assert answer.json()["message"].endswith("' on property script (Code to be executed when this hook runs).")
        assert said in answer.json()["message"]
    assert [kept] == acme.ask("GET", HOOKS).json()
    logged = acme.ask("GET", "/api/v2/logs", params={"q": 'description:"a Hook"', "include_totals": "true"}).json()
    assert 1 == logged["total"]


def test_an_unknown_dependency_is_400(acme: Any) -> None:
    body = {"name": "bad", "script": SCRIPT, "triggerId": POINT, "dependencies": {"lodash": "4"}}
    answer = acme.ask("POST", HOOKS, json=body)

    assert (400, "invalid_body") == (answer.status_code, answer.json()["errorCode"])
    assert "'lodash' is not available" in answer.json()["message"]
    assert "on property dependencies (" in answer.json()["message"]


def test_a_tenant_has_no_more_hooks_than_it_may(server: Any) -> None:
    tenant = server.tenant(most_hooks=2)
    create(tenant, "one")
    create(tenant, "two")

    answer = tenant.ask("POST", HOOKS, json={"name": "three", "script": SCRIPT, "triggerId": POINT})
    assert (403, "too_many_entities") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize("body", [b"null", b"{}", b"\xff\xfe garbage {", b'{"enabled": 3}'])
def test_the_body_of_a_get_is_ignored(acme: Any, body: bytes) -> None:
    """go-auth0 sends `null` with every GET."""
    made = create(acme, "one")

    for path in (HOOKS, f"{HOOKS}/{made['id']}", f"{HOOKS}/{made['id']}/secrets", "/api/v2/logs", "/api/v2/clients"):
        assert 200 == acme.ask("GET", path, content=body).status_code


def test_each_write_is_in_the_log_without_the_script(acme: Any) -> None:
    made = create(acme, "logged", script=SCRIPT + "# not in the log\n")
    acme.ask("PATCH", f"{HOOKS}/{made['id']}", json={"script": SCRIPT, "enabled": True})
    acme.ask("DELETE", f"{HOOKS}/{made['id']}")

    found = acme.ask("GET", "/api/v2/logs", params={"q": 'description:"a Hook"', "sort": "date:1"}).json()
    assert ["Create a Hook", "Update a Hook", "Delete a Hook"] == [event["description"] for event in found]
    assert {"sapi"} == {event["type"] for event in found}
    digest = hashlib.sha256(SCRIPT.encode()).hexdigest()
    request = found[1]["details"]["request"]
    assert {"enabled": True, "script_bytes": len(SCRIPT), "script_sha256": digest} == request["body"]
    assert ("PATCH", f"{HOOKS}/{made['id']}") == (request["method"], request["path"])
    assert [201, 200, 204] == [event["details"]["response"]["statusCode"] for event in found]
    assert made["id"] == found[0]["details"]["response"]["body"]["id"]
    assert "not in the log" not in str(found)


def test_there_are_no_clients(acme: Any) -> None:
    """auth0-deploy-cli --dry-run asks for them."""
    asked = {"page": 0, "per_page": 100, "include_totals": "true", "is_global": "false"}

    assert {"total": 0, "start": 0, "limit": 100, "clients": []} == acme.ask(
        "GET", "/api/v2/clients", params=asked
    ).json()
    assert [] == acme.ask("GET", "/api/v2/clients").json()
