"""What a tenant may ask for at once, in a minute and in the queue: refused by name, and only to that tenant."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

EXCHANGE = "credentials-exchange"
CHANGED = "post-change-password"
ENDLESS = "def hook(client, scope, audience, context, cb):\n    while True:\n        pass\n"


def at_once(number: int, ask: Callable[[], Any]) -> list[Any]:
    """The answers, of threads that ask at the same time."""
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_too_many_at_once_names_the_limit(server: Any) -> None:
    tenant = server.tenant(jobs_at_once=1)
    tenant.hook("slow", ENDLESS, EXCHANGE)
    answers = at_once(2, lambda: tenant.trigger(EXCHANGE, Prefer="wait=2"))
    refused, ran = sorted(answers, key=lambda answer: -answer.status_code)

    assert [429, 200] == [refused.status_code, ran.status_code]
    assert "jobs_at_once" == refused.json()["errorCode"]
    assert int(refused.headers["retry-after"]) >= 1


def test_too_many_a_minute_names_the_limit_and_touches_nobody_else(server: Any, acme: Any) -> None:
    tenant = server.tenant(calls_per_minute=2)
    answers = [tenant.trigger(point) for point in (EXCHANGE, CHANGED, EXCHANGE)]

    assert [200, 202, 429] == [answer.status_code for answer in answers]
    assert "calls_per_minute" == answers[2].json()["errorCode"]
    assert int(answers[2].headers["retry-after"]) >= 1
    assert 200 == acme.trigger(EXCHANGE).status_code


@pytest.mark.parametrize("point", [EXCHANGE, CHANGED])
def test_a_call_counts_once_and_before_its_body_is_read(server: Any, point: str) -> None:
    """Or bodies that are refused would be looked at without end."""
    tenant = server.tenant(calls_per_minute=3)
    headers = {"Authorization": f"Bearer {tenant.token}", "Content-Type": "application/json"}
    path = f"/v1/tenants/{tenant.name}/triggers/{point}"
    bad = [server.client.post(path, headers=headers, content=b'{"client":5}') for _ in range(2)]
    good = tenant.trigger(point)
    late = server.client.post(path, headers=headers, content=b'{"client":5}')

    assert [400, 400] == [answer.status_code for answer in bad]
    assert good.is_success
    assert (429, "calls_per_minute") == (late.status_code, late.json()["errorCode"])


def test_a_full_queue_names_the_limit(server: Any) -> None:
    tenant = server.tenant(queued_jobs=1, jobs_at_once=1)
    tenant.hook("slow", "def hook(user, context, cb):\n    while True:\n        pass\n", CHANGED)
    answers = [tenant.trigger(CHANGED) for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code != 202]

    assert {"queued_jobs"} == {answer.json()["errorCode"] for answer in refused}
    assert {429} == {answer.status_code for answer in refused}
    assert int(refused[0].headers["retry-after"]) >= 1


def test_a_server_without_a_free_worker_says_so(new_server: Callable[..., Any]) -> None:
    server = new_server(workers=1, workers_per_tenant=1, reserve=0, waiting=0, wait_ms=100)
    tenant = server.tenant(jobs_at_once=64)
    tenant.hook("slow", ENDLESS, EXCHANGE)
    answers = at_once(4, lambda: tenant.trigger(EXCHANGE, Prefer="wait=3"))
    statuses = sorted(answer.status_code for answer in answers)
    refused = next(answer for answer in answers if answer.status_code == 503)

    assert {200, 503} == set(statuses)
    assert ("pool_busy", "1") == (refused.json()["errorCode"], refused.headers["retry-after"])
