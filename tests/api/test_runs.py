"""POST …/run: any hook on any arguments, with all that came of it; nothing is stored."""

from __future__ import annotations

from typing import Any

import pytest

from engine.points import all_points, point_named

EXCHANGE = "credentials-exchange"
CHANGED = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"
TELL = "def hook(user, context, cb):\n    cb(None, dict(context.webtask.secrets))\n"
CALL = "import requests\n\ndef hook(user, context, cb):\n    cb(None, requests.get('http://127.0.0.1:8080/').text)\n"


def run(tenant: Any, **body: Any) -> Any:
    return tenant.ask("POST", "run", json=body)


@pytest.mark.parametrize("point", list(all_points()))
def test_a_starter_answers_its_points_sample_as_a_trigger_does(acme: Any, point: str) -> None:
    """Source: AUTH0.md sections 1.1 to 1.5."""
    user = {"user_metadata": {"hobby": "surfing"}, "app_metadata": {"plan": "full"}}
    data = {
        "credentials-exchange": {"scope": ["read:connections"]},
        "pre-user-registration": {"user": user},
        "post-user-registration": {},
        "post-change-password": {},
        "send-phone-message": {},
    }[point]
    ran = run(acme, trigger_id=point, script=point_named(point).starter)

    assert (200, "ok", "") == (ran.status_code, ran.json()["status"], ran.json()["message"])
    assert {"status": "success", "data": data} == ran.json()["answer"]


def test_all_that_came_of_it_is_told(acme: Any) -> None:
    script = (
        "def hook(user, context, cb):\n    print('hello', user.id)\n    print(context.webtask.execution_id)\n    cb()\n"
    )
    told = run(acme, trigger_id=CHANGED, script=script, arguments=point_named(CHANGED).sample).json()

    assert {"execution_id", "status", "message", "line", "result", "logs", "egress", "usage", "answer"} <= told.keys()
    assert [("hello abc123", 2), (told["execution_id"], 3)] == [(each["text"], each["line"]) for each in told["logs"]]
    assert told["usage"]["wall_ms"] > 0


def test_nothing_is_stored(acme: Any) -> None:
    """What is recorded behind an answer is there when the record of a later call is."""
    for body in ("cb()", "cb('no')"):
        run(acme, trigger_id=CHANGED, script=HOOK.replace("cb()", body))
    assert [] == acme.ask("GET", "hooks").json()["hooks"]
    before = acme.ask("GET", "logs?q=type:fcph").json()
    acme.hook("on", "def hook(client, scope, audience, context, cb):\n    cb()\n", EXCHANGE)
    later = acme.ended(acme.trigger(EXCHANGE).json()["execution_id"])

    assert [later["id"]] == [each["id"] for each in acme.ask("GET", "executions").json()["executions"]]
    assert [] == before == acme.ask("GET", "logs?q=type:fcph").json()


@pytest.mark.parametrize(
    ("script", "status", "name"),
    [
        ("cb(Error('no'))", "denied", None),
        ("raise KeyError('x')", "raised", "KeyError"),
        ("pass", "no_callback", "CallbackError"),
        ("while True: pass", "timeout", "TimeoutError"),
        ("import os", "rejected", "SyntaxError"),
    ],
)
def test_each_end_is_an_outcome_and_an_answer(acme: Any, script: str, status: str, name: str | None) -> None:
    told = run(acme, trigger_id=CHANGED, script=f"def hook(user, context, cb):\n    {script}\n").json()

    assert (status, "error") == (told["status"], told["answer"]["status"])
    assert name == told["answer"]["data"].get("name")
    assert point_named(CHANGED).fail == told["answer"]["fail"]
    assert told["message"]


def test_an_answer_that_the_point_refuses_is_told_as_one(acme: Any) -> None:
    script = "def hook(client, scope, audience, context, cb):\n    cb(None, {'scope': 'all of them'})\n"
    told = run(acme, trigger_id=EXCHANGE, script=script).json()

    assert ("bad_result", "error") == (told["status"], told["answer"]["status"])


def test_secrets_are_of_this_run_alone(acme: Any) -> None:
    told = run(acme, trigger_id=CHANGED, script=TELL.replace("dict(", "sorted("), secrets={"KEY": "value"}).json()

    assert ["KEY"] == told["result"]


