"""A real `hookcell serve` in a process of its own, for tests of the command line and of other people's clients."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from engine.scopes import TENANT_SCOPES

PATIENCE_S = 60  # a start or an end that takes longer hangs, on any machine
HOOKCELL = Path(sys.executable).with_name("hookcell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that runs."""

    url: str
    line: str  # what it has printed
    data: Path
    process: subprocess.Popen[str]
    ca_file: Path | None = None

    @property
    def operator(self) -> str:
        """The operator's token of the first start."""
        return (self.data / "operator.token").read_text().strip()

    def ask(self, method: str, path: str, token: str | None = None, **sent: Any) -> httpx.Response:
        """One request; with the operator's token unless another one is given. Fails for a 5xx."""
        verify: Any = str(self.ca_file) if self.ca_file else False
        headers = {"Authorization": f"Bearer {token or self.operator}"}
        with httpx.Client(verify=ssl_context(verify), timeout=PATIENCE_S, trust_env=False) as client:
            answer = client.request(method, self.url + path, headers=headers, **sent)
        assert answer.status_code < 500, answer.text
        return answer

    def tenant(self, name: str, **settings: Any) -> str:
        """Make a tenant, and a token with every scope of one: its text."""
        made = self.ask("POST", "/v1/tenants", json={"name": name} | ({"settings": settings} if settings else {}))
        assert 201 == made.status_code, made.text
        return self.token(name)

    def token(self, tenant: str, *scopes: str) -> str:
        """A token of the tenant, with these scopes or all."""
        body = {"name": "tests", "scopes": list(scopes or TENANT_SCOPES)}
        made = self.ask("POST", f"/v1/tenants/{tenant}/tokens", json=body)
        assert 201 == made.status_code, made.text
        return str(made.json()["token"])

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Tell it to end; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


def ssl_context(ca_file: Any) -> Any:
    """What httpx takes as `verify`."""
    return ssl.create_default_context(cafile=ca_file) if ca_file else False


def environment(**more: str) -> dict[str, str]:
    """The test's own, without settings from outside."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOOKCELL_")} | more


@contextlib.contextmanager
def serving(data: Path, *arguments: str | Path, ca_file: Path | None = None, **more: str) -> Iterator[Serving]:
    """`hookcell serve` on a free port, with that data folder, until the block ends."""
    process = subprocess.Popen(
        [HOOKCELL, "serve", "--port", "0", "--data", data, *arguments],
        stdout=subprocess.PIPE,
        stderr=None,
        text=True,
        env=environment(**more),
    )
    late = threading.Timer(PATIENCE_S, process.kill)
    late.start()
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        late.cancel()
        found = re.search(r"https?://\S+:\d+", line)
        assert found, f"it did not say where it listens: {line!r}, status {process.poll()}"
        yield Serving(url=found[0], line=line, data=data, process=process, ca_file=ca_file)
    finally:
        late.cancel()
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
