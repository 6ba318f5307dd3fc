from __future__ import annotations

import concurrent.futures
import json
from typing import Any

import pytest

POINT = "post-change-password"
OTHER_POINT = "post-user-registration"
HOOK = "def hook(user, context, cb):\n    cb()\n"
BAD = "import os\n" + HOOK


def hook(name: str, script: str = HOOK, **fields: Any) -> dict[str, Any]:
    return {"name": name, "trigger_id": POINT, "script": script} | fields


def deploy(tenant: Any, *hooks: dict[str, Any], dry_run: bool = False, **fields: Any) -> Any:
    query = "?dry_run=true" if dry_run else ""
    return tenant.ask("PUT", f"deployment{query}", json={"hooks": list(hooks)} | fields)


def told(answer: Any) -> list[tuple[str, str, list[str], int | None]]:
    assert answer.status_code == 200, answer.text
    return [(each["action"], each["name"], each["fields"], each["version"]) for each in answer.json()["changes"]]


def there(tenant: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = tenant.ask("GET", "hooks?include_source=true&limit=1000").json()["hooks"]
    return listed


def revision(server: Any, tenant: Any) -> int:
    found: int = server.ask("GET", f"/v1/tenants/{tenant.name}").json()["revision"]
    return found


def test_a_deployment_creates_updates_deletes_and_leaves(acme: Any) -> None:
    first = deploy(acme, hook("a"), hook("b", enabled=False), hook("c", trigger_id=OTHER_POINT))
    second = deploy(acme, hook("a"), hook("b", HOOK + "# b\n", enabled=False, order=4), delete_others=True)

    assert [("create", "a", [], 1), ("create", "b", [], 1), ("create", "c", [], 1)] == told(first)
    assert (True, ["a", "c"]) == (first.json()["applied"], first.json()["live"])
    assert [("unchanged", "a", [], 1), ("update", "b", ["script", "order"], 2), ("delete", "c", [], 1)] == told(second)
    assert ["a"] == second.json()["live"]
    assert [("a", HOOK, True, 0), ("b", HOOK + "# b\n", False, 4)] == [
        (each["name"], each["source"], each["enabled"], each["order"]) for each in there(acme)
    ]


def test_the_same_deployment_again_changes_nothing(server: Any, acme: Any) -> None:
    hooks = [hook("a", mode="invocation", dependencies={"json": ""}, order=3), hook("b", enabled=False)]
    deploy(acme, *hooks)
    before = (revision(server, acme), there(acme))
    again = deploy(acme, *hooks, delete_others=True)

    assert {"unchanged"} == {each["action"] for each in again.json()["changes"]}
    assert before == (revision(server, acme), there(acme))


def test_a_retry_is_part_of_what_a_hook_shall_be(server: Any, acme: Any) -> None:
    """The order of its ends is none; what is left out of it is as by default, and so is all of it."""
    said = {"attempts": 3, "on": ["timeout", "raised"], "most_ms": 5}
    first = deploy(acme, hook("a", retry=said))
    before = revision(server, acme)
    again = deploy(acme, hook("a", retry=said | {"on": ["raised", "timeout", "raised"]}))
    stored, after = there(acme)[0]["retry"], revision(server, acme)
    gone = deploy(acme, hook("a"))

    assert [("create", "a", [], 1)] == told(first)
    assert [("unchanged", "a", [], 1)] == told(again)
    assert before == after
    assert {"attempts": 3, "on": ["raised", "timeout"], "first_ms": 1_000, "most_ms": 5} == stored
    assert [("update", "a", ["retry"], 1)] == told(gone)
    assert 1 == there(acme)[0]["retry"]["attempts"]


@pytest.mark.parametrize(
    "retry",
    [
        3,
        None,
        {"attempts": 0},
        {"attempts": 21},
        {"attempts": "3"},
        {"on": ["ok"]},
        {"on": "timeout"},
        {"first_ms": 0},
        {"most_ms": 1 << 62},
        {"after": 1},
    ],
)
def test_a_retry_that_cannot_be_is_refused(acme: Any, retry: Any) -> None:
    answer = deploy(acme, hook("a", retry=retry))

    assert (400, "invalid_body") == (answer.status_code, answer.json()["errorCode"])
    assert "retry" in answer.json()["message"]


def test_a_dry_run_tells_the_same_and_does_nothing(server: Any, acme: Any) -> None:
    deploy(acme, hook("a"))
    before = (revision(server, acme), there(acme))
    dry = deploy(acme, hook("a", HOOK + "# a\n"), hook("b", trigger_id=OTHER_POINT), dry_run=True)
    after = (revision(server, acme), there(acme))
    done = deploy(acme, hook("a", HOOK + "# a\n"), hook("b", trigger_id=OTHER_POINT))

    assert before == after
    assert [("update", "a", ["script"], None), ("create", "b", [], None)] == told(dry)
    assert (False, before[0]) == (dry.json()["applied"], dry.json()["revision"])
    assert dry.json()["live"] == done.json()["live"]
    assert [each["diff"] for each in dry.json()["changes"]] == [each["diff"] for each in done.json()["changes"]]
    assert "--- a (version 1)\n+++ a (new)\n@@ -1,2 +1,3 @@\n" in dry.json()["changes"][0]["diff"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_one_rejected_script_stops_all_and_every_rejected_one_is_told(acme: Any, dry_run: bool) -> None:  # noqa: FBT001
    deploy(acme, hook("a"))
    before = there(acme)
    refused = deploy(
        acme,
        hook("a", HOOK + "# new\n"),
        hook("b", BAD, enabled=False),
        hook("c", "x = (\n", enabled=False),
        delete_others=True,
        dry_run=dry_run,
    )

    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])
    assert ["b", "c"] == [each["name"] for each in refused.json()["rejected"]]
    assert [1, 1] == [each["diagnostics"][0]["line"] for each in refused.json()["rejected"]]
    assert "nothing was applied" in refused.json()["message"]
    assert before == there(acme)


