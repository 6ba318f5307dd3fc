"""A hook's `retry`, and the limits of a tenant's invocations, as they are set."""

from __future__ import annotations

from typing import Any

import pytest

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"
PLAIN = {
    "attempts": 1,
    "on": ["denied", "raised", "timeout", "out_of_memory", "crashed"],
    "first_ms": 1_000,
    "most_ms": 3_600_000,
}


def patched(tenant: Any, retry: Any) -> Any:
    return tenant.ask("PATCH", "hooks/one", json={"retry": retry})


def test_a_hook_is_not_tried_again_unless_it_says_so(acme: Any) -> None:
    assert PLAIN == acme.hook("one", HOOK, POINT)["retry"]


def test_it_is_replaced_whole_and_stays_through_an_upload(acme: Any) -> None:
    acme.hook("one", HOOK, POINT)
    first = patched(acme, {"attempts": 5, "on": ["timeout", "denied", "timeout"], "first_ms": 10}).json()["retry"]
    uploaded = acme.hook("one", HOOK + "# more\n", POINT)["retry"]
    second = patched(acme, {"attempts": 2}).json()["retry"]

    assert PLAIN | {"attempts": 5, "on": ["denied", "timeout"], "first_ms": 10} == first == uploaded
    assert PLAIN | {"attempts": 2} == second == acme.ask("GET", "hooks/one").json()["retry"]


@pytest.mark.parametrize(
    "retry",
    [None, 3, [], {"attempts": 0}, {"attempts": 21}, {"attempts": True}, {"on": ["ok"]}, {"first_ms": 0}, {"more": 1}],
    ids=str,
)
def test_what_is_no_retry_is_the_clients_fault(acme: Any, retry: Any) -> None:
    acme.hook("one", HOOK, POINT)
    answer = patched(acme, retry)

    assert (400, "invalid_body") == (answer.status_code, answer.json()["errorCode"])
    assert PLAIN == acme.ask("GET", "hooks/one").json()["retry"]


@pytest.mark.parametrize("name", ["jobs_at_once", "queued_jobs", "calls_per_minute"])
def test_a_limit_of_a_tenant_is_set_and_reset(server: Any, acme: Any, name: str) -> None:
    above = f"/v1/tenants/{acme.name}"
    found = []
    for value in (7, 0, None):
        answer = server.ask("PATCH", above, json={"settings": {name: value}})
        found.append((answer.status_code, server.ask("GET", above).json()["settings"][name]))

    assert [(200, 7), (400, 7), (200, None)] == found
