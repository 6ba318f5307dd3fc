"""Whatever is sent to /api/v2, the answer is a refusal in Auth0's shape, and the server is there for the next one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HOOKS = "/api/v2/hooks"
SCRIPT = "def hook(user, context, cb):\n    cb()\n"
GOOD = {"name": "good", "script": SCRIPT, "triggerId": "post-change-password"}
JSON = {"content-type": "application/json"}
UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def refused(answer: Any, status: int, code: str) -> str:
    """The message of a refusal."""
    told = answer.json()
    assert (status, code) == (answer.status_code, told.get("errorCode")), answer.text
    assert (status, answer.reason_phrase) == (told["statusCode"], told["error"])
    message: str = told["message"]
    return message


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            {"enabled": "true"},
            "'Expected type boolean but found type string' on property enabled (Whether this hook will",
        ),
        ({"enabled": 1}, "'Expected type boolean but found type integer' on property enabled ("),
        ({"enabled": None}, "'Expected type boolean but found type null' on property enabled ("),
        ({"name": 5}, "'Expected type string but found type integer' on property name (Name of this hook)."),
        ({"name": ["a"]}, "'Expected type string but found type array' on property name ("),
        ({"name": None}, "'Expected type string but found type null' on property name ("),
        (
            {"name": ""},
            "'String does not match pattern ^[a-zA-Z0-9]([ \\-a-zA-Z0-9]*[a-zA-Z0-9])?$: ' on property name (",
        ),
        ({"name": "../../etc/passwd"}, "'String does not match pattern"),
        ({"name": "a\n"}, "'String does not match pattern"),
        ({"name": "-a"}, "'String does not match pattern"),
        ({"name": "a_b"}, "'String does not match pattern"),
        ({"name": "Zoë"}, "'String does not match pattern"),
        ({"name": "a" * 257}, "'String is too long (257 chars), maximum 256' on property name ("),
        ({"script": ""}, "'String is too short (0 chars), minimum 1' on property script (Code to be executed when"),
        ({"script": 1.5}, "'Expected type string but found type number' on property script ("),
        ({"script": {}}, "'Expected type string but found type object' on property script ("),
        ({"dependencies": []}, "'Expected type object but found type array' on property dependencies (Modules"),
        ({"dependencies": {"json": 1}}, "'Expected type string but found type integer' on property dependencies.json"),
        ({"dependencies": {f"m{n}": "" for n in range(101)}}, "the most allowed is 100' on property dependencies ("),
        ({"foo": 1}, "'Additional properties not allowed: foo'"),
        ({"id": UNKNOWN}, "'Additional properties not allowed: id'"),
        ({"trigger_id": "post-change-password"}, "'Additional properties not allowed: trigger_id'"),
    ],
)
def test_a_field_that_is_wrong_is_named_on_create_and_on_update(acme: Any, sent: dict[str, Any], message: str) -> None:
    made = acme.ask("POST", HOOKS, json=GOOD).json()

    for answer in (
        acme.ask("POST", HOOKS, json=GOOD | {"name": "other"} | sent),
        acme.ask("PATCH", f"{HOOKS}/{made['id']}", json=sent),
    ):
        told = refused(answer, 400, "invalid_body")
        assert told.startswith("Payload validation error: '")
        assert message in told
    assert [made] == acme.ask("GET", HOOKS).json()


@pytest.mark.parametrize("missing", ["name", "script", "triggerId"])
def test_a_field_that_is_missing_is_named(acme: Any, missing: str) -> None:
    sent = {name: value for name, value in GOOD.items() if name != missing}

    told = refused(acme.ask("POST", HOOKS, json=sent), 400, "invalid_body")
    assert f"Payload validation error: 'Missing required property: {missing}'." == told


@pytest.mark.parametrize(
    "trigger_id", ["password-exchange", "", None, 1, "Post-Change-Password", "post-change-password "]
)
def test_an_unknown_point_is_refused(acme: Any, trigger_id: Any) -> None:
    told = refused(acme.ask("POST", HOOKS, json=GOOD | {"triggerId": trigger_id}), 400, "invalid_body")
    assert "on property triggerId (Execution stage of this hook)." in told


def test_the_point_of_a_hook_cannot_be_changed(acme: Any) -> None:
    made = acme.ask("POST", HOOKS, json=GOOD).json()

    answer = acme.ask("PATCH", f"{HOOKS}/{made['id']}", json={"triggerId": "post-change-password"})
    assert "Additional properties not allowed: triggerId" in refused(answer, 400, "invalid_body")


def test_an_update_of_nothing_is_refused(acme: Any) -> None:
    made = acme.ask("POST", HOOKS, json=GOOD).json()

    told = refused(acme.ask("PATCH", f"{HOOKS}/{made['id']}", json={}), 400, "invalid_body")
    assert "Payload validation error: 'Too few properties defined (0), minimum 1'." == told


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"3",
        b"{",
        b"{'name': 'a'}",
        b'{"name": NaN}',
        b'{"enabled": true, "enabled": false}',
        b'\xef\xbb\xbf{"enabled": true}',
        '{"enabled": true}'.encode("utf-16"),
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"script": "a\\u0000b"}',
        b'{"script": "\\u0000"}',
        b"[" * 100_000,
        b'{"dependencies": ' * 5_000 + b"1" + b"}" * 5_000,
        b'{"enabled": ' + b"9" * 10_000 + b"}",
    ],
    ids=range(18),
)
def test_a_body_that_is_no_json_object_is_refused(acme: Any, raw: bytes) -> None:
    made = acme.ask("POST", HOOKS, json=GOOD).json()

    one = f"{HOOKS}/{made['id']}"
    for method, path in (("POST", HOOKS), ("PATCH", one), ("POST", f"{one}/secrets")):
        refused(send(acme, method, path, raw), 400, "invalid_body")
    assert [made] == acme.ask("GET", HOOKS).json()


def send(tenant: Any, method: str, path: str, raw: bytes, **headers: str) -> Any:
    told = {"Authorization": f"Bearer {tenant.token}"} | JSON | headers
    return tenant.client.request(method, path, content=raw, headers=told)


def test_a_body_of_two_mebibytes_is_413(acme: Any) -> None:
    raw = json.dumps(GOOD | {"script": "#" * (2 << 20)}).encode()

    refused(send(acme, "POST", HOOKS, raw), 413, "payload_too_large")
    assert 200 == acme.ask("GET", HOOKS).status_code


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("hook_id", ["a_b", "a.b", "%00", "%2e%2e", "é", "a%20b", "a'--"])
def test_an_id_that_is_none_is_refused_before_the_body(acme: Any, method: str, hook_id: str) -> None:
    answer = acme.ask(method, f"{HOOKS}/{hook_id}", json=None if method == "GET" else {"enabled": "x", "foo": 1})

    assert "Path validation error: 'String does not match pattern" in refused(answer, 400, "invalid_uri")


@pytest.mark.parametrize("hook_id", ["1", "-", UNKNOWN, UNKNOWN.lower(), "a" * 2000, "post-change-password"])
def test_an_id_that_could_be_one_is_not_found(acme: Any, hook_id: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/secrets")):
        refused(acme.ask(method, f"{HOOKS}/{hook_id}{path}"), 404, "HookDoesNotExist")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("page=-1", "'Value -1 is less than minimum 0' on property page"),
        ("page=x", "'Expected type integer but found type string' on property page"),
        ("page=", "'Expected type integer but found type string' on property page"),
        ("page=1e3", "'Expected type integer but found type string' on property page"),
        ("page=%201", "'Expected type integer but found type string' on property page"),
        ("page=" + "9" * 5000, "'Expected type integer but found type string' on property page"),
        ("page=9223372036854775807", "'Value 9223372036854775807 is too large' on property page"),
        ("page=2147483648", "is greater than maximum 2147483647' on property page"),
        ("per_page=101", "'Value 101 is greater than maximum 100' on property per_page"),
        ("per_page=-1", "'Value -1 is less than minimum 0' on property per_page"),
        ("include_totals=yes", "'Expected type boolean but found type string' on property include_totals"),
        ("enabled=1", "'Expected type boolean but found type string' on property enabled"),
        ("enabled=True", "'Expected type boolean but found type string' on property enabled"),
        ("triggerId=nope", "'No enum match for: nope' on property triggerId"),
        ("fields=id,nope", "'String does not match pattern"),
        ("fields=id;name", "'String does not match pattern"),
        ("fields=id%00", "'String does not match pattern"),
        ("trigger_id=post-change-password", "'Additional properties not allowed: trigger_id'"),
        ("foo=%ff%00", "'Additional properties not allowed: foo'"),
    ],
)
def test_a_query_that_is_wrong_is_named(acme: Any, query: str, message: str) -> None:
    told = refused(acme.ask("GET", f"{HOOKS}?{query}"), 400, "invalid_query_string")

    assert told.startswith("Query validation error: '")
    assert message in told


def test_too_many_secrets_are_counted(acme: Any) -> None:
    made = acme.ask("POST", HOOKS, json=GOOD).json()
    answer = acme.ask("POST", f"{HOOKS}/{made['id']}/secrets", json={f"K{number}": "v" for number in range(21)})

    assert "Payload validation error: 'Too many items (21), maximum 20'." == refused(answer, 400, "invalid_body")


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("POST", "/secrets"), ("DELETE", "/secrets")])
def test_a_body_that_is_not_there_is_told_whatever_it_was_to_be(acme: Any, method: str, path: str) -> None:
    made = acme.ask("POST", HOOKS, json=GOOD).json()
    answer = acme.ask(method, f"{HOOKS}/{made['id']}{path}" if path else HOOKS)

    assert "Payload validation error: 'Expected a JSON object or array but found no body'." == refused(
        answer, 400, "invalid_body"
    )


def test_who_asks_comes_before_what_is_asked(server: Any, acme: Any) -> None:
    """Authentication, then the scope, then the path, then the body, then whether the thing is there."""
    bad = {"json": {"enabled": "x"}}
    nobody, reader = "hc_" + "x" * 43, server.token(acme.name, ["read:hooks"])

    assert 401 == server.ask("PATCH", f"{HOOKS}/a_b", token="", **bad).status_code
    assert 401 == server.ask("PATCH", f"{HOOKS}/a_b", token=nobody, **bad).status_code
    refused(server.ask("PATCH", f"{HOOKS}/a_b", token=reader, **bad), 403, "insufficient_scope")
    refused(acme.ask("PATCH", f"{HOOKS}/a_b", **bad), 400, "invalid_uri")
    refused(acme.ask("PATCH", f"{HOOKS}/{UNKNOWN}", **bad), 400, "invalid_body")
    refused(acme.ask("PATCH", f"{HOOKS}/{UNKNOWN}", json={"enabled": True}), 404, "HookDoesNotExist")
    refused(acme.ask("PATCH", f"{HOOKS}/{UNKNOWN}", json={"script": "import os\n"}), 404, "HookDoesNotExist")


def test_an_operators_token_is_refused(server: Any) -> None:
    """It names no tenant."""
    for path in (HOOKS, f"{HOOKS}/{UNKNOWN}", "/api/v2/logs", "/api/v2/clients"):
        assert 403 == server.ask("GET", path).status_code


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=10), values, max_size=3),
    max_leaves=6,
)
BODIES = VALUES | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("name", "script", "enabled", "dependencies", "triggerId", "foo"), VALUES)
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_no_body_is_a_fault_of_the_server(acme: Any, body: Any) -> None:
    made = acme.ask("GET", HOOKS).json() or [acme.ask("POST", HOOKS, json=GOOD).json()]
    raw = json.dumps(body).encode()

    for method, path in (
        ("POST", HOOKS),
        ("PATCH", f"{HOOKS}/{made[0]['id']}"),
        ("POST", f"{HOOKS}/{UNKNOWN}/secrets"),
        ("DELETE", f"{HOOKS}/{UNKNOWN}/secrets"),
    ):
        answer = send(acme, method, path, raw)
        assert answer.status_code in (200, 201, 400, 404, 409), answer.text
        assert answer.status_code < 300 or {"statusCode", "error", "message", "errorCode"} == set(answer.json())
