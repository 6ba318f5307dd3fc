"""`hookcell secret`: the secrets of a hook. A value is never an argument: everybody can read the process list."""

from __future__ import annotations

import sys
from typing import Any

import click

from engine.cli.connection import asks_tenant, client_of, print_table, tenant_of
from engine.cli.terminal import give_json, say

_VALUE_BYTES = 64 << 10  # read at most; the server says what a value may be


@click.group(name="secret")
def command() -> None:
    """The secrets of a hook: context.webtask.secrets.NAME. They can be written, never read."""


@command.command(name="set")
@click.argument("hook")
@click.argument("name")
@click.option("--from-file", metavar="FILE", help="Read the value from a file instead.")
@click.option("--exact", is_flag=True, help="Keep the line end that the value ends with.")
@asks_tenant
def set_one(hook: str, name: str, from_file: str | None, *, exact: bool, **given: Any) -> None:
    """Set the secret NAME of HOOK to what standard input holds; at a terminal it is asked for and not shown.

    One line end at the end of it is taken away, as `echo` adds one.
    """
    client, tenant = client_of(given), tenant_of(given)
    value = _value(name, from_file, exact=exact)
    client.set_value(value, "tenants", tenant, "hooks", hook, "secrets", name)
    say(f"secret {name} of {hook} is set")


@command.command(name="list")
@click.argument("hook")
@click.option("--json", "as_json", is_flag=True, help="Print the names as JSON.")
@asks_tenant
def list_all(hook: str, *, as_json: bool, **given: Any) -> None:
    """List the names of the secrets of HOOK."""
    from engine.client import HookRow

    names = client_of(given).get(HookRow, "tenants", tenant_of(given), "hooks", hook).secrets
    if as_json:
        give_json(names)
    else:
        print_table(("name",), ([name] for name in names), f"{hook} has no secrets")


@command.command(name="rm")
@click.argument("hook")
@click.argument("name")
@asks_tenant
def remove(hook: str, name: str, **given: Any) -> None:
    """Take the secret NAME away from HOOK."""
    client_of(given).delete("tenants", tenant_of(given), "hooks", hook, "secrets", name)
    say(f"secret {name} of {hook} is gone")


def _value(name: str, file: str | None, *, exact: bool) -> str:
    from engine.cli import files
    from engine.errors import BadInput

    if file is None and sys.stdin is not None and sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True))
    raw = files.read_bytes(file or "-", _VALUE_BYTES, "value of the secret in")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadInput("the value of a secret is text in UTF-8; encode what is not, in base64 for example") from None
    text = text if exact else text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise BadInput("the value is empty; `secret rm` takes a secret away")
    return text
