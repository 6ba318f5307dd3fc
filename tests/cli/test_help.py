"""The help: complete, and quick because it loads next to nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from engine.cli import _COMMANDS


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(hookcell: Any, option: str) -> None:
    """Each with a first sentence about it."""
    ran = hookcell(option)
    listed = {line.split()[0]: line for line in ran.out.splitlines() if line.startswith("  ") and line.strip()}

    assert (0, "") == (ran.status, ran.err)
    assert {"run", "check", "test", "doctor"} <= set(_COMMANDS)
    assert all(len(listed[name].split()) > 3 for name in _COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    """What takes the time of a start is loaded by the command that needs it."""
    code = (
        "import sys\nfrom engine.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(ran.stdout.split("LOADED")[1].split())

    assert set() == loaded & {"asyncio", "msgspec", "pydantic", "pydantic_settings", "yaml", "rich", "jsonschema_rs"}
    assert "click" in loaded


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_has_its_own_help(hookcell: Any, command: str) -> None:
    """With its usage and its options."""
    ran = hookcell(command, "--help")

    assert (0, "") == (ran.status, ran.err)
    assert ran.out.startswith(f"Usage: hookcell {command} ")


def test_the_version_is_told(hookcell: Any) -> None:
    """Of the installed package."""
    ran = hookcell("--version")

    assert (0, "hookcell 0.1.0\n") == (ran.status, ran.out)


def test_a_command_that_does_not_exist_is_told_as_such(hookcell: Any) -> None:
    """One usage error, no traceback."""
    ran = hookcell("rum")

    assert (2, True, False) == (ran.status, "'rum'" in ran.err, "Traceback" in ran.err)
