"""/v1/tenants/{tenant}/executions: what came of triggers, listed, shown and run again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.points import point_named

EXCHANGE = "credentials-exchange"
CHANGED = "post-change-password"
PASS_ON = "def hook(client, scope, audience, context, cb):\n    print('here')\n    cb(None, {'scope': scope})\n"
FAILING = "def hook(user, context, cb):\n    print('about to fail')\n    raise ValueError('no')\n"
NOTHING = "def hook(user, context, cb):\n    cb()\n"
NOBODYS = "01KACT8J9R0Q2T7Y4W5E6D8F1G"
LISTED = {
    *("id", "trigger_id", "blocking", "status", "attempt", "hooks", "outcome", "idempotency_key"),
    *("created_at", "started_at", "ended_at", "run_at"),
}


def failed(tenant: Any) -> Any:
    """An execution of a hook that fails, ended."""
    tenant.hook("bad", FAILING, CHANGED)
    return tenant.ended(tenant.trigger(CHANGED).json()["execution_id"])


def test_a_blocking_call_is_recorded_with_all_that_came_of_it(acme: Any) -> None:
    hook = acme.hook("on", PASS_ON, EXCHANGE)
    shown = acme.ended(acme.trigger(EXCHANGE).json()["execution_id"])
    (run,) = shown["outcome"]["hooks"]

    assert LISTED | {"arguments"} == shown.keys()
    assert (EXCHANGE, True, "success", 1) == tuple(
        shown[name] for name in ("trigger_id", "blocking", "status", "attempt")
    )
    assert [hook["id"]] == shown["hooks"]
    assert point_named(EXCHANGE).sample == shown["arguments"]
    assert (hook["id"], "on", 1) == (run["hook_id"], run["name"], run["version"])
    assert [("info", "here", 2)] == [(e["level"], e["text"], e["line"]) for e in run["outcome"]["logs"]]
    assert {"scope": ["read:connections"]} == run["outcome"]["result"]
    assert {"queue_ms", "lease_ms", "run_ms", "egress_ms", "record_ms"} == shown["outcome"]["timings"].keys()
    assert shown["created_at"] <= shown["started_at"] <= shown["ended_at"]


def test_an_error_is_recorded_with_the_line_it_came_from(acme: Any) -> None:
    shown = failed(acme)
    (run,) = shown["outcome"]["hooks"]

    assert ("error", "raised", 3) == (shown["status"], run["outcome"]["status"], run["outcome"]["line"])
    assert ("no", "ValueError") == (shown["outcome"]["message"], shown["outcome"]["error"]["name"])
    assert ["about to fail"] == [event["text"] for event in run["outcome"]["logs"]]


def test_an_error_of_a_non_blocking_point_is_in_the_tenants_log(acme: Any) -> None:
    shown = failed(acme)
    (event,) = acme.ask("GET", "/api/v2/logs?q=type:fcph").json()

    assert shown["id"] == event["details"]["execution_id"]
    assert "no" == event["description"]


def test_a_list_is_in_pages_newest_first_without_arguments(acme: Any) -> None:
    acme.hook("on", PASS_ON, EXCHANGE)
    ids = [acme.trigger(EXCHANGE).json()["execution_id"] for _ in range(5)]
    acme.ended(ids[-1])
    pages, query = [], "limit=2"
    while True:
        page = acme.ask("GET", f"executions?{query}").json()
        pages.append([each["id"] for each in page["executions"]])
        assert all(LISTED == each.keys() for each in page["executions"])
        if page["next"] is None:
            break
        query = f"limit=2&before={page['next']}"

    assert [ids[:2:-1], ids[2:0:-1], ids[:1]] == pages


def test_a_list_can_be_of_a_point_a_hook_or_a_status(acme: Any) -> None:
    bad = failed(acme)
    acme.hook("on", PASS_ON, EXCHANGE)
    good = acme.ended(acme.trigger(EXCHANGE).json()["execution_id"])
    queries = [f"trigger_id={CHANGED}", "hook=on", f"hook={good['hooks'][0]}", "status=error", "status=dead", "hook=no"]
    found = [[each["id"] for each in acme.ask("GET", f"executions?{query}").json()["executions"]] for query in queries]

    assert [[bad["id"]], [good["id"]], [good["id"]], [bad["id"]], [], []] == found


def test_a_call_without_a_hook_leaves_no_record(acme: Any) -> None:
    first = acme.trigger(EXCHANGE).json()["execution_id"]
    acme.hook("on", PASS_ON, EXCHANGE)
    acme.ended(acme.trigger(EXCHANGE).json()["execution_id"])

    assert 404 == acme.ask("GET", f"executions/{first}").status_code


def test_an_execution_outlives_its_hook(acme: Any) -> None:
    shown = failed(acme)
    acme.ask("DELETE", "hooks/bad")
    by_id = acme.ask("GET", f"executions?hook={shown['hooks'][0]}").json()["executions"]

    assert shown == acme.ask("GET", f"executions/{shown['id']}").json()
    assert [shown["id"]] == [each["id"] for each in by_id]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "status=no", "before=x", "more=1", "hook=" + "x" * 300])
def test_a_list_takes_no_other_query(acme: Any, query: str) -> None:
    answer = acme.ask("GET", f"executions?{query}")

    assert (400, "invalid_query_string") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/redrive")])
def test_what_is_not_there_and_what_is_anothers_look_the_same(server: Any, acme: Any, method: str, end: str) -> None:
    others = failed(server.tenant())
    answers = [acme.ask(method, f"executions/{each}{end}") for each in (NOBODYS, others["id"])]

    assert [404, 404] == [answer.status_code for answer in answers]
    assert "ExecutionDoesNotExist" == answers[0].json()["errorCode"]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("end", ["x", "01kact8j9r0q2t7y4w5e6d8f1g", "0" * 27])
def test_what_is_no_id_is_told_so(acme: Any, end: str) -> None:
    answer = acme.ask("GET", f"executions/{end}")

    assert (400, "invalid_uri") == (answer.status_code, answer.json()["errorCode"])


def test_what_failed_runs_again_with_the_same_id_and_is_written_down(acme: Any) -> None:
    shown = failed(acme)
    acme.hook("bad", NOTHING, CHANGED)
    answer = acme.ask("POST", f"executions/{shown['id']}/redrive")
    again = acme.ended(shown["id"])
    events = acme.ask("GET", "/api/v2/logs?q=type:sapi").json()

    assert (202, shown["id"]) == (answer.status_code, answer.json()["id"])
    assert ("success", 1) == (again["status"], again["attempt"])
    assert "Run an execution again" in {event["description"] for event in events}


def test_what_has_not_failed_is_not_run_again(acme: Any) -> None:
    acme.hook("good", NOTHING, CHANGED)
    acme.hook("refusing", PASS_ON.replace("None, {'scope': scope}", "'no'"), EXCHANGE)
    ids = [acme.trigger(point).json()["execution_id"] for point in (CHANGED, EXCHANGE)]
    statuses = [acme.ended(each)["status"] for each in ids]
    answers = [acme.ask("POST", f"executions/{each}/redrive") for each in ids]

    assert ["success", "error"] == statuses
    assert [409, 409] == [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [("read:executions", [200, 200, 403]), ("update:executions", [403, 403, 202]), ("run:triggers", [403] * 3)],
)
def test_each_needs_its_scope(server: Any, acme: Any, scope: str, statuses: list[int]) -> None:
    token, shown = server.token(acme.name, [scope]), failed(acme)
    asked = [("GET", ""), ("GET", f"/{shown['id']}"), ("POST", f"/{shown['id']}/redrive")]
    above = f"/v1/tenants/{acme.name}/executions"

    assert statuses == [server.ask(method, above + end, token).status_code for method, end in asked]


def test_an_error_names_nothing_of_ours(acme: Any) -> None:
    told = json.dumps(failed(acme))

    assert "engine" not in told
    assert "/" not in told.replace("://", "")
