"""`hookcell deploy`: make a tenant's hooks those of a folder: all of it or nothing, after showing what would change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.connection import asks_tenant, client_of, tenant_of
from engine.cli.terminal import give_json, plain_line, say

if TYPE_CHECKING:
    from engine.client import Change, Client, Plan, Rejection
    from engine.project import Project

_SIGNS = {"create": "+", "update": "~", "delete": "-", "unchanged": " "}
_COLOURS = {"create": "green", "update": "yellow", "delete": "red", "+": "green", "-": "red", "@": "cyan"}


@click.command(name="deploy")
@click.argument("folder", default=".", metavar="[DIR]")
@click.option("--delete", is_flag=True, help="Also delete the tenant's hooks that the folder does not name.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan, or what was done, as JSON.")
@asks_tenant
def command(folder: str, *, delete: bool, yes: bool, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Make the tenant's hooks those of DIR: its tenant.yaml and the sources that it names.

    The server checks every source and changes everything in one step, or nothing; what has changed there since the plan
    was shown is not overwritten. Secrets stay as they are.

    Exit status: 0 when the server has what DIR says, or would have it; 1 when you said no; 2 when DIR is not accepted.
    """
    from engine.project import read_project

    path = Path(folder)
    project = read_project(path)
    client, tenant = client_of(given), tenant_of(given, project.tenant)
    plan = _planned(client, tenant, path, project, delete=delete)
    changes = [change for change in plan.changes if change.action != "unchanged"]
    if not as_json:
        _show(tenant, plan)
    if dry_run or not changes:
        _end(plan, as_json=as_json, said="nothing was changed: a dry run" if dry_run and changes else "")
        return
    deleted = [change.name for change in changes if change.action == "delete"]
    if deleted and not yes:
        _confirm(deleted)
    done = _put(client, tenant, project, delete=delete, revision=plan.revision)
    _end(done, as_json=as_json, said=f"deployed to {tenant}")


def _planned(client: Client, tenant: str, folder: Path, project: Project, *, delete: bool) -> Plan:
    """What the server would do. What it refuses is shown as `hookcell check` shows it, and ends the command."""
    from engine.client import Refused
    from engine.listing import known_points, rejections
    from engine.project import check_points

    check_points(folder, project, known_points(client))
    try:
        return _put(client, tenant, project, delete=delete, dry_run=True)
    except Refused as error:
        refused = rejections(error)
        for each in refused:
            _show_rejected(folder, project, each)
        if not refused:
            raise
        said = f"{tenant} is as it was: {len(refused)} of {len(project.hooks)} hooks are refused"
        say(f"hookcell: {said}", err=True)
        sys.exit(2)


def _put(client: Client, tenant: str, project: Project, *, delete: bool, **more: Any) -> Plan:
    from engine.client import Plan

    body: dict[str, Any] = {"hooks": [hook.as_body() for hook in project.hooks], "delete_others": delete}
    if "revision" in more:
        body["revision"] = more["revision"]
    return client.put(Plan, body, "tenants", tenant, "deployment", dry_run=more.get("dry_run"))


def _show_rejected(folder: Path, project: Project, rejected: Rejection) -> None:
    """As `hookcell check` shows it."""
    from engine.cli.show import show_findings

    hook = next(each for each in project.hooks if each.name == rejected.name)
    path = str(folder / hook.path)
    show_findings(rejected.diagnostics, hook.source, path)
    if not rejected.diagnostics:
        say(f"{path}: {rejected.message}", err=True)


def _show(tenant: str, plan: Plan) -> None:
    for change in plan.changes:
        fields = f": {', '.join(change.fields)}" if change.fields else ""
        line = f"{_SIGNS[change.action]} {change.action:9}  {change.name}  ({change.trigger_id}){fields}"
        say(line, fg=_COLOURS.get(change.action))
        _show_diff(change)
    counted = {action: sum(change.action == action for change in plan.changes) for action in _SIGNS}
    told = ", ".join(f"{number} {action}" for action, number in counted.items() if number)
    say(f"{tenant}: {told or 'no hooks here, none there'}")


def _show_diff(change: Change) -> None:
    """The diff of an update; of what is made or deleted the name says enough."""
    if change.action != "update":
        return
    for line in change.diff.split("\n")[:-1]:
        say("    " + line, fg=_COLOURS.get(line[:1]))


def _confirm(names: list[str]) -> None:
    from engine.errors import BadInput

    if sys.stdin is None or not sys.stdin.isatty():
        raise BadInput(f"it would delete {', '.join(names)}; nobody can be asked here, so say --yes")
    click.confirm(plain_line(f"Delete {', '.join(names)}, with versions and secrets?"), abort=True, err=True)


def _end(plan: Plan, *, as_json: bool, said: str) -> None:
    if as_json:
        give_json(plan)
        return
    if said:
        say(said)
    say(f"live: {', '.join(plan.live) or 'none'}")
