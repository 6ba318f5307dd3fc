"""`hookcell deploy`: what would change is shown first; then all of it is done, or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from serving import Serving

from engine.cli.deploy import _put
from engine.client import Client, Refused
from engine.project import read_project
from tenants.records import Retry

HOOK = "def hook(user, context, cb):\n    print('one')\n    cb()\n"
TENANT_YAML = """\
hooks:
  - name: Tell by mail
    point: post-change-password
    source: hooks/tell.py
    retry: {attempts: 5, on: [timeout, raised], first_ms: 50}
  - name: claims
    point: credentials-exchange
    source: hooks/claims.py
    enabled: false
    order: 3
    mode: invocation
    dependencies: [json]
"""


@pytest.fixture(autouse=True)
def _folder(write: Any) -> None:
    write("acme/tenant.yaml", TENANT_YAML)
    write("acme/hooks/tell.py", HOOK)
    write("acme/hooks/claims.py", "cb(None, {})\n")


def hooks_of(served: Serving, tenant: str) -> dict[str, Any]:
    listed = served.ask("GET", f"/v1/tenants/{tenant}/export").json()["hooks"]
    return {hook["name"]: hook for hook in listed}


def test_a_folder_becomes_what_is_live(ask: Any, served: Serving, tenant: str) -> None:
    """Every field as it is written."""
    ran = ask("deploy", "acme")
    made = hooks_of(served, tenant)

    assert (0, "") == (ran.status, ran.err)
    assert [
        "+ create     Tell by mail  (post-change-password)",
        "+ create     claims  (credentials-exchange)",
        f"{tenant}: 2 create",
        f"deployed to {tenant}",
        "live: Tell by mail",
    ] == ran.out.splitlines()
    assert (HOOK, True, 0, None, {}) == tuple(
        made["Tell by mail"][name] for name in ("source", "enabled", "order", "mode", "dependencies")
    )
    assert [
        {"attempts": 5, "on": ["raised", "timeout"], "first_ms": 50, "most_ms": 3_600_000},
        {"attempts": 1, "on": list(Retry().on), "first_ms": 1_000, "most_ms": 3_600_000},
    ] == [made[name]["retry"] for name in ("Tell by mail", "claims")]
    assert (False, 3, "invocation", {"json": ""}) == tuple(
        made["claims"][name] for name in ("enabled", "order", "mode", "dependencies")
    )


def test_a_second_time_nothing_changes(ask: Any, served: Serving, tenant: str) -> None:
    """Not even a version, nor the tenant's revision."""
    ask("deploy", "acme")
    before = hooks_of(served, tenant), served.ask("GET", f"/v1/tenants/{tenant}").json()["revision"]
    ran = ask("deploy", "acme")

    assert (0, f"{tenant}: 2 unchanged") == (ran.status, ran.out.splitlines()[2])
    assert before == (hooks_of(served, tenant), served.ask("GET", f"/v1/tenants/{tenant}").json()["revision"])


def test_a_change_is_shown_as_a_diff_and_a_dry_run_changes_nothing(
    ask: Any, write: Any, served: Serving, tenant: str
) -> None:
    """With the fields that differ."""
    ask("deploy", "acme")
    write("acme/hooks/tell.py", HOOK.replace("one", "two"))
    ran = ask("deploy", "acme", "--dry-run")

    assert 0 == ran.status
    assert "~ update     Tell by mail  (post-change-password): script" in ran.out.splitlines()
    assert "    -    print('one')\n    +    print('two')\n" in ran.out
    assert "nothing was changed: a dry run" in ran.out
    assert HOOK == hooks_of(served, tenant)["Tell by mail"]["source"]
    ask("deploy", "acme")
    assert 2 == hooks_of(served, tenant)["Tell by mail"]["version"]


