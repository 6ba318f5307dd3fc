"""`hookcell tenant`: the operator's side of tenants."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from serving import Serving


@pytest.fixture
def name() -> str:
    return f"c-{secrets.token_hex(6)}"


def test_a_tenant_is_made_shown_changed_and_deleted(operate: Any, name: str) -> None:
    made = operate("tenant", "create", name, "wall_ms=2000", "modules=[json, requests]")
    shown = json.loads(operate("tenant", "show", name, "--json").out)

    assert (0, "", f"tenant {name} is made") == (made.status, made.err, made.out.partition(";")[0])
    assert (name, 2000, ["json", "requests"]) == (
        shown["name"],
        shown["settings"]["wall_ms"],
        sorted(shown["settings"]["modules"]),
    )
    changed = operate("tenant", "set", name, "wall_ms=null", "multiple_hooks=true", "egress={listed_only: true}")
    assert (0, "") == (changed.status, changed.err)
    assert "multiple_hooks=true" in changed.out
    assert "wall_ms" not in changed.out
    assert operate("tenant", "show", name).out.split()[:2] == ["name", name]
    assert 0 == operate("tenant", "delete", name, "--yes").status
    assert "(404)" in operate("tenant", "show", name).fault


def test_every_tenant_is_listed(operate: Any, served: Serving, name: str) -> None:
    """In order of creation; as a table and as JSON."""
    names = [f"{name}-{index}" for index in range(3)]
    for each in names:
        served.tenant(each)
    listed = [tenant["name"] for tenant in json.loads(operate("tenant", "list", "--json").out)]
    table = operate("tenant", "list").out.splitlines()

    assert names == [each for each in listed if each.startswith(name)]
    assert names == [line.split()[0] for line in table if line.startswith(name)]
    assert ["name", "changes", "made", "settings"] == table[0].split()


def test_an_export_has_hooks_and_names_of_secrets_and_no_value(
    operate: Any, served: Serving, name: str, tmp_path: Path
) -> None:
    """To standard output, or to a file that was not there."""
    served.tenant(name)
    served.ask("PUT", f"/v1/tenants/{name}/hooks/h/source?trigger_id=post-change-password", content="cb()")
    served.ask("PUT", f"/v1/tenants/{name}/hooks/h/secrets/KEY", json={"value": "s3cr3t-value"})
    printed = operate("tenant", "export", name)
    written = operate("tenant", "export", name, "--to", "export.json")

    assert (0, "written to export.json\n") == (written.status, written.out)
    assert json.loads(printed.out) == json.loads((tmp_path / "export.json").read_text())
    (hook,) = json.loads(printed.out)["hooks"]
    assert ("cb()", ["KEY"]) == (hook["source"], hook["secrets"])
    assert "s3cr3t-value" not in printed.out
    assert "is there already" in operate("tenant", "export", name, "--to", "export.json").fault


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("wall_mz=1", "did you mean wall_ms?"),
        ("colour=1", "the settings are wall_ms"),
        ("wall_ms", "write SETTING=VALUE"),
        ("egress={", "not YAML"),
        ("wall_ms=soon", "(400)"),
        ("modules=[os]", "(400)"),
    ],
)
def test_a_setting_that_cannot_be_is_told(operate: Any, served: Serving, name: str, pair: str, said: str) -> None:
    """By name here, by value there; nothing is changed."""
    served.tenant(name)
    before = operate("tenant", "show", name, "--json").out

    assert said in operate("tenant", "set", name, pair).fault
    assert before == operate("tenant", "show", name, "--json").out


@pytest.mark.parametrize("bad", ["Acme", "a_b", "a/b", "..", "-a", "a" * 64])
def test_a_name_that_cannot_be_one_is_told(operate: Any, bad: str) -> None:
    assert "(400)" in operate("tenant", "create", "--", bad).fault


@pytest.mark.parametrize("odd", ["..", "a/b", "%2e%2e", "a?b=c", "#"])
def test_a_name_in_an_address_stays_a_name(operate: Any, odd: str) -> None:
    """No character of it leads to another route."""
    fault = operate("tenant", "show", odd).fault

    assert "(404)" in fault or "(400)" in fault


def test_a_name_that_is_taken_is_told(operate: Any, served: Serving, name: str) -> None:
    served.tenant(name)

    assert "(409)" in operate("tenant", "create", name).fault


def test_deleting_is_asked_about_and_no_answer_is_no(operate: Any, served: Serving, name: str) -> None:
    served.tenant(name)
    unanswered, refused = operate("tenant", "delete", name), operate("tenant", "delete", name, stdin=b"n\n")

    assert [1, 1] == [unanswered.status, refused.status]
    assert 0 == operate("tenant", "show", name).status
    assert 0 == operate("tenant", "delete", name, stdin=b"y\n").status


def test_a_tenants_token_is_no_operators(ask: Any) -> None:
    assert "(403)" in ask("tenant", "list").fault
