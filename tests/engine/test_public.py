"""The names that stand for the whole: `from engine import …`."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import engine


async def test_three_imports_are_enough_to_run_a_hook(sample: dict[str, Any]) -> None:
    """The first program of a caller."""
    from engine import Config, Engine, Hook  # noqa: PLC0415 - the claim itself

    async with Engine(Config()) as started:
        outcome = await started.run(Hook("cb(None, user.id)\n", "post-change-password"), sample)

    assert ("ok", "abc123") == (outcome.status, outcome.value())


@pytest.mark.parametrize("name", engine.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    """`__all__` promises nothing that is not there."""
    assert name == getattr(engine, name).__name__


def test_what_is_not_public_is_not_there() -> None:
    """The usual error, with the usual words."""
    with pytest.raises(AttributeError, match="module 'engine' has no attribute 'Pool'"):
        engine.Pool  # noqa: B018 - the claim itself


def test_importing_the_package_imports_none_of_its_weight() -> None:
    """A command line that only shows its help must be quick."""
    code = "import engine, sys; print(*sorted({'asyncio', 'msgspec', 'pydantic', 'yaml', 'click'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout.split() == []