def test_a_retry_that_differs_is_changed_and_makes_no_version(
    ask: Any, write: Any, served: Serving, tenant: str
) -> None:
    ask("deploy", "acme")
    write("acme/tenant.yaml", TENANT_YAML.replace("attempts: 5", "attempts: 6"))
    ran = ask("deploy", "acme")
    made = hooks_of(served, tenant)["Tell by mail"]

    assert "~ update     Tell by mail  (post-change-password): retry" in ran.out.splitlines()
    assert (6, 1) == (made["retry"]["attempts"], made["version"])


def test_hooks_that_the_folder_does_not_name_stay_unless_deleting_is_asked_for(
    ask: Any, write: Any, served: Serving, tenant: str
) -> None:
    """And then it is asked about, or --yes says so."""
    ask("deploy", "acme")
    write("acme/tenant.yaml", "hooks: []\n")

    assert 0 == ask("deploy", "acme").status
    assert 2 == len(hooks_of(served, tenant))
    assert "so say --yes" in ask("deploy", "acme", "--delete").err
    assert 2 == ask("deploy", "acme", "--delete").status
    assert 2 == len(hooks_of(served, tenant))
    ran = ask("deploy", "acme", "--delete", "--yes")
    assert (0, {}) == (ran.status, hooks_of(served, tenant))
    assert "- delete     claims  (credentials-exchange)" in ran.out.splitlines()
    assert "live: none" == ran.out.splitlines()[-1]


def test_one_refused_hook_stops_all_and_is_shown_as_check_shows_it(
    ask: Any, write: Any, served: Serving, tenant: str
) -> None:
    """Path, line, rule, source line, caret, way out; nothing is stored."""
    write("acme/hooks/tell.py", "def hook(user, context, cb):\n    import os\n    cb()\n")
    ran = ask("deploy", "acme")
    shown = ran.err.splitlines()

    assert (2, "") == (ran.status, ran.out)
    assert shown[0].startswith("acme/hooks/tell.py:2:5: import: ")
    assert ["        import os", "        ^^^^^^^^^"] == shown[1:3]
    assert f"hookcell: {tenant} is as it was: 1 of 2 hooks are refused" == shown[-1]
    assert {} == hooks_of(served, tenant)


def test_json_is_the_plan_or_what_was_done(ask: Any) -> None:
    """Nothing else on standard output."""
    planned, done = (json.loads(ask("deploy", "acme", "--json", *more).out) for more in (["--dry-run"], []))

    assert [False, True] == [planned["applied"], done["applied"]]
    assert ["create", "create"] == [change["action"] for change in planned["changes"]]
    assert [1, 1] == [change["version"] for change in done["changes"]]
    assert ["Tell by mail"] == planned["live"] == done["live"]


def test_every_fault_of_the_file_is_told_with_its_line(ask: Any, write: Any) -> None:
    """At once, before the server is asked."""
    write("acme/tenant.yaml", "hooks:\n  - {nam: a, point: p, source: ../x.py}\n  - 3\n")
    ran = ask("deploy", "acme")

    assert 2 == ran.status
    assert [
        "hookcell: acme/tenant.yaml:2: hooks[0].name: it is missing",
        "acme/tenant.yaml:2: hooks[0].source: '../x.py': '../x.py' lies outside the folder",
        "acme/tenant.yaml:2: hooks[0]: 'nam' is no field; did you mean 'name'?",
        "acme/tenant.yaml:3: hooks[1]: found a number ('3'); it is a mapping of name, point, source, enabled, order, mode, retry, dependencies",
    ] == ran.err.splitlines()


def test_an_unknown_point_is_told_with_line_and_nearest(ask: Any, write: Any) -> None:
    """By what the server has."""
    write("acme/tenant.yaml", TENANT_YAML.replace("credentials-exchange", "credential-exchange"))

    fault = ask("deploy", "acme").fault
    assert "acme/tenant.yaml:7: there is no extensibility point 'credential-exchange'" in fault
    assert "did you mean 'credentials-exchange'?" in fault


