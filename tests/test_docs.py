"""The documents say what is true: every command runs, every setting and layer stands where it is explained."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engine.cases import find_cases
from engine.egress.refusals import RULES
from engine.outcome import Exchange
from sandbox.wire import LAYERS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line[2:] for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
RUN_BY_CI = {"make test", "make lint", "make test-all"}  # this run is a part of them


def run(command: str) -> subprocess.CompletedProcess[str]:
    here = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    return subprocess.run(
        ["bash", "-c", here],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in RUN_BY_CI])
def test_a_command_of_the_readme_works(command: str) -> None:
    ended = run(command)

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_ci_runs_the_commands_that_a_test_cannot_run_in_itself() -> None:
    steps = (ROOT / ".ci/run").read_text(encoding="utf-8")

    assert set() == {command for command in RUN_BY_CI if command not in steps}
    assert RUN_BY_CI < set(COMMANDS)


def test_the_second_command_of_the_readme_prints_the_outcome_that_the_readme_shows() -> None:
    """The figures differ from run to run; the rest must not."""
    (shown,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    expected = json.loads(shown)
    outcome = json.loads(run(COMMANDS[1]).stdout)
    expected["usage"] = {"wall_ms": outcome["usage"]["wall_ms"]}
    outcome["usage"] = {"wall_ms": outcome["usage"]["wall_ms"]}

    assert expected == {name: outcome[name] for name in expected}


def test_the_first_hook_of_the_readme_runs() -> None:
    source = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    ended = subprocess.run(
        [Path(sys.executable).with_name("hookcell"), "run", "-", "--json"],
        input=source,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert {"hello": "user1"} == json.loads(ended.stdout)["result"]


def test_the_python_example_of_the_readme_prints_what_it_promises() -> None:
    source = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)

    assert "ok {'hello': 'ada'}\n" == ended.stdout


def test_the_first_screen_of_the_readme_says_what_it_does_not_protect_against() -> None:
    first_screen = "\n".join(README.splitlines()[:40])

    assert "does not protect against" in first_screen


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_stands_in_the_documentation_with_what_it_stops(layer: str) -> None:
    assert f"| `{layer}` | {LAYERS[layer]} |" in (ROOT / "docs/sandbox.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_of_the_egress_broker_stands_in_the_documentation_with_what_it_refuses(rule: str) -> None:
    assert f"| `{rule}` | {RULES[rule]} |" in (ROOT / "docs/egress.md").read_text(encoding="utf-8")


def test_the_example_of_an_egress_policy_is_one() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/egress.md").read_text(encoding="utf-8"), re.DOTALL)
    program = f"{example}\nprint(hook.egress.hosts)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert "('api.example.com', '*.crm.example')\n" == ended.stdout


def test_the_example_of_a_record_has_the_fields_that_records_have() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs/egress.md").read_text(encoding="utf-8"), re.DOTALL)
    shown = msgspec.json.decode(example, type=Exchange)

    assert set(json.loads(example)) <= set(Exchange.__struct_fields__)
    assert 41.3 == shown.ms


def test_the_example_of_cases_is_a_case_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/cases.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "a.py").write_text("def hook(user, context, cb): cb()\n")
    (tmp_path / "a.cases.yaml").write_text(example)
    ((_, file),) = find_cases(tmp_path)

    assert ["the sample call", "without its key"] == [case.name for case in file.cases]


@pytest.mark.parametrize("page", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))

    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_every_sample_script_passes_its_cases() -> None:
    """Samples are documentation that cannot rot."""
    ended = run(".venv/bin/hookcell test scripts/")

    assert ended.returncode == 0, ended.stdout
    assert re.search(r"^(\d{2,}) passed, 0 failed$", ended.stdout, re.MULTILINE)
