"""Tables at a terminal of 80 columns: what is copied from them stands in one piece."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from serving import Serving, environment

LONG = "a hook with the longest name that anybody has thought of so far"


@pytest.fixture
def look(at_terminal: Any, served: Serving, tenant: str, tmp_path: Path) -> Any:
    """What the command shows there, without what it makes bold."""
    told = environment(HOOKCELL_SERVER=served.url, HOOKCELL_TOKEN=served.operator, HOOKCELL_TENANT=tenant)

    def run(*arguments: str) -> str:
        text = at_terminal(tmp_path, told, *arguments)
        return str(text.replace("\x1b[1m", "").replace("\x1b[0m", ""))

    return run


def test_ids_of_tokens_can_be_copied(ask: Any, look: Any) -> None:
    """With their names; nothing of the rest is cut either."""
    ask("token", "create", "the token of the pipeline", "--expires-in", "1h")
    shown = look("token", "list")
    titles, *lines = shown.splitlines()
    scopes = "".join(line[titles.index("scopes") : titles.index("made")].strip() for line in lines)

    for made in json.loads(ask("token", "list", "--json").out):
        assert f"{made['id']}  {made['name']} " in shown
        assert [] == [scope for scope in made["scopes"] if scope not in scopes]
    assert max(map(len, lines)) <= 80
    assert "…" not in shown


def test_names_and_points_of_hooks_can_be_copied(served: Serving, tenant: str, look: Any) -> None:
    """Also where the two are wider than the terminal."""
    for name, point in (("short", "post-change-password"), (LONG, "send-phone-message")):
        path = f"/v1/tenants/{tenant}/hooks/{name}/source?trigger_id={point}"
        assert 201 == served.ask("PUT", path, content="cb()").status_code
    shown = look("hooks")

    assert ["name", "point", "enabled"] == shown.split()[:3]
    assert f"{LONG}  send-phone-message " in shown
    assert " post-change-password " in shown
    assert "…" not in shown


def test_one_tenant_is_shown_without_a_line_of_titles(tenant: str, look: Any) -> None:
    assert ["name", tenant] == look("tenant", "show", tenant).splitlines()[0].split()
