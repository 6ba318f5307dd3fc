"""`hookcell executions`: what has run, what came of it, and running it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from serving import Serving

POINT = "post-change-password"
FAILING = "def hook(user, context, cb):\n    print('tried', context.webtask.attempt)\n    raise ValueError('no luck')\n"


@pytest.fixture
def upload(served: Serving, tenant: str) -> Callable[[str], None]:
    """`upload(source)`: the tenant's hook."""

    def put(source: str) -> None:
        path = f"/v1/tenants/{tenant}/hooks/a%20hook/source"
        answer = served.ask("PUT", path, params={"trigger_id": POINT}, content=source)
        assert answer.status_code in (200, 201), answer.text

    return put


@pytest.fixture
def called(ask: Any, ended: Any) -> Callable[[], dict[str, Any]]:
    """`called()`: the execution of a new call, when nothing more is to be done."""
    return lambda: ended(json.loads(ask("trigger", POINT, "--sample", "--json").out)["execution_id"])


def test_the_newest_come_first_and_are_chosen(ask: Any, upload: Any, called: Any) -> None:
    upload("cb()")
    well = called()["id"]
    upload(FAILING)
    badly = called()["id"]

    def listed(*options: str) -> list[str]:
        return [each["id"] for each in json.loads(ask("executions", "list", "--json", *options).out)]

    assert [badly, well] == listed() == listed("--point", POINT) == listed("--hook", "a hook")
    assert [badly] == listed("--status", "error") == listed("--limit", "1")
    assert [well] == listed("--before", badly)
    assert [] == listed("--point", "credentials-exchange") == listed("--hook", "another")


def test_more_than_a_page_is_listed(ask: Any, served: Serving, tenant: str, upload: Any) -> None:
    upload("cb()")
    made = [
        served.ask("POST", f"/v1/tenants/{tenant}/triggers/{POINT}", json={"user": {}, "context": {"connection": {}}})
        for _ in range(103)
    ]
    found = json.loads(ask("executions", "list", "--json", "--limit", "102").out)

    assert [each.json()["execution_id"] for each in reversed(made[1:])] == [each["id"] for each in found]


def test_alone_it_lists_them_as_a_table(ask: Any, upload: Any, called: Any) -> None:
    """With options of the list too."""
    upload(FAILING)
    found = called()
    titles, row = ask("executions").out.splitlines()

    assert ["id", "point", "status", "attempt", "triggered", "ended", "message"] == titles.split()
    assert [found["id"], POINT, "error", "1"] == row.split()[:4]
    assert row.endswith("no luck")
    assert "there are no such executions\n" == ask("executions", "--status", "dead").out


def test_one_is_shown_with_the_log_and_the_end_of_each_hook(ask: Any, upload: Any, called: Any) -> None:
    upload(FAILING)
    found = called()
    shown = ask("executions", "show", found["id"])
    lines = shown.out.splitlines()
    facts = {line.split()[0]: line.split(maxsplit=1)[1].rstrip() for line in lines[: lines.index("")]}

    assert (0, "") == (shown.status, shown.err)
    assert (found["id"], POINT, "error", "1") == tuple(facts[name] for name in ("id", "point", "status", "attempt"))
    assert found["arguments"] == json.loads(facts["arguments"])
    assert "run " in facts["time"]
    assert ["a hook, version 1", "a hook:2  info   tried 1"] == lines[lines.index("") + 1 :][:2]
    assert "raised" == lines[lines.index("") + 3].split()[0]
    assert "  a hook:3: raise ValueError('no luck')" in "\n".join(lines)


def test_one_that_has_failed_is_run_again_by_the_hook_as_it_is_now(
    ask: Any, upload: Any, called: Any, ended: Any
) -> None:
    upload(FAILING)
    failed = called()["id"]
    upload("cb()")
    ran = ask("executions", "redrive", failed)
    again = ended(failed)

    assert (0, f"{failed} is queued again\n") == (ran.status, ran.out)
    assert ("success", [2]) == (again["status"], [run["version"] for run in again["outcome"]["hooks"]])
    assert "(409)" in ask("executions", "redrive", failed).fault


def test_a_hook_is_tried_again_as_its_retry_says(
    ask: Any, upload: Any, called: Any, served: Serving, tenant: str
) -> None:
    """Then it is a dead letter, which is listed and can be run again."""
    upload(FAILING)
    served.ask("PATCH", f"/v1/tenants/{tenant}/hooks/a hook", json={"retry": {"attempts": 3, "first_ms": 1}})
    found = called()
    (log,) = (run["outcome"]["logs"] for run in found["outcome"]["hooks"])

    assert ("dead", 3) == (found["status"], found["attempt"])
    assert ["tried 3"] == [event["text"] for event in log]
    assert [found["id"]] == [each["id"] for each in json.loads(ask("executions", "--status", "dead", "--json").out)]
    assert 0 == ask("executions", "redrive", found["id"]).status


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "01KACT8J9R0Q2T7Y4W5E6D8F1G"], "(404)"),
        (["show", "none"], "(400)"),
        (["redrive", "01KACT8J9R0Q2T7Y4W5E6D8F1G"], "(404)"),
        (["list", "--before", "none"], "(400)"),
        (["--tenant", "no-such-tenant"], "(404)"),
    ],
)
def test_what_is_not_there_is_one_line(ask: Any, arguments: list[str], said: str) -> None:
    assert said in ask("executions", *arguments).fault


def test_what_is_no_command_is_told_as_such(ask: Any) -> None:
    ran = ask("executions", "lisst")

    assert (2, True) == (ran.status, "'lisst'" in ran.err)


def test_a_token_that_may_only_read_runs_nothing_again(
    ask: Any, upload: Any, called: Any, served: Serving, tenant: str
) -> None:
    upload(FAILING)
    failed, reading = called()["id"], served.token(tenant, "read:executions")

    assert "update:executions" in ask("executions", "redrive", failed, HOOKCELL_TOKEN=reading).fault
    assert 0 == ask("executions", "show", failed, HOOKCELL_TOKEN=reading).status
