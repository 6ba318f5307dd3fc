"""`hookcell token`: a token is printed once, alone, or goes to a file; it never is an argument."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from serving import Serving

from engine.cli.token import _seconds
from engine.scopes import TENANT_SCOPES


def test_a_token_is_all_that_is_printed_and_it_works(ask: Any, served: Serving, tenant: str) -> None:
    """So that it can be piped."""
    ran = ask("token", "create", "ci", "--scope", "read:hooks", "--expires-in", "1h")
    text = ran.out.strip()

    assert (0, "", f"{text}\n", "hc_") == (ran.status, ran.err, ran.out, text[:3])
    assert 200 == served.ask("GET", f"/v1/tenants/{tenant}/hooks", text).status_code
    assert 403 == served.ask("GET", f"/v1/tenants/{tenant}/tokens", text).status_code
    (made,) = [each for each in json.loads(ask("token", "list", "--json").out) if each["name"] == "ci"]
    assert ["read:hooks"] == made["scopes"]
    assert made["expires_at"] > made["created_at"]


def test_without_scopes_it_has_all_of_a_tenants(ask: Any, served: Serving, tenant: str) -> None:
    text = ask("token", "create", "all").out.strip()

    assert 200 == served.ask("GET", f"/v1/tenants/{tenant}/tokens", text).status_code


def test_a_token_goes_to_a_file_that_only_its_owner_reads(ask: Any, tmp_path: Path) -> None:
    """And can be used from there; an existing file is left alone, and then no token is made."""
    ran = ask("token", "create", "ci", "--to", "ci.token")
    path = tmp_path / "ci.token"

    assert (0, "") == (ran.status, ran.out)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert path.read_text().strip() not in ran.err
    assert 0 == ask("hooks", "--token-file", "ci.token", HOOKCELL_TOKEN="hc_wrong").status
    before = json.loads(ask("token", "list", "--json").out)
    assert "is there already" in ask("token", "create", "ci", "--to", "ci.token").fault
    assert before == json.loads(ask("token", "list", "--json").out)


def test_a_revoked_token_ends_at_once(ask: Any, served: Serving, tenant: str) -> None:
    text = ask("token", "create", "short").out.strip()
    (made,) = [each for each in json.loads(ask("token", "list", "--json").out) if each["name"] == "short"]
    ran = ask("token", "revoke", made["id"])

    assert (0, f"token {made['id']} is revoked\n") == (ran.status, ran.out)
    assert 401 == served.ask("GET", f"/v1/tenants/{tenant}/hooks", text).status_code
    assert "(404)" in ask("token", "revoke", made["id"]).fault


def test_a_list_shows_no_token(ask: Any) -> None:
    text = ask("token", "create", "secret-one", "--scope", "read:hooks", "--scope", "read:logs").out.strip()
    table = ask("token", "list").out

    assert "read:hooks read:logs" in table
    assert "never" in table
    assert text not in table + ask("token", "list", "--json").out


def test_an_operator_gives_operators_tokens(operate: Any, served: Serving) -> None:
    text = operate("token", "create", "on call", "--operator").out.strip()
    (made,) = [
        each for each in json.loads(operate("token", "list", "--operator", "--json").out) if each["name"] == "on call"
    ]

    assert 200 == served.ask("GET", "/v1/tenants", text).status_code
    assert 0 == operate("token", "revoke", made["id"], "--operator").status
    assert 401 == served.ask("GET", "/v1/tenants", text).status_code


def test_a_token_gives_only_what_it_has(ask: Any, served: Serving, tenant: str) -> None:
    """And the refusal says so."""
    weak = served.token(tenant, "create:tokens", "read:hooks")

    assert 0 == ask("token", "create", "a", "--scope", "read:hooks", HOOKCELL_TOKEN=weak).status
    assert "(403)" in ask("token", "create", "a", "--scope", "read:logs", HOOKCELL_TOKEN=weak).fault


@pytest.mark.parametrize(
    ("option", "value"), [("--expires-in", "soon"), ("--expires-in", "1y"), ("--expires-in", "-1h")]
)
def test_a_time_that_is_none_is_a_mistake(ask: Any, option: str, value: str) -> None:
    ran = ask("token", "create", "a", f"{option}={value}")

    assert (2, True, False) == (ran.status, "30d" in ran.err, "Traceback" in ran.err)


def test_a_scope_that_is_none_is_told_with_those_there_are(ask: Any) -> None:
    fault = ask("token", "create", "a", "--scope", "read:everything").fault

    assert "'read:everything' is no scope; the scopes are read:hooks, " in fault
    assert [] == [scope for scope in TENANT_SCOPES if scope not in fault]


def test_tokens_of_no_tenant_are_told_how_to_name_one(operate: Any) -> None:
    assert "hookcell: no tenant: name one with --tenant, or set HOOKCELL_TENANT" == operate("token", "list").fault


def test_a_token_as_json_is_an_object_with_it_once(ask: Any, tmp_path: Path) -> None:
    """Where it goes to a file, it is there, and not in the object."""
    made = json.loads(ask("token", "create", "ci", "--scope", "read:hooks", "--expires-in", "1h", "--json").out)
    filed = json.loads(ask("token", "create", "ci", "--to", "ci.token", "--json").out)
    listed = {each["id"]: each for each in json.loads(ask("token", "list", "--json").out)}

    assert ("ci", ["read:hooks"], "hc_") == (made["name"], made["scopes"], made["token"][:3])
    assert made["expires_at"] == listed[made["id"]]["expires_at"]
    assert 0 == ask("hooks", HOOKCELL_TOKEN=made["token"]).status
    assert "token" not in filed
    assert filed["id"] in listed
    assert (tmp_path / "ci.token").read_text().startswith("hc_")


@pytest.mark.parametrize(("text", "seconds"), [("3600s", 3_600), ("90m", 5_400), ("12h", 43_200), ("30d", 2_592_000)])
def test_a_time_has_a_unit(text: str, seconds: int) -> None:
    assert seconds == _seconds(text)


@pytest.mark.parametrize("content", ["", "\n", "two words", "tök", "x" * 5_000])
def test_a_token_file_that_holds_none_is_told(ask: Any, write: Any, content: str) -> None:
    fault = ask("hooks", "--token-file", write("token", content)).fault

    assert "token" in fault
    assert not content.strip() or content.strip() not in fault
