"""`hookcell init`: first files that work as they are, and nothing overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.points import all_points
from engine.project import read_project


@pytest.mark.parametrize("point", all_points())
def test_the_first_files_of_a_point_pass_their_cases(hookcell: Any, tmp_path: Path, point: str) -> None:
    """Whatever the point: the starter runs on the sample call."""
    made = hookcell("init", "acme", "--point", point)
    tested = hookcell("test", "acme")

    assert (0, "") == (made.status, made.err)
    assert (0, True) == (tested.status, tested.out.endswith("1 passed, 0 failed\n")), tested.out
    (hook,) = read_project(tmp_path / "acme").hooks
    assert (point, all_points()[point].starter, True) == (hook.point, hook.source, hook.enabled)


def test_it_tells_what_it_wrote_and_what_to_do_next(hookcell: Any) -> None:
    """The next three commands, as they are to be typed."""
    made = hookcell("init", "acme", "--tenant", "acme")

    assert [
        "wrote acme/tenant.yaml",
        "wrote acme/hooks/post_change_password.py",
        "wrote acme/hooks/post_change_password.cases.yaml",
        "next:",
        "  hookcell test acme",
        "  hookcell deploy acme --dry-run",
        "  hookcell deploy acme",
    ] == made.out.splitlines()


def test_the_tenant_is_written_where_it_is_named(hookcell: Any, tmp_path: Path) -> None:
    """Otherwise the file leaves it open."""
    hookcell("init", "a", "--tenant", "acme")
    hookcell("init", "b")

    assert ["acme", None] == [read_project(tmp_path / name).tenant for name in "ab"]


@pytest.mark.parametrize(
    "name", ["tenant.yaml", "hooks/post_change_password.py", "hooks/post_change_password.cases.yaml"]
)
def test_nothing_is_overwritten_and_nothing_is_written_beside_it(
    hookcell: Any, write: Any, tmp_path: Path, name: str
) -> None:
    """One file that is there stops all of them."""
    write(f"acme/{name}", "mine")
    fault = hookcell("init", "acme").fault

    assert f"acme/{name} is there already" in fault
    assert [name] == [str(path.relative_to(tmp_path / "acme")) for path in (tmp_path / "acme").rglob("*.*")]
    assert "mine" == (tmp_path / "acme" / name).read_text()


def test_a_dangling_link_is_not_written_through(hookcell: Any, tmp_path: Path) -> None:
    """It is there, though it leads nowhere yet."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/tenant.yaml").symlink_to(tmp_path / "elsewhere")

    assert "is there already" in hookcell("init", "acme").fault
    assert not (tmp_path / "elsewhere").exists()


def test_an_unknown_point_is_told_with_the_nearest(hookcell: Any, tmp_path: Path) -> None:
    """And no folder is left behind."""
    assert "did you mean 'post-change-password'" in hookcell("init", "acme", "--point", "post-change-pasword").fault
    assert not (tmp_path / "acme").exists()


def test_a_folder_that_cannot_be_made_is_told(hookcell: Any, write: Any) -> None:
    """As where a file stands in its place."""
    write("acme", "a file")

    assert "cannot be written" in hookcell("init", "acme").fault


@pytest.mark.parametrize("name", ["Acme", "../acme", "a" * 64, "-a", ""])
def test_a_tenant_that_cannot_be_one_is_refused(hookcell: Any, tmp_path: Path, name: str) -> None:
    """Before anything is written."""
    assert "is no tenant's name" in hookcell("init", "acme", "--tenant", name).fault
    assert not (tmp_path / "acme").exists()
