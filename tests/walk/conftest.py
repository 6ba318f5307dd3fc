"""`hookcell serve` as a process of its own, as an operator starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HOOKCELL = Path(sys.executable).with_name("hookcell")


class Serving:
    """One running `hookcell serve`."""

    def __init__(self, data: Path, *options: str, **environment: str) -> None:
        self.data = data
        command = [HOOKCELL, "serve", "--port", "0", "--data", str(data), *options]
        self.log = data.with_suffix(".log")
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | environment
            )
        self.url = self._read_url()
        self.operator = data.joinpath("operator.token").read_text().strip()

    def _read_url(self) -> str:
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if found := re.search(r"https?://[\w.:\[\]]+:\d+", line):
                return found[0]
        raise AssertionError(f"the server did not start: {said}{self.log.read_text()}")

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._end()

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._end()

    def _end(self) -> int:
        assert self._process.stdout is not None
        status = self._process.wait(60)
        self._process.stdout.close()
        return status


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """`serve(*options, data=…, **environment)`: a server on a free port; those still running end with the test."""
    running: list[Serving] = []

    def start(*options: str, data: Path | None = None, **environment: Any) -> Serving:
        running.append(Serving(data or tmp_path / "data", *options, **environment))
        return running[-1]

    yield start
    for server in running:
        if server._process.poll() is None:
            server.kill()
