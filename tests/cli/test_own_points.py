"""The commands know an operator's own points, from the folder that the settings name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2].joinpath("docs/points.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
HOOK = b"def hook(order, customer, context, cb):\n    cb(None, {'discount_percent': order.total_cents // 1000})\n"


@pytest.fixture
def points(tmp_path: Path) -> dict[str, str]:
    """The setting, of a folder with the example of the documents."""
    folder = tmp_path / "points"
    folder.mkdir()
    folder.joinpath("pre-order.yaml").write_text(EXAMPLE, encoding="utf-8")
    return {"HOOKCELL_POINTS": str(folder)}


def test_a_hook_of_an_own_point_runs_on_its_sample(hookcell: Callable[..., Any], points: dict[str, str]) -> None:
    ran = hookcell("run", "-", "--point", "pre-order", "--json", stdin=HOOK, **points)

    assert {"discount_percent": 4} == json.loads(ran.out)["result"]
    assert "did you mean" not in ran.err


def test_a_check_knows_the_fields_of_an_own_point(hookcell: Callable[..., Any], points: dict[str, str]) -> None:
    told = hookcell("check", "-", "--point", "pre-order", stdin=HOOK.replace(b"total_cents", b"total"), **points)

    assert "total_cents" in told.out + told.err


def test_a_first_hook_of_an_own_point_passes_its_cases(
    hookcell: Callable[..., Any], points: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    made = hookcell("init", folder, "--point", "pre-order", **points)
    ran = hookcell("test", folder, **points)

    assert (0, 0) == (made.status, ran.status), made.err + ran.err
    assert "1 passed" in ran.out


@pytest.mark.parametrize(
    "command",
    [("run", "-"), ("check", "-"), ("init", "shop"), ("test", "shop"), ("serve", "--port", "0", "--data", "d")],
)
def test_a_faulty_file_is_told_before_anything_is_done(
    hookcell: Callable[..., Any], points: dict[str, str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "shop"
    assert hookcell("init", folder).status == 0
    Path(points["HOOKCELL_POINTS"], "shop.yaml").write_text("id: pre-order\nblockin: true\n")
    ran = hookcell(*(str(folder) if each == "shop" else each for each in command), stdin=HOOK, **points)

    assert "shop.yaml: blockin: there is no such field; did you mean 'blocking'?" in ran.fault
    assert "shop.yaml: id: there is a point pre-order already" in ran.fault


def test_without_the_setting_there_is_no_such_point(hookcell: Callable[..., Any]) -> None:
    assert (
        "there is no extensibility point 'pre-order'" in hookcell("run", "-", "--point", "pre-order", stdin=HOOK).fault
    )
