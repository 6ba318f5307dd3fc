"""`hookcell tenant`: the operator's side of tenants: make, list, show, set, delete, export."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click

from engine.cli.connection import asks_server, client_of, print_table
from engine.cli.terminal import give, give_json, plain_line, say

_NAME = click.argument("name")
_SETTINGS = click.argument("settings", nargs=-1, metavar="[SETTING=VALUE]...")
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


@click.group(name="tenant")
def command() -> None:
    """Tenants and their settings; with an operator's token.

    A SETTING=VALUE is, for example: wall_ms=2000, multiple_hooks=true, modules=[json, requests],
    'egress={listed_only: true, hosts: [api.example.com]}'. Null takes a setting back to that of the server.
    """


@command.command(name="create")
@_NAME
@_SETTINGS
@asks_server
@_AS_JSON
def create(name: str, settings: tuple[str, ...], *, as_json: bool, **given: Any) -> None:
    """Make the tenant NAME: a to z, 0 to 9 and hyphens."""
    from engine.client import TenantRow

    body = {"name": name} | ({"settings": _parsed(settings)} if settings else {})
    tenant = client_of(given).post(TenantRow, body, "tenants")
    if as_json:
        give_json(tenant)
    else:
        say(f"tenant {tenant.name} is made; `hookcell token create NAME --tenant {tenant.name}` gives it a token")


@command.command(name="list")
@asks_server
@_AS_JSON
def list_all(*, as_json: bool, **given: Any) -> None:
    """List every tenant with what is set for it."""
    from engine.listing import all_tenants

    tenants = all_tenants(client_of(given))
    if as_json:
        give_json(tenants)
        return
    rows = ((tenant.name, tenant.revision, tenant.created_at, _told(tenant.settings)) for tenant in tenants)
    print_table(("name", "changes", "made", "settings"), rows, "there are no tenants")


@command.command(name="show")
@_NAME
@asks_server
@_AS_JSON
def show(name: str, *, as_json: bool, **given: Any) -> None:
    """Show one tenant and every setting of it."""
    from engine.client import TenantRow

    tenant = client_of(given).get(TenantRow, "tenants", name)
    if as_json:
        give_json(tenant)
        return
    rows = [("name", tenant.name), ("id", tenant.id), ("made", tenant.created_at), ("changes", tenant.revision)]
    print_table(("", ""), [*rows, *((key, _as_text(value)) for key, value in sorted(tenant.settings.items()))], "")


@command.command(name="set")
@_NAME
@click.argument("settings", nargs=-1, required=True, metavar="SETTING=VALUE...")
@asks_server
@_AS_JSON
def change(name: str, settings: tuple[str, ...], *, as_json: bool, **given: Any) -> None:
    """Change settings of the tenant NAME; those that are not named stay as they are."""
    from engine.client import TenantRow

    tenant = client_of(given).patch(TenantRow, {"settings": _parsed(settings)}, "tenants", name)
    if as_json:
        give_json(tenant)
    else:
        say(f"tenant {tenant.name}: {_told(tenant.settings) or 'as the settings of the server'}")


@command.command(name="delete")
@_NAME
@click.option("--yes", is_flag=True, help="Do not ask.")
@asks_server
def delete(name: str, *, yes: bool, **given: Any) -> None:
    """Delete the tenant NAME: its hooks, versions, secrets, tokens and logs, for good."""
    client = client_of(given)
    if not yes:
        click.confirm(
            plain_line(f"Delete the tenant {name} with everything it has? Its secrets cannot be had back"), abort=True
        )
    client.delete("tenants", name)
    say(f"tenant {name} is deleted")


@command.command(name="export")
@_NAME
@click.option("--to", "file", metavar="FILE", help="Write it there; an existing file is not overwritten.")
@asks_server
def export(name: str, file: str | None, **given: Any) -> None:
    """Print the tenant as JSON: settings, hooks with their sources, the names of secrets; never their values."""
    from engine.cli import writing

    text = client_of(given).text("tenants", name, "export")
    if file is None:
        give(text + "\n")
    else:
        writing.write_new(Path(file), text.encode())
        say(f"written to {file}")


def _parsed(pairs: tuple[str, ...]) -> dict[str, Any]:
    """SETTING=VALUE, the value as YAML."""
    from engine.errors import BadInput
    from tenants.records import Settings

    known = Settings.__dataclass_fields__
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadInput(f"found {pair!r:.200}; write SETTING=VALUE")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(known)}"
            raise BadInput(f"{name!r:.100} is no setting of a tenant; {hint}")
        settings[name] = _value(name, value)
    return settings


def _value(name: str, text: str) -> Any:
    import yaml

    from engine.errors import BadInput

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{name}: its value is not YAML: {' '.join(str(error).split())}") from None


def _told(settings: dict[str, Any]) -> str:
    """What differs from a tenant that nothing was set for."""
    from tenants.records import Settings

    plain = Settings()
    differing = {
        name: value
        for name, value in sorted(settings.items())
        if value is not None and value != getattr(plain, name, None)
    }
    return ", ".join(f"{name}={_as_text(value)}" for name, value in differing.items())


def _as_text(value: Any) -> str:
    import json

    return "" if value is None else json.dumps(value, ensure_ascii=False)
