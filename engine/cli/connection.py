"""How the commands that ask a server reach it: their common options, the token, the tenant.

A token is never an argument: everybody on a machine can read its process list. It comes from HOOKCELL_TOKEN, from a
file, or from a prompt that does not show it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.cli.terminal import plain_line, say

if TYPE_CHECKING:
    from engine.client import Client

_Command = TypeVar("_Command", bound=Callable[..., Any])
_TOKEN_BYTES = 4096
_WHOLE = ("id", "name", "point", "type", "version")  # titles of columns that are copied
_NARROWEST = 7  # of the others
_GAP = 2  # between two
_NO_TERMINAL = 400  # columns

_SERVER = (
    click.option("--server", metavar="URL", help="Its address. Default: HOOKCELL_SERVER, or http://127.0.0.1:8787."),
    click.option("--token-file", metavar="FILE", help="File of the token. Default: HOOKCELL_TOKEN, or a prompt."),
    click.option("--ca-file", metavar="FILE", help="PEM of the authority behind its certificate: HOOKCELL_CA_FILE."),
)
_TENANT = click.option("--tenant", metavar="NAME", help="Default: HOOKCELL_TENANT.")


def asks_server(command: _Command) -> _Command:
    """Adds the options that say which server, and with which token."""
    for option in reversed(_SERVER):
        command = option(command)
    return command


def asks_tenant(command: _Command) -> _Command:
    """Adds those, and which tenant."""
    return _TENANT(asks_server(command))


def client_of(given: dict[str, Any]) -> Client:
    """The server that options and environment name, with the token."""
    from engine.client import Client, is_plain
    from engine.config import ClientConfig
    from engine.errors import BadInput

    config = ClientConfig()
    server = given.get("server") or config.server
    if not server.startswith(("http://", "https://")):
        raise BadInput(f"the server is {server!r:.200}; its address begins with http:// or https://")
    token, ca_file = _token(given.get("token_file"), config.token), given.get("ca_file") or config.ca_file
    client = Client(server, token, ca_file, _wait)
    if is_plain(server):
        say(f"hookcell: warning: {server} is not https: the token crosses the network unencrypted", err=True)
    return client


def _wait(seconds: int) -> None:
    """A person at a terminal is told what for; elsewhere it goes by as other time does."""
    if sys.stderr is not None and sys.stderr.isatty():
        say(f"hookcell: too many requests for the server; the next one in {seconds} s", err=True)
    time.sleep(seconds)


def tenant_of(given: dict[str, Any], written: str | None = None) -> str:
    """Whose hooks are meant: the option's, the environment's, or what is written in the folder."""
    from engine.config import ClientConfig
    from engine.errors import BadInput

    tenant = given.get("tenant") or ClientConfig().tenant or written
    if not tenant:
        raise BadInput("no tenant: name one with --tenant, or set HOOKCELL_TENANT")
    return str(tenant)


def _token(file: str | None, environment: str | None) -> str:
    from engine.cli import files
    from engine.errors import BadInput

    if file:
        token = files.read_bytes(file, _TOKEN_BYTES, "token file").decode(errors="replace").strip()
        what = f"token file {file!r}"
    elif environment is not None:
        token, what = environment.strip(), "HOOKCELL_TOKEN"
    elif sys.stdin is not None and sys.stdin.isatty():
        token, what = click.prompt("Token", hide_input=True, err=True).strip(), "what was typed"
    else:
        raise BadInput("no token: set HOOKCELL_TOKEN, or name a file with --token-file")
    if not token or not token.isascii() or any(character.isspace() for character in token):
        raise BadInput(f"{what} holds no token")
    return str(token)


def print_table(titles: Sequence[str], rows: Iterable[Iterable[object]], none: str) -> None:
    """A table as wide as the terminal, or as it needs to be where there is none; `none` when it has no rows.

    Nothing is cut. What other commands are given stands in one piece, wider than the terminal if need be: it can be
    copied. The other columns give way, and go on in the next line. Without titles there is no line of them.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(plain_line("" if cell is None else str(cell))) for cell in row] for row in rows]
    if not cells:
        say(none)
        return
    table = Table(box=None, pad_edge=False, show_header=any(titles))
    needed = _GAP * (len(titles) - 1)
    for title, column in zip(titles, zip(*cells, strict=True), strict=True):
        whole = title in _WHOLE
        widest = max(len(title), *(cell.cell_len for cell in column)) if whole else _NARROWEST
        table.add_column(title, overflow="fold", no_wrap=whole, min_width=widest if whole else None)
        needed += widest
    for row in cells:
        table.add_row(*row)
    console = Console() if sys.stdout.isatty() else Console(width=_NO_TERMINAL)
    console.width = max(console.width, needed)
    console.print(table)
