"""Calls of points on PostgreSQL: by one server, and by two over the same database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from counting import Counting, counting
from postgres import database
from serving import Serving, serving

from engine.points import point_named

EXCHANGE = "credentials-exchange"
CHANGED = "post-change-password"
PASS_ON = "def hook(client, scope, audience, context, cb):\n    cb(None, {'scope': scope + ['%s']})\n"
NOTHING = "def hook(user, context, cb):\n    cb()\n"
FAILING = "def hook(user, context, cb):\n    raise ValueError('no')\n"
COUNTED = """\
import requests

def hook(user, context, cb):
    requests.get("%(url)s/gate")
    requests.get("%(url)s/" + context.webtask.execution_id)
    cb()
"""
INVOCATIONS = 200


@pytest.fixture(scope="module")
def empty(postgres_cluster: str) -> Iterator[str]:
    """The address of a database for the tests of this file."""
    with database(postgres_cluster) as url:
        yield url


@pytest.fixture(scope="module")
def node(empty: str, new_server: Callable[..., Any]) -> Any:
    """A server on it."""
    return new_server(database_url=empty, wall_ms=30_000)


@pytest.fixture(scope="module")
def other(node: Any) -> Iterator[Serving]:
    """Another one, with the same master key: a process of its own, as nodes are."""
    settings = {"HOOKCELL_DATABASE_URL": node.config.database_url, "HOOKCELL_WALL_MS": "30000"}
    with serving(Path(node.config.data), **settings) as started:
        yield started


@pytest.fixture
def acme(node: Any) -> Any:
    """A fresh tenant, which asks the first server."""
    return node.tenant(egress={"exceptions": ["127.0.0.0/8"]})


@pytest.fixture
def counter() -> Iterator[Counting]:
    """Who hooks call."""
    with counting() as server:
        yield server


def triggered(node: Any, tenant: Any, point: str) -> Any:
    """The answer of a call of that server."""
    answer = node.ask("POST", f"/v1/tenants/{tenant.name}/triggers/{point}", tenant.token, json=sample_of(point))
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


def sample_of(point: str) -> Any:
    return point_named(point).sample


def listed(tenant: Any, query: str = "") -> list[Any]:
    """All executions, of all pages, the newest first."""
    found: list[Any] = []
    page = {"next": ""}
    while page["next"] is not None:
        before = f"&before={page['next']}" if page["next"] else ""
        page = tenant.ask("GET", f"executions?limit=100{query}{before}").json()
        found += page["executions"]
    return found


def test_a_blocking_call_is_answered_recorded_and_listed(acme: Any) -> None:
    hook = acme.hook("on", PASS_ON % "more", EXCHANGE)
    told = acme.trigger(EXCHANGE).json()
    shown = acme.ended(told["execution_id"])
    (one,) = listed(acme)

    assert ("success", {"scope": ["read:connections", "more"]}) == (told["status"], told["data"])
    assert ("success", True, 1, [hook["id"]]) == tuple(shown[n] for n in ("status", "blocking", "attempt", "hooks"))
    assert sample_of(EXCHANGE) == shown["arguments"]
    assert {"scope": ["read:connections", "more"]} == shown["outcome"]["hooks"][0]["outcome"]["result"]
    assert (told["execution_id"], "success") == (one["id"], one["status"])


def test_the_same_key_is_one_execution_and_with_another_body_it_is_refused(acme: Any) -> None:
    acme.hook("once", NOTHING, CHANGED)
    other = sample_of(CHANGED) | {"user": {"id": "somebody else"}}
    first, again = (acme.trigger(CHANGED, Idempotency_Key="order-17") for _ in range(2))
    refused = acme.trigger(CHANGED, other, Idempotency_Key="order-17")

    assert [202, 202, 409] == [answer.status_code for answer in (first, again, refused)]
    assert first.json() == again.json()
    assert "success" == acme.ended(first.json()["execution_id"])["status"]
    assert 1 == len(listed(acme))


def test_what_failed_is_an_error_in_the_log_too_and_a_success_when_it_is_redriven(acme: Any) -> None:
    acme.hook("bad", FAILING, CHANGED)
    failed = acme.ended(acme.trigger(CHANGED).json()["execution_id"])
    (event,) = acme.ask("GET", "/api/v2/logs?q=type:fcph").json()
    acme.hook("bad", NOTHING, CHANGED)
    redriven = acme.ask("POST", f"executions/{failed['id']}/redrive")
    again = acme.ended(failed["id"])

    assert ("error", 1, "no") == (failed["status"], failed["attempt"], failed["outcome"]["message"])
    assert failed["id"] == event["details"]["execution_id"]
    assert (202, "success", "") == (redriven.status_code, again["status"], again["outcome"]["message"])


def test_what_failed_as_often_as_its_retry_says_is_a_dead_letter(acme: Any) -> None:
    acme.hook("bad", FAILING, CHANGED)
    acme.ask("PATCH", "hooks/bad", json={"retry": {"attempts": 3, "first_ms": 1, "most_ms": 1}})
    dead = acme.ended(acme.trigger(CHANGED).json()["execution_id"])

    assert ("dead", 3) == (dead["status"], dead["attempt"])
    assert [dead["id"]] == [each["id"] for each in listed(acme, "&status=dead")]


def test_two_servers_run_one_queue_and_each_invocation_once(
    node: Any, other: Serving, acme: Any, counter: Counting
) -> None:
    """None of their hooks goes on before more are at work than one server runs of a tenant."""
    before = node.services.queue.stats()["ended"]
    acme.hook("counted", COUNTED % {"url": counter.url}, CHANGED)
    counter.hold("gate")
    ids = [triggered(each, acme, CHANGED)["execution_id"] for each in (node, other) * (INVOCATIONS // 2)]
    counter.wait_for("gate", node.config.workers_per_tenant)
    counter.let_go("gate")
    ended = [acme.ended(execution_id) for execution_id in ids]

    assert {("success", 1): INVOCATIONS} == Counter((each["status"], each["attempt"]) for each in ended)
    assert dict.fromkeys(ids, 1) == {name: times for name, times in counter.seen.items() if name != "gate"}
    assert sorted(ids, reverse=True) == [each["id"] for each in listed(acme)]
    assert 0 < node.services.queue.stats()["ended"] - before < INVOCATIONS


def test_a_hook_that_one_server_has_deployed_is_what_the_next_call_of_the_other_runs(
    node: Any, other: Serving, acme: Any
) -> None:
    told = []
    for number in range(6):
        acme.hook("it", PASS_ON % number, EXCHANGE)
        told += [triggered(each, acme, EXCHANGE)["data"]["scope"][-1] for each in (other, node)]
    acme.ask("PATCH", "hooks/it", json={"enabled": False})

    assert [str(number) for number in range(6) for _ in "ab"] == told
    assert {"scope": ["read:connections"]} == triggered(other, acme, EXCHANGE)["data"]


def test_no_secret_argument_of_a_call_is_recorded(acme: Any) -> None:
    point = "pre-user-registration"
    acme.hook("on", "def hook(user, context, cb):\n    print(user.password)\n    cb()\n", point)
    user = sample_of(point)["user"] | {"password": "hunter-2-hunter"}
    told = acme.trigger(point, sample_of(point) | {"user": user}).json()
    shown = acme.ended(told["execution_id"])

    assert "hunter" not in json.dumps(shown)
    assert ["***"] == [line["text"] for line in shown["outcome"]["hooks"][0]["outcome"]["logs"]]