def test_a_secret_is_masked_in_what_is_told(acme: Any) -> None:
    script = TELL.replace("cb(None, dict(context.webtask.secrets))", "print(context.webtask.secrets.KEY)\n    cb()")
    told = run(acme, trigger_id=CHANGED, script=script, secrets={"KEY": "correct horse"})

    assert "correct horse" not in told.text
    assert 1 == len(told.json()["logs"])


def test_a_hook_of_the_tenants_runs_as_it_is_stored(acme: Any) -> None:
    script = TELL.replace("dict(", "len(").replace("secrets)", "secrets.KEY)")
    made = acme.hook("mine", script, CHANGED, enabled="false")
    acme.ask("PUT", "hooks/mine/secrets/KEY", json={"value": "12345"})
    results = [
        run(acme, **body).json()["result"]
        for body in (
            {"hook_id": "mine"},
            {"hook_id": made["id"], "trigger_id": CHANGED},
            {"hook_id": "mine", "secrets": {"KEY": "123"}},
        )
    ]

    assert [5, 5, 3] == results


def test_the_tenants_limits_hold(server: Any) -> None:
    tenant = server.tenant(wall_ms=200, modules=["json"], egress={"listed_only": True})
    slow = run(tenant, trigger_id=CHANGED, script="def hook(user, context, cb):\n    while True: pass\n").json()
    refused = run(tenant, trigger_id=CHANGED, script=CALL).json()

    assert ("timeout", "rejected") == (slow["status"], refused["status"])
    assert slow["usage"]["wall_ms"] < 2_500  # of the server's 3,000


def test_calls_are_refused_as_those_of_a_trigger(acme: Any) -> None:
    told = run(acme, trigger_id=CHANGED, script=CALL).json()

    assert [("http://127.0.0.1:8080/", "private-address")] == [
        (call["url"], call["refused"]) for call in told["egress"]
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_body"),
        ({"script": HOOK}, "invalid_body"),
        ({"trigger_id": CHANGED}, "invalid_body"),
        ({"trigger_id": CHANGED, "script": HOOK, "hook_id": "x"}, "invalid_body"),
        ({"hook_id": "x", "dependencies": {}}, "invalid_body"),
        ({"trigger_id": "no", "script": HOOK}, "invalid_body"),
        ({"trigger_id": CHANGED, "script": ""}, "bad_source"),
        ({"trigger_id": CHANGED, "script": HOOK, "arguments": {}}, "bad_arguments"),
        ({"trigger_id": CHANGED, "script": HOOK, "secrets": {"KEY": 1}}, "invalid_body"),
        ({"trigger_id": CHANGED, "script": HOOK, "more": 1}, "invalid_body"),
    ],
)
def test_what_cannot_run_is_the_clients_fault(acme: Any, body: dict[str, Any], code: str) -> None:
    answer = run(acme, **body)

    assert (400, code) == (answer.status_code, answer.json()["errorCode"])


def test_a_hook_that_is_not_there_is_404(server: Any, acme: Any) -> None:
    server.tenant().hook("theirs", HOOK, CHANGED)
    answer = run(acme, hook_id="theirs")

    assert (404, "HookDoesNotExist") == (answer.status_code, answer.json()["errorCode"])


def test_a_hook_of_another_point_is_told_so(acme: Any) -> None:
    acme.hook("mine", HOOK, CHANGED)
    answer = run(acme, hook_id="mine", trigger_id=EXCHANGE)

    assert (400, "invalid_body") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("run:triggers", [403, 200]),
        ("create:hooks", [200, 200]),
        ("update:hooks", [200, 200]),
        ("read:hooks", [403] * 2),
    ],
)
def test_a_draft_needs_a_token_that_may_upload_one(server: Any, acme: Any, scope: str, statuses: list[int]) -> None:
    acme.hook("mine", HOOK, CHANGED)
    token = server.token(acme.name, [scope])
    bodies = [{"trigger_id": CHANGED, "script": HOOK}, {"hook_id": "mine"}]
    answers = [server.ask("POST", f"/v1/tenants/{acme.name}/run", token, json=body) for body in bodies]

    assert statuses == [answer.status_code for answer in answers]
