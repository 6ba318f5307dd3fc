"""The shape of the code: import rules, sizes, and words that must not be there."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for package in ("engine", "sandbox", "tenants") for path in (ROOT / package).rglob("*.py"))
DANGEROUS_CALLS = {"eval", "exec", "compile", "__import__"}


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return (node.end_lineno or 0) - body[0].lineno + 2


def test_the_import_rules_between_the_packages_hold() -> None:
    """The contracts stand in pyproject.toml."""
    linter = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_of_a_size_that_can_be_read(path: Path) -> None:
    """400 lines at most; no function over 50."""
    long_functions = [node.name for node in functions_of(path) if lines_of(node) > 50]

    assert path.read_text(encoding="utf-8").count("\n") <= 400
    assert [] == long_functions


def test_half_of_all_functions_have_six_lines_or_fewer() -> None:
    sizes = [lines_of(node) for path in SOURCES for node in functions_of(path)]

    assert statistics.median(sizes) <= 6


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "sandbox" not in path.parts], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_trusted_side_evaluates_nothing(path: Path) -> None:
    """No eval, exec, compile in engine or tenants: what a tenant wrote is opaque there."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}

    assert set() == called & DANGEROUS_CALLS


def test_nothing_is_called_utils_core_common_or_managers() -> None:
    names = {part for path in SOURCES for part in (*path.relative_to(ROOT).parts, path.stem)}

    assert set() == names & {"utils", "core", "common", "managers", "helpers", "base"}
