"""Every example of docs/hooks.md runs, and what the page says of it comes back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.hook import Hook
from engine.outcome import Outcome
from engine.points import all_points

PAGE = (Path(__file__).resolve().parents[2] / "docs/hooks.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"```python\n((?:(?!```).)*)```\n\n```(json|findings|report)\n((?:(?!```).)*)```", PAGE, re.DOTALL
)


def point_of(source: str) -> str:
    """The point in whose section an example stands; before the sections, the first one."""
    before = PAGE[: PAGE.index(source)]
    named = re.findall(r"^## (.*)|^### `(.*)`$", before, re.MULTILINE)
    return named[-1][1] if named and named[-1][1] else "post-change-password"


def of_kind(kind: str) -> list[tuple[str, str]]:
    """The examples followed by that kind of block, with the block."""
    return [(source, said) for source, shown, said in EXAMPLES if shown == kind]


def test_every_python_example_says_what_comes_back() -> None:
    assert PAGE.count("```python") == len(EXAMPLES)
    assert set(all_points()) == {point_of(source) for source, _ in of_kind("json")}


@pytest.mark.parametrize(("source", "said"), of_kind("json"))
def test_an_example_ends_as_the_page_says(run_hook: Callable[..., Outcome], source: str, said: str) -> None:
    outcome = run_hook(source, trigger_id=point_of(source))
    expected = json.loads(said)

    assert expected == {name: json.loads(outcome.json())[name] for name in expected}


@pytest.mark.parametrize(("source", "said"), of_kind("json"))
def test_an_example_is_checked_without_a_finding(engine_thread: Any, source: str, said: str) -> None:
    assert said
    checked = engine_thread.wait(engine_thread.engine.check(Hook(source, point_of(source))))

    assert ("ok", (), ()) == (checked.status, checked.diagnostics, checked.warnings)


@pytest.mark.parametrize(
    ("command", "source", "said"),
    [("check", *example) for example in of_kind("findings")] + [("run", *example) for example in of_kind("report")],
)
def test_what_the_page_shows_of_a_command_is_what_it_prints(
    tmp_path: Path, command: str, source: str, said: str
) -> None:
    (tmp_path / "greet.py").write_text(source)
    hookcell = Path(sys.executable).with_name("hookcell")
    ended = subprocess.run(
        [hookcell, command, "greet.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert said == re.sub(r"\d+\.\d ms", "1.2 ms", ended.stderr + ended.stdout)
