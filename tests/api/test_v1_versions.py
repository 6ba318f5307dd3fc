from __future__ import annotations

from typing import Any

import pytest

from tenants import hooks
from tenants.records import Check, Draft
from tenants.rows import Rows

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"
SECOND = HOOK + "# second\n"


@pytest.fixture
def hook(acme: Any) -> Any:
    """A tenant whose hook `one` has two versions."""
    for source in (HOOK, SECOND):
        acme.ask("PUT", f"hooks/one/source?trigger_id={POINT}", content=source)
    return acme


def test_versions_are_listed_newest_first(hook: Any) -> None:
    listed = hook.ask("GET", "hooks/one/versions").json()["versions"]

    assert [(2, True, "test"), (1, False, "test")] == [
        (version["number"], version["live"], version["created_by"]) for version in listed
    ]
    assert "source" not in listed[0]


def test_a_version_is_shown_with_its_source(hook: Any) -> None:
    assert HOOK == hook.ask("GET", "hooks/one/versions/1").json()["source"]


@pytest.mark.parametrize("number", ["3", "2147483647"])
def test_a_version_that_there_is_not_is_404(hook: Any, number: str) -> None:
    for method, path in (("GET", ""), ("GET", "/diff"), ("POST", "/deploy")):
        missing = hook.ask(method, f"hooks/one/versions/{number}{path}")

        assert (404, "VersionDoesNotExist") == (missing.status_code, missing.json()["errorCode"])


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "99999999999999999999999", "%00"])
def test_a_number_that_is_none_is_refused(hook: Any, number: str) -> None:
    refused = hook.ask("GET", f"hooks/one/versions/{number}")

    assert (400, "invalid_uri") == (refused.status_code, refused.json()["errorCode"])


def test_a_diff_is_against_the_version_before_unless_another_is_named(hook: Any) -> None:
    before = hook.ask("GET", "hooks/one/versions/2/diff").json()
    first = hook.ask("GET", "hooks/one/versions/1/diff").json()
    back = hook.ask("GET", "hooks/one/versions/1/diff?against=2").json()

    assert (1, None, 2) == (before["against"], first["against"], back["against"])
    assert (
        "--- one (version 1)\n+++ one (version 2)\n@@ -1,2 +1,3 @@\n def hook(user, context, cb):\n     cb()\n+# second\n"
        == before["diff"]
    )
    assert "-# second\n" in back["diff"]
    assert "+def hook(user, context, cb):\n" in first["diff"]


def test_a_diff_is_against_the_newest_version_before_it_that_is_kept(server: Any, hook: Any) -> None:
    """The live one is kept however old it is; of the oldest that is left there is none before."""
    hook.ask("POST", "hooks/one/versions/1/deploy")
    server.ask("PATCH", f"/v1/tenants/{hook.name}", json={"settings": {"most_versions": 1}})
    hook.ask("PUT", "hooks/one/source", content=HOOK + "# third\n")
    kept = [each["number"] for each in hook.ask("GET", "hooks/one/versions").json()["versions"]]
    diffs = [hook.ask("GET", f"hooks/one/versions/{number}/diff") for number in kept]

    assert [200] * len(kept) == [each.status_code for each in diffs]
    assert 2 not in kept
    assert [*kept[1:], None] == [each.json()["against"] for each in diffs]


def test_the_way_back_makes_no_new_version(hook: Any) -> None:
    back = hook.ask("POST", "hooks/one/versions/1/deploy")

    assert (200, 1) == (back.status_code, back.json()["version"])
    assert HOOK == hook.ask("GET", "hooks/one/source").text
    assert 2 == len(hook.ask("GET", "hooks/one/versions").json()["versions"])
    assert 3 == hook.ask("PUT", "hooks/one/source", content=HOOK + "# third\n").json()["version"]


def test_a_version_that_would_be_rejected_today_is_not_put_live(server: Any, hook: Any) -> None:
    """It was made by an older policy, which took it."""
    tenant_id = server.ask("GET", f"/v1/tenants/{hook.name}").json()["id"]
    old = Draft(
        source="import os\n" + HOOK,
        dependencies={},
        check=Check(compiler="an older one", code=b"\0"),
        created_by="history",
    )

    def change(rows: Rows) -> None:
        found = hooks.named(rows, "one")
        hooks.change(rows, found.id, hooks.HookChanges(draft=old))
        hooks.deploy(rows, found.id, 2)

    server.services.store.write(tenant_id, change).result()
    refused = hook.ask("POST", "hooks/one/versions/3/deploy")

    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])
    assert "line 1, column 1" in refused.json()["message"]
    assert 2 == hook.ask("GET", "hooks/one").json()["version"]


def test_a_deploy_stands_in_the_log(hook: Any) -> None:
    hook.ask("POST", "hooks/one/versions/1/deploy")

    assert "Deploy a version of a hook" == hook.ask("GET", "logs").json()[0]["description"]
