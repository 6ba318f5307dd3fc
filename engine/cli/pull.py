"""`hookcell pull`: write a tenant's hooks as files, so that deploying them changes nothing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.connection import asks_tenant, client_of, tenant_of
from engine.cli.terminal import say

if TYPE_CHECKING:
    from engine.client import HookRow
    from engine.project import Project, SourceFile

_FOLDER = "hooks"
_NAME_CHARS = 80  # of a file


@click.command(name="pull")
@click.argument("folder", default=".", metavar="[DIR]")
@click.option("--force", is_flag=True, help="Also replace files that differ from what the server has.")
@asks_tenant
def command(folder: str, *, force: bool, **given: Any) -> None:
    """Write the tenant's hooks to DIR: tenant.yaml and a source each. Files that differ are replaced with --force only.

    A hook keeps the file that DIR's tenant.yaml names for it. Values of secrets stay there, and no file is deleted.
    """
    from engine.listing import hooks_with_sources

    path = Path(folder)
    old = _old_project(path)
    client, tenant = client_of(given), tenant_of(given, old.tenant if old else None)
    project = as_project(hooks_with_sources(client, tenant), tenant, old)
    wanted = _files(path, project, old)
    stale = {name: content for name, content in wanted.items() if not _is_there(path, name, content)}
    if not force:
        _check_untouched(path, stale)
    _write(path, stale)
    for name in sorted({hook.path for hook in old.hooks} - set(wanted) if old else ()):
        say(f"no hook of {tenant} is in {name} any more; the file stays")
    say(f"{tenant}: {len(project.hooks)} hooks in {folder}: {len(stale)} files written")


def as_project(hooks: Iterable[HookRow], tenant: str, old: Project | None) -> Project:
    """The hooks as files: those that `old` has in its order and places, then the others."""
    from engine.project import Project, SourceFile

    kept = {hook.name: hook for hook in old.hooks} if old else {}
    order = {name: index for index, name in enumerate(kept)}
    taken: dict[str, str] = {}
    files = []
    for hook in sorted(hooks, key=lambda each: order.get(each.name, len(order))):
        path = kept[hook.name].path if hook.name in kept else ""
        path = path if path and taken.get(path, hook.source) == hook.source else _free(hook.name, taken, kept.values())
        taken[path] = hook.source or ""
        files.append(
            SourceFile(
                name=hook.name,
                point=hook.trigger_id,
                path=path,
                source=hook.source or "",
                enabled=hook.enabled,
                order=hook.order,
                mode=hook.mode,
                retry=hook.retry,
                dependencies=hook.dependencies,
            )
        )
    return Project(tenant=old.tenant if old and old.tenant is None else tenant, hooks=tuple(files))


def _free(name: str, taken: Iterable[str], kept: Iterable[SourceFile]) -> str:
    """'Tell by mail' → 'hooks/tell-by-mail.py', or with a number where that is another hook's.

    Made of letters, digits and hyphens, whatever the server says: nothing in it leads out of the folder.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_NAME_CHARS] or "hook"
    used = {*taken, *(hook.path for hook in kept)}
    paths = (f"{_FOLDER}/{stem}{f'-{number}' if number > 1 else ''}.py" for number in range(1, len(used) + 2))
    return next(path for path in paths if path not in used)


def _old_project(folder: Path) -> Project | None:
    """What the folder says now; None: nothing, or nothing that can be read."""
    from engine.project import BadProject, read_project

    try:
        return read_project(folder)
    except BadProject:
        return None


def _files(folder: Path, project: Project, old: Project | None) -> dict[str, bytes]:
    """The content of each file. A tenant.yaml that says the same already stays as it is written."""
    from engine.project import FILE, written

    files = {hook.path: hook.source.encode() for hook in project.hooks}
    same = old is not None and _sayings(old) == _sayings(project)
    files[FILE] = (folder / FILE).read_bytes() if same else written(project).encode()
    return files


def _sayings(project: Project) -> tuple[Any, ...]:
    hooks = (dataclasses.replace(hook, source="", line=0) for hook in project.hooks)
    return project.tenant, *hooks


def _is_there(folder: Path, name: str, content: bytes) -> bool:
    """Whether the file has that content, but for a byte order mark, which deploying leaves out."""
    path = _within(folder, name)
    return path.is_file() and path.read_bytes().removeprefix(b"\xef\xbb\xbf") == content


def _check_untouched(folder: Path, stale: Iterable[str]) -> None:
    from engine.errors import BadInput

    changed = sorted(name for name in stale if _within(folder, name).exists())
    if changed:
        they = f"{changed[0]} differs" if len(changed) == 1 else f"{', '.join(changed)} differ"
        raise BadInput(f"{they} from what the server has; keep what you need of it, then say --force")


def _within(folder: Path, name: str) -> Path:
    from engine.errors import BadInput
    from engine.project import within

    try:
        return within(folder, name)
    except ValueError as error:
        raise BadInput(str(error)) from None


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """tenant.yaml last: it names only files that are there."""
    from engine.cli import writing
    from engine.project import FILE

    for name in sorted(files, key=lambda each: (each == FILE, each)):
        writing.write_over(_within(folder, name), files[name])
        say(f"wrote {folder / name}")
