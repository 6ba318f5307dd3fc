"""`hookcell hooks`: which hooks a tenant has, and the source of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from engine.cli.connection import asks_tenant, client_of, print_table, tenant_of
from engine.cli.terminal import give, give_json

if TYPE_CHECKING:
    from engine.client import Client


@click.command(name="hooks")
@click.argument("name", required=False)
@click.option("--version", "number", type=click.IntRange(1), metavar="N", help="Of NAME: an earlier source.")
@click.option("--versions", is_flag=True, help="Of NAME: list its versions, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@asks_tenant
def command(name: str | None, number: int | None, *, versions: bool, as_json: bool, **given: Any) -> None:
    """List the tenant's hooks; or print the source of the hook NAME, byte for byte."""
    from engine.client import HookRow
    from engine.listing import listed_hooks

    if name is None and (number or versions):
        raise click.UsageError("--version and --versions are of one hook: write its NAME")
    client, tenant = client_of(given), tenant_of(given)
    if name is None:
        hooks = listed_hooks(client, tenant)
        if as_json:
            give_json(hooks)
        else:
            _print(hooks)
    elif versions:
        _print_versions(client, tenant, name, as_json=as_json)
    elif as_json and number is None:
        give_json(client.get(HookRow, "tenants", tenant, "hooks", name))
    else:
        _print_source(client, tenant, name, number, as_json=as_json)


def _print(hooks: list[Any]) -> None:
    titles = ("name", "point", "enabled", "order", "version", "secrets", "changed")
    rows = (
        (
            hook.name,
            hook.trigger_id,
            "yes" if hook.enabled else "no",
            hook.order,
            hook.version,
            " ".join(hook.secrets),
            hook.updated_at,
        )
        for hook in hooks
    )
    print_table(titles, rows, "there are no hooks")


def _print_versions(client: Client, tenant: str, name: str, *, as_json: bool) -> None:
    from engine.listing import listed_versions

    versions = listed_versions(client, tenant, name)
    if as_json:
        give_json(versions)
        return
    rows = ((each.number, each.created_at, each.created_by, each.source_sha256[:12]) for each in versions)
    print_table(("version", "made", "by", "sha-256"), rows, "there are no versions")


def _print_source(client: Client, tenant: str, name: str, number: int | None, *, as_json: bool) -> None:
    from engine.client import VersionRow

    if number is None:
        give(client.text("tenants", tenant, "hooks", name, "source"))
        return
    version = client.get(VersionRow, "tenants", tenant, "hooks", name, "versions", str(number))
    if as_json:
        give_json(version)
    else:
        give(version.source or "")
