"""The installed command, run as a person or a script runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_PATIENCE_S = 120  # a command that takes longer hangs, on any machine


@dataclass(frozen=True, slots=True)
class Ran:
    """How the command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """The one line on standard error of a command that could not do its work. Fails when it is anything else."""
        assert (self.status, self.out) == (2, ""), self
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("hookcell: ")
        assert len(lines[0]) < 1_000
        return lines[0]


@pytest.fixture
def executable() -> Path:
    """The installed console script."""
    return Path(sys.executable).with_name("hookcell")


@pytest.fixture
def hookcell(executable: Path, tmp_path: Path) -> Callable[..., Ran]:
    """`hookcell(*arguments, stdin=b"", **environment)` → Ran, in an empty folder, without settings from outside."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("HOOKCELL_")}

    def run(*arguments: str | bytes | Path, stdin: bytes = b"", **environment: str) -> Ran:
        ran = subprocess.run(
            [executable, *arguments],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=outside | environment,
            timeout=_PATIENCE_S,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """`write(name, text_or_bytes)`: a file in the command's folder; returns its name."""

    def save(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return save


@pytest.fixture
def write_hook(write: Any) -> Callable[..., str]:
    """`write_hook(body, name="hook.py")`: a hook of post-change-password with that body."""

    def save(body: str, name: str = "hook.py") -> str:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        saved: str = write(name, f"def hook(user, context, cb):\n{lines}")
        return saved

    return save
