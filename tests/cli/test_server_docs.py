"""The pages about servers say what is true: what they tell to type works, what they show is read."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from serving import HOOKCELL, PATIENCE_S, Serving, environment, serving

from engine.cli import _COMMANDS, cli
from engine.project import read_project
from engine.scopes import TENANT_SCOPES
from tenants.records import Retry, RetryOn, Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("server", "deploying", "auth0", "triggers"))]
TEXT = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
CALLS = sorted(
    {
        (page, call)
        for page, text in TEXT.items()
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        if language in ("", "sh", "console")
        for call in re.findall(r"hookcell ([a-z-]+(?: [a-z]+\b)?(?:[^\n|&;>#\\)]|\\\n)*)", block)
    }
)


def test_the_commands_of_the_readme_lead_from_nothing_to_a_live_hook(tmp_path: Path) -> None:
    """One after another, as they stand there; the server alone is started for them."""
    first, block = re.findall(r"```sh\n(.*?)```", TEXT["README"], re.DOTALL)
    with serving(tmp_path / "data") as server:
        told = environment(HOOKCELL_SERVER=server.url, API_KEY="k")
        script = "set -e\n" + block.replace(".venv/bin/", f"{HOOKCELL.parent}/")
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=told,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    assert first.startswith(".venv/bin/hookcell serve --data data ")
    assert (0, "") == (ran.returncode, ran.stderr)
    assert "live: Post-Change Password" in ran.stdout.splitlines()
    assert re.search(r"^queued: [0-9A-Z]{26}$", ran.stdout, re.MULTILINE)
    assert re.search(r"^[0-9A-Z]{26} +post-change-password +(queued|running|success) ", ran.stdout, re.MULTILINE)
    assert re.search(r"^Post-Change Password +post-change-password +yes +0 +1 +API_KEY ", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize(("page", "call"), CALLS)
def test_every_option_in_the_pages_is_one(page: str, call: str) -> None:
    """Of the command that stands before it."""
    words = call.replace("\\\n", " ").split()
    command = words[: 2 if words[0] in ("token", "tenant", "secret", "executions") else 1]
    shown = CliRunner().invoke(cli, [*command, "--help"]).output

    assert words[0] in _COMMANDS, page
    assert set() == {word for word in words if word.startswith("--")} - set(re.findall(r"--[a-z-]+", shown))


def test_the_example_of_a_folder_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT["deploying"], re.DOTALL)
    (tmp_path / "hooks").mkdir()
    (tmp_path / "tenant.yaml").write_text(example)
    for path in re.findall(r"source: (\S+)", example):
        (tmp_path / path).write_text("cb()\n")
    project = read_project(tmp_path)

    assert ("acme", ["Tell by mail", "claims"]) == (project.tenant, [hook.name for hook in project.hooks])
    assert [True, False] == [hook.enabled for hook in project.hooks]


@pytest.mark.parametrize("name", [*TENANT_SCOPES, *Settings.__dataclass_fields__])
def test_every_scope_and_every_setting_of_a_tenant_is_explained(name: str) -> None:
    rows = [line for line in TEXT["server"].splitlines() if line.startswith("| ") and f"`{name}`" in line.split("|")[1]]

    assert 1 == len(rows)


def test_the_answers_of_triggers_are_those_that_the_page_shows(served: Serving, tenant: str) -> None:
    """Of the call that it shows: without a hook, and with one that refuses."""
    path = f"/v1/tenants/{tenant}/triggers/credentials-exchange"
    (sent,) = re.findall(r"-d '(.*)'", TEXT["triggers"])
    shown, _, more = re.findall(r"^```json\n(.*?)^```", TEXT["triggers"], re.DOTALL | re.MULTILINE)
    success, error = (json.loads(text) for text in re.split(r"\n(?={)", shown))
    granted = served.ask("POST", path, json=json.loads(sent)).json()
    source = f"cb(InvalidScopeError({error['data']['message']!r}))"
    where = f"/v1/tenants/{tenant}/hooks/h"
    served.ask("PUT", f"{where}/source", params={"trigger_id": "credentials-exchange"}, content=source)
    refused = served.ask("POST", path, json=json.loads(sent)).json()
    retried = served.ask("PATCH", where, json=json.loads(more)).json()

    assert success == granted | {"execution_id": success["execution_id"]}
    assert error == refused | {"execution_id": error["execution_id"]}
    assert sorted(json.loads(more)["retry"]["on"]) == sorted(retried["retry"]["on"])


@pytest.mark.parametrize("field", Retry.__dataclass_fields__)
def test_the_fields_of_a_retry_have_the_defaults_that_the_page_says(field: str) -> None:
    (row,) = (line.split("|") for line in TEXT["triggers"].splitlines() if line.startswith(f"| `{field}` |"))
    default = getattr(Retry(), field)
    ends = set(get_args(RetryOn))
    said = ends - set(re.findall(r"`(\w+)`", row[2])) if field == "on" else int(row[2])

    assert said == (set(default) if field == "on" else default)
    assert field != "on" or ends == set(re.findall(r"`(\w+)`", row[3]))
