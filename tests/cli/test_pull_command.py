"""`hookcell pull`: files such that deploying them changes nothing; nothing is lost by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving import Serving

from engine.cli.pull import as_project
from engine.client import HookRow
from engine.project import Project, SourceFile, read_project

SOURCES = {
    "Tell by mail": "def hook(user, context, cb):\n    cb()",
    "tell-by-mail": "# CRLF\r\ndef hook(user, context, cb):\r\n    cb()\r\n",
    "tell by mail": "\n\ncb()\n\n\n",
    "Grüße".replace("ü", "u").replace("ß", "ss"): "# Grüße ✓ \t\x0c\rcb()",
    "1234": "cb()\n",
    "2026-11-18": "cb()  # a date\n",
    "null": "cb()  # no name at all\n",
}


@pytest.fixture
def upload(served: Serving, tenant: str) -> Any:
    """`upload(name, source, **query)`: a hook of the tenant, by PUT of a plain file."""

    def put(name: str, source: str, **query: Any) -> None:
        path = f"/v1/tenants/{tenant}/hooks/{name}/source"
        params = {"trigger_id": "post-change-password", "enabled": "false"} | query
        answer = served.ask("PUT", path, params=params, content=source.encode())
        assert answer.status_code in (200, 201), answer.text

    return put


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pulling_then_deploying_changes_nothing(
    ask: Any, upload: Any, served: Serving, tenant: str, tmp_path: Path
) -> None:
    """Byte for byte: names with spaces, names that differ in case alone, line ends of every kind and none."""
    for name, source in SOURCES.items():
        upload(name, source)
    served.ask("PATCH", f"/v1/tenants/{tenant}/hooks/1234", json={"order": 7, "mode": "invocation", "enabled": True})
    served.ask("PATCH", f"/v1/tenants/{tenant}/hooks/null", json={"dependencies": {"requests": "2.32", "json": ""}})
    served.ask("PATCH", f"/v1/tenants/{tenant}/hooks/null", json={"retry": {"attempts": 3, "on": ["timeout"]}})
    before = served.ask("GET", f"/v1/tenants/{tenant}/export").json()
    pulled = ask("pull", "acme")
    sources = {hook.name: hook.source for hook in read_project(tmp_path / "acme").hooks}
    deployed = ask("deploy", "acme", "--delete")

    assert (0, "") == (pulled.status, pulled.err)
    assert SOURCES == sources
    assert (0, True) == (deployed.status, f"{tenant}: {len(SOURCES)} unchanged" in deployed.out), deployed.out
    assert before == served.ask("GET", f"/v1/tenants/{tenant}/export").json()


def test_pulling_again_writes_nothing(ask: Any, upload: Any, tenant: str, tmp_path: Path) -> None:
    upload("a", "cb()")
    ask("pull", "acme")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "acme").rglob("*")}
    ran = ask("pull", "acme")

    assert (0, f"{tenant}: 1 hooks in acme: 0 files written\n") == (ran.status, ran.out)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "acme").rglob("*")}


def test_a_tenant_without_hooks_is_a_folder_without_sources(ask: Any, tenant: str, tmp_path: Path) -> None:
    """And it can be deployed."""
    ask("pull", "acme")

    assert {"tenant.yaml": f"tenant: {tenant}\nhooks: []\n".encode()} == files_of(tmp_path / "acme")
    assert 0 == ask("deploy", "acme", "--delete").status


@pytest.mark.parametrize("name", ["tenant.yaml", "hooks/a.py"])
def test_a_file_that_was_changed_here_is_kept_unless_forced(
    ask: Any, upload: Any, tmp_path: Path, write: Any, name: str
) -> None:
    """Nothing at all is written then, and the file is named."""
    upload("a", "cb()\n")
    ask("pull", "acme")
    original = (tmp_path / "acme" / name).read_text()
    upload("b", "cb()\n")
    write(f"acme/{name}", original + "# mine\n" + ("x: 1\n" if name == "tenant.yaml" else ""))
    before = files_of(tmp_path / "acme")
    fault = ask("pull", "acme").fault

    assert name in fault
    assert "--force" in fault
    assert before == files_of(tmp_path / "acme")
    assert 0 == ask("pull", "acme", "--force").status
    assert {"tenant.yaml", "hooks/a.py", "hooks/b.py"} == set(files_of(tmp_path / "acme"))
    assert b"cb()\n" == (tmp_path / "acme/hooks/a.py").read_bytes()


def test_a_layout_of_ones_own_is_kept_with_its_comments(ask: Any, upload: Any, tmp_path: Path, write: Any) -> None:
    """A tenant.yaml that says the same is not written anew; a hook keeps its file."""
    upload("a", "cb()\n", enabled="true")
    text = "# ours\nhooks:\n- {name: a, source: src/mine.py, point: post-change-password}  # here\n"
    write("acme/tenant.yaml", text)
    write("acme/src/mine.py", "cb()\n")
    write("acme/src/mine.cases.yaml", "point: post-change-password\ncases: []\n")
    before = files_of(tmp_path / "acme")

    assert 0 == ask("pull", "acme").status
    assert before == files_of(tmp_path / "acme")
    upload("a", "cb()  # new\n", enabled="true")
    assert 0 == ask("pull", "acme", "--force").status
    assert before | {"src/mine.py": b"cb()  # new\n"} == files_of(tmp_path / "acme")


def test_a_file_that_no_hook_is_in_any_more_stays_and_is_told(
    ask: Any, upload: Any, served: Serving, tenant: str, tmp_path: Path
) -> None:
    upload("a", "cb()\n")
    upload("b", "cb()\n")
    ask("pull", "acme")
    served.ask("DELETE", f"/v1/tenants/{tenant}/hooks/b")
    ran = ask("pull", "acme", "--force")

    assert f"no hook of {tenant} is in hooks/b.py any more; the file stays" in ran.out.splitlines()
    assert (tmp_path / "acme/hooks/b.py").exists()
    assert ["a"] == [hook.name for hook in read_project(tmp_path / "acme").hooks]


def test_nothing_is_written_outside_the_folder(ask: Any, upload: Any, tmp_path: Path) -> None:
    """Not through a link either."""
    upload("a", "cb()\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/hooks").symlink_to(tmp_path / "elsewhere")

    assert "lies outside the folder" in ask("pull", "acme").fault
    assert {} == files_of(tmp_path / "elsewhere")
    assert {} == files_of(tmp_path / "acme")


def row(name: str, source: str = "cb()") -> HookRow:
    return HookRow(
        id=name,
        name=name,
        trigger_id="p",
        enabled=True,
        order=0,
        mode=None,
        version=1,
        source_sha256="",
        dependencies={},
        secrets=[],
        created_at="",
        updated_at="",
        source=source,
    )


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a/b", "a\0b", "", "con.", "-", "ü" * 300])
def test_a_name_that_a_server_makes_up_leads_nowhere_else(name: str) -> None:
    """Whatever it says, the file is one of our naming."""
    (hook,) = as_project([row(name)], "acme", None).hooks

    assert hook.path.startswith("hooks/")
    assert set(hook.path.removeprefix("hooks/").removesuffix(".py")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(hook.path) < 100


def test_two_hooks_of_one_file_part_when_their_sources_do() -> None:
    """The first keeps it."""
    old = Project(
        tenant="acme",
        hooks=tuple(SourceFile(name=name, point="p", path="shared.py", source="cb()") for name in ("a", "b")),
    )
    same = as_project([row("a"), row("b")], "acme", old)
    parted = as_project([row("a"), row("b", "cb(None)")], "acme", old)

    assert ["shared.py", "shared.py"] == [hook.path for hook in same.hooks]
    assert ["shared.py", "hooks/b.py"] == [hook.path for hook in parted.hooks]