def test_a_script_that_is_no_source_is_rejected_in_words(acme: Any) -> None:
    large, unknown = {"script": "#" * 100_001, "enabled": False}, {"dependencies": {"x-y": ""}, "enabled": False}
    refused = deploy(acme, hook("a", " \n"), hook("b") | large, hook("c") | unknown)

    assert ["a", "b", "c"] == [each["name"] for each in refused.json()["rejected"]]
    assert all(each["message"] for each in refused.json()["rejected"])


def test_a_deployment_for_another_revision_is_refused(server: Any, acme: Any) -> None:
    first = deploy(acme, hook("a")).json()["revision"]
    stale = deploy(acme, hook("a", HOOK + "# b\n"), revision=first - 1)
    right = deploy(acme, hook("a", HOOK + "# b\n"), revision=first)

    assert (409, "stale") == (stale.status_code, stale.json()["errorCode"])
    assert f"revision is {first}, not {first - 1}" in stale.json()["message"]
    assert (200, revision(server, acme)) == (right.status_code, right.json()["revision"])


def test_two_enabled_on_one_point_are_refused_by_name_where_one_runs(server: Any, acme: Any) -> None:
    several = server.tenant(multiple_hooks=True)
    refused = deploy(acme, hook("a"), hook("b"))
    taken = deploy(several, hook("a", order=2), hook("b", order=1))

    assert 400 == refused.status_code
    assert "'a' and 'b' are both enabled on post-change-password" in refused.json()["message"]
    assert [] == there(acme)
    assert ["b", "a"] == taken.json()["live"]


def test_a_deployment_takes_the_point_of_a_hook_that_it_does_not_name(acme: Any) -> None:
    deploy(acme, hook("old"))
    taken = deploy(acme, hook("new"))

    assert [("create", "new", [], 1), ("update", "old", ["enabled"], 1)] == told(taken)
    assert ["new"] == taken.json()["live"]
    assert ["new"] == [each["name"] for each in there(acme) if each["enabled"]]


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ([hook("a"), hook("a")], "names the hook 'a' twice"),
        ([hook("a", trigger_id="nowhere")], "nowhere"),
        ([hook("kept", trigger_id=OTHER_POINT)], "a hook keeps its point"),
        ([hook("../a")], "String does not match pattern"),
        ([hook("a", order="1")], "order"),
        ([hook("a", mode="forever")], "mode"),
        ([hook("a", enabled=None)], "enabled"),
        ([hook("a", id="x")], "id"),
        ([{"name": "a"}], "trigger_id"),
        ({"a": HOOK}, "Expected type array"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused_whole(acme: Any, hooks: Any, said: str) -> None:
    deploy(acme, hook("kept", enabled=False))
    refused = acme.ask("PUT", "deployment", json={"hooks": hooks, "delete_others": True})

    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])
    assert said in refused.json()["message"]
    assert ["kept"] == [each["name"] for each in there(acme)]


