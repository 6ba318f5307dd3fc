"""The pages about servers say what is true: what they tell to type works, what they show is read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from serving import HOOKCELL, PATIENCE_S, environment, serving

from engine.cli import _COMMANDS, cli
from engine.project import read_project
from engine.scopes import TENANT_SCOPES
from tenants.records import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("server", "deploying", "auth0"))]
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
    assert re.search(r"^Post-Change Password +post-change-password +yes +0 +1 +API_KEY ", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize(("page", "call"), CALLS)
def test_every_option_in_the_pages_is_one(page: str, call: str) -> None:
    """Of the command that stands before it."""
    words = call.replace("\\\n", " ").split()
    command = words[: 2 if words[0] in ("token", "tenant", "secret") else 1]
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