def test_two_enabled_hooks_of_a_point_are_refused_where_one_runs(ask: Any, write: Any) -> None:
    """It would never come to rest otherwise: each deployment would disable the other."""
    write(
        "acme/tenant.yaml",
        TENANT_YAML.replace("credentials-exchange", "post-change-password").replace("enabled: false", ""),
    )

    assert "are both enabled on post-change-password" in ask("deploy", "acme").fault


def test_the_tenant_of_the_folder_is_taken_where_no_other_is_named(
    hookcell: Any, write: Any, served: Serving, tenant: str
) -> None:
    """The option goes before the environment, and that before the file."""
    told = {"HOOKCELL_SERVER": served.url, "HOOKCELL_TOKEN": served.token(tenant)}
    assert "--tenant, or set HOOKCELL_TENANT" in hookcell("deploy", "acme", **told).fault
    write("acme/tenant.yaml", f"tenant: {tenant}\n{TENANT_YAML}")

    assert 0 == hookcell("deploy", "acme", **told).status
    assert "(404)" in hookcell("deploy", "acme", HOOKCELL_TENANT="another", **told).fault
    assert 0 == hookcell("deploy", "acme", "--tenant", tenant, HOOKCELL_TENANT="another", **told).status


def test_a_folder_that_is_none_is_told(ask: Any) -> None:
    assert "there is no such file; `hookcell init`" in ask("deploy", "nowhere").fault


def test_a_server_that_cannot_be_reached_is_told_with_what_to_check(ask: Any) -> None:
    fault = ask("deploy", "acme", "--server", "http://127.0.0.1:9").fault

    assert "http://127.0.0.1:9 cannot be reached: Connection refused; is it running" in fault
    assert "hookcell serve" in fault


def test_a_server_that_is_no_address_is_told(ask: Any) -> None:
    assert "begins with http:// or https://" in ask("deploy", "acme", "--server", "127.0.0.1:8787").fault


def test_something_else_that_answers_is_told(ask: Any, served: Serving) -> None:
    """As a server whose address has a path too many."""
    assert "(404)" in ask("deploy", "acme", "--server", served.url + "/elsewhere").fault


@pytest.mark.parametrize(
    ("token", "said"), [("hc_wrong", "(401)"), ("", "holds no token"), ("two words", "holds no token")]
)
def test_a_token_that_is_none_is_told_and_not_printed(ask: Any, token: str, said: str) -> None:
    fault = ask("deploy", "acme", HOOKCELL_TOKEN=token).fault

    assert said in fault
    assert not token or token not in fault


def test_without_a_token_it_says_where_one_is_looked_for(hookcell: Any, served: Serving) -> None:
    fault = hookcell("deploy", "acme", "--tenant", "a", HOOKCELL_SERVER=served.url).fault

    assert "set HOOKCELL_TOKEN, or name a file with --token-file" in fault


def test_a_token_that_may_only_read_plans_nothing(ask: Any, served: Serving, tenant: str) -> None:
    """The message names the scope."""
    fault = ask("deploy", "acme", HOOKCELL_TOKEN=served.token(tenant, "read:hooks")).fault

    assert "update:hooks" in fault


def test_a_change_between_plan_and_deployment_is_not_overwritten(served: Serving, tenant: str, tmp_path: Path) -> None:
    """The revision of the plan is no longer that of the tenant."""
    client = Client(served.url, served.token(tenant))
    project = read_project(tmp_path / "acme")
    plan = _put(client, tenant, project, delete=False, dry_run=True)
    served.ask("PUT", f"/v1/tenants/{tenant}/hooks/other/source?trigger_id=post-change-password", content="cb()")

    with pytest.raises(Refused, match=r"\(409\)"):
        _put(client, tenant, project, delete=False, revision=plan.revision)
    assert ["other"] == list(hooks_of(served, tenant))
