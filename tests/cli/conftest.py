"""The installed command, run as a person or a script runs it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from serving import HOOKCELL, PATIENCE_S, Serving, serving

from engine.cli import main

_PATIENCE_S = 120  # a command that takes longer hangs, on any machine
_POLL_S = 0.05


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
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """As `hookcell`, within this process: a command that asks a server spends nearly all its time on starting."""

    def run(*arguments: str | bytes | Path, stdin: bytes = b"", **environment: str) -> Ran:
        nothing = dict.fromkeys(name for name in os.environ if name.startswith("HOOKCELL_"))
        runner = CliRunner()
        with monkeypatch.context() as patched, runner.isolation(stdin, nothing | environment) as (out, err, _):
            patched.chdir(tmp_path)
            status = _status_of([os.fsdecode(argument) for argument in arguments])
            return Ran(status, out.getvalue().decode(), err.getvalue().decode())

    return run


def _status_of(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


@pytest.fixture
def at_terminal() -> Callable[..., str]:
    """`at_terminal(folder, environment, *arguments, columns=80)`: all that the terminal of that command is sent."""

    def run(folder: Path, told: dict[str, str], *arguments: str, columns: int = 80) -> str:
        ours, its = pty.openpty()
        told = told | {"TERM": "xterm", "COLUMNS": f"{columns}"}
        process = subprocess.Popen([HOOKCELL, *arguments], stdin=its, stdout=its, stderr=its, env=told, cwd=folder)
        os.close(its)
        said = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while chunk := os.read(ours, 1 << 16):
                said += chunk
        process.wait(_PATIENCE_S)
        os.close(ours)
        return said.decode()

    return run


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that runs for all tests of this process."""
    with serving(tmp_path_factory.mktemp("served") / "data") as server:
        yield server


@pytest.fixture
def tenant(served: Serving) -> str:
    """The name of a tenant of this test alone."""
    name = f"t-{secrets.token_hex(6)}"
    served.tenant(name)
    return name


@pytest.fixture
def ask(served: Serving, tenant: str, command: Callable[..., Ran]) -> Callable[..., Ran]:
    """`command`, told of that server, that tenant and a token of it, by the environment."""
    token = served.token(tenant)

    def run(*arguments: str | bytes | Path, stdin: bytes = b"", **environment: str) -> Ran:
        told = {"HOOKCELL_SERVER": served.url, "HOOKCELL_TOKEN": token, "HOOKCELL_TENANT": tenant}
        return command(*arguments, stdin=stdin, **told | environment)

    return run


@pytest.fixture
def operate(served: Serving, command: Callable[..., Ran]) -> Callable[..., Ran]:
    """`command` with the operator's token, and no tenant."""

    def run(*arguments: str | bytes | Path, stdin: bytes = b"", **environment: str) -> Ran:
        told = {"HOOKCELL_SERVER": served.url, "HOOKCELL_TOKEN": served.operator}
        return command(*arguments, stdin=stdin, **told | environment)

    return run


@pytest.fixture
def ended(served: Serving, ask: Callable[..., Ran], tenant: str) -> Callable[[str], dict[str, Any]]:
    """`ended(execution_id)`: that execution as the command shows it, when nothing more is to be done.

    It is the operator who looks whether it is: a tenant's own requests are counted, an operator's are not.
    """
    path = f"/v1/tenants/{tenant}/executions"

    def wait(execution_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while served.ask("GET", f"{path}/{execution_id}").json()["status"] in ("queued", "running"):
            assert time.monotonic() < deadline, f"{execution_id} has not ended"
            time.sleep(_POLL_S)
        shown: dict[str, Any] = json.loads(ask("executions", "show", execution_id, "--json").out)
        return shown

    return wait


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
