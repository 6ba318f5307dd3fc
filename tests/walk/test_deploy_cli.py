"""auth0-deploy-cli, the newest, unmodified and over https: export, import, import again, secrets, delete, dry run."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from auth0_clients import Clients, install, serving_tls
from serving import Serving, environment

FIRST = 'def hook(user, context, cb):\n    """Grüße ✓"""\n    cb()\n'
SECOND = "def hook(client, scope, audience, context, cb):\n    cb(None, {'scope': scope})\n"
_PATIENCE_S = 240  # it compiles its schemas for ten seconds before its first request


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return install(tmp_path_factory)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving_tls(tmp_path_factory.mktemp("tls")) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant, and the program pointed at it."""

    name: str
    token: str
    server: Serving
    program: Callable[..., subprocess.CompletedProcess[str]]

    def hooks(self) -> dict[str, Any]:
        """Its hooks by name, with their sources."""
        listed = self.server.ask("GET", f"/v1/tenants/{self.name}/export").json()["hooks"]
        return {hook["name"]: hook for hook in listed}

    def make(self, name: str, **more: Any) -> str:
        """A hook, made through the management API."""
        body = {"name": name, "script": FIRST, "triggerId": "post-change-password"} | more
        made = self.server.ask("POST", "/api/v2/hooks", self.token, json=body)
        assert 201 == made.status_code, made.text
        return str(made.json()["id"])

    def imports(self, folder: Path, *options: str, **more: str) -> str:
        """`a0deploy import`; what it said. Fails unless it ends well."""
        ran = self.program("import", "--input_file", folder, *options, **more)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr


@pytest.fixture
def tenant(clients: Clients, server: Serving, tmp_path: Path) -> Tenant:
    name = f"d-{secrets.token_hex(6)}"
    token = server.tenant(name, api_per_second=1_000)

    def program(command: str, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        told = {
            "PATH": clients.path,
            "NODE_EXTRA_CA_CERTS": str(server.ca_file),
            "AUTH0_DOMAIN": server.url.removeprefix("https://"),
            "AUTH0_ACCESS_TOKEN": token,
            "AUTH0_INCLUDED_ONLY": '["hooks"]',
        }
        return subprocess.run(
            [clients.deploy_cli, command, "--env", "true", *arguments],
            cwd=tmp_path,
            env=environment(**told | more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )

    return Tenant(name, token, server, program)


def write_hook(folder: Path, name: str, script: str, **more: Any) -> None:
    """As the program keeps a hook: NAME.json beside its script."""
    hooks = folder / "hooks"
    hooks.mkdir(parents=True, exist_ok=True)
    (hooks / f"{name}.py").write_text(script)
    told = {"name": name, "script": f"./{name}.py", "triggerId": "post-change-password", "secrets": {}} | more
    (hooks / f"{name}.json").write_text(json.dumps(told))


def test_an_export_writes_every_hook_and_no_secret(tenant: Tenant, tmp_path: Path) -> None:
    """Scripts byte for byte; names of secrets with the mask that the program knows."""
    for index in range(3):
        tenant.make(f"hook-{index}", enabled=index == 2)
    tenant.server.ask(
        "POST", f"/api/v2/hooks/{tenant.hooks()['hook-1']['id']}/secrets", tenant.token, json={"KEY": "s3cr3t-value"}
    )
    ran = tenant.program("export", "--format", "directory", "--output_folder", tmp_path / "out")

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    files = {path.name: path.read_text() for path in (tmp_path / "out/hooks").iterdir()}
    assert {f"hook-{index}.{ending}" for index in range(3) for ending in ("js", "json")} == set(files)
    assert {FIRST} == {text for name, text in files.items() if name.endswith(".js")}
    assert [False, False, True] == [json.loads(files[f"hook-{index}.json"])["enabled"] for index in range(3)]
    assert {"KEY": "_VALUE_NOT_SHOWN_"} == json.loads(files["hook-1.json"])["secrets"]
    assert "s3cr3t-value" not in "".join(files.values())


def test_an_import_makes_hooks_and_secrets_and_again_changes_nothing(tenant: Tenant, tmp_path: Path) -> None:
    """The second time nothing is new: no version, no change, whatever the program sends again.

    What the files do not name goes only where that is allowed.
    """
    tenant.make("other")
    write_hook(tmp_path / "in", "first-hook", FIRST, enabled=True, secrets={"KEY": "one", "OTHER": "two"})
    write_hook(tmp_path / "in", "tokens", SECOND, triggerId="credentials-exchange", dependencies={"json": ""})
    tenant.imports(tmp_path / "in")
    made = tenant.hooks()

    assert made.pop("other")
    assert {"first-hook": FIRST, "tokens": SECOND} == {name: hook["source"] for name, hook in made.items()}
    assert [True, False] == [made[name]["enabled"] for name in ("first-hook", "tokens")]
    assert [["KEY", "OTHER"], []] == [made[name]["secrets"] for name in ("first-hook", "tokens")]
    assert {"json": ""} == made["tokens"]["dependencies"]

    write_hook(tmp_path / "in", "first-hook", FIRST, enabled=True, secrets={"KEY": "_VALUE_NOT_SHOWN_", "NEW": "three"})
    tenant.imports(tmp_path / "in", AUTH0_ALLOW_DELETE="true")
    again = tenant.hooks()
    assert [(hook["id"], hook["version"], hook["enabled"], hook["source"]) for hook in made.values()] == [
        (hook["id"], hook["version"], hook["enabled"], hook["source"]) for hook in again.values()
    ]
    assert ["KEY", "NEW"] == again["first-hook"]["secrets"]


def test_a_dry_run_changes_nothing(tenant: Tenant, tmp_path: Path) -> None:
    tenant.make("stays")
    tenant.make("goes")
    write_hook(tmp_path / "in", "stays", FIRST.replace("✓", "!"))
    before = tenant.hooks()
    tenant.imports(tmp_path / "in", "--dry-run", AUTH0_ALLOW_DELETE="true")

    assert before == tenant.hooks()


def test_a_refused_import_fails_and_says_why(tenant: Tenant, tmp_path: Path) -> None:
    """A script that the policy refuses: with rule and line; nothing of it is stored."""
    write_hook(tmp_path / "in", "bad-hook", "import os\n")
    ran = tenant.program("import", "--input_file", tmp_path / "in")

    assert 1 == ran.returncode
    assert "line 1, column 1" in ran.stdout + ran.stderr
    assert {} == tenant.hooks()


def test_a_token_that_is_none_fails(tenant: Tenant, tmp_path: Path) -> None:
    """401, told as such."""
    ran = tenant.program("export", "--format", "yaml", "--output_folder", tmp_path / "out", AUTH0_ACCESS_TOKEN="hc_no")

    assert 1 == ran.returncode
    assert "401" in ran.stdout + ran.stderr or "Unauthorized" in ran.stdout + ran.stderr or "token" in ran.stderr


def test_it_gets_its_token_by_credentials(tenant: Tenant, tmp_path: Path) -> None:
    """A client's id is a token's id, its secret the token."""
    body = {"name": "ci", "scopes": ["read:hooks"]}
    made = tenant.server.ask("POST", f"/v1/tenants/{tenant.name}/tokens", json=body).json()
    tenant.make("a-hook")
    credentials = {"AUTH0_ACCESS_TOKEN": "", "AUTH0_CLIENT_ID": made["id"], "AUTH0_CLIENT_SECRET": made["token"]}
    ran = tenant.program("export", "--format", "directory", "--output_folder", tmp_path / "out", **credentials)

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert (tmp_path / "out/hooks/a-hook.js").read_text() == FIRST