@pytest.mark.parametrize("dry_run", [True, False])
def test_more_hooks_than_there_may_be_are_refused(server: Any, dry_run: bool) -> None:  # noqa: FBT001
    tenant = server.tenant(most_hooks=2)
    deploy(tenant, hook("a", enabled=False), hook("b", enabled=False))
    refused = deploy(tenant, hook("c", enabled=False), dry_run=dry_run)
    instead = deploy(tenant, hook("c", enabled=False), hook("d", enabled=False), delete_others=True, dry_run=dry_run)

    assert (403, "too_many_entities") == (refused.status_code, refused.json()["errorCode"])
    assert 200 == instead.status_code


@pytest.mark.parametrize(
    ("scopes", "statuses"),
    [
        (["update:hooks"], [200, 403, 403]),
        (["update:hooks", "create:hooks"], [200, 200, 403]),
        (["update:hooks", "delete:hooks"], [200, 403, 200]),
        (["create:hooks", "delete:hooks"], [403, 403, 403]),
    ],
)
def test_a_deployment_needs_the_scopes_of_what_it_does(
    server: Any, acme: Any, scopes: list[str], statuses: list[int]
) -> None:
    deploy(acme, hook("a"), hook("b", enabled=False))
    token = server.token(acme.name, scopes)
    both = [hook("a", HOOK + "# x\n"), hook("b", enabled=False)]
    bodies = [{"hooks": both}, {"hooks": [*both, hook("c", enabled=False)]}, {"hooks": both[:1], "delete_others": True}]
    path = f"/v1/tenants/{acme.name}/deployment?dry_run=true"

    assert statuses == [server.ask("PUT", path, token, json=body).status_code for body in bodies]


def test_a_large_folder_is_taken_and_a_larger_body_is_not(server: Any) -> None:
    tenant = server.tenant(most_hooks=200)
    script = HOOK + "#" * 90_000 + "\n"
    large = deploy(tenant, *(hook(f"h{number}", script, enabled=False) for number in range(20)))
    path, kind = f"/v1/tenants/{tenant.name}/deployment", {"Content-Type": "application/json"}
    larger = server.ask("PUT", path, tenant.token, content=b" " * ((16 << 20) + 1), headers=kind)

    assert (200, 20) == (large.status_code, len(large.json()["changes"]))
    assert (413, "payload_too_large") == (larger.status_code, larger.json()["errorCode"])


def test_deployments_at_the_same_time_are_one_after_the_other(server: Any, acme: Any) -> None:
    """Each is whole: the sources of all hooks are those of one of them."""
    texts = [f"{HOOK}# deployment {number}\n" for number in range(8)]

    def one(text: str) -> int:
        status: int = deploy(acme, *(hook(name, text, enabled=False) for name in "abc")).status_code
        return status

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(one, texts))

    assert {200, 409} >= set(statuses)
    assert 200 in statuses
    assert 1 == len({each["source"] for each in there(acme)})
    assert revision(server, acme) >= 3


def test_secrets_and_versions_of_a_hook_outlive_a_deployment(acme: Any) -> None:
    deploy(acme, hook("a"))
    acme.ask("PUT", "hooks/a/secrets/KEY", json={"value": "x"})
    deploy(acme, hook("a", HOOK + "# 2\n"), delete_others=True)

    assert ["KEY"] == acme.ask("GET", "hooks/a").json()["secrets"]
    assert [2, 1] == [each["number"] for each in acme.ask("GET", "hooks/a/versions").json()["versions"]]


def test_one_event_tells_of_a_deployment_and_none_of_a_dry_run(acme: Any) -> None:
    deploy(acme, hook("a", "# a-special-word\n" + HOOK), dry_run=True)
    deploy(acme, hook("a", "# a-special-word\n" + HOOK))
    logged = acme.ask("GET", "logs?per_page=100")

    assert 1 == [event["description"] for event in logged.json()].count("Deploy hooks")
    assert "special-word" not in logged.text
    assert '"name":"a"' in json.dumps(logged.json(), separators=(",", ":"))
