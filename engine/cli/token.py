"""`hookcell token`: make, list and revoke tokens: a tenant's, or an operator's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.connection import asks_tenant, client_of, print_table, tenant_of
from engine.cli.terminal import give, give_json, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.client import TokenRow

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_OPERATORS = click.option("--operator", is_flag=True, help="An operator's, for all tenants, instead of a tenant's.")


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    return asks_tenant(_OPERATORS(function))


@click.group(name="token")
def command() -> None:
    """Tokens: what may be done with each is its scopes. A token can give only the scopes that it has."""


@command.command(name="create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="As read:hooks; repeatable. Default: all.")
@click.option("--expires-in", metavar="TIME", help="As 30d, 12h, 90m or 3600s. Default: it does not expire.")
@click.option("--to", "file", metavar="FILE", help="Write it there, readable by you alone, instead of printing it.")
@click.option("--json", "as_json", is_flag=True, help="Print an object with id, name, scopes and the token.")
@_options
def create(name: str, file: str | None, *, as_json: bool, **given: Any) -> None:
    """Make a token called NAME and print it, alone, this one time: the server keeps only its digest."""
    from engine.cli import writing
    from engine.client import TokenRow

    body = _wanted(name, given)
    client, place = client_of(given), _place(given)
    if file:
        writing.check_new(Path(file))
    made = client.post(TokenRow, body, *place)
    if file:
        writing.write_new(Path(file), f"{made.token}\n".encode(), 0o600)
        say(f"token {made.name} ({made.id}) is in {file}", err=True)
    if as_json:
        give_json(_without_itself(made) if file else made)
    elif not file:
        give(f"{made.token}\n")


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@_options
def list_all(*, as_json: bool, **given: Any) -> None:
    """List the tokens there are: never themselves."""
    from engine.listing import listed_tokens

    tokens = listed_tokens(client_of(given), *_place(given))
    if as_json:
        give_json(tokens)
        return
    rows = ((each.id, each.name, " ".join(each.scopes), each.created_at, each.expires_at or "never") for each in tokens)
    print_table(("id", "name", "scopes", "made", "expires"), rows, "there are no tokens")


@command.command(name="revoke")
@click.argument("token_id", metavar="ID")
@_options
def revoke(token_id: str, **given: Any) -> None:
    """End the token with that ID (see `token list`), at once."""
    client_of(given).delete(*_place(given), token_id)
    say(f"token {token_id} is revoked")


def _place(given: dict[str, Any]) -> tuple[str, ...]:
    return ("tokens",) if given["operator"] else ("tenants", tenant_of(given), "tokens")


def _wanted(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a new token is to be."""
    body: dict[str, Any] = {"name": name}
    if given["expires_in"]:
        body["expires_in"] = _seconds(given["expires_in"])
    return body if given["operator"] else body | {"scopes": _scopes(given["scopes"])}


def _scopes(named: tuple[str, ...]) -> list[str]:
    """Those that are named; all, where none is."""
    from engine.errors import BadInput
    from engine.scopes import TENANT_SCOPES

    for scope in named:
        if scope not in TENANT_SCOPES:
            raise BadInput(f"{scope!r:.100} is no scope; the scopes are {', '.join(TENANT_SCOPES)}")
    return list(named) or sorted(TENANT_SCOPES)


def _without_itself(made: TokenRow) -> dict[str, Any]:
    import msgspec

    return {name: value for name, value in msgspec.structs.asdict(made).items() if name != "token"}


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if not found:
        raise click.BadParameter(f"found {text!r}; write it as 30d, 12h, 90m or 3600s", param_hint="--expires-in")
    return int(found[1]) * _UNITS_S[found[2]]
