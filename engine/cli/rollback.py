"""`hookcell rollback`: make an earlier version of a hook the live one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from engine.cli.connection import asks_tenant, client_of, tenant_of
from engine.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.client import VersionRow


@click.command(name="rollback")
@click.argument("name")
@click.option("--to", "number", type=click.IntRange(1), metavar="N", help="Default: the version before the live one.")
@asks_tenant
def command(name: str, number: int | None, **given: Any) -> None:
    """Make an earlier version of the hook NAME the live one; with --to also a later one again. No version is lost.

    It is checked as a new upload is. Whether the hook is enabled stays as it is. The folder that you deploy from still
    has the newer source: deploying it brings that back.
    """
    from engine.client import HookRow
    from engine.listing import listed_versions

    client, tenant = client_of(given), tenant_of(given)
    place = ("tenants", tenant, "hooks", name, "versions")
    to = number or _before(name, listed_versions(client, tenant, name))
    hook = client.post(HookRow, None, *place, str(to), "deploy")
    state = "" if hook.enabled else "; the hook is not enabled"
    say(f"{hook.name}: version {hook.version} is live{state}")


def _before(name: str, versions: Sequence[VersionRow]) -> int:
    """The version before the live one: the newest of a smaller number."""
    from engine.errors import BadInput

    live = next((each.number for each in versions if each.live), 0)
    older = [each.number for each in versions if each.number < live]
    if not older:
        raise BadInput(f"{name} has no version before its live one, {live}; --to names another")
    return max(older)
