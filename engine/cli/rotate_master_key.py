"""`hookcell rotate-master-key`: a new master key, while the server serves."""

from __future__ import annotations

import sys
from typing import Any

import click

from engine.cli.connection import asks_server, client_of
from engine.cli.terminal import give_json, say


@click.command(name="rotate-master-key")
@asks_server
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(*, as_json: bool, **given: Any) -> None:
    """Have the server make a new master key and wrap every tenant's data key with it; with an operator's token.

    Secrets are not touched: they are sealed with data keys. When it is interrupted, run it again.

    Exit status: 0 when the old key is needed no more, 1 when damaged data keys keep it, 2 when nothing was done.
    """
    from engine.client import Rotation

    told = client_of(given).post(Rotation, None, "master-key", "rotation")
    if as_json:
        give_json(told)
    else:
        say(f"master key {told.master_key_id} is in use; {told.data_keys} data keys are wrapped with it")
    if not told.complete:
        unreadable = ", ".join(told.unreadable)
        say(f"the old key stays: no key opens the data keys of these tenants: {unreadable}", err=True)
        sys.exit(1)
