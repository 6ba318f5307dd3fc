"""Auth0's own client for Python, the 4.x line, unmodified: it is installed into a venv of its own and asks a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

POINT = "post-change-password"
SCRIPT = "def hook(user, context, cb):\n    cb()\n"
MASK = "_VALUE_NOT_SHOWN_"
PROGRAM = Path(__file__).with_name("auth0_4_calls.py")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def python_of_4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a venv that has auth0-python 4.x."""
    folder = tmp_path_factory.mktemp("auth0-4")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "auth0-python>=4,<5"]
    installed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert 0 == installed.returncode, installed.stderr
    return python


@pytest.fixture(scope="module")
def seen(server: Any, python_of_4: Path) -> dict[str, Any]:
    """What the client saw, as tests/api/auth0_4_calls.py tells it."""
    acme = server.tenant()
    given = {
        "domain": acme.url.removeprefix("http://"),
        "token": acme.token,
        "reader": server.token(acme.name, ["read:hooks"]),
        "slow": server.tenant(api_per_second=2).token,
    }
    command = [python_of_4, "-I", PROGRAM]
    environment = {"PATH": os.defpath}
    asked = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120, env=environment
    )
    assert 0 == asked.returncode, asked.stderr
    read: dict[str, Any] = json.loads(asked.stdout)
    return read


def test_a_hook_lives_from_create_to_delete(seen: dict[str, Any]) -> None:
    lives = seen["lives"]

    made = lives["made"]
    expected = {"name": "welcome", "script": SCRIPT, "triggerId": POINT, "enabled": True, "dependencies": {}}
    assert expected | {"id": made["id"]} == made == lives["got"]
    assert {"id": made["id"], "name": "welcome"} == lives["part"]
    assert made | {"name": "farewell", "script": SCRIPT + "# 2\n"} == lives["changed"]
    assert lives["deleted"] in ("", None)


def test_hooks_are_listed(seen: dict[str, Any]) -> None:
    """The enabled ones, unless it is told otherwise."""
    lives = seen["lives"]

    assert ["farewell"] == lives["enabled"]
    assert ["farewell", "off"] == lives["all"]
    assert {"total": 2, "start": 1, "limit": 1, "hooks": [{"name": "off"}]} == lives["totals"]
    assert ["dependencies", "enabled", "name", "triggerId"] == lives["without"]
    assert [] == lives["past"]


def test_secrets_are_added_changed_read_and_deleted(seen: dict[str, Any]) -> None:
    secrets = seen["secrets"]

    assert {} == secrets["none"] == secrets["added"] == secrets["changed"]
    assert {"A": MASK, "B": MASK} == secrets["masked"]
    assert secrets["deleted"] in ("", None)
    assert {"B": MASK} == secrets["left"]
    assert [409, "SecretAlreadyExists"] == secrets["409"][:2]
    assert [404, "SecretDoesNotExist"] == secrets["404"][:2]


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("400", 400, "invalid_body"),
        ("400 query", 400, "invalid_query_string"),
        ("400 path", 400, "invalid_uri"),
        ("403", 403, "insufficient_scope"),
        ("404", 404, "HookDoesNotExist"),
        ("404 update", 404, "HookDoesNotExist"),
        ("404 delete", 404, "HookDoesNotExist"),
        ("404 secrets", 404, "HookDoesNotExist"),
        ("404 add", 404, "HookDoesNotExist"),
        ("404 remove", 404, "HookDoesNotExist"),
        ("409", 409, "HookNameAlreadyExists"),
    ],
)
def test_an_error_has_its_status_and_code(seen: dict[str, Any], call: str, status: int, code: str) -> None:
    assert [status, code] == seen["errors"][call][:2]


def test_401_and_the_messages_are_told(seen: dict[str, Any]) -> None:
    errors = seen["errors"]

    assert (401, "Invalid token") == (errors["401"][0], errors["401"][2])
    assert "Insufficient scope, expected any of: create:hooks" == errors["403"][2]
    assert "line 1, column 1: rule `import`" in errors["400"][2]


def test_429_is_told_and_passes_by_the_clients_own_retries(seen: dict[str, Any]) -> None:
    error = seen["limited"]["error"]

    assert [429, "Global limit has been reached"] == [error[0], error[2]]
    assert seen["limited"]["late"] < 10
