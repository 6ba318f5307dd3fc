"""`hookcell rollback`: an earlier version lives again; nothing else changes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from serving import Serving, environment

SOURCES = [f"def hook(user, context, cb):\n    cb()  # {number}\n" for number in (1, 2, 3)]


@pytest.fixture
def hook(served: Serving, tenant: str) -> str:
    """A hook with three versions, the last one live."""
    for source in SOURCES:
        path = f"/v1/tenants/{tenant}/hooks/Tell by mail/source"
        put = served.ask("PUT", path, params={"trigger_id": "post-change-password"}, content=source)
        assert put.status_code in (200, 201), put.text
    return "Tell by mail"


def test_the_version_before_the_live_one_lives_again(ask: Any, hook: str) -> None:
    """And the one before that; no version is made or lost by it."""
    first, second = ask("rollback", hook), ask("rollback", hook)

    assert (0, f"{hook}: version 2 is live\n", "") == (first.status, first.out, first.err)
    assert f"{hook}: version 1 is live\n" == second.out
    assert SOURCES[0] == ask("hooks", hook).out
    assert 3 == ask("hooks", hook, "--versions", "--json").out.count('"number"')


def test_any_version_can_be_named(ask: Any, hook: str) -> None:
    ask("rollback", hook, "--to", "1")

    assert f"{hook}: version 3 is live\n" == ask("rollback", hook, "--to", "3").out
    assert SOURCES[2] == ask("hooks", hook).out


def test_what_cannot_be_rolled_back_is_told(ask: Any, hook: str) -> None:
    """No version before the first, no such version, no such hook: nothing changes."""
    ask("rollback", hook, "--to", "1")

    assert f"{hook} has no version before its live one, 1" in ask("rollback", hook).fault
    assert "(404)" in ask("rollback", hook, "--to", "9").fault
    assert "(404)" in ask("rollback", "nobody").fault
    assert SOURCES[0] == ask("hooks", hook).out


def test_a_hook_that_is_not_enabled_stays_so(ask: Any, served: Serving, tenant: str, hook: str) -> None:
    """And that is told: what was made live does not run."""
    served.ask("PATCH", f"/v1/tenants/{tenant}/hooks/{hook}", json={"enabled": False})

    assert f"{hook}: version 2 is live; the hook is not enabled\n" == ask("rollback", hook).out


def test_making_a_token_loads_no_database(served: Serving, tenant: str) -> None:
    """The scopes are known without it."""
    code = (
        "import sys\nfrom engine.cli import main\n"
        "try:\n    main(['token', 'create', 'x'])\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "print('LOADED', *sys.modules)\n"
    )
    told = environment(HOOKCELL_SERVER=served.url, HOOKCELL_TOKEN=served.operator, HOOKCELL_TENANT=tenant)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=told, check=True)

    assert set() == set(ran.stdout.split("LOADED")[1].split()) & {"sqlalchemy", "engine.tokens", "cryptography"}
